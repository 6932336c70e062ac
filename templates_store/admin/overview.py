"""What the first page of the popup files and their history show."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core.paginator import Page, Paginator
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from templates_store.models import PopupLayer, PopupVersion
from templates_store.popup_sets import (
    FolderState,
    describe_trouble,
    find_changed_files,
    find_folder_state,
    list_files,
    list_versions,
)
from templates_store.popups import NAMES
from templates_store.shipped_popups import list_languages

PER_PAGE = 25
# The job that looks into the folder runs every 15 seconds.
LOOKS_WITHIN = timedelta(minutes=2)

PURPOSES: dict[str, str | Promise] = {
    "incoming.html": _("while the telephone rings, until the caller is found; the frame of all others"),
    "match.html": _("one contact has the number"),
    "choice.html": _("several contacts have the number"),
    "nomatch.html": _("no contact has the number"),
    "withheld.html": _("the number is withheld"),
    "missed.html": _("a missed call"),
    "popup.css": _("how they all look"),
}


@dataclass(frozen=True)
class Cell:
    """A file of one language: who made it, and whether an override hides one of the folder."""

    language: str
    layer: str
    hides_folder: bool

    @property
    def is_override(self) -> bool:
        return self.layer == PopupLayer.OVERRIDE


def describe_files(version: PopupVersion) -> list[dict[str, Any]]:
    """Return a row for every file name, with a cell for every language."""
    layers: dict[tuple[str, str], set[str]] = {}
    for layer, language, name in list_files(version.number).values_list("layer", "language", "name"):
        layers.setdefault((language, name), set()).add(layer)
    return [
        {
            "name": name,
            "purpose": PURPOSES.get(name, ""),
            "cells": [
                _describe_cell(language, layers[language, name])
                for language in list_languages()
                if (language, name) in layers
            ],
        }
        for name in NAMES
    ]


def _describe_cell(language: str, layers: set[str]) -> Cell:
    # Of the layers that have the file, the last one counts.
    layer = max(layers, key=PopupLayer.values.index)
    return Cell(language, layer, hides_folder=layer == PopupLayer.OVERRIDE and PopupLayer.FOLDER in layers)


def describe_folder() -> dict[str, Any]:
    """Return how it is about the folder on disk."""
    path, state = settings.POPUP_DIR, find_folder_state()
    # What was seen while another folder was set says nothing about this one.
    if state is not None and path is not None and state.path != str(path):
        state = None
    return {
        "path": path,
        "state": state,
        "troubles": [(trouble.path, describe_trouble(trouble)) for trouble in state.troubles] if state else [],
        "is_stale": path is not None and (state is None or _is_old(state)),
    }


def _is_old(state: FolderState) -> bool:
    return timezone.now() - state.checked_at > LOOKS_WITHIN


def list_history(page: str | None) -> tuple[Page[PopupVersion], list[tuple[PopupVersion, Sequence[str] | None]]]:
    """Return a page of the versions, each with the files that it changed; None: nothing is kept to compare it with."""
    versions = Paginator(list_versions(), PER_PAGE).get_page(page)
    shown = list(versions)
    numbers = [version.number for version in shown]
    before = find_version_before(numbers[-1]) if numbers else None
    changed = find_changed_files([*numbers, *([before.number] if before else [])])
    return versions, [
        (version, ["/".join(key) for key in changed[version.number]] if version.number in changed else None)
        for version in shown
    ]


def find_version_before(number: int) -> PopupVersion | None:
    """Return the last version that is kept of those before this one."""
    return list_versions().filter(number__lt=number).first()
