"""Jobs about calls: each calls one service."""

from celery import shared_task

from cmphone.calls import services


@shared_task(ignore_result=True)
def close_overdue_calls() -> None:
    """End calls whose end nobody reported."""
    services.close_overdue_calls()


@shared_task(ignore_result=True)
def remove_old_calls() -> None:
    """Remove calls that are kept no longer."""
    services.remove_old_calls()
