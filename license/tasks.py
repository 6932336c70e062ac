"""Background jobs of the licence: each calls one service, or tells what a selector read."""

import logging

from celery import shared_task
from django.utils import translation

from license import services
from license.selectors import list_pool_states
from license.warnings import Severity, list_warnings

logger = logging.getLogger(__name__)


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


@shared_task(name="license.tasks.log_warnings", ignore_result=True)
def log_warnings() -> None:
    """Write what an administrator should know of the licence into the log."""
    warnings = list_warnings(list_pool_states())
    # Whatever language the thread was left in: a log has one.
    with translation.override("en"):
        for warning in warnings:
            level = logging.ERROR if warning.severity is Severity.ERROR else logging.WARNING
            logger.log(level, "%s: %s", warning.code, warning.text)
