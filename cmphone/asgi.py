"""The ASGI application that tells events: a process of its own beside the web server."""

import os

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cmphone.settings")
django.setup()

# Only now that Django is set up.
from cmphone.streams.application import Application  # noqa: E402

application = Application()
