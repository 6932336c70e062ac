"""The WSGI application that granian serves."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "cmphone.settings")

django_application = get_wsgi_application()

# Only now that Django is set up.
from cmphone.api.short_way import take_short_way_first  # noqa: E402
from cmphone.lost_connections import drop_lost_connection_first  # noqa: E402

application = drop_lost_connection_first(take_short_way_first(django_application))
