"""Jobs about calls, cases and whom they are of: each calls one service."""

from celery import shared_task

from cmphone.calls import retention, services


@shared_task(ignore_result=True)
def close_overdue_calls() -> None:
    """End calls whose end nobody reported."""
    services.close_overdue_calls()


@shared_task(ignore_result=True)
def remove_old_calls() -> None:
    """Remove calls that are kept no longer."""
    services.remove_old_calls()


@shared_task(ignore_result=True)
def apply_retention() -> None:
    """Erase what else is kept no longer."""
    retention.apply_retention()
