"""Versions of the popup files: complete, never changed, one after the other."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, connection, transaction
from django.db.models.functions import Now
from pytest_django.fixtures import DjangoAssertNumQueries

from cmphone.contacts.models import User
from cmphone.problems import Conflict, NotFound
from cmphone.properties.selectors import get_versions
from cmphone.properties.services import mark_templates_changed
from templates_store import popup_sets, popup_store
from templates_store.models import PopupFile, PopupLayer, PopupSource, PopupVersion
from templates_store.popup_files import Trouble
from templates_store.popup_sets import compare_popups, find_last_version, list_files, list_versions
from templates_store.popup_store import (
    ensure_published,
    get_popups,
    publish_popups,
    remove_old_popups,
    roll_back,
    upload_zip,
)
from templates_store.popups import NAMES, check_popup_files
from templates_store.shipped_popups import list_languages, read_shipped
from tests.locks import start, wait_for_waiting
from tests.make import make_user
from tests.test_templates_popup_files import make_zip

MATCH = ("de", "match.html")


def publish(content: str | None, *, based_on: int | None = None, by: User | None = None) -> PopupVersion:
    return publish_popups(changes={MATCH: content}, by=by, based_on=based_on)


def read(version: PopupVersion | None = None) -> str:
    """What clients get as German match.html."""
    return get_popups(None if version is None else str(version)).files[MATCH].decode()


@pytest.fixture
def ship(monkeypatch: pytest.MonkeyPatch) -> dict[str, dict[str, str]]:
    """What the product ships, to be changed as an update does."""
    shipped = {language: dict(read_shipped(language)) for language in list_languages()}
    monkeypatch.setattr(popup_store, "read_shipped", shipped.__getitem__)
    return shipped


@pytest.mark.django_db
class TestPublishing:
    def test_the_first_to_ask_gets_the_products_files_as_a_version(self) -> None:
        popups = get_popups()

        assert popups.files == {
            (language, name): read_shipped(language)[name].encode() for language in list_languages() for name in NAMES
        }
        version = PopupVersion.objects.get()
        assert (version.source, version.created_by_name, version.note) == (PopupSource.SHIPPED, "", "")
        assert popups.version == str(version.number) == get_versions()[1]

    def test_an_override_hides_the_products_file_of_its_language_only(self) -> None:
        first = ensure_published()
        anna = make_user("anna")

        version = publish_popups(changes={MATCH: "<p>ours</p>"}, by=anna, note=" for the fair ")

        assert (version.number, version.source) == (first.number + 1, PopupSource.ADMINISTRATOR)
        assert (version.created_by_name, version.note) == ("anna", "for the fair")
        assert get_versions()[1] == str(version.number)
        files = dict(get_popups().files)
        assert files.pop(MATCH) == b"<p>ours</p>"
        before = dict(get_popups(str(first)).files)
        del before[MATCH]
        assert files == before
        assert list(list_files(version.number).filter(layer=PopupLayer.OVERRIDE).values_list("language", "name")) == [
            MATCH
        ]

    def test_a_file_that_is_no_longer_overridden_is_the_products_again(self) -> None:
        publish("<p>ours</p>")

        version = publish(None)

        assert read(version) == read_shipped("de")["match.html"]
        assert not list_files(version.number).filter(layer=PopupLayer.OVERRIDE).exists()

    def test_what_is_in_force_already_is_not_published_again(self) -> None:
        version = publish("<p>ours</p>")

        assert publish("<p>ours</p>") == version
        assert ensure_published() == version
        assert publish_popups(changes={}, by=None) == version

    def test_an_override_that_says_what_it_hides_is_none(self) -> None:
        version = ensure_published()

        assert publish(read_shipped("de")["match.html"].replace("\n", "\r\n")) == version

    def test_a_file_that_cannot_be_used_is_refused_with_its_line_and_nothing_changes(self) -> None:
        version = ensure_published()

        with pytest.raises(ValidationError) as refusal:
            publish_popups(changes={MATCH: "<p>\n{% if %}</p>", ("en", "popup.css"): "p { color: red }"}, by=None)

        (path,) = refusal.value.error_dict
        (error,) = refusal.value.error_dict[path]
        assert path == "de/match.html"
        assert error.params is not None
        assert error.params["trouble"].line == 2
        assert refusal.value.message_dict[path][0].startswith("Line 2, column ")
        assert find_last_version() == version
        assert get_versions()[1] == str(version)

    def test_a_text_with_a_percent_sign_in_an_error_is_told(self) -> None:
        trouble = Trouble("de/match.html", "“%(what)s” is not allowed here.", {"what": "100 %"}, 1, 2)
        refusal = popup_store._refuse([trouble])

        assert refusal.message_dict == {"de/match.html": ["Line 1, column 2: “100 %” is not allowed here."]}

    @pytest.mark.parametrize("key", [("fr", "match.html"), ("de", "other.html"), ("de", "../match.html")])
    def test_a_file_that_there_is_not_is_refused(self, key: tuple[str, str]) -> None:
        with pytest.raises(ValidationError) as refusal:
            publish_popups(changes={key: "<p>"}, by=None)

        assert refusal.value.message_dict == {"/".join(key): ["There is no popup file of this name."]}
        assert find_last_version() is None

    def test_a_note_has_a_limit(self) -> None:
        with pytest.raises(ValidationError) as refusal:
            publish_popups(changes={MATCH: "<p>"}, by=None, note="x" * 501)

        assert set(refusal.value.message_dict) == {"note"}
        assert find_last_version() is None

    def test_an_update_of_the_product_is_published_and_overrides_stay(self, ship: dict[str, dict[str, str]]) -> None:
        first = publish("<p>ours</p>")
        ship["de"]["match.html"] = "<p>newer</p>"
        ship["en"]["match.html"] = "<p>newer</p>"

        version = ensure_published()

        assert (version.number, version.source) == (first.number + 1, PopupSource.SHIPPED)
        assert read(version) == "<p>ours</p>"
        assert get_popups().files["en", "match.html"] == b"<p>newer</p>"
        assert read(publish(None)) == "<p>newer</p>"

    def test_a_number_that_something_else_counted_up_is_caught_up_with(self) -> None:
        first = ensure_published()
        with transaction.atomic():
            mark_templates_changed()

        popups = get_popups()

        assert popups.version == get_versions()[1] == str(first.number + 2)

    def test_the_database_refuses_to_change_a_version(self) -> None:
        ensure_published()

        with pytest.raises(IntegrityError, match="never changed"), transaction.atomic():
            PopupFile.objects.update(content="other")
        with pytest.raises(IntegrityError, match="never changed"), transaction.atomic():
            PopupVersion.objects.update(note="other")


@pytest.mark.django_db
class TestConflicts:
    def test_who_saw_the_version_in_force_publishes(self) -> None:
        version = ensure_published()

        assert publish("<p>ours</p>", based_on=version.number).number == version.number + 1

    def test_who_saw_another_version_is_told_who_published_and_nothing_changes(self) -> None:
        seen = ensure_published()
        other = publish("<p>theirs</p>", by=make_user("bert"))

        with pytest.raises(Conflict) as refusal:
            publish("<p>ours</p>", based_on=seen.number)

        assert refusal.value.detail == (
            f"Meanwhile version {other} was published (bert). Look at what it changed, and publish again."
        )
        assert refusal.value.members == {"version": str(other)}
        assert find_last_version() == other

    @pytest.mark.parametrize("based_on", [1, 10**18])
    def test_a_version_that_never_was_is_a_conflict(self, based_on: int) -> None:
        with pytest.raises(Conflict):
            publish("<p>ours</p>", based_on=based_on)
        assert find_last_version() is None

    def test_a_roll_back_and_a_zip_look_at_it_too(self) -> None:
        seen = ensure_published()
        other = publish("<p>theirs</p>")

        with pytest.raises(Conflict):
            roll_back(seen.number, by=None, based_on=seen.number)
        with pytest.raises(Conflict):
            upload_zip(make_zip({"match.html": "<p>"}), by=None, based_on=seen.number)
        assert find_last_version() == other


@pytest.mark.django_db
class TestRollingBack:
    def test_it_publishes_the_old_files_as_a_new_version(self) -> None:
        first = ensure_published()
        old = publish("<p>old</p>")
        new = publish("<p>new</p>")

        version = roll_back(old.number, by=make_user("anna"))

        assert (version.number, version.source, version.created_by_name) == (
            new.number + 1,
            PopupSource.ROLLBACK,
            "anna",
        )
        assert version.note == f"Back to version {old}."
        assert get_popups().files == get_popups(str(old)).files
        assert get_popups(str(new)).files[MATCH] == b"<p>new</p>"
        assert roll_back(first.number, by=None, note="clean").note == "clean"
        assert read() == read_shipped("de")["match.html"]

    def test_it_stays_although_the_product_has_other_files_by_now(self, ship: dict[str, dict[str, str]]) -> None:
        old_text = ship["de"]["match.html"]
        old = ensure_published()
        ship["de"]["match.html"] = "<p>newer</p>"
        ensure_published()

        version = roll_back(old.number, by=None)

        assert ensure_published() == version
        assert read() == old_text
        assert read(publish(None)) == "<p>newer</p>"

    def test_to_what_is_in_force_it_changes_nothing(self) -> None:
        version = publish("<p>ours</p>")

        assert roll_back(version.number, by=None) == version

    def test_a_version_that_is_not_there_is_refused(self) -> None:
        ensure_published()

        with pytest.raises(NotFound):
            roll_back(4711, by=None)

    def test_old_files_that_the_product_no_longer_takes_are_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        old = publish("<p>old</p>")
        new = publish("<p>new</p>")
        error = check_popup_files({**read_shipped("de"), "match.html": "{% if %}"})
        monkeypatch.setattr(
            popup_store, "check_popup_files", lambda files: error if files["match.html"] == "<p>old</p>" else []
        )

        with pytest.raises(ValidationError) as refusal:
            roll_back(old.number, by=None)

        assert set(refusal.value.message_dict) == {"de/match.html"}
        assert find_last_version() == new


@pytest.mark.django_db
class TestZip:
    def test_its_files_are_overridden_and_the_others_stay(self) -> None:
        publish_popups(changes={("en", "missed.html"): "<p>missed</p>"}, by=None)

        version = upload_zip(make_zip({"match.html": "<p>all</p>", "de/match.html": "<p>de</p>"}), by=None, note="new")

        assert (version.source, version.note) == (PopupSource.ZIP, "new")
        assert {key: get_popups().files[key] for key in (MATCH, ("en", "match.html"), ("en", "missed.html"))} == {
            MATCH: b"<p>de</p>",
            ("en", "match.html"): b"<p>all</p>",
            ("en", "missed.html"): b"<p>missed</p>",
        }

    def test_the_zip_that_clients_get_changes_nothing(self) -> None:
        version = publish("<p>ours</p>")

        assert upload_zip(get_popups().zip, by=None) == version

    @pytest.mark.parametrize(
        ("files", "errors"),
        [
            ({"match.html": "<p>fine</p>", "../evil.html": ""}, {"../evil.html"}),
            ({"match.html": "<p>fine</p>", "de/choice.html": "{% if %}"}, {"de/choice.html"}),
            ({"match.html": "{% if %}"}, {"de/match.html", "en/match.html"}),
            ({}, {"__all__"}),
        ],
    )
    def test_all_or_nothing(self, files: dict[str, str], errors: set[str]) -> None:
        version = ensure_published()

        with pytest.raises(ValidationError) as refusal:
            upload_zip(make_zip(files), by=None)

        assert set(refusal.value.message_dict) == errors
        assert find_last_version() == version


@pytest.mark.django_db
class TestDifferences:
    def test_it_has_the_changed_files_with_their_lines(self) -> None:
        publish("one\ntwo\nthree")
        before = get_popups()
        publish("one\n2\nthree")

        (difference,) = compare_popups(before, get_popups())

        assert (difference.language, difference.name, difference.kind) == (*MATCH, "changed")
        assert difference.lines == [
            ("@", "@@ -1,3 +1,3 @@"),
            (" ", "one"),
            ("-", "two"),
            ("+", "2"),
            (" ", "three"),
        ]

    def test_files_come_and_go(self) -> None:
        popups = get_popups()
        fewer = popup_sets.PopupSet("1", {MATCH: popups.files[MATCH]}, {})
        none = popup_sets.PopupSet("2", {}, {})

        assert [(each.kind, {sign for sign, _ in each.lines or ()}) for each in compare_popups(none, fewer)] == [
            ("added", {"@", "+"})
        ]
        assert [each.kind for each in compare_popups(fewer, none)] == ["removed"]

    def test_files_with_too_many_lines_are_not_compared(self) -> None:
        long = popup_sets.PopupSet("1", {MATCH: b"\n" * 3_001}, {})
        short = popup_sets.PopupSet("2", {MATCH: b"x"}, {})

        assert compare_popups(long, short)[0].lines is None


@pytest.mark.django_db
class TestKeeping:
    def test_only_what_is_old_and_not_among_the_last_goes(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(popup_store, "VERSIONS_KEPT", 2)
        for days in (40, 33, 30, 50, 60):
            version = PopupVersion(number=100 - days if days < 50 else 100 + days, source="shipped")
            version.created_at = Now() - timedelta(days=days)
            version.save(force_insert=True)

        assert remove_old_popups() == 2

        # One is young enough, two are the last.
        assert [version.number for version in list_versions()] == [160, 150, 70]
        assert remove_old_popups() == 0

    def test_files_go_with_their_version(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(popup_store, "VERSIONS_KEPT", 1)
        monkeypatch.setattr(popup_store, "KEPT_FOR", timedelta(0))
        old = ensure_published()
        new = publish("<p>new</p>")

        assert remove_old_popups() == 1

        assert set(PopupFile.objects.values_list("version", flat=True)) == {new.number}
        with pytest.raises(NotFound, match="There is no such version of the popups, or none any more"):
            get_popups(str(old))

    def test_a_process_keeps_the_last_versions_and_reads_nothing_for_them(
        self, django_assert_num_queries: DjangoAssertNumQueries
    ) -> None:
        popups = get_popups()
        popup_sets._loaded = {int(popups.version): popups}

        with django_assert_num_queries(0):
            assert get_popups(popups.version) is popups
        with django_assert_num_queries(1):
            assert get_popups() is popups

    @pytest.mark.parametrize("version", ["", "0", "-1", "01", "x", "1.0", "٣", "9" * 30, "1 ", "\0", "1\n"])
    def test_what_is_no_number_is_no_version(self, version: str) -> None:
        ensure_published()

        with pytest.raises(NotFound):
            get_popups(version)


@pytest.mark.django_db(transaction=True)
class TestRaces:
    @pytest.fixture
    def threads(self) -> Iterator[ThreadPoolExecutor]:
        with ThreadPoolExecutor(max_workers=8) as executor:
            yield executor

    def test_of_two_that_find_nothing_published_one_publishes(self, threads: ThreadPoolExecutor) -> None:
        with transaction.atomic():
            mark_templates_changed()
            futures = [start(threads, ensure_published) for _ in range(2)]
            wait_for_waiting(2)
            transaction.set_rollback(True)

        assert {future.result(timeout=10).number for future in futures} == {PopupVersion.objects.get().number}

    def test_who_waited_for_another_publisher_publishes_on_top_of_it(self, threads: ThreadPoolExecutor) -> None:
        first = ensure_published()
        with transaction.atomic():
            publish_popups(changes={("en", "match.html"): "<p>theirs</p>"}, by=None)
            other = start(threads, partial(publish, "<p>ours</p>"))
            wait_for_waiting()
            assert not other.done()

        assert other.result(timeout=10).number == first.number + 2
        files = get_popups().files
        assert (files[MATCH], files["en", "match.html"]) == (b"<p>ours</p>", b"<p>theirs</p>")
        assert [version.number - first.number for version in list_versions()] == [2, 1, 0]

    def test_who_waited_and_saw_an_older_version_is_told(self, threads: ThreadPoolExecutor) -> None:
        first = ensure_published()
        with transaction.atomic():
            theirs = publish_popups(changes={("en", "match.html"): "<p>theirs</p>"}, by=None)
            other = start(threads, partial(publish, "<p>ours</p>", based_on=first.number))
            wait_for_waiting()

        with pytest.raises(Conflict):
            other.result(timeout=10)
        assert find_last_version() == theirs
        assert get_versions()[1] == str(theirs)

    def test_who_waited_for_one_that_failed_gets_its_number(self, threads: ThreadPoolExecutor) -> None:
        first = ensure_published()
        with transaction.atomic():
            publish("<p>theirs</p>")
            other = start(threads, partial(publish, "<p>ours</p>", based_on=first.number))
            wait_for_waiting()
            transaction.set_rollback(True)

        assert other.result(timeout=10).number == first.number + 1
        assert read() == "<p>ours</p>"

    def test_a_version_seen_within_a_transaction_is_not_kept(self) -> None:
        first = ensure_published()
        with transaction.atomic():
            publish("<p>never</p>")
            assert read() == "<p>never</p>"
            transaction.set_rollback(True)

        assert publish("<p>other</p>").number == first.number + 1
        assert read() == "<p>other</p>"

    def test_checking_holds_no_lock(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def check(files: object) -> list[object]:
            assert not connection.in_atomic_block
            return []

        monkeypatch.setattr(popup_store, "check_popup_files", check)

        assert read(publish("<p>ours</p>")) == "<p>ours</p>"
