"""Stands in for the module that renders popups, until that one is there."""

from collections.abc import Mapping

NAMES = ("incoming.html", "match.html", "choice.html", "nomatch.html", "withheld.html", "missed.html", "popup.css")
MAX_FILE = 100_000


class PopupError(Exception):
    """What is wrong with a file, and where."""

    def __init__(self, message: str, name: str, line: int = 1, column: int = 1, **params: object) -> None:
        super().__init__(message % params if params else message)
        self.message, self.name, self.line, self.column, self.params = message, name, line, column, params


def check_popup_files(files: Mapping[str, str]) -> list[PopupError]:
    """Return what is wrong with one language's whole set."""
    errors = [
        PopupError("“%(what)s” is not allowed here.", name, line, text.index("{% if %}") + 1, what="if")
        for name, source in files.items()
        for line, text in enumerate(source.split("\n"), 1)
        if "{% if %}" in text
    ]
    return errors + [PopupError("It is missing.", name) for name in NAMES if name not in files]
