"""Publishes versions of the popup files.

A version is complete and never changes, so a client that loads the files its manifest names gets them of one
version, whatever is published meanwhile.  Three layers make it: the product's files, those of a folder on disk
(CMPHONE_POPUP_DIR) and what administrators override.
"""

import hashlib
import json
import logging
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import timedelta
from functools import partial

from django.conf import settings
from django.contrib.auth.models import AbstractUser
from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.db import transaction
from django.db.models.functions import Now
from django.utils.translation import gettext

from cmphone.problems import Conflict, NotFound
from cmphone.properties.selectors import get_versions
from cmphone.properties.services import mark_templates_changed
from templates_store.models import PopupFile, PopupFolder, PopupLayer, PopupSource, PopupVersion
from templates_store.popup_files import Key, Trouble, UnusableFiles, normalize, read_folder, read_zip
from templates_store.popup_sets import (
    Layers,
    PopupSet,
    describe_trouble,
    find_current_popups,
    find_last_version,
    find_popups,
    load_layers,
    merge_layers,
)
from templates_store.popups import NAMES, check_popup_files
from templates_store.shipped_popups import list_languages, read_shipped

logger = logging.getLogger(__name__)

SHIPPED, FOLDER, OVERRIDE = PopupLayer.SHIPPED.value, PopupLayer.FOLDER.value, PopupLayer.OVERRIDE.value
# What is neither among the last ones nor so young is removed; no client holds its manifest for so long.
VERSIONS_KEPT = 100
KEPT_FOR = timedelta(days=31)


def get_popups(version: str | None = None) -> PopupSet:
    """Return the files of a version; None: of the one in force.

    Where none was published yet, the product's files are, now.  Raises NotFound when there is no such version.
    """
    if version is None:
        popups = find_current_popups()
        if popups is None:
            popups = find_popups(ensure_published().number)
    else:
        popups = find_popups(int(version)) if re.fullmatch("[1-9][0-9]{0,17}", version) else None
    if popups is None:
        raise NotFound(gettext("There is no such version of the popups, or none any more."))
    return popups


def publish_popups(
    *,
    changes: Mapping[Key, str | None],
    by: AbstractUser | None,
    note: str = "",
    source: PopupSource = PopupSource.ADMINISTRATOR,
    based_on: int | None = None,
) -> PopupVersion:
    """Override files, by language and name, and publish that; None: no longer override this one.

    `based_on` is the version that whoever made the changes saw; None: whatever is in force.  What is in force
    already is not published again.  Raises Conflict when another version was published meanwhile, and
    ValidationError, keyed by file (`de/match.html`), with what is wrong in which line.
    """
    _require_known(changes)
    with _explained():
        return _publish(partial(_override, changes), by=by, note=note, source=source, based_on=based_on)


def try_popups(changes: Mapping[Key, str | None]) -> PopupSet:
    """Return the files that publish_popups would put in force, and publish nothing.  Raises what it does."""
    _require_known(changes)
    last = find_last_version()
    files = merge_layers(_override(changes, load_layers(last.number if last else 0)))
    with _explained():
        _require_usable(files)
    return PopupSet(
        "", {key: text.encode() for key, text in files.items()}, {key: _hash(text) for key, text in files.items()}
    )


def _require_known(changes: Mapping[Key, str | None]) -> None:
    if unknown := [key for key in changes if key[0] not in list_languages() or key[1] not in NAMES]:
        raise ValidationError({"/".join(key): gettext("There is no popup file of this name.") for key in unknown})


def _override(changes: Mapping[Key, str | None], before: Layers) -> Layers:
    wanted = {**before[OVERRIDE], **changes}
    return _stack(before[FOLDER], _drop_needless(wanted, before[FOLDER]))


def try_zip(data: bytes) -> PopupSet:
    """Return the files that upload_zip would put in force, and publish nothing.  Raises what it does."""
    with _explained():
        files = read_zip(data, list_languages())
    return try_popups(files)


def upload_zip(data: bytes, *, by: AbstractUser | None, note: str = "", based_on: int | None = None) -> PopupVersion:
    """Override the files that a zip has, all or none; the others stay as they are.  Raises what publish_popups does."""
    with _explained():
        files = read_zip(data, list_languages())
    return publish_popups(changes=files, by=by, note=note, source=PopupSource.ZIP, based_on=based_on)


def roll_back(number: int, *, by: AbstractUser | None, note: str = "", based_on: int | None = None) -> PopupVersion:
    """Publish the files of an older version again, as a new one.

    They stay when the product or the folder changes theirs: where those differ from the old ones they are
    overridden.  Raises NotFound, and what publish_popups does.
    """
    old = get_popups(str(number))

    def change(before: Layers) -> Layers:
        wanted = {key: content.decode() for key, content in old.files.items()}
        return _stack(before[FOLDER], _drop_needless(wanted, before[FOLDER]))

    note = note or gettext("Back to version %(number)d.") % {"number": number}
    with _explained():
        return _publish(change, by=by, note=note, source=PopupSource.ROLLBACK, based_on=based_on)


def ensure_published() -> PopupVersion:
    """Publish the product's files where that is still to be done, and return the version in force.  Safe to repeat."""
    with _explained():
        return _publish(lambda before: _stack(before[FOLDER], before[OVERRIDE]), source=PopupSource.SHIPPED)


def sync_folder(*, only_settled: bool = False) -> PopupVersion:
    """Publish what has changed in the folder on disk and in the product, and return the version in force.

    `only_settled`: a change in the folder counts when two looks in a row saw the same, so that nothing is published
    half copied.  A folder that cannot be used changes nothing, is logged once, and raises ValidationError; what
    the product has changed is published all the same.
    """
    path = settings.POPUP_DIR
    state = PopupFolder.objects.filter(id=1).first() or PopupFolder(id=1)
    troubles: Sequence[Trouble] = ()
    attempts: list[Mapping[Key, str] | None] = []
    digest = ""
    try:
        files = read_folder(path, list_languages()) if path else {}
    except UnusableFiles as error:
        troubles = error.troubles
    else:
        digest = _hash(repr(sorted(files.items())))
        if path is None or not only_settled or digest == state.digest:
            attempts.append(files)
    # Else, or when they cannot be used: the folder's files as they were.
    attempts.append(None)
    version = None
    for attempt in attempts:
        try:
            version = _publish(partial(_take_folder, attempt))
            break
        except UnusableFiles as error:
            troubles = troubles or error.troubles
    _write_folder_state(state, path=str(path or ""), digest=digest, troubles=troubles)
    if troubles or version is None:
        raise _refuse(troubles)
    return version


def _take_folder(files: Mapping[Key, str] | None, before: Layers) -> Layers:
    return _stack(before[FOLDER] if files is None else files, before[OVERRIDE])


def remove_old_popups() -> int:
    """Remove versions that no client can hold the manifest of any more, and say how many.  Safe to repeat."""
    kept = list(PopupVersion.objects.order_by("-number").values_list("number", flat=True)[:VERSIONS_KEPT])
    old = PopupVersion.objects.filter(created_at__lt=Now() - KEPT_FOR).exclude(number__in=kept)
    return old.delete()[1].get("templates_store.PopupVersion", 0)


def _read_all_shipped() -> dict[Key, str]:
    return {
        (language, name): normalize(content)
        for language in list_languages()
        for name, content in read_shipped(language).items()
    }


def _drop_needless(wanted: Mapping[Key, str | None], folder: Mapping[Key, str]) -> dict[Key, str]:
    """Return the overrides without those that say what they would hide."""
    beneath = {**_read_all_shipped(), **folder}
    normalized = {key: normalize(content) for key, content in wanted.items() if content is not None}
    return {key: content for key, content in normalized.items() if content != beneath.get(key)}


def _stack(folder: Mapping[Key, str], overrides: Mapping[Key, str]) -> Layers:
    """Return all layers, over the product's files of today; what they have of a language that is none any more goes."""
    shipped = _read_all_shipped()
    return {
        SHIPPED: shipped,
        FOLDER: {key: content for key, content in folder.items() if key in shipped},
        OVERRIDE: {key: content for key, content in overrides.items() if key in shipped},
    }


def _publish(
    change: Callable[[Layers], Layers],
    *,
    by: AbstractUser | None = None,
    note: str = "",
    source: PopupSource | None = None,
    based_on: int | None = None,
) -> PopupVersion:
    """Publish what `change` makes of the layers in force; what it leaves as they are is not published again.

    `source` None: what changed tells.  Raises Conflict, and UnusableFiles.
    """
    while True:
        last = find_last_version()
        if based_on is not None and (last is None or last.number != based_on):
            raise _explain_conflict(last)
        before = load_layers(last.number if last else 0)
        layers = change(before)
        # Not by itself: what else counts the templates' version up, as an older release does, leaves it ahead.
        if last and layers == before and get_versions()[1] == str(last.number):
            return last
        _require_usable(merge_layers(layers))
        changed = PopupSource.SHIPPED if layers[FOLDER] == before[FOLDER] else PopupSource.FOLDER
        version = PopupVersion(
            created_by_name="" if by is None else by.get_username(), note=note.strip(), source=source or changed
        )
        version.full_clean(exclude=["number", "created_at"])
        # Checking took its time, in which writers of contacts did not wait for us; now it is said who comes first.
        if _write(version, layers, after=last):
            return version


def _write(version: PopupVersion, layers: Layers, *, after: PopupVersion | None) -> bool:
    """Write the version as the next one, and say if that is so: nobody has published another one after `after`."""
    with transaction.atomic():
        version.number = mark_templates_changed()
        if find_last_version() != after:
            transaction.set_rollback(True)
            return False
        version.created_at = Now()
        version.save(force_insert=True)
        PopupFile.objects.bulk_create(
            PopupFile(
                version=version, layer=layer, language=key[0], name=key[1], content=content, sha256=_hash(content)
            )
            for layer, files in layers.items()
            for key, content in files.items()
        )
    version.refresh_from_db()
    return True


def _hash(content: str) -> str:
    return hashlib.sha256(content.encode()).hexdigest()


def _require_usable(files: Mapping[Key, str]) -> None:
    troubles = [
        Trouble(f"{language}/{error.name}", error.message, error.params, error.line, error.column)
        for language in list_languages()
        for error in check_popup_files({name: content for (of, name), content in files.items() if of == language})
    ]
    if troubles:
        raise UnusableFiles(troubles)


def _explain_conflict(last: PopupVersion | None) -> Conflict:
    if last is None:
        return Conflict(gettext("That version of the popups is not there any more."))
    who = last.created_by_name or last.get_source_display()
    return Conflict(
        gettext("Meanwhile version %(number)d was published (%(who)s). Look at what it changed, and publish again.")
        % {"number": last.number, "who": who},
        version=str(last.number),
    )


@contextmanager
def _explained() -> Iterator[None]:
    """Raise what is wrong with files as people are told it."""
    try:
        yield
    except UnusableFiles as error:
        raise _refuse(error.troubles) from error


def _refuse(troubles: Sequence[Trouble]) -> ValidationError:
    errors: dict[str, list[ValidationError]] = {}
    for trouble in troubles:
        # The text as a parameter: it may have a % of its own.
        params = {"text": describe_trouble(trouble), "trouble": trouble}
        error = ValidationError("%(text)s", code="invalid", params=params)
        errors.setdefault(trouble.path or NON_FIELD_ERRORS, []).append(error)
    return ValidationError(errors)


def _write_folder_state(state: PopupFolder, *, path: str, digest: str, troubles: Sequence[Trouble]) -> None:
    """Keep what a look saw.  A trouble is logged when it comes, and not at every look."""
    # As the database will give them back.
    listed = json.loads(json.dumps([asdict(trouble) for trouble in troubles], default=str))
    if troubles and (state.path, state.troubles) != (path, listed):
        logger.error("The popup files of %s stay as they were: %s", path or "the product", UnusableFiles(troubles))
    PopupFolder.objects.update_or_create(
        id=1, defaults={"checked_at": Now(), "path": path, "digest": digest, "troubles": listed}
    )
