"""Jobs about contacts."""

from celery import shared_task

from cmphone.contacts.directories.pulls import pull_directory as pull
from cmphone.contacts.directories.services import list_due_directories
from cmphone.contacts.field_moving import finish_field_changes as finish
from cmphone.contacts.imports.work import remove_old_runs, work_off_runs
from cmphone.contacts.models import User, Way
from cmphone.contacts.rebuilding import rebuild_stale_customer_groups as rebuild
from cmphone.contacts.writing import Author


@shared_task
def rebuild_stale_customer_groups() -> None:
    """Bring index and names in line with the settings in force."""
    rebuild()


@shared_task
def finish_field_changes() -> None:
    """Move and delete the values of fields that are renamed or were removed."""
    finish()


@shared_task
def pull_due_directories() -> None:
    """Begin the regular pulls of directories whose time has come: each a job of its own, as one may have to wait."""
    for id in list_due_directories():
        # One that waited for so long is due again.
        pull_directory.apply_async((id,), {"only_if_due": True}, expires=60)


@shared_task
def pull_directory(
    directory_id: int, user_id: int | None = None, dry_run: bool = False, only_if_due: bool = False
) -> None:
    """Bring a directory's entries in as contacts."""
    user = User.objects.filter(pk=user_id).first() if user_id else None
    pull(directory_id=directory_id, by=Author(user, Way.DIRECTORY), dry_run=dry_run, only_if_due=only_if_due)


@shared_task
def work_off_imports() -> None:
    """Import what people have started to import."""
    work_off_runs()


@shared_task
def remove_old_imports() -> None:
    """Remove imports that ended long ago, and files that nobody imports."""
    remove_old_runs()
