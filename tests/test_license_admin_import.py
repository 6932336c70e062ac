"""The page that imports a licence: what it shows before, what it refuses, and what comes into force by it."""

import base64
import re
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection, transaction
from django.test import Client
from django.urls import reverse
from django.utils.html import escape
from django.utils.safestring import mark_safe
from pytest_django.live_server_helper import LiveServer

from cmphone.contacts.models import User
from license.files import MAX_BYTES, format_public_key
from license.importing import import_license
from license.models import LicenseFile, Pool
from license.preview import SOON_DAYS
from license.selectors import site_day
from license.services import claim_seat
from tests.licenses import make_license, make_section
from tests.locks import start
from tests.make import PASSWORD, make_user

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Browser

URL = "/admin/license/licensefile/add/"
LIST = "/admin/license/licensefile/"
ENGLISH = {"accept-language": "en"}


def today() -> date:
    with connection.cursor() as cursor:
        cursor.execute("select statement_timestamp()")
        return site_day(cursor.fetchone()[0])


def pools() -> dict[str, int]:
    return dict(Pool.objects.values_list("name", "licensed"))


def log_in(client: Client, *rights: str, is_superuser: bool = False) -> User:
    user = make_user("admin", is_staff=True, is_superuser=is_superuser)
    user.user_permissions.set(Permission.objects.filter(content_type__app_label="license", codename__in=rights))
    client.force_login(user)
    return user


def send(client: Client, text: str | bytes) -> Any:
    """Upload bytes, or paste a text."""
    data = {"text": text} if isinstance(text, str) else {"file": SimpleUploadedFile("license.txt", text)}
    return client.post(URL, data, headers=ENGLISH)


def confirm(client: Client, page: Any, **changed: Any) -> Any:
    """Press the button of a preview."""
    form = page.context["confirmation"]
    return client.post(URL, {**form.initial, "_confirm": "x", **changed}, headers=ENGLISH)


def read_pool(page: Any, name: str) -> str:
    """Return what the preview says of a pool, in one line."""
    section = page.content.decode().partition(f'id="pool-{name}"')[2].partition("</section>")[0].partition(">")[2]
    return " ".join(re.sub(r"<[^>]*>", " ", section).split())


def read_refusal(page: Any) -> list[str]:
    assert page.status_code == 200
    return [message for messages in page.context["form"].errors.values() for message in messages]


@pytest.mark.django_db
class TestPreview:
    """What an import would change."""

    @pytest.fixture(autouse=True)
    def administrator(self, client: Client) -> User:
        import_license(text=make_license(make_section(), make_section("TRACK", licenses=5)), imported_by=None)
        return log_in(client, is_superuser=True)

    def test_each_pool_shows_what_changes(self, client: Client) -> None:
        sections = make_section(licenses=12, expires="30.06.2098", products="CM/Phone, CM/Track"), make_section("FAX")
        page = send(client, make_license(*sections))
        assert read_pool(page, "REST_USERS") == (
            "REST_USERS changes In force New Contract party Müller &amp; Söhne Müller &amp; Söhne "
            "Products CM/Phone CM/Phone, CM/Track Version 1 1 Expires on 31 December 2099 30 June 2098 "
            "Licences 10 12 In use now 0"
        )
        assert read_pool(page, "FAX") == (
            "FAX new Unknown section: kept and shown, not counted. In force New Contract party – Müller &amp; Söhne "
            "Products – CM/Phone Version – 1 Expires on – 31 December 2099 Licences – 10"
        )
        assert read_pool(page, "TRACK") == (
            "TRACK vanishes In force New Contract party Müller &amp; Söhne – Products CM/Phone – Version 1 – "
            "Expires on 31 December 2099 – Licences 5 –"
        )
        assert "<strong>12</strong>" in page.content.decode()
        assert "<strong>1</strong>" not in read_pool(page, "REST_USERS")

    def test_nothing_changes_by_looking(self, client: Client) -> None:
        send(client, make_license())
        assert pools() == {"REST_USERS": 10, "TRACK": 5}
        assert LicenseFile.objects.count() == 1

    def test_a_pool_that_stays_and_one_that_is_not_counted(self, client: Client) -> None:
        page = send(client, make_license(make_section(), make_section("TRACK", licenses=6)))
        assert read_pool(page, "REST_USERS").startswith("REST_USERS stays as it is In force")
        assert read_pool(page, "TRACK").startswith("TRACK changes Kept and shown, not counted here. In force")
        assert "All pools stay" not in page.content.decode()

    def test_the_same_licence_again_changes_nothing(self, client: Client) -> None:
        page = send(client, make_license(make_section(), make_section("TRACK", licenses=5)))
        assert "All pools stay as they are." in page.content.decode()

    def test_unknown_keys_are_shown(self, client: Client) -> None:
        page = send(client, make_license(make_section(more="note=<b>Bremen</b>\nx=1\n")))
        assert read_pool(page, "REST_USERS").endswith("the signature covers them: note=&lt;b&gt;Bremen&lt;/b&gt; x=1")

    def test_fewer_seats_than_are_in_use_are_warned_of(self, client: Client) -> None:
        user = make_user("agent1")
        for number in range(3):
            claim_seat(user=user, client_id=str(number))
        text = (
            "Fewer licences (2) than seats in use now (3): nobody is logged out; new log-ins wait until use has fallen."
        )
        assert text in read_pool(send(client, make_license(make_section(licenses=2))), "REST_USERS")
        assert "Fewer" not in read_pool(send(client, make_license(make_section(licenses=3))), "REST_USERS")

    @pytest.mark.parametrize(
        ("days", "text"),
        [
            (0, "Today is its last day."),
            (1, "It expires in 1 day."),
            (SOON_DAYS, "It expires in 30 days."),
            (SOON_DAYS + 1, None),
        ],
    )
    def test_a_licence_that_ends_soon_is_warned_of(self, client: Client, days: int, text: str | None) -> None:
        end = today() + timedelta(days=days)
        page = read_pool(send(client, make_license(make_section(expires=f"{end:%d.%m.%Y}"))), "REST_USERS")
        assert [each for each in ("Today is its last day.", "It expires in") if each in page] == (
            [] if text is None else [text[:13] if days else text]
        )
        assert text is None or text in page

    def test_another_section_that_is_over_says_so(self, client: Client) -> None:
        page = send(client, make_license(make_section(), make_section("TRACK", expires="01.01.2020")))
        assert "⚠ It has expired." in read_pool(page, "TRACK")

    def test_named_users_show_who_is_active(self, client: Client) -> None:
        make_user("left", is_active=False)
        page = send(client, make_license(make_section(), make_section("NAMED_USERS", licenses=5)))
        assert read_pool(page, "NAMED_USERS").endswith("Licences – 5 In use now 1")

    def test_a_licence_before_that_does_not_count_is_named(self, client: Client) -> None:
        warning = "does not count: it is signed for another key"
        assert warning not in send(client, make_license()).content.decode()
        LicenseFile.objects.update(public_key="another")
        assert warning in send(client, make_license()).content.decode()

    def test_the_first_licence_has_nothing_before_it(self, client: Client) -> None:
        Pool.objects.all().delete()
        LicenseFile.objects.all().delete()
        page = send(client, make_license())
        assert read_pool(page, "REST_USERS").startswith("REST_USERS new In force New Contract party – ")
        assert confirm(client, page).status_code == 302
        assert pools() == {"REST_USERS": 10}

    def test_a_file_of_an_editor_of_windows_is_read(self, client: Client) -> None:
        text = "# für Bremen\n; x\n" + make_license(make_section(licenses=7))
        page = send(client, b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())
        assert confirm(client, page).status_code == 302
        assert LicenseFile.objects.latest("id").text == text.replace("\n", "\r\n")
        assert pools() == {"REST_USERS": 7}


@pytest.mark.django_db
class TestRefusal:
    """A file that is refused changes nothing, and says where and why."""

    @pytest.fixture(autouse=True)
    def administrator(self, client: Client) -> User:
        import_license(text=make_license(make_section(licenses=4)), imported_by=None)
        return log_in(client, is_superuser=True)

    @pytest.mark.parametrize(
        ("text", "reason"),
        [
            (make_license().replace("=10", "=11"), "Line 1: The signature of section [REST_USERS] is wrong"),
            (make_license(key=Ed25519PrivateKey.generate()), "Line 1: The signature of section [REST_USERS] is wrong"),
            (make_license(make_section(expires="31.12.2020")), "Line 5: The licence expired on 31.12.2020."),
            (make_license() + make_license(), "Line 8: There is a section [REST_USERS] already."),
            (make_license().replace("version=1\n", ""), "Line 1: The section has no version, or an empty one."),
            (make_license().replace("31.12", "31.02"), "Line 5: “31.02.2099” is not a date of the form dd.mm.yyyy."),
            (make_license().replace("=10", "=ten"), "Line 6: “ten” is not a number of licences"),
            (make_license(make_section("TRACK")), "The file has no section [REST_USERS]."),
            (
                make_license(make_section(), make_section("NAMED_USERS", licenses=0)),
                "Line 14: More users are active (1)",
            ),
            (b"", "The file has no section [REST_USERS]."),
            (bytes(range(256)), "Line 2: This is not a text file in UTF-8."),
            (make_license().encode("utf-16"), "Line 1: This is not a text file in UTF-8."),
            (b"#" * (MAX_BYTES + 1), "The file is larger than 100 kB"),
            (b"\x00" * 3_000_000, "The file is larger than 100 kB"),
            ("#" * (MAX_BYTES + 1), "The file is larger than 100 kB"),
            ("", "Choose a licence file, or paste its text."),
            (" \n", "Choose a licence file, or paste its text."),
        ],
    )
    def test_it_is_told_with_line_and_reason(self, client: Client, text: str | bytes, reason: str) -> None:
        page = send(client, text)
        (refusal,) = read_refusal(page)
        assert refusal.startswith(reason)
        assert "Nothing was imported; the licence before stays in force." in page.content.decode()
        assert escape(mark_safe(refusal)) in page.content.decode()
        assert (pools(), LicenseFile.objects.count()) == ({"REST_USERS": 4}, 1)

    def test_a_file_and_a_text_at_once_are_refused(self, client: Client) -> None:
        data = {"file": SimpleUploadedFile("license.txt", make_license().encode()), "text": make_license()}
        page = client.post(URL, data, headers=ENGLISH)
        assert read_refusal(page) == ["Choose a file or paste a text, not both."]

    def test_a_server_without_a_key_says_so(self, client: Client, settings: Any) -> None:
        settings.LICENSE_PUBLIC_KEY = ""
        assert read_refusal(send(client, make_license()))[0].startswith("This server has no key to verify licences")

    def test_a_demo_licence_is_refused_in_production(self, client: Client, settings: Any) -> None:
        settings.PRODUCTION, settings.LICENSE_PUBLIC_KEY = (
            True,
            format_public_key(Ed25519PrivateKey.generate().public_key()),
        )
        settings.SECURE_SSL_REDIRECT = False
        assert read_refusal(send(client, make_license())) == [
            "Line 1: This is a demo licence, which does not count in production."
        ]


@pytest.mark.django_db
class TestConfirmation:
    """Bringing into force what the preview showed."""

    @pytest.fixture(autouse=True)
    def administrator(self, client: Client) -> User:
        import_license(text=make_license(make_section(licenses=4)), imported_by=None)
        return log_in(client, is_superuser=True)

    def test_it_is_in_force_at_once_and_remembered(self, client: Client, administrator: User) -> None:
        text = make_license(make_section(licenses=6), make_section("FAX"))
        response = confirm(client, send(client, text.encode()))
        assert (response.status_code, response["Location"]) == (302, LIST)
        page = client.get(LIST, headers=ENGLISH).content.decode()
        assert "The licence is in force, for FAX, REST_USERS." in page
        assert pools() == {"REST_USERS": 6, "FAX": 10}
        last = LicenseFile.objects.latest("id")
        assert (last.text, last.imported_by_name) == (text, administrator.username)
        assert LogEntry.objects.get().object_id == str(last.pk)

    def test_it_is_verified_again(self, client: Client) -> None:
        page = send(client, make_license())
        forged = send(client, make_license(make_section(licenses=999), key=Ed25519PrivateKey.generate()))
        assert read_refusal(forged)
        text = make_license().replace("=10", "=99")
        response = confirm(client, page, license=base64.b64encode(text.encode()).decode())
        assert read_refusal(response)[0].startswith("Line 1: The signature of section [REST_USERS] is wrong")
        assert pools() == {"REST_USERS": 4}

    def test_a_user_who_becomes_active_meanwhile_is_counted(self, client: Client) -> None:
        page = send(client, make_license(make_section(), make_section("NAMED_USERS", licenses=1)))
        make_user("agent1")
        response = confirm(client, page)
        assert read_refusal(response)[0].startswith("Line 14: More users are active (2)")
        assert pools() == {"REST_USERS": 4}

    def test_another_licence_in_between_is_shown_first(self, client: Client) -> None:
        page = send(client, make_license(make_section(licenses=6)))
        import_license(text=make_license(make_section(licenses=5)), imported_by=None)
        again = confirm(client, page)
        assert again.status_code == 200
        text = "Nothing was imported yet: somebody imported another licence meanwhile. Look again."
        assert text in again.content.decode()
        assert "Licences 5 6" in read_pool(again, "REST_USERS")
        assert pools() == {"REST_USERS": 5}
        assert confirm(client, again).status_code == 302
        assert pools() == {"REST_USERS": 6}

    def test_pressing_twice_imports_once(self, client: Client) -> None:
        page = send(client, make_license(make_section(licenses=6)))
        assert confirm(client, page).status_code == 302
        assert "All pools stay as they are." in confirm(client, page).content.decode()
        assert LicenseFile.objects.count() == 2

    @pytest.mark.parametrize(
        "broken",
        [{"license": "%%%"}, {"license": "gA=="}, {"license": ""}, {"last_file_id": "x"}, {"last_file_id": -1}],
    )
    def test_a_preview_that_came_back_broken_imports_nothing(self, client: Client, broken: dict[str, Any]) -> None:
        response = confirm(client, send(client, make_license()), **broken)
        assert "The preview came back incomplete. Choose the licence again." in response.content.decode()
        assert pools() == {"REST_USERS": 4}

    def test_a_form_from_elsewhere_is_refused(self, administrator: User) -> None:
        client = Client(enforce_csrf_checks=True)
        client.force_login(administrator)
        assert send(client, make_license()).status_code == 403
        assert client.post(URL, {"_confirm": "x"}).status_code == 403


@pytest.mark.django_db
class TestPermission:
    """Who may import, and who may look."""

    def test_who_may_only_look_sees_no_button_and_no_page(self, client: Client) -> None:
        import_license(text=make_license(make_section(licenses=4)), imported_by=None)
        log_in(client, "view_licensefile")
        assert "Import licence" not in client.get(LIST, headers=ENGLISH).content.decode()
        assert client.get(URL).status_code == 403
        assert send(client, make_license()).status_code == 403
        assert client.post(URL, {"_confirm": "x"}).status_code == 403
        assert pools() == {"REST_USERS": 4}

    def test_who_may_import_sees_the_button(self, client: Client) -> None:
        log_in(client, "view_licensefile", "add_licensefile")
        assert f'href="{URL}"' in client.get(LIST, headers=ENGLISH).content.decode()
        assert client.get(URL).status_code == 200

    def test_who_may_import_but_not_look_comes_to_the_start(self, client: Client) -> None:
        log_in(client, "add_licensefile")
        page = send(client, make_license())
        assert f'href="{LIST}"' not in page.content.decode()
        assert confirm(client, page)["Location"] == reverse("admin:index")
        assert pools() == {"REST_USERS": 10}

    def test_nobody_else_comes_near(self, client: Client) -> None:
        client.force_login(make_user("agent1"))
        assert client.get(URL).status_code == 302


@pytest.mark.django_db
class TestHistory:
    """Every import there was."""

    def test_the_list_says_when_by_whom_and_for_what_it_is_in_force(self, client: Client) -> None:
        user = log_in(client, "view_licensefile")
        import_license(text=make_license(), imported_by=None)
        import_license(text=make_license(make_section(), make_section("TRACK")), imported_by=user)
        page = client.get(LIST, headers=ENGLISH).content.decode()
        cells = re.findall(r'class="field-(who|pool_names)">([^<]*)<', page)
        assert cells == [
            ("who", "admin"),
            ("pool_names", "REST_USERS, TRACK"),
            ("who", "by command"),
            ("pool_names", "–"),
        ]

    def test_the_list_names_who_is_gone_by_now(self, client: Client) -> None:
        import_license(text=make_license(), imported_by=make_user("gone"))
        User.objects.filter(username="gone").delete()
        log_in(client, "view_licensefile")
        assert 'class="field-who">gone<' in client.get(LIST, headers=ENGLISH).content.decode()

    def test_one_import_shows_sections_and_text(self, client: Client) -> None:
        log_in(client, "view_licensefile")
        text = make_license(make_section(more="note=<Bremen>\n"), make_section("TRACK"), make_section("FAX"))
        file = import_license(text=text, imported_by=None)
        page = client.get(f"{LIST}{file.pk}/change/", headers=ENGLISH).content.decode()
        rows = [
            " ".join(re.sub(r"<[^>]*>", " ", row).split())
            for row in page.partition("field-sections")[2].split("<tr>")[2:5]
        ]
        rest = "10 31 December 2099 Müller &amp; Söhne CM/Phone 1"
        assert rows[0] == f"REST_USERS {rest} note=&lt;Bremen&gt;"
        assert rows[1] == f"TRACK not counted here {rest} –"
        assert rows[2].startswith(f"FAX unknown, not counted {rest} –")
        assert f"<pre class='license-text'>{escape(text)}</pre>" in page

    def test_one_that_cannot_be_read_any_more_still_has_its_page(self, client: Client) -> None:
        log_in(client, "view_licensefile")
        file = import_license(text=make_license(), imported_by=None)
        LicenseFile.objects.update(text="[X")
        page = client.get(f"{LIST}{file.pk}/change/", headers=ENGLISH).content.decode()
        assert "Line 1: This is neither a [SECTION] nor" in page


@pytest.mark.django_db(transaction=True)
def test_a_licence_that_others_hold_is_told_and_can_be_tried_again(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("license.waiting.WAIT_AT_MOST", timedelta(seconds=0.3))
    log_in(client, is_superuser=True)
    page = send(client, make_license())
    with ThreadPoolExecutor(1) as threads, transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("lock table license_licensefile in share row exclusive mode")
        held = start(threads, lambda: confirm(client, page)).result(timeout=10)
    assert "Others hold the licence for too long. Try again." in held.content.decode()
    assert pools() == {}
    assert confirm(client, held).status_code == 302
    assert pools() == {"REST_USERS": 10}


@pytest.mark.browser
@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("language", ["de", "en"])
def test_a_licence_is_imported_in_a_browser(
    chromium: "Browser", live_server: LiveServer, language: str, tmp_path: "Path"
) -> None:
    import_license(text=make_license(make_section(), make_section("TRACK")), imported_by=None)
    make_user("admin", password=PASSWORD, is_staff=True, is_superuser=True, language=language)
    good, bad = tmp_path / "good.txt", tmp_path / "bad.txt"
    sections = make_section(licenses=12), make_section("NAMED_USERS", licenses=5), make_section("FAX")
    good.write_bytes(b"\xef\xbb\xbf" + make_license(*sections).replace("\n", "\r\n").encode())
    bad.write_text(make_license().replace("=10", "=99"), encoding="utf-8")
    # Nothing of it needs a script.
    context = chromium.new_context(base_url=live_server.url, locale=language, java_script_enabled=False)
    page = context.new_page()
    page.goto("/admin/")
    page.fill("#id_username", "admin")
    page.fill("#id_password", PASSWORD)
    page.press("#id_password", "Enter")
    page.goto(LIST)
    page.click(".object-tools a")
    page.set_input_files("#id_file", bad)
    page.click("input[type=submit].default")
    assert "[REST_USERS]" in page.locator(".errorlist").inner_text()
    page.set_input_files("#id_file", good)
    page.click("input[type=submit].default")
    assert page.locator("section h2").all_inner_texts()[0].startswith("REST_USERS")
    assert page.locator("#pool-REST_USERS tbody tr").nth(4).locator("td").all_inner_texts() == ["10", "12"]
    for width in (1400, 390):
        page.set_viewport_size({"width": width, "height": 800})
        assert page.locator("html").bounding_box()["width"] <= width  # type: ignore[index]
    page.click("[name=_confirm]")
    assert "FAX, NAMED_USERS, REST_USERS" in page.locator(".messagelist").inner_text()
    page.locator("#result_list tbody th a").first.click()
    assert page.locator(".field-sections tbody tr").count() == 3
    assert page.locator("pre.license-text").inner_text().count("signature=") == 3
    context.close()
    assert pools() == {"REST_USERS": 12, "NAMED_USERS": 5, "FAX": 10}
