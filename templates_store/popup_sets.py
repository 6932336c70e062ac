"""Reads the versions of the popup files, each kept per process: a version never changes."""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from itertools import pairwise
from typing import Literal

from django.db import connection
from django.db.models import QuerySet
from django.utils.translation import gettext

from cmphone.properties.selectors import get_versions
from templates_store.models import PopupFile, PopupFolder, PopupLayer, PopupVersion
from templates_store.popup_files import Key, Trouble, write_zip

# Clients that hold an old manifest ask for the last few.
KEPT_IN_MEMORY = 8
# What longer files have in common would take minutes to find, with hostile ones.
MAX_LINES_TO_COMPARE = 3_000

# The files of each layer.
Layers = Mapping[str, Mapping[Key, str]]


@dataclass(frozen=True, eq=False)
class PopupSet:
    """The files of a version as clients get them, by language and name, with their SHA-256 in hexadecimal."""

    version: str
    files: Mapping[Key, bytes]
    hashes: Mapping[Key, str]

    @cached_property
    def zip(self) -> bytes:
        """Return all of them as zip."""
        return write_zip(self.files)


@dataclass(frozen=True)
class Difference:
    """How a file differs between two versions.

    `lines` are those of a unified diff, each with its sign: `@`, ` `, `-` or `+`; None: too many to compare.
    """

    language: str
    name: str
    kind: Literal["added", "removed", "changed"]
    lines: list[tuple[str, str]] | None


@dataclass(frozen=True)
class FolderState:
    """What the last look into the folder on disk saw.  With troubles, what was published before stays."""

    path: str
    checked_at: datetime
    troubles: tuple[Trouble, ...]


_loaded: Mapping[int, PopupSet] = {}


def find_popups(number: int) -> PopupSet | None:
    """Return the files of a version, or None when there is no such version.  No query where this process has it."""
    global _loaded
    popups = _loaded.get(number)
    if popups is None:
        popups = _load_popups(number)
        # A version of a transaction that is rolled back would leave its number to another one.
        if popups is not None and not connection.in_atomic_block:
            # Never changed in place: other threads read it.
            _loaded = dict([*list(_loaded.items())[1 - KEPT_IN_MEMORY :], (number, popups)])
    return popups


def find_current_popups() -> PopupSet | None:
    """Return the files in force; None when nothing was published yet."""
    return find_popups(int(get_versions()[1]))


def _load_popups(number: int) -> PopupSet | None:
    hidden_first = sorted(PopupFile.objects.filter(version=number), key=lambda file: _ORDER[file.layer])
    in_force = {(file.language, file.name): file for file in hidden_first}
    if not in_force:
        return None
    files = {key: file.content.encode() for key, file in sorted(in_force.items())}
    return PopupSet(str(number), files, {key: file.sha256 for key, file in sorted(in_force.items())})


_ORDER = {layer: place for place, layer in enumerate(PopupLayer.values)}


def load_layers(number: int) -> Layers:
    """Return the files of a version by layer, also those that another layer hides; none of a version 0."""
    layers: dict[str, dict[Key, str]] = {layer: {} for layer in PopupLayer.values}
    for layer, language, name, content in PopupFile.objects.filter(version=number).values_list(
        "layer", "language", "name", "content"
    ):
        layers[layer][language, name] = content
    return layers


def merge_layers(layers: Layers) -> dict[Key, str]:
    """Return the files that count."""
    return {key: content for layer in PopupLayer.values for key, content in layers[layer].items()}


def find_last_version() -> PopupVersion | None:
    """Return the version that was published last."""
    return PopupVersion.objects.order_by("number").last()


def list_versions() -> QuerySet[PopupVersion]:
    """Return every version that is kept, the last one first."""
    return PopupVersion.objects.order_by("-number")


def list_files(number: int) -> QuerySet[PopupFile]:
    """Return the files of a version with their layers, also those that another layer hides."""
    return PopupFile.objects.filter(version=number).order_by("language", "name", "layer")


def find_changed_files(numbers: Sequence[int]) -> dict[int, list[Key]]:
    """Return the files in which each of these versions, the last one first, differs from the next one of them."""
    rows = PopupFile.objects.filter(version__in=numbers).values_list("version", "language", "name", "layer", "sha256")
    hashes: dict[int, dict[Key, str]] = {number: {} for number in numbers}
    for number, language, name, _layer, sha256 in sorted(rows, key=lambda row: _ORDER[row[3]]):
        hashes[number][language, name] = sha256
    return {
        newer: sorted({key for key, _hash in hashes[newer].items() ^ hashes[older].items()})
        for newer, older in pairwise(numbers)
    }


def compare_popups(older: PopupSet, newer: PopupSet) -> list[Difference]:
    """Return the files that differ, by language and name."""
    return [
        _compare_file(key, older.files.get(key), newer.files.get(key))
        for key in sorted(older.files.keys() | newer.files.keys())
        if older.files.get(key) != newer.files.get(key)
    ]


def _compare_file(key: Key, before: bytes | None, after: bytes | None) -> Difference:
    kind: Literal["added", "removed", "changed"]
    kind = "added" if before is None else "removed" if after is None else "changed"
    old, new = ((content or b"").decode().splitlines() for content in (before, after))
    if max(len(old), len(new)) > MAX_LINES_TO_COMPARE:
        return Difference(*key, kind, lines=None)
    # Without the two lines that name the files.
    diff = list(difflib.unified_diff(old, new, lineterm=""))[2:]
    return Difference(*key, kind, lines=[(line[0], line if line[0] == "@" else line[1:]) for line in diff])


def find_folder_state() -> FolderState | None:
    """Return what the last look into the folder on disk saw; None where there is no folder, or was no look yet.

    Without a folder (`path` empty) there may be troubles, too: of the product's files together with overrides.
    """
    row = PopupFolder.objects.filter(id=1).first()
    if row is None or not (row.path or row.troubles):
        return None
    return FolderState(row.path, row.checked_at, tuple(Trouble(**trouble) for trouble in row.troubles))


def describe_trouble(trouble: Trouble) -> str:
    """Return what is wrong, and in which line, in the active language; the file is told apart."""
    problem = trouble.format(gettext(trouble.message))
    if trouble.line is None:
        return problem
    return gettext("Line %(line)d, column %(column)d: %(problem)s") % {
        "line": trouble.line,
        "column": trouble.column,
        "problem": problem,
    }
