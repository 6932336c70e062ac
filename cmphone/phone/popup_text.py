"""A popup as text, and text as a terminal may show it."""

import unicodedata
from html.parser import HTMLParser

BLOCKS = frozenset({"p", "h1", "h2", "h3", "h4", "li", "div", "article", "header", "main", "nav", "br", "tr", "ul"})
UNSEEN = frozenset({"head", "style", "script", "template", "svg"})
# No end tag follows them.
VOID = frozenset({"br", "hr", "img", "meta", "link", "input", "wbr"})


def make_text(html: str) -> list[str]:
    """Return the lines of a popup; where links lead stands behind them."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    lines = (" ".join(line.split()) for line in "".join(reader.pieces).split("\n"))
    return [line for line in lines if line]


def clean(text: str) -> str:
    """Return the text without what controls a terminal or turns the direction of writing; ends of lines stay.

    Numbers and names are what strangers sent or somebody typed.
    """
    return "".join("\N{REPLACEMENT CHARACTER}" if _is_control(letter) else letter for letter in text)


def _is_control(letter: str) -> bool:
    return letter != "\n" and unicodedata.category(letter) in {"Cc", "Cf", "Cs", "Zl", "Zp"}


class _Reader(HTMLParser):
    """Collects what is to be seen."""

    def __init__(self) -> None:
        super().__init__()
        self.pieces: list[str] = []
        # Elements that are open from the outermost unseen one on.
        self._unseen: list[str] = []
        self._links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = dict(attrs)
        if self._unseen or tag in UNSEEN or attributes.get("aria-hidden") == "true":
            if tag not in VOID:
                self._unseen.append(tag)
        elif tag == "a":
            self.pieces.append("\n")
            self._links.append(attributes.get("href") or "")
        elif tag in BLOCKS:
            self.pieces.append("\n")

    def handle_endtag(self, tag: str) -> None:
        if tag in self._unseen:
            while self._unseen.pop() != tag:
                pass
        elif self._unseen:
            pass
        elif tag == "a" and self._links:
            self.pieces.append(f": {self._links.pop()}\n")
        elif tag in BLOCKS:
            self.pieces.append("\n")

    def handle_data(self, data: str) -> None:
        if not self._unseen:
            # Lines of the source are no lines of the page.
            self.pieces.append(data.replace("\n", " "))
