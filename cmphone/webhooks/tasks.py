"""Background jobs of webhooks."""

from celery import shared_task

from cmphone.celery import hasten
from cmphone.webhooks import services
from cmphone.webhooks.delivering import deliver


@shared_task
def send_deliveries() -> None:
    """Tell webhooks what they have not been told yet."""
    if deliver():
        # Other jobs get their turn in between.
        hasten(services.SEND_TASK)


@shared_task
def remove_old_deliveries() -> None:
    """Remove deliveries that are older than the log is kept."""
    services.remove_old_deliveries()
