"""Background jobs of the licence: each calls one service."""

from celery import shared_task

from license import services


@shared_task(name="license.tasks.end_timed_out_sessions", ignore_result=True)
def end_timed_out_sessions() -> None:
    """Write down the end of sessions whose time is over."""
    services.end_timed_out_sessions()
