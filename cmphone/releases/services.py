"""Keeps installers, and hands them out piece by piece."""

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath

from django.conf import settings
from django.contrib.auth.models import AbstractUser
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from cmphone.properties.services import mark_configuration_changed
from cmphone.releases.models import ClientRelease, ReleaseChunk
from cmphone.releases.versions import is_version, make_order

CHUNK = 1 << 20
# What installers are called, and what they begin with: programs, installer databases, archives.
SUFFIXES = (".exe", ".msi", ".msix", ".zip")
_BEGINNINGS = (b"MZ", b"\xd0\xcf\x11\xe0", b"PK\x03\x04")


@transaction.atomic
def add_release(
    release: ClientRelease, *, content: Iterable[bytes], file_name: str, by: AbstractUser | None
) -> ClientRelease:
    """Keep a new installer, whose version and notes are set, with its size and hash.

    Raises ValidationError (keys: `version`, `file`), and keeps nothing then.
    """
    if errors := find_upload_errors(release.version, file_name):
        raise ValidationError(errors)
    release.file_name = PurePosixPath(file_name.replace("\\", "/")).name[-150:]
    release.order = make_order(release.version)
    release.uploaded_by_id = by.pk if by else None
    release.size, release.sha256 = 0, ""
    try:
        with transaction.atomic():
            release.save()
    except IntegrityError as error:
        raise ValidationError({"version": _("There is this version already.")}) from error
    digest = hashlib.sha256()
    for number, data in enumerate(_cut(content)):
        digest.update(data)
        release.size += len(data)
        if not number and not data.startswith(_BEGINNINGS):
            raise ValidationError({"file": _("This is no installer: it begins like no program, package or archive.")})
        if release.size > settings.RELEASE_MAX_MB * 1_000_000:
            raise ValidationError({"file": _too_large()})
        ReleaseChunk.objects.create(release=release, number=number, data=data)
    if not release.size:
        raise ValidationError({"file": _("The file is empty.")})
    release.sha256 = digest.hexdigest()
    release.save(update_fields=["size", "sha256"])
    # Last, since others wait for it: clients learn by it that there is another one.
    mark_configuration_changed()
    return release


@transaction.atomic
def change_release(release: ClientRelease) -> None:
    """Write the notes of an installer, and whether it is offered."""
    release.save(update_fields=["notes_de", "notes_en", "is_offered"])
    mark_configuration_changed()


def find_upload_errors(version: str, file_name: str, size: int = 1) -> dict[str, str]:
    """Return what is wrong with a new installer, by `version` or `file`; empty if nothing."""
    errors = {}
    if not is_version(version):
        errors["version"] = _("Enter one to four numbers between dots, for example 2.10.1.")
    elif ClientRelease.objects.filter(order=make_order(version)).exists():
        errors["version"] = _("There is this version already.")
    if not file_name.lower().endswith(SUFFIXES):
        errors["file"] = _("Choose an installer: %s.") % ", ".join(SUFFIXES)
    elif size > settings.RELEASE_MAX_MB * 1_000_000:
        errors["file"] = _too_large()
    return errors


def _too_large() -> str:
    return _("At most %d MB.") % settings.RELEASE_MAX_MB


def _cut(content: Iterable[bytes]) -> Iterator[bytes]:
    """Yield pieces of CHUNK bytes; the last may be shorter."""
    waiting = bytearray()
    for piece in content:
        waiting += piece
        while len(waiting) >= CHUNK:
            yield bytes(waiting[:CHUNK])
            del waiting[:CHUNK]
    if waiting:
        yield bytes(waiting)


def find_latest_release() -> ClientRelease | None:
    """Return the newest installer that is offered, None where there is none."""
    return ClientRelease.objects.filter(is_offered=True).first()


def find_release(version: str) -> ClientRelease | None:
    """Return the installer of a version if it is offered; 1.2 and 1.2.0 are the same version."""
    if not is_version(version):
        return None
    return ClientRelease.objects.filter(is_offered=True, order=make_order(version)).first()


def read_release(release: ClientRelease, start: int, end: int) -> Iterator[bytes]:
    """Yield the bytes of an installer from `start` up to, without, `end`: a piece in memory at a time."""
    for number in range(start // CHUNK, -(-end // CHUNK)):
        data = ReleaseChunk.objects.values_list("data", flat=True).get(release=release, number=number)
        first = number * CHUNK
        yield bytes(data)[max(0, start - first) : end - first]
