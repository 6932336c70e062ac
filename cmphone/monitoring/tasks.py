"""The job by which monitoring sees that jobs run."""

from celery import shared_task
from celery.signals import worker_ready

from cmphone.monitoring import worker


@shared_task(ignore_result=True)
def write_worker_sign() -> None:
    """Leave the sign that a job runs."""
    worker.write_sign()


@worker_ready.connect
def sign_at_once(**_: object) -> None:
    """Have the first sign written through the queue as soon as there is a worker for it."""
    write_worker_sign.delay()
