"""Jobs about contacts."""

from celery import shared_task

from cmphone.contacts.field_moving import finish_field_changes as finish
from cmphone.contacts.rebuilding import rebuild_stale_customer_groups as rebuild


@shared_task
def rebuild_stale_customer_groups() -> None:
    """Bring index and names in line with the settings in force."""
    rebuild()


@shared_task
def finish_field_changes() -> None:
    """Move and delete the values of fields that are renamed or were removed."""
    finish()
