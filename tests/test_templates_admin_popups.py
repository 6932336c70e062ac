"""The admin pages of the popup files: what is in force, one file, previews, versions, a zip, rights."""

import base64
import io
import zipfile
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db.models.functions import Now
from django.test import Client
from django.urls import reverse

from cmphone.contacts.models import User
from templates_store.admin.forms import MAX_UPLOAD
from templates_store.admin.previews import SAMPLE_LABELS
from templates_store.models import PopupFile, PopupFolder, PopupVersion
from templates_store.popup_context import CONTEXT_NAMES, SAMPLES
from templates_store.popup_store import get_popups, publish_popups, sync_folder
from templates_store.popups import NAMES
from tests.make import give_rights, make_customer_group, make_person, make_user

pytestmark = pytest.mark.django_db

VIEW, PUBLISH = "view_popupversion", "add_popupversion"
KEY = ("de", "match.html")
ENGLISH = {"accept-language": "en"}
SECURITY_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'none'; base-uri 'none'; "
    "frame-ancestors 'self'"
)


def log_in(client: Client, *rights: str, is_superuser: bool = False, is_staff: bool = True) -> User:
    user = make_user("admin", is_staff=is_staff, is_superuser=is_superuser)
    user.user_permissions.set(Permission.objects.filter(content_type__app_label="templates_store", codename__in=rights))
    client.force_login(user)
    return user


def url(page: str, *arguments: object) -> str:
    return reverse(f"admin:templates_store_popupversion_{page}", args=arguments)


def get(client: Client, page: str, /, *arguments: object, **query: Any) -> Any:
    response = client.get(url(page, *arguments), query, headers=ENGLISH)
    assert response.status_code == 200, response.headers
    return response


def post(client: Client, page: str, /, *arguments: object, **values: object) -> Any:
    return client.post(url(page, *arguments), values, headers=ENGLISH)


def read_messages(client: Client) -> list[str]:
    return [str(message) for message in get(client, "changelist").context["messages"]]


def read_source(version: str | None = None) -> str:
    return get_popups(version).files[KEY].decode()


def mark(text: str) -> str:
    """Return the source of match.html with a text in every contact."""
    return read_source().replace('<article class="contact">', f'<article class="contact"><p>{text}</p>')


def publish(text: str, *, by: User | None = None, note: str = "") -> PopupVersion:
    return publish_popups(changes={KEY: mark(text)}, by=by, note=note)


def edit(client: Client, source: str, *, based_on: object = None, **values: object) -> Any:
    values = {"scope": "one", "based_on": based_on or get_popups().version, "source": source, **values}
    return post(client, "edit", *KEY, **values)


def read_cells(client: Client) -> dict[tuple[str, str], tuple[str, bool]]:
    """Return who made each file that the overview shows, and whether one of the folder is hidden."""
    rows = get(client, "changelist").context["rows"]
    return {(cell.language, row["name"]): (cell.layer, cell.hides_folder) for row in rows for cell in row["cells"]}


def list_links(response: Any) -> set[str]:
    content = response.content.decode()
    pages = [("edit", KEY), ("back", KEY), ("add", ()), ("history", ()), ("preview", ()), ("zip", ())]
    return {page for page, arguments in pages if f'href="{url(page, *arguments)}' in content}


def list_errors(response: Any) -> list[tuple[str, str, str]]:
    assert response.status_code == 200, response.headers
    return [(error.path, error.text, error.excerpt) for error in response.context["refusal"].errors]


def make_zip(**files: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(name.replace("__", "/").replace("_", "."), content)
    return buffer.getvalue()


def upload(client: Client, data: bytes) -> Any:
    return post(client, "add", file=SimpleUploadedFile("popups.zip", data))


@pytest.fixture
def administrator(client: Client) -> User:
    return log_in(client, is_superuser=True)


# --- the overview ---


def test_the_overview_says_which_version_is_in_force_and_who_made_each_file(
    client: Client, administrator: User, settings: Any, tmp_path: Path
) -> None:
    folder_files = {"withheld.html": "nomatch.html", "missed.html": "nomatch.html"}
    for name, like in folder_files.items():
        (tmp_path / name).write_bytes(get_popups().files["de", like])
    settings.POPUP_DIR = tmp_path
    sync_folder()
    source = get_popups().files["de", "withheld.html"].decode().replace("<article", "<article lang='de'")
    publish_popups(changes={KEY: mark("x"), ("en", "withheld.html"): source}, by=administrator, note="<b>Why</b>")

    page = get(client, "changelist")
    cells = read_cells(client)
    shipped = {key for key, cell in cells.items() if cell == ("shipped", False)}

    assert page.context["version"].number == int(get_popups().version)
    assert "&lt;b&gt;Why&lt;/b&gt;" in page.content.decode()
    assert "<b>Why</b>" not in page.content.decode()
    assert cells.keys() == {(language, name) for language in ("de", "en") for name in NAMES}
    assert {key: cell for key, cell in cells.items() if key not in shipped} == {
        KEY: ("override", False),
        ("en", "withheld.html"): ("override", True),
        ("de", "withheld.html"): ("folder", False),
        ("de", "missed.html"): ("folder", False),
        ("en", "missed.html"): ("folder", False),
    }
    assert list_links(page) == {"edit", "back", "add", "history", "preview", "zip"}


def test_the_overview_says_how_it_is_about_the_folder(
    client: Client, administrator: User, settings: Any, tmp_path: Path
) -> None:
    def read() -> str:
        return get(client, "changelist").content.decode()  # type: ignore[no-any-return]

    settings.POPUP_DIR = None
    assert "There is none. Set CMPHONE_POPUP_DIR" in read()

    settings.POPUP_DIR = tmp_path
    page = read()
    assert str(tmp_path) in page
    assert "Nobody has looked into it yet." in page
    assert "In step" not in page

    sync_folder()
    page = read()
    assert "In step with what is in force." in page
    assert "Nobody has looked" not in page

    PopupFolder.objects.update(checked_at=Now() - timedelta(minutes=3))
    assert "Nobody has looked into it since: the background jobs do not run." in read()

    # What was seen in another folder says nothing about this one.
    settings.POPUP_DIR = tmp_path / "other"
    assert "Nobody has looked into it yet." in read()

    settings.POPUP_DIR = tmp_path
    (tmp_path / "match.html").write_text("{{ numbr }}")
    with pytest.raises(Exception, match="numbr"):
        sync_folder()
    page = read()
    assert "Its files are not used; what was published before stays." in page
    assert "<strong>de/match.html</strong>: Line 1, column 4:" in page
    assert "In step" not in page


# --- one file ---


def test_a_file_is_edited_and_published(client: Client, administrator: User) -> None:
    before = get_popups()
    page = get(client, "edit", *KEY)
    form = page.context["form"]

    assert form["source"].value() == read_source()
    assert form["based_on"].value() == before.version
    assert [name for name, _meaning in page.context["names"]] == list(CONTEXT_NAMES)

    # As a browser sends it.
    source = mark("Hello").replace("\n", "\r\n")
    response = edit(client, source, note=" A word more ")

    version = PopupVersion.objects.get(number=get_popups().version)
    assert response.headers["location"] == url("changelist")
    assert read_messages(client) == [f"Version {version.number} is published."]
    assert read_source() == source.replace("\r\n", "\n")
    assert get_popups().files["en", "match.html"] == before.files["en", "match.html"]
    assert (version.created_by_name, version.note, version.source) == ("admin", "A word more", "administrator")
    entry = LogEntry.objects.get()
    assert (entry.user, entry.object_id, entry.is_addition()) == (administrator, str(version.number), True)
    assert entry.get_admin_url() == url("change", version.number)
    assert str(entry) == f"Added “{version.number}”."


def test_a_file_is_published_for_every_language(client: Client, administrator: User) -> None:
    source = mark("Hello")

    edit(client, source, scope="all")

    assert [get_popups().files[language, "match.html"].decode() for language in ("de", "en")] == [source, source]


@pytest.mark.parametrize(
    ("source", "text", "excerpt"),
    [
        (
            "<p>\n  {% for x %}</p>",
            "Line 2, column 3: expected token 'in', got 'end of statement block'",
            "{% for x %}</p>",
        ),
        ("<p>\r\n\r\n{{ numbr }}</p>", "Line 3, column 4: “numbr” is not known; there are", "{{ numbr }}</p>"),
        ("<script>", "Line 1, column ", "<script>"),
    ],
)
def test_an_error_is_shown_with_its_line_and_nothing_is_published(
    client: Client, administrator: User, source: str, text: str, excerpt: str
) -> None:
    before = get_popups().version

    response = edit(client, source, note="mine", scope="all")

    [(path, told, shown), (other_path, *_rest)] = list_errors(response)
    assert (path, other_path) == ("de/match.html", "en/match.html")
    assert told.startswith(text)
    assert shown == excerpt
    form = response.context["form"]
    assert (form["source"].value(), form["note"].value(), form["scope"].value()) == (source, "mine", "all")
    assert get_popups().version == before
    assert not LogEntry.objects.exists()


def test_what_is_in_force_already_makes_no_version(client: Client, administrator: User) -> None:
    before = get_popups().version

    edit(client, read_source())

    assert read_messages(client) == ["Nothing was changed."]
    assert get_popups().version == before
    assert not LogEntry.objects.exists()


def test_who_was_overtaken_is_told_by_whom_and_publishes_again_knowingly(client: Client, administrator: User) -> None:
    seen = get_popups().version
    mine = mark("mine")
    other = publish("theirs", by=make_user("other"))

    response = edit(client, mine, based_on=seen, note="my note")

    text = response.content.decode()
    assert f"Meanwhile version {other.number} was published (other)." in text
    assert "It was published on " in text
    form = response.context["form"]
    assert (form["source"].value(), form["note"].value()) == (mine, "my note")
    [difference] = response.context["differences"]
    changed = [line for line in difference.difference.lines if line[0] in "+-"]
    assert changed == [
        ("-", '  <article class="contact"><p>theirs</p>'),
        ("+", '  <article class="contact"><p>mine</p>'),
    ]
    assert int(get_popups().version) == other.number

    edit(client, mine, based_on=form["based_on"].value())

    assert read_source() == mine


def test_a_crafted_post_without_the_version_seen_publishes_nothing(client: Client, administrator: User) -> None:
    before = get_popups().version

    response = post(client, "edit", *KEY, source=mark("x"), scope="one")

    assert response.context["form"].errors == {"based_on": ["This field is required."]}
    assert get_popups().version == before


@pytest.mark.parametrize("key", [("fr", "match.html"), ("de", "other.html"), ("de", "..")])
def test_there_is_no_page_of_a_file_that_is_none(client: Client, administrator: User, key: tuple[str, str]) -> None:
    for page in ("edit", "back"):
        assert client.get(url(page, *key)).status_code == 404
        assert post(client, page, *key, source="", scope="one", based_on="1", _confirm="x").status_code == 404


def test_a_file_goes_back_to_the_shipped_one(client: Client, administrator: User) -> None:
    shipped = read_source()
    changed = publish("x")

    page = get(client, "back", *KEY)
    [difference] = page.context["differences"]
    assert difference.paths == ("de/match.html",)
    assert int(get_popups().version) == changed.number

    response = post(client, "back", *KEY, _confirm="x", based_on=page.context["form"]["based_on"].value(), note="back")

    assert response.headers["location"] == url("changelist")
    assert read_source() == shipped
    assert read_cells(client)[KEY] == ("shipped", False)
    assert LogEntry.objects.get().object_id == get_popups().version


# --- previews ---


def test_every_sample_has_a_label() -> None:
    assert SAMPLE_LABELS.keys() == SAMPLES.keys()


@pytest.mark.parametrize("language", ["de", "en"])
def test_every_state_is_previewed_in_a_frame_that_may_do_nothing(
    client: Client, administrator: User, language: str
) -> None:
    response = get(client, "popups", language=language)

    assert response.headers["content-security-policy"] == SECURITY_POLICY
    assert response.headers["x-frame-options"] == "SAMEORIGIN"
    shown = response.context["shown"]
    assert [(state.title, state.name) for state in shown] == [
        (SAMPLE_LABELS[sample], name) for sample, (name, *_rest) in SAMPLES.items()
    ]
    assert {state.name for state in shown} == {name for name in NAMES if name != "popup.css"}
    assert [[(look.width, look.scheme) for look in state.looks] for state in shown] == [
        [(320, "light"), (480, "dark")]
    ] * len(SAMPLES)
    content = response.content.decode()
    assert content.count('<iframe sandbox title="') == 2 * len(SAMPLES)
    assert content.count(f"&lt;html lang=&quot;{language}&quot;") == 2 * len(SAMPLES)
    assert "<script" not in content


def test_one_state_is_previewed_in_both_widths_and_colours(client: Client, administrator: User) -> None:
    [state] = get(client, "popups", language="de", sample="match").context["shown"]

    assert [(look.width, look.scheme) for look in state.looks] == [
        (320, "light"),
        (320, "dark"),
        (480, "light"),
        (480, "dark"),
    ]
    light, dark = state.looks[0].page, state.looks[1].page
    assert "@media (max-width: 0)" in light
    assert "@media (min-width: 0)" in dark
    assert ("color-scheme: light;" in light, "color-scheme: dark;" in dark) == (True, True)
    assert "prefers-color-scheme" not in light + dark


def test_the_text_being_edited_is_previewed_without_saving(client: Client, administrator: User) -> None:
    before = get_popups().version
    values = {"language": "de", "file": "match.html", "source": mark("not saved").replace("\n", "\r\n")}

    response = post(client, "popups", **values)

    shown = response.context["shown"]
    assert response.headers["content-security-policy"] == SECURITY_POLICY
    assert {state.name for state in shown} == {"match.html"}
    assert all("<p>not saved</p>" in look.page for state in shown for look in state.looks)
    assert get_popups().version == before

    response = post(client, "popups", **{**values, "source": "{{ numbr }}"})
    [error] = response.context["errors"]
    assert (error.path, error.excerpt) == ("de/match.html", "{{ numbr }}")
    assert response.context["shown"] == []
    assert response.headers["content-security-policy"] == SECURITY_POLICY


def test_a_source_in_an_address_is_not_previewed(client: Client, administrator: User) -> None:
    response = get(client, "popups", language="de", file="match.html", source="crafted", number="123")

    assert {state.name for state in response.context["shown"]} == {"match.html"}
    assert not any("crafted" in look.page for state in response.context["shown"] for look in state.looks)


def test_an_older_version_is_previewed(client: Client, administrator: User) -> None:
    old = publish("old")
    publish("new")

    [state] = get(client, "popups", language="de", sample="match", version=old.number).context["shown"]

    assert "<p>old</p>" in state.looks[0].page
    assert client.get(url("popups"), {"language": "de", "version": "999999"}).status_code == 404


def test_a_preview_of_something_unknown_says_so(client: Client, administrator: User) -> None:
    for values in ({"language": "fr"}, {"language": "de", "sample": "x"}, {"language": "de", "file": "../x"}):
        response = get(client, "popups", **values)
        assert list(response.context["form"].errors) == [list(values)[-1]]
        assert "shown" not in response.context
        assert response.headers["content-security-policy"] == SECURITY_POLICY


def test_a_real_caller_is_previewed_by_the_rights_of_who_looks(client: Client) -> None:
    user = log_in(client, VIEW)
    group = make_customer_group(country_prefix="49")
    hidden = make_customer_group("hidden", group.contact_model)
    make_person(group, "<script>alert(1)</script>", phone="+49 211 33990312")
    make_person(hidden, "Secret", phone="+49 211 33990312")
    values = {"language": "de", "number": "+4921133990312"}

    def show() -> list[tuple[str, str]]:
        shown = post(client, "popups", **values).context["shown"]
        return [(state.name, state.looks[0].page) for state in shown]

    assert [name for name, _page in show()] == ["incoming.html", "nomatch.html", "missed.html"]

    give_rights(user, group)
    shown = show()
    assert [name for name, _page in shown] == ["incoming.html", "match.html", "missed.html"]
    assert "Maria &lt;script&gt;alert(1)&lt;/script&gt;" in shown[1][1]
    # In the language of the preview, which is not his own.
    assert "customers de" in shown[1][1]
    assert not any("Secret" in page for _name, page in shown)

    give_rights(user, hidden)
    shown = show()
    assert [name for name, _page in shown] == ["incoming.html", "choice.html", "missed.html"]
    assert "Secret" in shown[1][1]


# --- versions ---


def test_the_history_says_who_changed_which_files(client: Client, administrator: User) -> None:
    first = get_popups()
    second = publish("one", by=administrator, note="why")
    third = publish_popups(changes={KEY: None, ("en", "popup.css"): "body { margin: 0 }"}, by=None)

    page = get(client, "history")

    assert [(version.number, files) for version, files in page.context["rows"]] == [
        (third.number, ["de/match.html", "en/popup.css"]),
        (second.number, ["de/match.html"]),
        (int(first.version), None),
    ]
    content = page.content.decode()
    assert f'href="{url("roll_back", second.number)}"' in content
    assert f'href="{url("roll_back", third.number)}"' not in content


def test_a_long_history_has_pages(client: Client, administrator: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("templates_store.admin.overview.PER_PAGE", 2)
    first = get_popups()
    numbers = [publish(str(n)).number for n in range(3)]

    def read(page: object) -> list[tuple[int, Any]]:
        return [(version.number, files) for version, files in get(client, "history", page=page).context["rows"]]

    assert read(1) == [(numbers[2], ["de/match.html"]), (numbers[1], ["de/match.html"])]
    assert read(2) == [(numbers[0], ["de/match.html"]), (int(first.version), None)]
    assert read("x") == read(1)


def test_a_version_shows_how_it_differs_from_the_one_before_or_another(client: Client, administrator: User) -> None:
    first = get_popups()
    publish("<i>one</i>")
    source = read_source().replace("<i>one</i>", "<i>two</i>")
    third = publish_popups(changes={KEY: source, ("en", "match.html"): source}, by=None)

    page = get(client, "change", third.number)
    both = {each.paths: each.difference.kind for each in page.context["differences"]}
    content = page.content.decode()
    assert both == {("de/match.html",): "changed", ("en/match.html",): "changed"}
    assert "&lt;i&gt;two&lt;/i&gt;" in content
    assert "<i>two</i>" not in content

    # Files that differ in the same way are shown once.
    page = get(client, "change", third.number, against=first.version)
    assert [each.paths for each in page.context["differences"]] == [("de/match.html", "en/match.html")]

    page = get(client, "change", first.version)
    assert page.context["differences"] == []
    assert "it is the oldest version" in page.content.decode()
    assert client.get(url("change", third.number), {"against": "999999"}).status_code == 404
    assert client.get(url("change", 999_999)).status_code == 404
    assert client.get(url("change", 10**30)).status_code == 404


def test_an_older_version_is_rolled_back_to_as_a_new_one(client: Client, administrator: User) -> None:
    old = publish("old")
    wanted = read_source()
    publish_popups(changes={KEY: None}, by=None)

    page = get(client, "roll_back", old.number)
    assert [each.paths for each in page.context["differences"]] == [("de/match.html",)]
    response = post(client, "roll_back", old.number, _confirm="x", based_on=page.context["version"], note="oops")

    version = PopupVersion.objects.get(number=get_popups().version)
    assert response.headers["location"] == url("changelist")
    assert version.number > old.number
    assert (version.source, version.note, version.created_by_name) == ("rollback", "oops", "admin")
    assert read_source() == wanted
    assert LogEntry.objects.get().object_id == str(version.number)
    assert read_messages(client) == [f"Rolled back: the older files are in force again, as version {version.number}."]


def test_a_roll_back_that_was_overtaken_is_asked_for_again(client: Client, administrator: User) -> None:
    old = publish("old")
    seen = publish("new")
    other = publish("newer", by=make_user("other"))

    response = post(client, "roll_back", old.number, _confirm="x", based_on=seen.number, note="oops")

    assert f"Meanwhile version {other.number} was published (other)." in response.context["refusal"].conflict
    assert response.context["form"]["based_on"].value() == str(other.number)
    assert response.context["form"]["note"].value() == "oops"
    assert int(get_popups().version) == other.number


def test_all_files_are_downloaded(client: Client, administrator: User) -> None:
    old = get_popups()
    new = publish("x")

    for response, popups in [(get(client, "zip"), get_popups()), (get(client, "zip_of", old.version), old)]:
        with zipfile.ZipFile(io.BytesIO(response.content)) as archive:
            files = {tuple(name.split("/")): archive.read(name) for name in archive.namelist()}
        assert files == dict(popups.files)
        name = f"popup-templates-{popups.version}.zip"
        assert response.headers["content-disposition"] == f'attachment; filename="{name}"'
    assert int(get_popups().version) == new.number


# --- a zip ---


def test_a_zip_is_looked_at_then_published(client: Client, administrator: User) -> None:
    publish("old")
    shipped = get_popups().files["en", "match.html"].decode()
    before = get_popups().version
    data = make_zip(de__match_html=shipped, popup_css="body { margin: 0 }")

    page = upload(client, data)

    assert [(each.paths, each.difference.kind) for each in page.context["differences"]] == [
        (("de/match.html",), "changed"),
        (("de/popup.css", "en/popup.css"), "changed"),
    ]
    assert get_popups().version == before

    sent = {"zip": page.context["zip"], "based_on": page.context["form"]["based_on"].value(), "note": "all"}
    response = post(client, "add", _confirm="x", **sent)

    version = PopupVersion.objects.get(number=get_popups().version)
    assert response.headers["location"] == url("changelist")
    assert (version.source, version.note, version.created_by_name) == ("zip", "all", "admin")
    assert read_source() == shipped
    assert get_popups().files["en", "popup.css"] == b"body { margin: 0 }"
    assert LogEntry.objects.get().object_id == str(version.number)
    # A file that says what is shipped is no longer a change.
    assert read_cells(client)[KEY] == ("shipped", False)


def test_what_a_download_has_changes_nothing(client: Client, administrator: User) -> None:
    publish("x")

    page = upload(client, get(client, "zip").content)

    assert page.context["differences"] == []
    assert "Nothing would change" in page.content.decode()


def test_a_zip_with_errors_names_every_file_and_publishes_nothing(client: Client, administrator: User) -> None:
    before = get_popups().version

    assert [path for path, *_rest in list_errors(upload(client, make_zip(de__other_html="x", en__x_css="x")))] == [
        "de/other.html",
        "en/x.css",
    ]
    assert list_errors(upload(client, b"no zip")) == [("", "This is not a zip file, or it is damaged.", "")]
    broken = make_zip(de__match_html="{{ numbr }}", en__match_html=mark("x"))
    [(path, text, _excerpt)] = list_errors(upload(client, broken))
    assert path == "de/match.html"
    assert text.startswith("Line 1, column 4: “numbr” is not known")

    # As it comes back it is looked at anew.
    crafted = {"zip": base64.b64encode(broken).decode(), "based_on": before, "_confirm": "x"}
    assert [path for path, *_rest in list_errors(post(client, "add", **crafted))] == ["de/match.html"]
    response = post(client, "add", **{**crafted, "zip": "ä"})
    assert [str(message) for message in response.context["messages"]] == [
        "The preview came back incomplete. Choose the file again."
    ]
    response = upload(client, bytes(MAX_UPLOAD + 1))
    assert response.context["form"].errors == {"file": [f"A zip file has at most {MAX_UPLOAD} bytes."]}
    assert get_popups().version == before


def test_the_largest_zip_comes_back_from_the_preview(client: Client, administrator: User) -> None:
    data = base64.b64encode(bytes(MAX_UPLOAD)).decode()

    response = post(client, "add", zip=data, based_on=get_popups().version, _confirm="x")

    assert list_errors(response) == [("", "This is not a zip file, or it is damaged.", "")]


# --- rights ---

LOOKING = ["changelist", "history", "preview", "popups", "zip", "change", "zip_of"]
PUBLISHING = ["edit", "back", "roll_back", "add"]


def list_urls(pages: list[str]) -> list[str]:
    number = get_popups().version
    arguments: dict[str, tuple[object, ...]] = {"edit": KEY, "back": KEY}
    numbered = {"change", "zip_of", "roll_back"}
    return [url(page, *((number,) if page in numbered else arguments.get(page, ()))) for page in pages]


def count_rows() -> tuple[int, int, int]:
    return PopupVersion.objects.count(), PopupFile.objects.count(), LogEntry.objects.count()


def try_everything(client: Client, urls: list[str]) -> list[int]:
    """Open the pages, and send what would publish on each."""
    source = mark("crafted")
    values = {
        "language": "de",
        "source": source,
        "scope": "one",
        "based_on": get_popups().version,
        "_confirm": "x",
        "zip": base64.b64encode(make_zip(de__match_html=source)).decode(),
    }
    statuses = [client.get(each).status_code for each in urls]
    return statuses + [client.post(each, values).status_code for each in urls]


def test_who_may_not_view_versions_sees_nothing_and_publishes_nothing(client: Client) -> None:
    publish("x")
    log_in(client, PUBLISH)
    urls = list_urls([*LOOKING, *PUBLISHING])
    before = count_rows()

    assert try_everything(client, urls) == [403] * 2 * len(urls)
    assert count_rows() == before


def test_who_may_only_view_versions_publishes_nothing(client: Client) -> None:
    publish("x")
    log_in(client, VIEW)
    before = count_rows()

    assert try_everything(client, list_urls(PUBLISHING)) == [403] * 2 * len(PUBLISHING)
    assert [client.get(each, {"language": "de"}).status_code for each in list_urls(LOOKING)] == [200] * len(LOOKING)
    assert list_links(get(client, "changelist")) == {"history", "preview", "zip"}
    assert "roll-back" not in get(client, "history").content.decode()
    response = post(client, "popups", language="de", file="match.html", source="x")
    assert response.status_code == 403
    assert count_rows() == before


def test_who_may_both_publishes(client: Client) -> None:
    log_in(client, VIEW, PUBLISH)

    assert edit(client, mark("x")).status_code == 302
    assert "<p>x</p>" in read_source()


@pytest.mark.parametrize("who", ["nobody", "no staff"])
def test_the_administration_is_for_staff(client: Client, who: str) -> None:
    if who == "no staff":
        log_in(client, VIEW, PUBLISH, is_staff=False)
    urls = list_urls([*LOOKING, *PUBLISHING])
    before = count_rows()

    assert try_everything(client, urls) == [302] * 2 * len(urls)
    assert client.get(urls[0]).headers["location"].startswith("/admin/login/")
    assert count_rows() == before


def test_opening_a_page_changes_nothing(client: Client, administrator: User) -> None:
    publish("x")
    before = count_rows()

    values = {"language": "de", "_confirm": "x", "based_on": get_popups().version, "source": "x", "scope": "one"}
    for each in list_urls([*LOOKING, *PUBLISHING]):
        assert client.get(each, values).status_code == 200

    assert count_rows() == before


def test_a_form_from_elsewhere_is_refused(administrator: User) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(administrator)
    publish("x")
    urls = list_urls([*PUBLISHING, "popups"])
    before = count_rows()

    assert try_everything(client, urls)[len(urls) :] == [403] * len(urls)
    assert count_rows() == before


def test_a_version_is_neither_changed_nor_deleted_here(client: Client, administrator: User) -> None:
    version = publish("x")

    assert client.post(f"/admin/templates_store/popupversion/{version.number}/delete/").status_code == 404
    post(client, "change", version.number, note="other")
    version.refresh_from_db()
    assert version.note == ""
