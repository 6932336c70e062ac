"""Popups as pages, for clients that do not render."""

import statistics
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from babel.messages.catalog import Catalog
from babel.messages.mofile import write_mo
from django.conf import settings
from django.test import Client, override_settings
from django.utils import timezone
from django.utils.timezone import localtime

from cmphone.access.services import create_api_key
from cmphone.api import popup_rendering
from cmphone.calls.models import Call
from cmphone.calls.services import change_call, report_call
from cmphone.contacts.models import User
from cmphone.environment import SettingsError
from cmphone.settings import name_languages
from templates_store import popup_texts, shipped_popups
from templates_store.popup_context import SAMPLES, TEXTS, build_sample, choose_popup
from templates_store.popup_sets import PopupSet
from templates_store.popup_store import get_popups, publish_popups
from templates_store.popups import NAMES, render_popup
from tests.make import give_rights, log_in, make_company, make_customer_group, make_person, make_user

pytestmark = pytest.mark.django_db

PAGES = [name for name in NAMES if name.endswith(".html")]


@pytest.fixture
def user() -> User:
    return make_user("agent1")


@pytest.fixture
def headers(user: User) -> dict[str, str]:
    return log_in(user)


def render(client: Client, headers: dict[str, str], name: str = "match.html", language: str = "de", **body: Any) -> Any:
    return client.post(
        f"/api/v1/popup-templates/{language}/{name}/render", body, content_type="application/json", headers=headers
    )


def test_the_answer_to_a_look_up_becomes_a_page(client: Client, headers: dict[str, str], user: User) -> None:
    group = make_customer_group()
    give_rights(user, group)
    make_person(group, "<script>alert(1)</script>", company=make_company(group), phone="0211 33990312")
    answer = client.get("/api/v1/lookup?number=021133990312", headers=headers).json()

    response = render(client, headers, choose_popup(answer), lookup=answer)

    page = response.content.decode()
    assert response.status_code == 200
    assert response["Content-Type"] == "text/html; charset=utf-8"
    assert response["Cache-Control"] == "no-store"
    assert "default-src 'none'" in response["Content-Security-Policy"]
    assert '<html lang="de" dir="ltr">' in page
    assert "<h2><bdi>Maria &lt;script&gt;alert(1)&lt;/script&gt; (Alfreds Futterkiste)</bdi></h2>" in page
    assert f'href="{answer["contacts"][0]["url"]}"' in page
    assert "<script" not in page


@pytest.mark.parametrize("number", ["", "0211 1", "0049211555", "12"])
def test_whatever_a_look_up_answers_can_be_rendered(client: Client, headers: dict[str, str], number: str) -> None:
    answer = client.get("/api/v1/lookup", {"number": number}, headers=headers).json()

    for name in (choose_popup(answer), "incoming.html", "missed.html"):
        assert render(client, headers, name, lookup=answer).status_code == 200


@pytest.mark.parametrize("sample", SAMPLES)
@pytest.mark.parametrize("language", ["de", "en"])
def test_every_state_is_rendered_in_both_languages(
    client: Client, headers: dict[str, str], language: str, sample: str
) -> None:
    name, lookup, _ = SAMPLES[sample]

    response = render(client, headers, name, language, lookup=lookup)

    assert response.status_code == 200
    assert f'<html lang="{language}"' in response.content.decode()


def test_what_is_missing_or_wrong_in_the_answer_is_told(client: Client, headers: dict[str, str]) -> None:
    _, lookup, _ = SAMPLES["match"]
    for body, pointer in (
        ({}, "#"),
        ({"lookup": lookup, "call_id": "1"}, "#"),
        ({"lookup": "x"}, "#/lookup"),
        ({"lookup": {**lookup, "match": "perhaps"}}, "#/lookup/match"),
        ({"lookup": {**lookup, "contacts": [{**lookup["contacts"][0], "name": None}]}}, "#/lookup/contacts/0/name"),
        ({"lookup": {**lookup, "number": {**lookup["number"], "raw": "a\0"}}}, "#/lookup/number/raw"),
        ({"lookup": {key: value for key, value in lookup.items() if key != "actions"}}, "#/lookup/actions"),
    ):
        answer = render(client, headers, **body)
        assert answer.status_code == 400
        assert answer["Content-Type"] == "application/problem+json"
        assert answer.json()["errors"][0]["pointer"] == pointer


@pytest.mark.parametrize(
    ("language", "name"),
    [("fr", "match.html"), ("de", "popup.css"), ("de", "x.html"), ("de", "match"), ("..", "match.html")],
)
def test_there_is_no_other_language_or_file(client: Client, headers: dict[str, str], language: str, name: str) -> None:
    assert render(client, headers, name, language, lookup=SAMPLES["match"][1]).json()["status"] == 404


def test_a_call_that_was_not_reported_is_not_found(client: Client, headers: dict[str, str]) -> None:
    answer = render(client, headers, call_id="17")

    assert (answer.status_code, answer.json()["detail"]) == (
        404,
        "There is no such call. Report it first, with POST /api/v1/calls.",
    )


def test_a_call_is_rendered_as_it_is_now(client: Client, user: User, headers: dict[str, str]) -> None:
    group = make_customer_group()
    give_rights(user, group)
    make_person(group, phone="0211 33990312")
    now = timezone.now()
    report_call(user, call_id="c1", direction="incoming", number="0021133990312", line="Hotline 7", started_at=now)

    page = render(client, headers, "match.html", call_id="c1").content.decode()
    assert '<body class="ringing by-exact">' in page
    assert "Maria Anders" in page
    assert f"<time>{localtime(now):%H:%M}</time>" in page

    change_call(user, "c1", state="ended")
    Call.objects.update(started_at=datetime(2026, 3, 31, 12, 3, tzinfo=UTC))
    missed = render(client, headers, "missed.html", call_id="c1").content.decode()
    assert '<body class="missed by-exact">' in missed
    assert "<time>31.03.2026 14:03</time>" in missed
    assert (
        "<time>31 Mar 2026 14:03</time>" in render(client, headers, "missed.html", "en", call_id="c1").content.decode()
    )

    # Of who calls it tells no more than a look-up would.
    user.groups.clear()
    assert "Maria" not in render(client, headers, "missed.html", call_id="c1").content.decode()


def test_the_call_of_another_one_is_not_rendered(client: Client, headers: dict[str, str]) -> None:
    report_call(make_user("agent2"), call_id="c1", direction="incoming", number="0021133990312")

    of_another, of_none = (render(client, headers, call_id=call_id) for call_id in ("c1", "c2"))

    assert of_another.status_code == of_none.status_code == 404
    assert of_another.json()["detail"] == of_none.json()["detail"]


def test_a_call_takes_a_key_for_calls(client: Client, user: User) -> None:
    report_call(user, call_id="c1", direction="incoming", number="0021133990312")
    for scope, status in (("lookup", 403), ("calls", 200)):
        _, secret = create_api_key(name=scope, user=user, scopes=[scope])
        assert render(client, {"Authorization": f"Api-Key {secret}"}, call_id="c1").status_code == status


def test_it_takes_a_session_or_a_key_for_look_ups_or_calls(client: Client, user: User) -> None:
    lookup = SAMPLES["match"][1]
    assert render(client, {}, lookup=lookup).status_code == 401
    for scope, status in (("lookup", 200), ("calls", 200), ("contacts", 403)):
        _, secret = create_api_key(name=scope, user=user, scopes=[scope])
        assert render(client, {"Authorization": f"Api-Key {secret}"}, lookup=lookup).status_code == status


def test_the_published_template_is_the_one_that_is_rendered(client: Client, headers: dict[str, str]) -> None:
    publish_popups(changes={("de", "match.html"): "<p>{{ user.username }}: {{ number.display }}</p>"}, by=None)
    lookup = SAMPLES["match"][1]

    assert render(client, headers, lookup=lookup).content.decode() == "<p>agent1: +49 211 33990312</p>"
    assert "<!doctype html>" in render(client, headers, language="en", lookup=lookup).content.decode()


def test_a_template_that_fails_all_the_same_gives_way_to_the_products_own(
    client: Client, headers: dict[str, str], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As a release that has become stricter may find it.
    files = {("de", "match.html"): b"<p>\n{% for c in secret %}"}
    monkeypatch.setattr(popup_rendering, "get_popups", lambda: PopupSet("7", files, {}))
    lookup = SAMPLES["match"][1]

    answer = render(client, headers, lookup=lookup)

    assert answer.status_code == 200
    assert "Maria Anders" in answer.content.decode()
    (record,) = caplog.records
    assert record.getMessage() == (
        "The popup de/match.html of version 7 fails in line 2 of match.html; the product's own is shown."
    )


def test_data_for_a_page_without_end_are_refused(
    client: Client, headers: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    _, lookup, _ = SAMPLES["match"]
    contact = {**lookup["contacts"][0], "name": "&" * 2000, "url": "/" + "&" * 2000}

    answer = render(client, headers, "choice.html", lookup={**lookup, "contacts": [contact] * 50})

    assert (answer.status_code, answer.json()["detail"]) == (400, "This is too much for one popup.")


def test_a_third_language_needs_files_and_texts_only(
    client: Client, headers: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in NAMES:
        (tmp_path / name).write_text(f"<p>{name}</p>" if name != "popup.css" else "")
    (tmp_path / "fr" / "LC_MESSAGES").mkdir(parents=True)
    (tmp_path / "fr" / "match.html").write_text(
        '<p lang="{{ language }}">{{ texts.open_contact }}{{ texts.choose }}</p>'
    )
    catalog = Catalog(locale="fr")
    catalog.add("Open contact", "Ouvrir le contact")
    with (tmp_path / "fr" / "LC_MESSAGES" / "django.mo").open("wb") as file:
        write_mo(file, catalog)
    monkeypatch.setattr(shipped_popups, "FOLDER", tmp_path)
    lookup = SAMPLES["match"][1]

    popup_texts.get_texts.cache_clear()
    with override_settings(LANGUAGES=[*settings.LANGUAGES, ("fr", "français")], LOCALE_PATHS=[tmp_path]):
        french = render(client, headers, language="fr", lookup=lookup)
        others = render(client, headers, "choice.html", "fr", lookup=lookup)
    popup_texts.get_texts.cache_clear()

    # What is not translated is English.
    assert french.content.decode() == '<p lang="fr">Ouvrir le contactWho is calling?</p>'
    assert others.content.decode() == "<p>choice.html</p>"


def test_a_site_names_its_languages() -> None:
    assert name_languages(["fr", "he"]) == [("fr", "français"), ("he", "עברית")]
    for codes in (["de"], ["xx"], ["français"]):
        with pytest.raises(SettingsError, match="names languages as in fr,nl"):
            name_languages(codes)


def test_rendering_takes_no_more_than_a_millisecond() -> None:
    files = shipped_popups.read_shipped("en")
    name, context = build_sample("match", language="en", texts=TEXTS)
    render_popup(files, name, context)

    def measure() -> float:
        started = time.perf_counter()
        render_popup(files, name, context)
        return time.perf_counter() - started

    assert statistics.median(measure() for _ in range(200)) < 0.001


@pytest.mark.django_db(transaction=True)
def test_nothing_is_read_from_the_database_but_who_asks_and_the_version(
    client: Client, headers: dict[str, str], django_assert_num_queries: Any
) -> None:
    lookup = SAMPLES["match"][1]
    get_popups()
    with django_assert_num_queries(2) as queries:
        render(client, headers, lookup=lookup)
    assert not any("popupfile" in query["sql"] for query in queries)
