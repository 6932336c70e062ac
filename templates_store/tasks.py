"""Background jobs of the popup files: each calls one service."""

from celery import shared_task
from django.core.exceptions import ValidationError

from templates_store import popup_store


@shared_task(name="templates_store.tasks.publish_changed_popups", ignore_result=True)
def publish_changed_popups() -> None:
    """Publish what has changed in the folder on disk and in the product."""
    try:
        popup_store.sync_folder(only_settled=True)
    except ValidationError:
        # Logged when it came, and shown to administrators.
        return


@shared_task(name="templates_store.tasks.remove_old_popups", ignore_result=True)
def remove_old_popups() -> None:
    """Remove versions that no client can hold the manifest of any more."""
    popup_store.remove_old_popups()
