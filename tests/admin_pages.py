"""What the tests of admin pages share: who is logged in, and what stands on a page."""

import re
from typing import Any

from django.test import Client
from django.urls import reverse
from django.utils.http import urlencode

from cmphone.contacts.models import User
from tests.make import (
    make_user,
)

NOWHERE = 999_999_999


def log_in_as(client: Client, username: str, *, is_superuser: bool = False) -> User:
    """Log somebody new with staff status in."""
    user = make_user(username, is_staff=True, is_superuser=is_superuser)
    client.force_login(user)
    return user


def url_of(page: str, *arguments: object, model: str = "contact", **query: Any) -> str:
    url = reverse(f"admin:contacts_{model}_{page}", args=arguments)
    return f"{url}?{urlencode(query)}" if query else url


def read(client: Client, url: str) -> str:
    """Return the page, without what differs every time."""
    response = client.get(url)
    assert response.status_code == 200, response.headers
    return re.sub(r'name="csrfmiddlewaretoken" value="\w+"', "", response.content.decode())


def list_names(client: Client, **query: Any) -> list[str]:
    """Return the names that the list of contacts shows."""
    response = client.get(url_of("changelist", **query))
    assert response.status_code == 200, response.headers
    return [contact.name for contact in response.context["cl"].result_list]


def errors_of(response: Any) -> dict[str, list[str]]:
    """Return the errors of a form that was sent, by field."""
    assert response.status_code == 200, response.headers
    errors: dict[str, list[str]] = response.context["adminform"].form.errors
    return {name: list(messages) for name, messages in errors.items()}


def read_messages(client: Client) -> list[str]:
    """Return what the user is told on the next page."""
    return [str(message) for message in client.get(reverse("admin:index")).context["messages"]]


def contact_form(**values: object) -> dict[str, object]:
    return {"is_active": "on", "external_id": "", **{name.replace("__", "/"): value for name, value in values.items()}}


def formset_errors(response: Any) -> list[str]:
    assert response.status_code == 200, response.headers
    inlines = response.context["inline_admin_formsets"]
    texts = [text for inline in inlines for text in inline.formset.non_form_errors()]
    return texts + [
        f"{name}: {text}"
        for inline in inlines
        for errors in inline.formset.errors
        for name, messages in errors.items()
        for text in messages
    ]
