"""Popup files out of a folder on disk: published when they change, shown when they cannot be."""

import logging
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command

from cmphone.environment import SettingsError, read_folder
from templates_store.checks import check_popup_folder
from templates_store.models import PopupFolder, PopupSource, PopupVersion
from templates_store.popup_sets import find_folder_state, find_last_version
from templates_store.popup_store import ensure_published, get_popups, publish_popups, sync_folder
from templates_store.shipped_popups import read_shipped
from templates_store.tasks import publish_changed_popups

pytestmark = pytest.mark.django_db

MATCH = ("de", "match.html")


@pytest.fixture
def folder(tmp_path: Path, settings: Any) -> Path:
    settings.POPUP_DIR = tmp_path
    (tmp_path / "de").mkdir()
    return tmp_path


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.ERROR, logger="templates_store")
    return caplog


def read(key: tuple[str, str] = MATCH) -> str:
    return get_popups().files[key].decode()


def test_what_stands_in_the_folder_hides_the_products_files(folder: Path) -> None:
    first = ensure_published()
    (folder / "de" / "match.html").write_text("<p>de</p>")
    (folder / "match.html").write_text("<p>all</p>")

    version = sync_folder()

    assert (version.number, version.source, version.created_by_name) == (first.number + 1, PopupSource.FOLDER, "")
    assert (read(), read(("en", "match.html"))) == ("<p>de</p>", "<p>all</p>")
    assert read(("de", "choice.html")) == read_shipped("de")["choice.html"]


def test_it_is_published_once(folder: Path) -> None:
    (folder / "match.html").write_text("<p>all</p>")

    assert sync_folder() == sync_folder()
    assert PopupVersion.objects.count() == 1


def test_an_administrators_file_hides_that_of_the_folder_until_it_is_given_up(folder: Path) -> None:
    publish_popups(changes={MATCH: "<p>administrator</p>"}, by=None)
    (folder / "match.html").write_text("<p>folder</p>")

    sync_folder()

    assert (read(), read(("en", "match.html"))) == ("<p>administrator</p>", "<p>folder</p>")
    publish_popups(changes={MATCH: None}, by=None)
    assert read() == "<p>folder</p>"


def test_a_file_that_leaves_the_folder_and_a_folder_that_is_no_longer_set_uncover_the_products(
    folder: Path, settings: Any
) -> None:
    (folder / "match.html").write_text("<p>folder</p>")
    (folder / "missed.html").write_text("<p>folder</p>")
    sync_folder()

    (folder / "match.html").unlink()
    assert sync_folder().source == PopupSource.FOLDER
    assert read() == read_shipped("de")["match.html"]
    assert read(("de", "missed.html")) == "<p>folder</p>"

    settings.POPUP_DIR = None
    assert sync_folder().source == PopupSource.FOLDER
    assert read(("de", "missed.html")) == read_shipped("de")["missed.html"]
    assert find_folder_state() is None


def test_without_folder_the_job_publishes_the_products_files() -> None:
    publish_changed_popups()

    assert PopupVersion.objects.get().source == PopupSource.SHIPPED
    assert find_folder_state() is None


def test_the_job_waits_until_nobody_writes_any_more(folder: Path) -> None:
    publish_changed_popups()
    (folder / "match.html").write_text("<p>half")
    publish_changed_popups()
    (folder / "match.html").write_text("<p>half and more</p>")
    publish_changed_popups()
    assert read() == read_shipped("de")["match.html"]

    publish_changed_popups()

    assert read() == "<p>half and more</p>"
    assert [version.source for version in PopupVersion.objects.order_by("number")] == ["shipped", "folder"]


def test_a_folder_that_is_gone_leaves_everything_as_it_was(
    folder: Path, settings: Any, logged: pytest.LogCaptureFixture
) -> None:
    (folder / "match.html").write_text("<p>folder</p>")
    version = sync_folder()
    settings.POPUP_DIR = folder / "gone"

    for _ in range(3):
        with pytest.raises(ValidationError) as refusal:
            sync_folder()

    problem = f"The folder {folder / 'gone'} cannot be read: No such file or directory."
    assert refusal.value.message_dict == {"__all__": [problem]}
    assert find_last_version() == version
    assert read() == "<p>folder</p>"
    assert logged.messages == [f"The popup files of {folder / 'gone'} stay as they were: {problem}"]
    state = find_folder_state()
    assert state is not None
    assert (state.path, [str(trouble) for trouble in state.troubles]) == (str(folder / "gone"), [problem])


def test_a_broken_file_is_logged_and_shown_once_until_it_is_mended(
    folder: Path, logged: pytest.LogCaptureFixture
) -> None:
    (folder / "de" / "match.html").write_text("<p>fine</p>")
    version = sync_folder()
    (folder / "de" / "match.html").write_text("<p>\n{% if %}</p>")
    (folder / "en").mkdir()

    for _ in range(3):
        publish_changed_popups()

    assert find_last_version() == version
    (line,) = logged.messages
    assert line.startswith(f"The popup files of {folder} stay as they were: de/match.html, line 2, column ")
    state = find_folder_state()
    assert state is not None
    ((path, number),) = [(trouble.path, trouble.line) for trouble in state.troubles]
    assert (path, number) == ("de/match.html", 2)

    (folder / "de" / "match.html").write_text("<p>mended</p>")
    publish_changed_popups()
    publish_changed_popups()
    state = find_folder_state()
    assert state is not None
    assert state.troubles == ()
    assert read() == "<p>mended</p>"
    (folder / "de" / "match.html").write_text("<p>\n{% if %}</p>")
    publish_changed_popups()
    publish_changed_popups()
    assert len(logged.messages) == 2


def test_a_broken_folder_does_not_hold_the_product_up(folder: Path) -> None:
    (folder / "macth.html").write_text("")

    with pytest.raises(ValidationError):
        sync_folder()

    assert PopupVersion.objects.get().source == PopupSource.SHIPPED


def test_a_name_that_is_no_unicode_is_told_as_well(folder: Path) -> None:
    (folder / b"\xff.html".decode(errors="surrogateescape")).write_text("")

    publish_changed_popups()

    state = find_folder_state()
    assert state is not None
    assert [trouble.path for trouble in state.troubles] == ["?.html"]
    assert state.checked_at == PopupFolder.objects.get().checked_at


def test_the_command_publishes_at_once_and_says_what_it_did(folder: Path) -> None:
    def run() -> str:
        call_command("publish_popups", stdout=(out := StringIO()))
        return out.getvalue()

    (folder / "match.html").write_text("<p>folder</p>")
    assert run() == f"Version {find_last_version()} is published.\n"
    assert run() == f"Nothing changed: version {find_last_version()} is in force.\n"
    (folder / "macth.html").write_text("")
    with pytest.raises(CommandError, match=r"because of this:\n  macth\.html: There is no popup file of this name"):
        run()
    (folder / "macth.html").unlink()
    folder.joinpath("match.html").unlink()
    folder.joinpath("de").rmdir()
    folder.rmdir()
    with pytest.raises(CommandError, match=r"because of this:\n  The folder .* cannot be read"):
        run()
    assert read() == "<p>folder</p>"


def test_the_setting_is_read_strictly() -> None:
    assert read_folder("X", {}) is None
    assert read_folder("X", {"X": ""}) is None
    assert read_folder("X", {"X": "/srv/popups"}) == Path("/srv/popups")
    for wrong in ("popups", "./popups", "~/popups", "/a\0b"):
        with pytest.raises(SettingsError, match="must be an absolute path"):
            read_folder("X", {"X": wrong})


def test_a_folder_that_cannot_be_read_is_a_warning_of_the_system_check(folder: Path, settings: Any) -> None:
    assert check_popup_folder() == []
    settings.POPUP_DIR = None
    assert check_popup_folder() == []
    for wrong, reason in (("gone", "No such file or directory"), ("file", "Not a directory")):
        (folder / "file").write_text("")
        settings.POPUP_DIR = folder / wrong
        (warning,) = check_popup_folder()
        assert (warning.id, warning.msg) == (
            "templates_store.W001",
            f"CMPHONE_POPUP_DIR: the folder {folder / wrong} cannot be read ({reason}).",
        )
