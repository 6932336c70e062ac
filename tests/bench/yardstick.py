"""The yardstick: the least a look-up in Django and PostgreSQL can be.  Served the way the product is.

One bare view: no middleware, nobody logged in, no rights, a number that needs no reading, one prepared statement
on the table the product searches, and its rows as they are.  Another one is the least that a sign of life can be
which is written: one row of a table with nothing else.  Settings, addresses and application are all here.
"""

import os
from functools import cache

import orjson
import psycopg
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, HttpResponse
from django.urls import path

LOOK_UP = "select contact_id, customer_group_id, field from numbering_indexentry where canonical = %s limit 51"
TOUCH = "update yardstick_session set last_seen_at = statement_timestamp() where id = %s"

settings.configure(ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__, SECRET_KEY="not a secret: nothing is signed")


@cache
def connection() -> psycopg.Connection:
    """Return the one connection of this process."""
    return psycopg.connect(os.environ["CMPHONE_DATABASE_URL"], autocommit=True)


def look_up(request: HttpRequest) -> HttpResponse:
    """Answer with the index entries of a canonical number."""
    rows = connection().execute(LOOK_UP, [request.GET["canonical"]], prepare=True).fetchall()
    return HttpResponse(orjson.dumps({"contacts": rows}), content_type="application/json")


def touch(request: HttpRequest) -> HttpResponse:
    """Write the time into a row."""
    connection().execute(TOUCH, [int(request.GET["id"])], prepare=True)
    return HttpResponse(b"{}", content_type="application/json")


def show_ready(_request: HttpRequest) -> HttpResponse:
    """Answer whoever waits for the server to be up."""
    return HttpResponse("ready")


urlpatterns = [path("", look_up), path("touch", touch), path("health/ready", show_ready)]
application = get_wsgi_application()
