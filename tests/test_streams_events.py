"""Events of calls, told by the real process over real HTTP out of a real database, and what is torn down under it."""

import contextlib
import functools
import itertools
import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.db import connections, transaction
from django.test import Client
from django.utils import timezone

from cmphone.access.models import Scope
from cmphone.access.services import create_api_key, revoke_api_key
from cmphone.calls.models import CallEvent, Line
from cmphone.calls.services import report_call
from cmphone.contacts.models import User
from cmphone.properties.models import ConfigurationVersion
from cmphone.properties.services import mark_templates_changed
from cmphone.streams.hub import CHECK_SECONDS
from license.models import Session
from license.services import end_session
from tests.hanging import find_postgres, find_valkey
from tests.locks import start
from tests.make import give_rights, log_in, make_customer_group, make_person, make_user
from tests.streams import PATH, Process, Told, ask, listening, tell_events, wait_until

pytestmark = pytest.mark.django_db(transaction=True)

_versions = itertools.count(1_000, 1_000)


@pytest.fixture(scope="module")
def process(django_db_setup: None) -> Iterator[Process]:
    with tell_events() as process:
        yield process


@pytest.fixture(autouse=True)
def new_versions(transactional_db: None) -> None:
    """Let the process keep no configuration of another test: an emptied database counts anew."""
    ConfigurationVersion.objects.update_or_create(id=1, defaults={"number": next(_versions), "templates_number": 1})


_call_ids = itertools.count()


def ring(user: User, call_id: str = "", *, number: str = "0211 1234567", line: str = "") -> None:
    """Let the user's telephone ring; empty: with a call id of its own."""
    report_call(user, call_id=call_id or f"call-{next(_call_ids)}", direction="incoming", number=number, line=line)


@pytest.fixture
def silent() -> Iterator[None]:
    """What is committed goes unheard, as if Redis had lost the message."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(settings, "REDIS_URL", "unix:///nowhere")
        yield


def log_in_browser(user: User) -> tuple[Client, dict[str, str]]:
    """Return a browser in which the user is logged in, and the header with its cookie."""
    browser = Client()
    browser.force_login(user)
    return browser, {"Cookie": f"sessionid={browser.cookies['sessionid'].value}"}


def read_problem(response: Any) -> tuple[int, str]:
    """Return the status and the slug of an error."""
    assert response.headers["Content-Type"] == "application/problem+json"
    return response.status, json.loads(response.read())["type"].rpartition("/")[2]


def test_a_call_is_told_to_who_listens(process: Process) -> None:
    user = make_user()
    with listening(process, log_in(user)) as listener:
        assert listener.events == [
            Told(0, "hello", {"number": 0, "config_version": str(_last_version()), "templates_version": "1"})
        ]
        assert listener.response.headers["Content-Type"] == "text/event-stream; charset=utf-8"
        assert listener.response.headers["Cache-Control"] == "no-store"
        assert listener.response.headers["X-Accel-Buffering"] == "no"
        assert listener.fields[0] == "retry"
        ring(user, "a-call")
        listener.wait_for_number(1)
        told = listener.events[-1]
        assert (told.id, told.name, told.data["number"], told.data["kind"]) == (1, "call.ringing", 1, "call.ringing")
        assert told.data["call"]["call_id"] == "a-call"


def test_a_stream_begins_with_what_comes_and_not_with_what_was(process: Process) -> None:
    user = make_user()
    for _ in range(3):
        ring(user)
    with listening(process, log_in(user)) as listener:
        assert (listener.events[0].id, listener.events[0].name) == (3, "hello")
        ring(user)
        listener.wait_for_number(4)
        assert listener.numbers == [4]


def test_a_client_resumes_where_it_was(process: Process) -> None:
    user = make_user()
    header = log_in(user)
    for _ in range(5):
        ring(user)
    with listening(process, header, last=2) as listener:
        assert (listener.events[0].id, listener.events[0].name) == (2, "hello")
        listener.wait_for_number(5)
        assert listener.numbers == [3, 4, 5]
    with listening(process, header, last=5) as listener:
        ring(user)
        listener.wait_for_number(6)
        assert listener.numbers == [6]


def test_more_than_is_read_at_once_comes_in_order(process: Process) -> None:
    user = make_user()
    with transaction.atomic():
        for _ in range(350):
            ring(user)
    with listening(process, log_in(user), last=0) as listener:
        listener.wait_for_number(350)
        assert listener.numbers == list(range(1, 351))


def test_an_id_in_the_address_counts_where_no_header_says_more(process: Process) -> None:
    user = make_user()
    for _ in range(3):
        ring(user)
    header = log_in(user)
    for headers, begin in ((header, 1), ({**header, "Last-Event-ID": "2"}, 2)):
        with contextlib.closing(ask(process.address, f"{PATH}?last_event_id=1", **headers)) as response:
            lines = [response.readline() for _ in range(3)]
            assert lines[2] == b"id: %d\n" % begin


def test_who_knows_more_than_there_is_begins_anew(process: Process) -> None:
    user = make_user()
    ring(user)
    with listening(process, log_in(user), last=7) as listener:
        assert (listener.events[0].id, listener.events[0].name, listener.events[0].data["number"]) == (1, "reset", 1)
        ring(user)
        listener.wait_for_number(2)
        assert listener.numbers == [2]


def test_who_was_away_for_longer_than_events_are_kept_begins_anew(process: Process) -> None:
    user = make_user()
    for _ in range(4):
        ring(user)
    CallEvent.objects.filter(number__lte=2).delete()
    header = log_in(user)
    for last, begin in ((1, (4, "reset")), (2, (2, "hello")), (4, (4, "hello"))):
        with listening(process, header, last=last) as listener:
            assert (listener.events[0].id, listener.events[0].name) == begin
    CallEvent.objects.all().delete()
    for last, begin in ((3, (4, "reset")), (4, (4, "hello"))):
        with listening(process, header, last=last) as listener:
            assert (listener.events[0].id, listener.events[0].name) == begin


def test_those_of_a_line_are_told_together_and_each_what_he_may_see(process: Process) -> None:
    group = make_customer_group()
    make_person(group, phone="0211 1234567")
    agents = [make_user(f"agent{number}") for number in range(4)]
    line = Line.objects.create(name="12")
    line.users.set(agents)
    role = give_rights(agents[0], group)
    for agent in agents[1:3]:
        agent.groups.add(role)
    with contextlib.ExitStack() as stack:
        listeners = [stack.enter_context(listening(process, log_in(agent, agent.username))) for agent in agents]

        def ring_and_read(number: int, hearing: list[int]) -> list[list[str]]:
            ring(agents[0], line="12", number="0211 1234567")
            for place in hearing:
                listeners[place].wait_for_number(number)
            calls = [listeners[place].events[-1].data["call"] for place in hearing]
            return [[contact["name"] for contact in call["lookup"]["contacts"]] for call in calls]

        assert ring_and_read(1, [0, 1, 2, 3]) == [["Maria Anders"], ["Maria Anders"], ["Maria Anders"], []]
        agents[1].groups.clear()
        line.users.remove(agents[2])
        agents[3].groups.add(role)
        assert ring_and_read(2, [0, 1, 3]) == [["Maria Anders"], [], ["Maria Anders"]]
        assert listeners[2].numbers == [1]


def test_calls_of_others_never_come(process: Process) -> None:
    users = [make_user(f"agent{number}") for number in range(3)]
    with contextlib.ExitStack() as stack:
        listeners = [stack.enter_context(listening(process, log_in(user, user.username))) for user in users]
        for number in range(20):
            ring(users[number % 2], f"call-{number}")
        for place, listener in enumerate(listeners[:2]):
            listener.wait_for_number(10)
            calls = [each.data["call"]["call_id"] for each in listener.events[1:]]
            assert calls == [f"call-{number}" for number in range(place, 20, 2)]
        assert listeners[2].numbers == []


def test_nothing_is_lost_and_nothing_comes_twice_while_calls_storm_and_clients_come_and_go(process: Process) -> None:
    users = [make_user(f"agent{number}") for number in range(2)]
    headers = [log_in(user, user.username) for user in users]

    def storm(thread: int) -> None:
        for number in range(60):
            ring(users[number % 2], f"{thread}-{number}")

    heard: list[list[int]] = [[], []]

    def hear(place: int) -> None:
        last = 0
        while last < 120:
            with listening(process, headers[place], last=last) as listener:
                listener.wait_for_number(min(120, last + 1 + last % 13))
            heard[place] += listener.numbers
            last = max(last, listener.last)

    with ThreadPoolExecutor(7) as threads, listening(process, headers[0]) as steady:
        storms = [start(threads, functools.partial(storm, thread)) for thread in range(4)]
        ears = [threads.submit(hear, place) for place in range(2)]
        for each in (*storms, *ears):
            each.result(60)
        steady.wait_for_number(120)
    assert heard == [list(range(1, 121))] * 2
    assert steady.numbers == list(range(1, 121))


@pytest.mark.usefixtures("silent")
def test_a_lost_message_costs_seconds_and_no_event(process: Process) -> None:
    user = make_user()
    with listening(process, log_in(user)) as listener:
        ring(user)
        listener.wait_for_number(1)
        assert listener.numbers == [1]


def test_streams_outlive_redis(process: Process) -> None:
    user = make_user()
    valkey = find_valkey()
    with listening(process, log_in(user)) as listener:
        ring(user)
        listener.wait_for_number(1)
        valkey.stop()
        try:
            ring(user)
            listener.wait_for_number(2)
            assert read_figures(process)['cmphone_events_up{service="redis"}'] == 0
            ring(user)
        finally:
            valkey.ensure_running()
        wait_until(lambda: read_figures(process)['cmphone_events_up{service="redis"}'] == 1)
        listener.wait_for_number(3)
        ring(user)
        # By message again, and not with the next look.
        listener.wait_for_number_within(4, seconds=2)
        assert listener.numbers == [1, 2, 3, 4]


def test_streams_outlive_the_database(process: Process) -> None:
    user = make_user()
    header = log_in(user)
    postgres = find_postgres()
    with listening(process, header) as listener:
        ring(user)
        listener.wait_for_number(1)
        connections.close_all()
        postgres.stop()
        try:
            refused = ask(process.address, **header)
            assert read_problem(refused) == (503, "unavailable")
            assert refused.headers["Retry-After"] == "5"
        finally:
            postgres.ensure_running()
        ring(user)
        listener.wait_for_number(2)
        with listening(process, header, last=1) as another:
            another.wait_for_number(2)
        assert listener.numbers == [1, 2]


def test_a_process_that_is_told_to_end_ends_its_streams_in_good_order() -> None:
    user = make_user()
    header = log_in(user)
    with tell_events() as process:
        with contextlib.closing(ask(process.address, **header)) as response, listening(process, header) as listener:
            process.process.terminate()
            # To the last byte: else this raises IncompleteRead.
            assert response.read().endswith(b"\n\n")
            listener.wait_for_end()
        assert process.process.wait(5) == 0


def end_by_administrator(user: User) -> None:
    end_session(Session.objects.get(user=user))


def log_in_again(user: User) -> None:
    log_in(user)


def time_out(user: User) -> None:
    Session.objects.filter(user=user).update(last_seen_at=timezone.now() - timedelta(days=1))


def deactivate(user: User) -> None:
    User.objects.filter(pk=user.pk).update(is_active=False)


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        (end_by_administrator, "ended-by-administrator"),
        (log_in_again, "replaced"),
        (time_out, "timed-out"),
        (deactivate, "logged-out"),
    ],
)
def test_a_stream_ends_with_its_session(process: Process, end: Callable[[User], None], reason: str) -> None:
    user, other = make_user(), make_user("other")
    with listening(process, log_in(user)) as listener, listening(process, log_in(other, "2")) as others:
        end(user)
        listener.wait_for_end()
        assert listener.events[-1] == Told(None, "session-ended", {"reason": reason})
        assert not others.is_over


def test_a_stream_ends_with_its_key(process: Process) -> None:
    key, secret = create_api_key(name="telephones", user=make_user(), scopes=[Scope.CALLS])
    with listening(process, {"Authorization": f"Api-Key {secret}"}) as listener:
        ring(key.user)
        listener.wait_for_number(1)
        revoke_api_key(key)
        listener.wait_for_end()
        assert listener.events[-1] == Told(None, "session-ended", {"reason": "revoked"})


def log_out(user: User, browser: Client) -> None:
    browser.post("/logout/")


def change_password(user: User, browser: Client) -> None:
    user.set_password("another one that is new")
    user.save()


def deactivate_user(user: User, browser: Client) -> None:
    deactivate(user)


@pytest.mark.parametrize("end", [log_out, change_password, deactivate_user])
def test_a_stream_of_a_page_ends_with_what_its_cookie_rests_on(
    process: Process, end: Callable[[User, Client], None]
) -> None:
    user = make_user()
    browser, header = log_in_browser(user)
    with listening(process, {**header, "Sec-Fetch-Site": "same-origin"}) as listener:
        ring(user)
        listener.wait_for_number(1)
        end(user, browser)
        listener.wait_for_end()
        assert listener.events[-1] == Told(None, "session-ended", {"reason": "logged-out"})
    assert read_problem(ask(process.address, **header)) == (401, "not-authenticated")


def test_a_cookie_that_changes_for_another_reason_goes_on(process: Process) -> None:
    user = make_user()
    browser, header = log_in_browser(user)
    with listening(process, header) as listener:
        session = browser.session
        session["colour"] = "blue"
        session.save()
        time.sleep(CHECK_SECONDS + 1)
        ring(user)
        listener.wait_for_number(1)
        assert not listener.is_over


@pytest.mark.parametrize(
    "foreign",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_pages_of_other_sites_get_nothing_by_the_cookie(process: Process, foreign: dict[str, str]) -> None:
    _, header = log_in_browser(make_user())
    response = ask(process.address, **header, **foreign)
    assert read_problem(response) == (403, "permission-denied")
    assert "Access-Control-Allow-Origin" not in response.headers


def test_an_open_stream_is_a_sign_of_life(process: Process) -> None:
    user = make_user()
    with listening(process, log_in(user)):
        earlier = timezone.now() - timedelta(minutes=2)
        Session.objects.filter(user=user).update(last_seen_at=earlier)
        wait_until(lambda: Session.objects.get(user=user).last_seen_at > earlier)
        assert timezone.now() - Session.objects.get(user=user).last_seen_at < timedelta(minutes=1)


def test_new_popup_files_are_told(process: Process) -> None:
    with listening(process, log_in(make_user())) as listener:
        with transaction.atomic():
            mark_templates_changed()
        told = listener.wait_for("versions")
        assert told == Told(None, "versions", {"config_version": str(_last_version()), "templates_version": "2"})


def test_what_cannot_be_answered_is_a_problem(process: Process) -> None:
    header = log_in(make_user())
    _, secret = create_api_key(name="look-ups", user=make_user("other"), scopes=[Scope.LOOKUP])
    for wanted, response in [
        ((401, "not-authenticated"), ask(process.address)),
        ((401, "not-authenticated"), ask(process.address, Authorization="Bearer nobody")),
        ((401, "not-authenticated"), ask(process.address, Authorization="nonsense")),
        ((401, "not-authenticated"), ask(process.address, Cookie="sessionid=nobody")),
        ((403, "permission-denied"), ask(process.address, Authorization=f"Api-Key {secret}")),
        ((400, "invalid-request"), ask(process.address, **header, Last_Event_ID="-1")),
        ((400, "invalid-request"), ask(process.address, **header, Last_Event_ID="9" * 19)),
        ((400, "invalid-request"), ask(process.address, f"{PATH}?last_event_id=one", **header)),
        ((400, "invalid-request"), ask(process.address, f"{PATH}?last_event_id=%FF", **header)),
        ((406, "not-acceptable"), ask(process.address, **header, Accept="application/json")),
        ((405, "method-not-allowed"), ask(process.address, method="POST", **header)),
        ((404, "not-found"), ask(process.address, "/api/v1/nothing", **header)),
    ]:
        assert read_problem(response) == wanted
    assert ask(process.address, method="POST").headers["Allow"] == "GET"
    refused = ask(process.address, **header, Last_Event_ID="x", Accept_Language="de", X_Request_ID="mine")
    body = json.loads(refused.read())
    assert body["errors"][0]["pointer"] == "#/last_event_id"
    assert body["request_id"] == refused.headers["X-Request-ID"] == "mine"


def test_a_user_has_twenty_streams_at_most(process: Process) -> None:
    header = log_in(make_user())
    with contextlib.ExitStack() as stack:
        first, *_ = [stack.enter_context(listening(process, header)) for _ in range(20)]
        refused = ask(process.address, **header)
        assert read_problem(refused) == (429, "throttled")
        assert refused.headers["Retry-After"] == "5"
        with listening(process, log_in(make_user("other"), "2")):
            pass
        first.close()

        def is_let_in() -> bool:
            with contextlib.closing(ask(process.address, **header)) as response:
                return response.status == 200

        wait_until(is_let_in)


def test_monitoring_sees_how_many_streams_are_open(process: Process) -> None:
    assert json.loads(ask(process.address, "/health/live").read()) == {"status": "live"}
    user = make_user()
    wait_until(lambda: read_figures(process)["cmphone_event_streams"] == 0)
    before = read_figures(process)
    with listening(process, log_in(user)) as listener, listening(process, log_in(user), last=0):
        ring(user)
        listener.wait_for_number(1)
        wait_until(
            lambda: read_figures(process)["cmphone_events_sent_total"] == before["cmphone_events_sent_total"] + 2
        )
        after = read_figures(process)
        assert after["cmphone_event_streams"] == 2
        assert after["cmphone_event_streams_opened_total"] == before["cmphone_event_streams_opened_total"] + 2
        assert after['cmphone_events_up{service="database"}'] == after['cmphone_events_up{service="redis"}'] == 1
    wait_until(lambda: read_figures(process)["cmphone_event_streams"] == 0)


def test_pages_at_another_port_listen_where_no_proxy_makes_one_address(
    django_db_setup: None,
) -> None:
    user = make_user()
    _, header = log_in_browser(user)
    with tell_events(pages_port=8000) as process:
        page = {"Origin": "http://127.0.0.1:8000", "Sec-Fetch-Site": "same-site"}
        with listening(process, {**header, **page}) as listener:
            assert listener.response.headers["Access-Control-Allow-Origin"] == page["Origin"]
            assert listener.response.headers["Access-Control-Allow-Credentials"] == "true"
            assert "Origin" in listener.response.headers["Vary"]
        refused = ask(process.address, **header, Origin="http://127.0.0.1:9000")
        assert read_problem(refused) == (403, "permission-denied")


def read_figures(process: Process) -> dict[str, float]:
    """Return the metrics of the process by their names."""
    lines = ask(process.address, "/metrics").read().decode().splitlines()
    return {
        name: float(value) for name, _, value in (line.partition(" ") for line in lines if not line.startswith("#"))
    }


def _last_version() -> int:
    return ConfigurationVersion.objects.get().number
