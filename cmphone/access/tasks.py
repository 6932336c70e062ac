"""Background jobs of access."""

from celery import shared_task
from django.core.management import call_command

from cmphone.access import services


@shared_task(name="cmphone.access.tasks.remove_forgotten_failures", ignore_result=True)
def remove_forgotten_failures() -> None:
    """Remove failed log-ins that count no more."""
    services.remove_forgotten_failures()


@shared_task
def remove_old_log_ins() -> None:
    """Remove log-ins of browsers that are over."""
    call_command("clearsessions")
