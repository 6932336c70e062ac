"""Jobs about contacts."""

from celery import shared_task

from cmphone.contacts.field_moving import finish_field_changes as finish
from cmphone.contacts.import_work import remove_old_runs, work_off_runs
from cmphone.contacts.rebuilding import rebuild_stale_customer_groups as rebuild


@shared_task
def rebuild_stale_customer_groups() -> None:
    """Bring index and names in line with the settings in force."""
    rebuild()


@shared_task
def finish_field_changes() -> None:
    """Move and delete the values of fields that are renamed or were removed."""
    finish()


@shared_task
def work_off_imports() -> None:
    """Import what people have started to import."""
    work_off_runs()


@shared_task
def remove_old_imports() -> None:
    """Remove imports that ended long ago, and files that nobody imports."""
    remove_old_runs()
