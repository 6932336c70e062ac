"""Jobs about cases, calls and whom they are of."""

from celery import shared_task

from cmphone.calls import retention


@shared_task(ignore_result=True)
def apply_retention() -> None:
    """Erase what is older than it is kept."""
    retention.apply_retention()
