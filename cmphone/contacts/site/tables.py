"""The site file as text and as tables: TOML in and out, and values of the right type taken out of it.

Knows no database: what a value means, and whether it is a good one, belongs to file.py.
"""

import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import tomli_w
from django.utils.translation import gettext as _

MAX_BYTES = 1_000_000


class SiteFileError(Exception):
    """A site file that cannot be applied.  `problems` lists all that is wrong with it, a line each."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = list(problems)


# --- text ---


def parse_site(content: bytes) -> dict[str, Any]:
    """Return the tables of a site file.  Raises SiteFileError when it is too large, not UTF-8 or not TOML."""
    if len(content) > MAX_BYTES:
        raise SiteFileError([_("A site file has at most %d bytes.") % MAX_BYTES])
    try:
        return tomllib.loads(content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise SiteFileError([_("Line %d is not UTF-8. Save the file as UTF-8.") % line]) from error
    except ValueError as error:
        # TOMLDecodeError, which names line and column; or a number too long for Python to read.
        raise SiteFileError([_("This is not TOML: %s") % error]) from error
    except RecursionError as error:
        raise SiteFileError([_("This is not TOML: it is nested too deeply.")]) from error


class Section(dict[str, Any]):
    """A table that is written under a header of its own, `[header]`; a plain dict is written in one line."""


def format_site(site: Mapping[str, Any]) -> str:
    """Return the text of a site file.  Lists of Sections become `[[header]]`, each."""
    comment = _("# Site file of cmphone, for import_site. Passwords are never exported.")
    return "\n".join([f"{comment}\n", *_format_section("", site, ())])


def _format_section(header: str, section: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[str]:
    """Yield the blocks of a section: what it holds itself, then the sections below it."""
    lines: list[str] = []
    below: list[tuple[str, Section, tuple[str, ...]]] = []
    for key, value in section.items():
        here = (*path, _format_key(key))
        name = ".".join(here)
        if isinstance(value, Section):
            below.append((f"[{name}]\n", value, here))
        elif isinstance(value, list) and value and isinstance(value[0], Section):
            below += [(f"[[{name}]]\n", each, here) for each in value]
        else:
            lines.append(f"{_format_key(key)} = {_format_value(value)}\n")
    # A section that holds nothing but sections needs no header: theirs have its name.
    if lines or not below or header.startswith("[["):
        yield header + "".join(lines)
    for each in below:
        yield from _format_section(*each)


def _format_key(key: str) -> str:
    return tomli_w.dumps({key: 0}).removesuffix(" = 0\n")


def _format_value(value: object) -> str:
    if isinstance(value, dict):
        inside = ", ".join(f"{_format_key(key)} = {_format_value(each)}" for key, each in value.items())
        return f"{{ {inside} }}" if inside else "{}"
    if isinstance(value, list):
        return f"[{', '.join(map(_format_value, value))}]"
    return tomli_w.dumps({"x": value}).removeprefix("x = ").removesuffix("\n")


# --- tables ---


class WrongType(ValueError):
    """A value of another type than its key takes; the message says which."""


class Table:
    """A table of the file: where it stands, in words, and its values."""

    def __init__(self, where: str, values: Mapping[str, Any], problems: list[str]) -> None:
        self.where = where
        self.values = values
        self.problems = problems

    def refuse(self, problem: str) -> None:
        """Note what is wrong with this table."""
        self.problems.append(f"{self.where}: {problem}" if self.where else problem)

    def take(self, **readers: Callable[[Any], Any]) -> dict[str, Any]:
        """Return the values of these keys: those that are there and have the type that the key's reader takes.

        Everything else in the table is noted as a problem.
        """
        taken = {}
        for key, value in self.values.items():
            if key not in readers:
                self.refuse(
                    _("There is no key “%(key)s” here; there are %(keys)s.") % {"key": key, "keys": ", ".join(readers)}
                )
                continue
            try:
                taken[key] = readers[key](value)
            except WrongType as error:
                self.refuse(f"{key}: {error}")
        return taken


def read_text(value: object) -> str:
    """Take a text."""
    if not isinstance(value, str):
        raise WrongType(_("must be a text in quotes"))
    if "\0" in value:
        raise WrongType(_("must not contain the character U+0000"))
    return value


def read_flag(value: object) -> bool:
    """Take true or false."""
    if not isinstance(value, bool):
        raise WrongType(_("must be true or false"))
    return value


def read_length(value: object) -> int | None:
    """Take a number of digits; the empty text stands for none, as TOML has no null."""
    if value == "":
        return None
    if not isinstance(value, int) or isinstance(value, bool):
        raise WrongType(_('must be a whole number, or "" for none'))
    return value


def read_label(value: object) -> dict[str, str]:
    """Take the labels in both languages, or in one."""
    labels = read_table(value)
    if not set(labels) <= {"de", "en"}:
        raise WrongType(_('must look like { de = "…", en = "…" }'))
    return {language: read_text(label) for language, label in labels.items()}


def read_names(value: object) -> list[str]:
    """Take a list of names, each once."""
    if not isinstance(value, list):
        raise WrongType(_('must be a list of texts: ["…", "…"]'))
    names = [read_text(each) for each in value]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise WrongType(_("“%s” stands there twice") % twice[0])
    return names


def read_table(value: object) -> dict[str, Any]:
    """Take a table."""
    if not isinstance(value, dict):
        raise WrongType(_("must be a table"))
    return value


def read_tables(value: object) -> list[dict[str, Any]]:
    """Take a list of tables."""
    if not isinstance(value, list):
        raise WrongType(_("must be written with double brackets: [[…]]"))
    return [read_table(each) for each in value]


def read_rights(*known: str) -> Callable[[object], dict[str, list[str]]]:
    """Return a reader of rights by name: each a list of some of `known`."""

    def read(value: object) -> dict[str, list[str]]:
        rights = {name: read_names(each) for name, each in read_table(value).items()}
        for each in rights.values():
            if unknown := [right for right in each if right not in known]:
                raise WrongType(
                    _("“%(right)s” is no right; there are %(rights)s")
                    % {"right": unknown[0], "rights": ", ".join(known)}
                )
        return rights

    return read
