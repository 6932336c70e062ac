"""Background jobs of the licence: each calls one service."""

from celery import shared_task

from license import services


@shared_task(name="license.tasks.end_timed_out_sessions", ignore_result=True)
def end_timed_out_sessions() -> None:
    """Write down the end of sessions whose time is over."""
    services.end_timed_out_sessions()


@shared_task(name="license.tasks.record_use", ignore_result=True)
def record_use() -> None:
    """Write down how many seats are in use."""
    services.record_use()


@shared_task(name="license.tasks.remove_archived_sessions", ignore_result=True)
def remove_archived_sessions() -> None:
    """Remove sessions that ended long ago."""
    services.remove_archived_sessions()
