"""The Celery application: background jobs, and the clock that starts the regular ones."""

import logging
import os

from celery import Celery
from django.db import transaction
from kombu.exceptions import OperationalError

logger = logging.getLogger(__name__)

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cmphone.settings")

app = Celery("cmphone")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


def hasten(task: str) -> None:
    """Start a regular job, named with its module, as soon as the transaction is committed.

    With a broker that is away it comes when the clock starts it, as it would have anyway.
    """

    def send() -> None:
        try:
            app.send_task(task)
        except OperationalError:
            logger.warning("The broker is away: %s starts with the clock.", task)

    transaction.on_commit(send)
