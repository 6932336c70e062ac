"""Every address of the service, asked by those who may not see a contact: it answers as if the contact were not there.

The addresses come from the URL table, so new ones are asked, too; one with an unknown parameter fails until HIDDEN
says what stands for it.  Each request is made in two worlds, with the hidden things and without them, and what comes
back must be the same: status, headers, body, redirect, and how many statements it took.
"""

import difflib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from django.contrib.contenttypes.models import ContentType
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import URLPattern, URLResolver, get_resolver

from cmphone.access.models import Scope
from cmphone.access.services import create_api_key
from cmphone.calls.models import Call, Case, Line
from cmphone.calls.services import report_call
from cmphone.contacts.models import Contact, Queue, User
from tests.make import give_rights, log_in, make_company, make_customer_group, make_person, make_queue, make_user

pytestmark = pytest.mark.django_db

NAME, NUMBER, EXTERNAL_ID, GROUP = "Verborgen", "0211 7654399", "hidden-77", "geheim"
# What an answer may say only to who said it first.
SECRETS = [NAME, "7654399", "765 43 99", EXTERNAL_ID, GROUP]
# Their answers change by themselves: they are held against the secrets alone.
VARYING = {"metrics", "health/report", "health/check", "health/ready"}
# It takes a second, whatever it is asked.
SLOW = {"api/v1/openapi.json"}


@dataclass(frozen=True)
class Ask:
    """One request; `said` is all that it says."""

    method: str
    path: str
    pattern: str
    body: Any = None

    @property
    def said(self) -> str:
        return self.path + json.dumps(self.body, default=str)


@dataclass(frozen=True)
class Hidden:
    """What is hidden, and what of it stands for each parameter of an address."""

    person: Contact
    company: Contact
    case: Case
    call: Call

    @property
    def ids(self) -> list[int]:
        return [self.person.pk, self.company.pk, self.case.pk, self.call.pk]

    @property
    def parameters(self) -> Mapping[str, list[object]]:
        return {
            "id": [*self.ids],
            "object_id": [*self.ids],
            "contact_id": [*self.ids],
            "case_id": [self.case.pk],
            "external_id": [EXTERNAL_ID],
            "call_id": [self.call.call_id],
            "content_type_id": [ContentType.objects.get_for_model(Contact).pk],
            "app_label": ["contacts"],
            "url": ["contacts/contact"],
            # What has nothing to do with contacts.
            "model_id": [1],
            "webhook_id": [1],
            "delivery_id": [1],
            "language": ["de"],
            "name": ["match.html"],
            "number": [1],
            "session_id": [1],
            "slug": ["not-found"],
            "version": ["1.0"],
        }

    @property
    def queries(self) -> list[dict[str, object]]:
        return [
            {"q": NAME},
            {"q": NUMBER},
            {"phone": NUMBER},
            {"number": NUMBER},
            {"number": "002117654399"},
            {"customer_group": GROUP},
            {"customer_group": self.person.customer_group_id, "kind": "person"},
            {"contact": self.person.pk},
            {"after": self.person.pk},
            {"company": self.company.pk},
            {"place": f"{self.person.customer_group_id}-person"},
            {"queue": "geheim"},
            {"line": GROUP},
            {"term": NAME, "app_label": "contacts", "model_name": "contact", "field_name": "company"},
            {"customer_group__id__exact": self.person.customer_group_id, "_facets": "True"},
        ]

    @property
    def bodies(self) -> list[object]:
        fields = {"last_name": "Neu"}
        return [
            {"number": NUMBER},
            {"numbers": [NUMBER, "002117654399"]},
            {"number": NUMBER, "customer_group": GROUP},
            {"contact": str(self.person.pk), "field": "phone"},
            {"contact": str(self.person.pk), "queue": "helpdesk", "subject": "x"},
            {"call_id": self.call.call_id, "number": NUMBER, "line": GROUP},
            {"call_id": self.call.call_id},
            {"state": "answered", "done": True},
            {"fields": fields},
            {"active": False},
            {"company": str(self.company.pk), "fields": fields},
            {"company": {"external_id": "hidden-company"}, "fields": fields},
            {"customer_group": GROUP, "external_id": EXTERNAL_ID, "fields": fields},
            {"contacts": [{"external_id": EXTERNAL_ID, "fields": fields}, {"customer_group": GROUP, "fields": fields}]},
        ]

    @property
    def forms(self) -> list[dict[str, object]]:
        chosen = {"_selected_action": self.person.pk, "post": "yes"}
        return [
            {},
            {"action": "delete_selected", **chosen},
            {"action": "deactivate", **chosen},
            {"contact": self.person.pk, "number": NUMBER, "fields/last_name": "Neu", "company": self.company.pk},
            {"place": f"{self.person.customer_group_id}-person", "fields/last_name": "Neu"},
            {"fields/last_name": "Neu", "company": f"{NAME} AG"},
            {"call_id": self.call.call_id, "reporter": str(self.call.reporter_id), "done": "true"},
        ]

    def remove(self) -> None:
        """Make the world one without them."""
        Call.objects.filter(pk=self.call.pk).delete()
        Line.objects.filter(name=GROUP).delete()
        Case.objects.filter(pk=self.case.pk).delete()
        Contact.objects.filter(pk=self.person.pk).delete()
        Contact.objects.filter(pk=self.company.pk).delete()


@pytest.fixture
def hidden() -> Hidden:
    _spread_ids()
    secret = make_customer_group(GROUP, country_prefix="49", area_prefix="211", company_line="76543")
    company = make_company(secret, f"{NAME} AG", phone="0211 7654300")
    person = make_person(secret, NAME, company=company, phone=NUMBER)
    Contact.objects.filter(pk=person.pk).update(external_id=EXTERNAL_ID)
    Contact.objects.filter(pk=company.pk).update(external_id="hidden-company")
    queue = Queue.objects.create(name=GROUP)
    queue.customer_groups.add(secret)
    case = Case.objects.create(queue=queue, contact=person, subject=f"{NAME} ruft an", created_by_name="Jemand")
    # A colleague's on another line, from the hidden contact.
    colleague = make_user("colleague")
    Line.objects.create(name=GROUP).users.add(colleague)
    call = report_call(colleague, call_id="hidden-call", direction="incoming", number=NUMBER, line=GROUP)
    return Hidden(Contact.objects.get(pk=person.pk), company, case, call)


@pytest.fixture
def neighbour() -> User:
    """An agent with all rights on another customer group, who may look at the administration."""
    group = make_customer_group("customers", country_prefix="49", area_prefix="211")
    user = make_user("neighbour", is_staff=True)
    make_queue("helpdesk", [group], give_rights(user, group, create=True, edit=True))
    make_person(group, "Sichtbar", phone="0211 1234567")
    return user


def _spread_ids() -> None:
    """Make ids so long that none can be taken for a count, and different from table to table."""
    with connection.cursor() as cursor:
        cursor.execute("select sequencename from pg_sequences where schemaname = 'public' order by 1")
        for place, (name,) in enumerate(cursor.fetchall()):
            cursor.execute("select setval(%s, %s)", [name, 50_000_000 + place * 100_000])


def list_patterns() -> dict[str, URLPattern]:
    """Return every address of the service by how the URL table writes it."""

    def walk(resolver: URLResolver, prefix: str) -> Iterator[tuple[str, URLPattern]]:
        for each in resolver.url_patterns:
            if isinstance(each, URLResolver):
                yield from walk(each, prefix + str(each.pattern))
            else:
                yield prefix + str(each.pattern), each

    return dict(walk(get_resolver(), ""))


def fill(pattern: str, hidden: Hidden) -> list[str]:
    """Return the paths of an address with what is hidden in it."""
    plain = re.sub(r"\(\?P<(\w+)>[^)]*\)", r"<\1>", pattern).replace("^", "").replace("$", "")
    paths = [plain]
    for place, name in re.findall(r"(<(?:\w+:)?(\w+)>)", plain):
        values = hidden.parameters[name]
        paths = [path.replace(place, quote(str(value))) for path in paths for value in values]
    return ["/" + path for path in paths]


def list_requests(hidden: Hidden) -> Iterator[Ask]:
    for pattern in list_patterns():
        for path in fill(pattern, hidden):
            yield Ask("get", path, pattern)
            if "<" not in pattern and pattern not in SLOW:
                for query in hidden.queries:
                    yield Ask("get", f"{path}?{urlencode(query)}", pattern)
            if pattern.startswith("api/"):
                yield Ask("delete", path, pattern)
                for method in ("post", "put", "patch"):
                    for body in hidden.bodies:
                        yield Ask(method, path, pattern, body)
            else:
                for form in hidden.forms:
                    yield Ask("post", path, pattern, form)


@dataclass(frozen=True)
class Seen:
    """All that comes back, without what differs each time."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: str
    statements: int

    @property
    def told(self) -> str:
        return self.body + str(self.headers)


def ask(client: Client, request: Ask, headers: dict[str, str]) -> Seen:
    """Make a request, and take back all that it did."""
    extra = {"content_type": "application/json"} if request.pattern.startswith("api/") and request.body else {}
    cookies = deepcopy(client.cookies)
    # It has a limit.
    connection.queries_log.clear()
    with transaction.atomic():
        with CaptureQueriesContext(connection) as captured:
            response = getattr(client, request.method)(request.path, request.body, headers=headers, **extra)
        body = b"".join(response) if response.streaming else response.content
        transaction.set_rollback(True)
    client.cookies = cookies
    unsettled = {"X-Request-ID", "Set-Cookie", "Content-Length", "ETag", "Last-Modified", "Expires"}
    kept = tuple((name, settle(value)) for name, value in sorted(response.headers.items()) if name not in unsettled)
    return Seen(response.status_code, kept, settle(body.decode(errors="replace")), len(captured))


def ask_in_both_worlds(
    client: Client, requests: Sequence[Ask], headers: dict[str, str], hidden: Hidden
) -> list[tuple[Seen, Seen]]:
    """Make requests with the hidden things and without them."""
    with_them = [ask(client, request, headers) for request in requests]
    with transaction.atomic():
        hidden.remove()
        without = [ask(client, request, headers) for request in requests]
        transaction.set_rollback(True)
    return list(zip(with_them, without, strict=True))


def settle(text: str) -> str:
    """Leave out what differs each time: tokens, times, and new ids."""
    text = re.sub(r"[0-9a-zA-Z]{64}|[0-9a-f]{32}", "TOKEN", text)
    text = re.sub(r"\d{1,2}:\d{2}(:\d{2})?(\.\d+)?", "TIME", text)
    return re.sub(r"\d{8,}", "ID", text)


def test_every_parameter_of_an_address_is_known_here(hidden: Hidden) -> None:
    names = {name for pattern in list_patterns() for name in re.findall(r"<(?:\w+:)?(\w+)>", pattern)}

    assert names - hidden.parameters.keys() == set()


@pytest.mark.parametrize("who", ["anonymous", "nobody", "neighbour", "neighbour's key"])
def test_no_address_tells_of_a_hidden_contact(hidden: Hidden, neighbour: User, who: str) -> None:
    headers: dict[str, str] = {}
    client = Client(raise_request_exception=False)
    if who == "neighbour's key":
        _, secret = create_api_key(name="k", user=neighbour, scopes=[*Scope.values])
        headers = {"Authorization": f"Api-Key {secret}"}
    elif who != "anonymous":
        user = neighbour if who == "neighbour" else make_user("nobody", is_staff=True)
        headers = log_in(user)
        client.force_login(user)
    by_pattern: dict[str, list[Ask]] = {pattern: [] for pattern in list_patterns()}
    for request in list_requests(hidden):
        is_asked = {
            "anonymous": "?" not in request.path and request.body in (None, hidden.bodies[0], hidden.forms[0]),
            # Pages do not know keys.
            "neighbour's key": request.pattern.startswith("api/")
            or (request.method == "get" and "?" not in request.path),
        }
        if is_asked.get(who, True):
            by_pattern[request.pattern].append(request)

    told: list[object] = []
    differences: list[object] = []
    for pattern, requests in by_pattern.items():
        assert requests
        pairs = ask_in_both_worlds(client, requests, headers, hidden)
        told += [
            (request, secret)
            for request, (seen, _) in zip(requests, pairs, strict=True)
            for secret in SECRETS
            if secret in seen.told and secret not in request.said
        ]
        suspects = [request for request, (one, other) in zip(requests, pairs, strict=True) if one != other]
        if suspects and pattern not in VARYING:
            # A minute may have begun in between, when a client's sign of life is written.
            again = ask_in_both_worlds(client, suspects, headers, hidden)
            differences += [
                (request, _compare(one, other))
                for request, (one, other) in zip(suspects, again, strict=True)
                if one != other
            ]
    assert told[:5] == []
    assert differences[:5] == []


def _compare(one: Seen, other: Seen) -> list[str]:
    if (one.status, one.headers, one.body) == (other.status, other.headers, other.body):
        return [f"{one.statements} statements, {other.statements} without them"]
    lines = difflib.unified_diff(
        [str(one.status), *map(str, one.headers), *one.body.splitlines()],
        [str(other.status), *map(str, other.headers), *other.body.splitlines()],
        lineterm="",
        n=0,
    )
    return [line[:200] for line in lines][:8]


def test_who_may_see_the_contact_is_told_of_it_by_these_requests(hidden: Hidden) -> None:
    user = make_user("admin", is_staff=True, is_superuser=True)
    headers = log_in(user)
    client = Client(raise_request_exception=False)
    client.force_login(user)

    patterns = {
        request.pattern
        for request in list_requests(hidden)
        if request.method == "get" and NAME in ask(client, request, headers).body
    }

    assert patterns >= {
        "api/v1/lookup",
        "api/v1/contacts",
        "api/v1/contacts/<int:id>",
        "admin/contacts/contact/",
        "admin/contacts/contact/<path:object_id>/change/",
        "admin/contacts/contact/<path:object_id>/delete/",
        "contacts/",
        "contacts/<int:id>/",
        "contacts/<int:id>/edit/",
        "cases/new/",
        "cases/<int:case_id>/",
    }
