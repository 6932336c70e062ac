"""What people do with imports: hand in a file, say how it is read, look at its beginning, start and cancel.

What a worker does with them belongs to work.py.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from cmphone.contacts.configuration import GroupRules, get_current_configuration
from cmphone.contacts.imports.files import count_records, cut_beginning, guess_options, name_file, tell_source_of_file
from cmphone.contacts.imports.models import ImportFileChunk, ImportRun, ImportState
from cmphone.contacts.models import User
from cmphone.contacts.selectors import list_importable_groups
from cmphone.problems import Conflict, InvalidRequest, NotFound

CHUNK = 1 << 20
# Of a file, so much is looked at before it is imported.
BEGINNING = 1 << 16


def create_run(
    *, user: User, customer_group_id: int, file_name: str, content: Iterable[bytes], encoding: str | None = None
) -> ImportRun:
    """Keep a file that is to be imported, and how it seems to be read; None: the encoding is told from it.

    Raises NotFound when the user may not import into the customer group, and InvalidRequest when it cannot be read.
    """
    rules = require_group(user, customer_group_id)
    with TemporaryDirectory(prefix="cmphone-import-") as folder:
        path = Path(folder) / "file"
        with path.open("wb") as file:
            for piece in content:
                file.write(piece)
        source = tell_source_of_file(path)
        with name_file(path, file_name):
            options = guess_options(source, path, rules=rules, encoding=encoding)
        with transaction.atomic(), path.open("rb") as file:
            run = ImportRun.objects.create(
                source=source,
                customer_group_id=customer_group_id,
                user=user,
                user_name=user.username,
                file_name=file_name[:255],
                options=options,
                total=count_records(source, path),
            )
            for number, data in enumerate(iter(lambda: file.read(CHUNK), b"")):
                ImportFileChunk.objects.create(run=run, number=number, data=data)
    return run


def require_group(user: User, customer_group_id: int) -> GroupRules:
    """Return the rules of a customer group that the user may import into; raises NotFound for every other."""
    rules = get_current_configuration().groups.get(customer_group_id)
    if rules is None or customer_group_id not in list_importable_groups(user):
        raise NotFound(_("There is no such customer group."))
    return rules


def read_beginning(run: ImportRun, *, encoding: str | None) -> bytes:
    """Return the first records of a run's file, CSV in UTF-8.  Raises InvalidRequest when it has none any more."""
    chunk = run.chunks.filter(number=0).first()
    if chunk is None:
        raise InvalidRequest(_("The file is not there any more. Choose it again."))
    data = bytes(chunk.data)
    is_all = len(data) <= BEGINNING and not run.chunks.filter(number=1).exists()
    return cut_beginning(run.source, data[:BEGINNING], encoding, is_all=is_all)


def reread_columns(run: ImportRun, rules: GroupRules, *, encoding: str, delimiter: str) -> dict[str, Any]:
    """Return the options of a run whose file is read in another way: its columns are others, too.

    Raises InvalidRequest when it cannot be read so.
    """
    with TemporaryDirectory(prefix="cmphone-import-") as folder:
        path = Path(folder) / "file"
        path.write_bytes(read_beginning(run, encoding=encoding))
        with name_file(path, run.file_name):
            options = guess_options(run.source, path, rules=rules, encoding="utf-8-sig", delimiter=delimiter)
    return {**options, "encoding": encoding}


def configure_run(run: ImportRun, *, options: Mapping[str, Any], overwrite_empty: bool) -> None:
    """Say how the file of a draft is read and imported.  Raises Conflict when it is no draft any more."""
    drafts = ImportRun.objects.filter(pk=run.pk, state=ImportState.DRAFT)
    if not drafts.update(options=options, overwrite_empty=overwrite_empty):
        raise Conflict(_("This import has been started already."))
    run.options, run.overwrite_empty = dict(options), overwrite_empty


def start_run(run: ImportRun, *, user: User, dry_run: bool) -> None:
    """Let a worker work off a draft, by the rights of the user.

    Raises Conflict when it is no draft any more, and NotFound when the user may not import into its customer group.
    """
    require_group(user, run.customer_group_id)
    drafts = ImportRun.objects.filter(pk=run.pk, state=ImportState.DRAFT)
    who = {"user": user, "user_name": user.username}
    if not drafts.update(state=ImportState.WAITING, dry_run=dry_run, requested_at=timezone.now(), **who):
        raise Conflict(_("This import has been started already."))


def cancel_run(run: ImportRun) -> None:
    """End a run before its next batch; what it has imported stays.  Raises Conflict when it has ended already."""
    going = ImportRun.objects.filter(pk=run.pk, state__in=[ImportState.WAITING, ImportState.RUNNING])
    with transaction.atomic():
        if not going.update(state=ImportState.CANCELLED, finished_at=timezone.now()):
            raise Conflict(_("This import has ended already."))
        if not run.dry_run:
            run.chunks.all().delete()


@transaction.atomic
def reuse_file(run: ImportRun, *, user: User) -> ImportRun:
    """Make a draft of the file and the settings of a dry run that has ended.  Raises Conflict if there is no file."""
    run = ImportRun.objects.select_for_update(of=("self",)).get(pk=run.pk)
    if not run.dry_run or run.is_active or not run.chunks.exists():
        raise Conflict(_("The file is not there any more. Choose it again."))
    draft = ImportRun.objects.create(
        source=run.source,
        customer_group_id=run.customer_group_id,
        user=user,
        user_name=user.username,
        file_name=run.file_name,
        options=run.options,
        overwrite_empty=run.overwrite_empty,
        total=run.total,
    )
    run.chunks.update(run=draft)
    return draft


def discard_run(run: ImportRun) -> None:
    """Remove a draft and its file.  Raises Conflict when it is no draft any more."""
    deleted, _rows = ImportRun.objects.filter(pk=run.pk, state=ImportState.DRAFT).delete()
    if not deleted:
        raise Conflict(_("This import has been started already."))
