"""The cut-down Jinja2 that display names and popups have in common.  Pure: no Django, no database.

In it every value is a text, nothing can be called, multiplied or reached by an attribute, and no text grows past
MAX_TEXT.  What a template may hold beyond that, and how much of it, is for rendering.py and popups.py to say.

A missing value is the empty text everywhere: printed, compared, joined, as `company.name` without a company.
"""

import inspect
import unicodedata
from collections.abc import Callable, Mapping

from jinja2 import Undefined, nodes
from jinja2.filters import do_title

from templates_store.positions import find_place

# Longest text inside a template: a value, the result of a filter or of a join.  What is longer is cut, not
# refused: a name has 300 characters, and a contact with long remarks should still get one.
MAX_TEXT = 2000
JOINERS = "\u200c\u200d"


def gettext_noop(message: str) -> str:
    """Mark a text for translation.  Who shows a TemplateError translates it, then puts in the params."""
    return message


class TemplateError(Exception):
    """A template that cannot be used: what is wrong (in English, as `str()`), and in which line and column, from 1."""

    def __init__(self, message: str, line: int = 1, column: int = 1, **params: object) -> None:
        super().__init__(message % params if params else message)
        self.message = message
        self.params = params
        self.line = line
        self.column = column


def to_text(value: object) -> str:
    """Return what a template prints for a value: nothing for None and objects, else MAX_TEXT at most."""
    if isinstance(value, str):
        return value[:MAX_TEXT]
    if value is None or isinstance(value, (Mapping, tuple, list)):
        return ""
    return str(value)[:MAX_TEXT]


def is_visible(character: str) -> bool:
    """Say whether a character of a value is shown."""
    # Not control characters, lone surrogates and format characters (bidirectional overrides among them); but
    # what separates words, and the joiners: Persian and several Indian languages are spelled with them.
    return character in JOINERS or character.isspace() or unicodedata.category(character) not in {"Cc", "Cf", "Cs"}


def check_characters(source: str) -> None:
    """Accept a source without control characters and lone surrogates.  Raises TemplateError."""
    for character in source:
        if unicodedata.category(character) in {"Cc", "Cs"} and character not in "\t\r\n":
            raise TemplateError(
                gettext_noop("The character %(character)s is not allowed."),
                *find_place(source, source.index(character)),
                character=f"U+{ord(character):04X}",
            )


# What no expression may hold: it multiplies, formats, slices, or names arguments.
FORBIDDEN = frozenset(["*", "**", "/", "//", "%", "-", "{", "}", ":", ";", "="])


def check_function(node: nodes.Filter | nodes.Test, known: Mapping[str, Callable[..., object]]) -> None:
    """Accept a filter or test that is known and gets the arguments it takes.  Raises TemplateError."""
    if node.name not in known:
        raise TemplateError(
            gettext_noop("“%(what)s” is not known; there are %(known)s."),
            node.lineno,
            what=node.name,
            known=", ".join(known),
        )
    all_parameters = inspect.signature(known[node.name]).parameters.values()
    # The first is the value; Jinja2's context, which some take, comes before it.
    _, *parameters = (each for each in all_parameters if each.name != "context")
    required = sum(parameter.default is parameter.empty for parameter in parameters)
    is_plain = not (node.kwargs or node.dyn_args or node.dyn_kwargs)
    if not is_plain or not required <= len(node.args) <= len(parameters):
        names = (f"{each.name}{'' if each.default is each.empty else '?'}" for each in parameters)
        raise TemplateError(
            gettext_noop("“%(what)s” takes these arguments: %(arguments)s."),
            node.lineno,
            what=node.name,
            arguments=", ".join(names) or "–",
        )


class Missing(Undefined):
    """Jinja2's word for a value that is not there: for us, the empty text itself."""

    def __new__(cls, *_: object, **__: object) -> str:  # type: ignore[misc]  # Jinja2 only ever calls it
        return ""


def _filter_title(value: object) -> str:
    return do_title(to_text(value))[:MAX_TEXT]


def _filter_default(value: object, default_value: object = "", boolean: object = True) -> object:
    # Missing and empty are the same here, so Jinja2's switch between them is accepted and has no effect.
    return to_text(value) or default_value


def _filter_replace(value: object, old: object, new: object) -> str:
    text, old_text, new_text = to_text(value), to_text(old), to_text(new)
    if not old_text:
        return text
    # As many as could show within the limit, so that no replacement builds more than that.
    count = MAX_TEXT // len(new_text) + 1 if new_text else -1
    return text.replace(old_text, new_text, count)[:MAX_TEXT]


def _filter_truncate(value: object, length: object = 255, killwords: object = False, end: object = "…") -> str:
    text, end_text = to_text(value), to_text(end)
    if not isinstance(length, int):
        raise TypeError("the length is not a whole number")
    if len(text) <= length:
        return text
    cut = text[: max(0, length - len(end_text))]
    return (cut if killwords else cut.rsplit(" ", 1)[0]) + end_text


def _filter_join(value: object, separator: object = "") -> str:
    # Without what is missing, so that no separator stands alone.
    texts = filter(None, map(to_text, value if isinstance(value, (tuple, list)) else [value]))
    return to_text(separator).join(texts)[:MAX_TEXT]


# Jinja2's names and arguments, on texts only, and nothing that can grow.
FILTERS: dict[str, Callable[..., object]] = {
    "upper": lambda value: to_text(value).upper()[:MAX_TEXT],
    "lower": lambda value: to_text(value).lower()[:MAX_TEXT],
    "title": _filter_title,
    "capitalize": lambda value: to_text(value).capitalize()[:MAX_TEXT],
    "trim": lambda value: to_text(value).strip(),
    "default": _filter_default,
    "replace": _filter_replace,
    "truncate": _filter_truncate,
    "first": lambda value: to_text(value)[:1],
    "last": lambda value: to_text(value)[-1:],
    "join": _filter_join,
    "length": lambda value: len(to_text(value)),
}
TESTS: dict[str, Callable[..., object]] = {
    "defined": lambda value: bool(value),
    "undefined": lambda value: not value,
    "none": lambda value: not value,
}
