"""The Celery application: background jobs, and the clock that starts the regular ones."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cmphone.settings")

app = Celery("cmphone")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
