"""The Django project: settings, the records of the CRM side, and every edge."""

from cmphone.celery import app as celery_app

__all__ = ["celery_app"]
