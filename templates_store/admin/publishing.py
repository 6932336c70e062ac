"""Says what was in the way of publishing, and how files differ."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.utils.formats import date_format
from django.utils.timezone import localtime
from django.utils.translation import gettext

from cmphone.problems import Conflict
from templates_store.popup_files import Trouble, normalize
from templates_store.popup_sets import Difference, PopupSet, compare_popups, describe_trouble, find_last_version
from templates_store.popups import PopupError

Result = TypeVar("Result")


@dataclass(frozen=True)
class FileError:
    """What is wrong with a file (`path` empty: with all of them together), and the line that it is in."""

    path: str
    text: str
    excerpt: str = ""


@dataclass(frozen=True)
class Refusal:
    """Why nothing was published: errors, or somebody was quicker."""

    errors: tuple[FileError, ...] = ()
    conflict: str = ""


@dataclass(frozen=True)
class FileDifference:
    """How files with these paths differ, all in the same way."""

    paths: tuple[str, ...]
    difference: Difference


def try_to(action: Callable[[], Result], *, sources: Mapping[str, str] | None = None) -> Result | Refusal:
    """Return what a service returns, or why it refused.  `sources`: files by path, to show their lines."""
    try:
        return action()
    except ValidationError as error:
        return Refusal(errors=tuple(_list_errors(error, sources or {})))
    except Conflict as conflict:
        return Refusal(conflict=_say_when(conflict))


def _list_errors(error: ValidationError, sources: Mapping[str, str]) -> Iterator[FileError]:
    for path, errors in error.error_dict.items():
        for each in errors:
            trouble = (each.params or {}).get("trouble")
            line = trouble.line if isinstance(trouble, Trouble) else None
            excerpt = _find_line(sources.get(path, ""), line)
            yield FileError("" if path == NON_FIELD_ERRORS else path, " ".join(each.messages), excerpt)


def describe_popup_error(error: PopupError, *, language: str, sources: Mapping[str, str]) -> FileError:
    """Return what is wrong with a file of a language; `sources`: its files by name."""
    trouble = Trouble(f"{language}/{error.name}", error.message, error.params, error.line, error.column)
    return FileError(trouble.path, describe_trouble(trouble), _find_line(sources.get(error.name, ""), error.line))


def _find_line(source: str, line: int | None) -> str:
    lines = normalize(source).split("\n")
    return lines[line - 1].strip()[:200] if line is not None and line <= len(lines) else ""


def _say_when(conflict: Conflict) -> str:
    last = find_last_version()
    if last is None:
        return conflict.detail
    when = date_format(localtime(last.created_at), "DATETIME_FORMAT")
    return gettext("%(what)s It was published on %(when)s.") % {"what": conflict.detail, "when": when}


def list_differences(older: PopupSet, newer: PopupSet) -> list[FileDifference]:
    """Return how the files of two versions differ; files that do so in the same way together."""
    alike: dict[tuple[object, ...], list[Difference]] = {}
    for each in compare_popups(older, newer):
        alike.setdefault((each.name, each.kind, _freeze(each.lines)), []).append(each)
    return [
        FileDifference(tuple(f"{each.language}/{each.name}" for each in group), group[0]) for group in alike.values()
    ]


def _freeze(lines: Sequence[tuple[str, str]] | None) -> object:
    # What is too long to be compared is not known to be alike.
    return object() if lines is None else tuple(lines)
