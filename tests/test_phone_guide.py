"""docs/client-guide.md: its requests, sent in their order, are answered as it says."""

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from django.test import Client
from pytest_django import Settings

from cmphone.contacts.models import CustomerGroup, User
from cmphone.embedded import CHECKOUT
from cmphone.problems import Problem
from cmphone.releases.models import ClientRelease
from cmphone.releases.services import add_release
from license.models import EndReason, Session
from license.services import claim_seat, end_session
from templates_store.popup_store import ensure_published
from tests.make import (
    PASSWORD,
    give_rights,
    make_company,
    make_customer_group,
    make_license,
    make_person,
    make_queue,
    make_user,
)

pytestmark = pytest.mark.django_db

GUIDE = CHECKOUT / "docs" / "client-guide.md"
# What is another one each time: how it looks is compared.
VARIABLE = [
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z"), "TIME"),
    (re.compile(r"\b[0-9a-f]{64}\b"), "SHA256"),
    (re.compile(r"\b[0-9a-f]{32}\b|\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b"), "UUID"),
    (re.compile(r"((?<=/contacts/)|(?<=contact=)|(?<=version=))\d+"), "N"),
]
VARIABLE_MEMBERS = {"id", "token", "size", "version", "config_version", "templates_version", "request_id", "sort_key"}
LEFT_OUT = "…"


@dataclass
class Example:
    """A request of the guide, and how it is answered there."""

    scene: str
    request: str
    headers: dict[str, str]
    body: str
    status: int
    answer_headers: dict[str, str]
    answer: str


def read_examples() -> Iterator[Example]:
    blocks = re.findall(r"(?:<!-- scene: (\w+) -->\n)?```http\n(.*?)\n```", GUIDE.read_text(), re.DOTALL)
    for scene, block in blocks:
        asked, answered = re.split(r"\n+HTTP/1.1 ", block)
        request, headers, body = _split(asked)
        status, answer_headers, answer = _split(answered)
        yield Example(scene, request, headers, body, int(status), answer_headers, answer)


def _split(text: str) -> tuple[str, dict[str, str], str]:
    first, _, rest = text.partition("\n")
    headers = {}
    while found := re.match(r"([A-Z][A-Za-z-]+): (.*)\n?", rest):
        headers[found[1]] = found[2]
        rest = rest[found.end() :]
    return first, headers, rest.strip()


def normalize(value: Any) -> Any:
    """Return the value with what differs each time as what it is."""
    match value:
        case dict():
            return {
                key: type(each).__name__ if key in VARIABLE_MEMBERS and each is not None else normalize(each)
                for key, each in value.items()
            }
        case list():
            return [normalize(each) for each in value]
        case str():
            for pattern, name in VARIABLE:
                value = pattern.sub(name, value)
    return value


def leave_out(value: Any, example: Any) -> Any:
    """Return the value without what the example leaves out: members and entries behind an ellipsis."""
    match example, value:
        case dict(), dict():
            kept = {key: leave_out(each, example.get(key)) for key, each in value.items() if key in example}
            return kept | {LEFT_OUT: LEFT_OUT} if LEFT_OUT in example else {**value, **kept}
        case list(), list() if LEFT_OUT in example:
            shown = example[: example.index(LEFT_OUT)]
            return [leave_out(*pair) for pair in zip(value, shown, strict=False)] + [LEFT_OUT]
        case list(), list() if len(example) == len(value):
            return [leave_out(*pair) for pair in zip(value, example, strict=True)]
    return value


def fill_every_seat() -> None:
    for number in range(9):
        claim_seat(user=make_user(f"colleague{number}"), client_id="client")


def end_every_session() -> None:
    # As if it had not just logged out.
    Session.objects.update(ended_at=None, end_reason="")
    for session in Session.objects.all():
        end_session(session)


SCENES: dict[str, Callable[[], None]] = {
    "": lambda: None,
    "full": fill_every_seat,
    "ended": end_every_session,
}


@pytest.fixture
def site(settings: Settings) -> None:
    settings.PUBLIC_URL = "https://cmphone.example.com"
    ensure_published()
    make_license(10)
    customers = make_customer_group("customers", area_prefix="211")
    CustomerGroup.objects.update(label_en="Customers")
    make_person(customers, "Anders", company=make_company(customers), phone="0211 339903-12")
    user = make_user("agent1", password=PASSWORD)
    User.objects.update(first_name="Robin", last_name="Beispiel")
    make_queue("helpdesk", [customers], give_rights(user, customers, create=True))
    make_user("agent2", password=PASSWORD)
    release = ClientRelease(version="1.10", notes_en="Rings louder.")
    add_release(release, content=[b"MZ installer"], file_name="CMPhone-1.10.exe", by=None)


@pytest.mark.usefixtures("site")
def test_every_request_of_the_guide_is_answered_as_it_says(client: Client) -> None:
    told: dict[str, str] = {}
    examples = list(read_examples())
    for example in examples:
        SCENES[example.scene]()
        method, path = fill_in(example.request, told).split(" ")
        headers = {name: fill_in(value, told) for name, value in example.headers.items()}
        answer = client.generic(
            method, path, example.body, content_type=headers.pop("Content-Type", "application/json"), headers=headers
        )

        where = f"{example.request}: {answer.content.decode()}"
        assert answer.status_code == example.status, where
        for name, value in example.answer_headers.items():
            # How long it takes until then changes with every second.
            shown = re.sub(r"\A\d+\Z", "SECONDS", value)
            assert re.sub(r"\A\d+\Z", "SECONDS", answer.headers[name]) == shown, where
        if "json" in answer.headers.get("Content-Type", ""):
            said, got = normalize(json.loads(example.answer)), answer.json()
            assert leave_out(normalize(got), said) == said, where
            told |= {key: each for key, each in got.items() if isinstance(each, str)}
        else:
            assert answer.content.decode().startswith(example.answer.partition(LEFT_OUT)[0]), where
    assert len(examples) == 20


def fill_in(text: str, told: dict[str, str]) -> str:
    """Return the text with what earlier answers told in place of `<token>`."""
    return re.sub(r"<(\w+)>", lambda found: told[found[1]], text)


def test_every_slug_and_reason_that_a_client_may_meet_is_in_the_table() -> None:
    table = GUIDE.read_text().partition("## When something goes wrong")[2].partition("## Timing")[0]
    # These are mistakes of a client that is being written.
    unmet = {"method-not-allowed", "not-acceptable", "unsupported-media-type", "too-large", "precondition-failed"}
    slugs = {each.slug for each in Problem.__subclasses__()} - unmet
    reasons = {reason.value for reason in EndReason} - {EndReason.NONE.value, EndReason.LOGGED_OUT.value}
    assert {slug for slug in slugs | reasons if f"`{slug}`" not in table} == set()
