"""Importing a licence: by service and by command, in production and outside it, and what a refusal leaves alone."""

import io
import sys
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.core.management import CommandError, call_command
from django.test import override_settings
from django.utils import translation
from pytest_django import Settings

from cmphone.contacts.models import User
from license.checks import check_public_key
from license.files import PRODUCT, Refusal, format_public_key, parse_license, verify_license
from license.importing import import_license
from license.models import LicenseFile, Pool
from license.problems import LicenseMissing, LicenseRefused
from license.selectors import PoolState, find_pool_state, list_pool_states
from license.services import claim_seat
from tests.licenses import DEMO_KEY, DEMO_LICENSE, make_license, make_section

pytestmark = pytest.mark.django_db


def pools() -> dict[str, int]:
    return dict(Pool.objects.values_list("name", "licensed"))


def refusal_of(text: str | bytes) -> LicenseRefused:
    before = pools()
    with pytest.raises(LicenseRefused) as caught:
        import_license(text=text, imported_by=None)
    assert pools() == before
    return caught.value


def test_the_demo_licence_is_for_ten_clients_and_signed_with_the_published_key(settings: Settings) -> None:
    assert format_public_key(DEMO_KEY.public_key()) == settings.DEMO_LICENSE_PUBLIC_KEY
    granted = parse_license(DEMO_LICENSE.read_bytes())
    section = verify_license(granted, public_key=DEMO_KEY.public_key(), today=date(2099, 12, 31))
    assert (section.licensed, section.products) == (10, (PRODUCT,))


def test_an_import_is_in_force_at_once_and_remembered() -> None:
    user = User.objects.create(username="admin")
    text = make_license(make_section(licenses=3, products="CM/Track, CM/Phone"), make_section("TRACK", licenses=7))
    license_file = import_license(text="\ufeff" + text, imported_by=user)
    assert (license_file.text, license_file.imported_by_name) == (text, user.username)
    assert pools() == {"REST_USERS": 3, "TRACK": 7}
    pool = Pool.objects.get(name="REST_USERS")
    assert pool.contract_party == "Müller & Söhne"
    assert pool.products == "CM/Track, CM/Phone"
    assert pool.version == "1"
    assert pool.expires_on == date(2099, 12, 31)
    assert pool.license_file == license_file


def test_a_new_file_replaces_all_pools_and_keeps_the_old_file_as_history() -> None:
    import_license(text=make_license(make_section(), make_section("TRACK"), make_section("FAX")), imported_by=None)
    import_license(text=make_license(make_section(licenses=2), make_section("ADDONS", licenses=1)), imported_by=None)
    assert pools() == {"REST_USERS": 2, "ADDONS": 1}
    assert LicenseFile.objects.count() == 2


def test_a_smaller_licence_ends_no_session() -> None:
    import_license(text=make_license(), imported_by=None)
    user = User.objects.create(username="agent1")
    for number in range(3):
        claim_seat(user=user, client_id=f"client {number}")
    import_license(text=make_license(make_section(licenses=1)), imported_by=None)
    state = find_pool_state()
    assert state is not None
    assert (state.licensed, state.in_use, state.free) == (1, 3, 0)


def test_every_pool_is_told_with_its_use_and_its_days() -> None:
    import_license(text=make_license(make_section(), make_section("TRACK", expires="01.01.2020")), imported_by=None)
    claim_seat(user=User.objects.create(username="agent1"), client_id="client")
    rest, track = list_pool_states()
    assert rest == PoolState("REST_USERS", 10, 1, date(2099, 12, 31), rest.days_left)
    assert rest.days_left > 20_000
    assert rest.free == 9
    assert (track.name, track.in_use) == ("TRACK", 0)
    assert track.days_left < -2000
    assert find_pool_state("NAMED_USERS") is None


@pytest.mark.parametrize(
    ("text", "code", "line"),
    [
        (make_license().replace("licenses=10", "licenses=99"), Refusal.BAD_SIGNATURE, 1),
        (make_license(key=Ed25519PrivateKey.generate()), Refusal.BAD_SIGNATURE, 1),
        (make_license(make_section(expires="31.12.2020")), Refusal.EXPIRED, 5),
        (make_license(make_section(products="CM/Track")), Refusal.OTHER_PRODUCT, 3),
        (make_license(make_section("TRACK")), Refusal.NO_SECTION, None),
        (make_license().replace("licenses=10", "licenses=-1"), Refusal.BAD_COUNT, 6),
        (make_license().replace("31.12.2099", "31.02.2099"), Refusal.BAD_DATE, 5),
        (make_license().replace("version=1\n", ""), Refusal.MISSING_KEY, 1),
        (make_license().replace("version=1\n", "version=1\nversion=1\n"), Refusal.DUPLICATE_KEY, 5),
        (make_section(), Refusal.MISSING_KEY, 1),
        (make_license() + make_license(), Refusal.DUPLICATE_SECTION, 8),
        ("version=1\n" + make_license(), Refusal.KEY_OUTSIDE_SECTION, 1),
        (make_license().replace("version=1", "version=1\nnote=added"), Refusal.BAD_SIGNATURE, 1),
        (make_license(make_section(), make_section("FAX")).replace("[FAX]", "[FAXES]"), Refusal.BAD_SIGNATURE, 9),
        ("# comment\r\n\r\n" + make_license().replace("=10", "=1x").replace("\n", "\r\n"), Refusal.BAD_COUNT, 8),
        ("\ufeff" + make_license().replace("31.12.2099", "1.1.2099"), Refusal.BAD_DATE, 5),
        (b"\xff\xfe", Refusal.NOT_TEXT, 1),
        ("", Refusal.NO_SECTION, None),
    ],
)
def test_a_refused_file_leaves_the_old_licence_in_force(text: str | bytes, code: Refusal, line: int | None) -> None:
    import_license(text=make_license(make_section(licenses=4), make_section("TRACK")), imported_by=None)
    problem = refusal_of(text)
    assert (problem.code, problem.line) == (code, line)
    assert (problem.slug, problem.status) == ("invalid-request", 400)
    assert [error["code"] for error in problem.errors] == [code.value]
    assert pools() == {"REST_USERS": 4, "TRACK": 10}
    assert LicenseFile.objects.count() == 1


def test_one_bad_signature_refuses_the_whole_file() -> None:
    text = make_license(make_section(), make_section("TRACK", licenses=5)).replace("licenses=5", "licenses=6")
    assert refusal_of(text).code == Refusal.BAD_SIGNATURE
    assert pools() == {}


def test_a_refusal_names_line_and_reason() -> None:
    with translation.override("en"):
        problem = refusal_of(make_license().replace("31.12.2099", "31.13.2099"))
    assert problem.detail == "Line 5: “31.13.2099” is not a date of the form dd.mm.yyyy."


class TestProduction:
    """A production server takes no demo licence, in whatever way it comes."""

    own_key = Ed25519PrivateKey.generate()

    @pytest.fixture(autouse=True)
    def in_production(self) -> Iterator[None]:
        with override_settings(PRODUCTION=True, LICENSE_PUBLIC_KEY=format_public_key(self.own_key.public_key())):
            yield

    def test_its_own_licence_counts(self) -> None:
        import_license(text=make_license(key=self.own_key), imported_by=None)
        assert claim_seat(user=User.objects.create(username="agent1"), client_id="client").in_use == 1

    def test_a_demo_licence_is_refused_for_what_it_is(self) -> None:
        assert refusal_of(DEMO_LICENSE.read_bytes()).code == Refusal.DEMO_SIGNED
        changed = DEMO_LICENSE.read_text().replace("licenses=10", "licenses=11")
        assert refusal_of(changed).code == Refusal.BAD_SIGNATURE

    def test_the_demo_key_is_refused_as_configured_key(self, settings: Settings) -> None:
        settings.LICENSE_PUBLIC_KEY = settings.DEMO_LICENSE_PUBLIC_KEY
        assert refusal_of(DEMO_LICENSE.read_bytes()).code == Refusal.UNUSABLE_KEY

    def test_a_demo_licence_that_is_in_the_database_already_gives_no_seat(self, settings: Settings) -> None:
        own_key = settings.LICENSE_PUBLIC_KEY
        settings.PRODUCTION, settings.LICENSE_PUBLIC_KEY = False, settings.DEMO_LICENSE_PUBLIC_KEY
        import_license(text=DEMO_LICENSE.read_bytes(), imported_by=None)
        user = User.objects.create(username="agent1")
        claim_seat(user=user, client_id="client")
        settings.PRODUCTION = True
        for key in (own_key, settings.DEMO_LICENSE_PUBLIC_KEY):
            settings.LICENSE_PUBLIC_KEY = key
            with pytest.raises(LicenseMissing):
                claim_seat(user=user, client_id="client")
            assert list_pool_states() == []


class TestChecks:
    """The system check of the public key."""

    def test_the_demo_key_is_fine_outside_production(self) -> None:
        assert check_public_key() == []

    @pytest.mark.parametrize("key", ["", "AAAA", "not a key"])
    def test_a_malformed_key_is_an_error_anywhere(self, settings: Settings, key: str) -> None:
        settings.LICENSE_PUBLIC_KEY = key
        assert [error.id for error in check_public_key()] == ["license.E001"]
        assert refusal_of(make_license()).code == Refusal.UNUSABLE_KEY

    def test_the_demo_key_is_an_error_in_production(self, settings: Settings) -> None:
        settings.PRODUCTION = True
        (error,) = check_public_key()
        assert error.id == "license.E002"
        assert error.hint

    def test_another_key_is_fine_in_production(self, settings: Settings) -> None:
        settings.PRODUCTION = True
        settings.LICENSE_PUBLIC_KEY = format_public_key(Ed25519PrivateKey.generate().public_key())
        assert check_public_key() == []


class TestCommand:
    """`manage.py import_license`."""

    def run(self, file: Path | str) -> str:
        out = io.StringIO()
        call_command("import_license", str(file), stdout=out)
        return out.getvalue()

    def refusal_of(self, file: Path | str) -> str:
        before = LicenseFile.objects.count()
        with pytest.raises(CommandError) as caught:
            self.run(file)
        assert LicenseFile.objects.count() == before
        assert caught.value.returncode != 0
        return str(caught.value)

    def test_it_prints_every_pool(self, tmp_path: Path) -> None:
        file = tmp_path / "license.txt"
        tomorrow = date.today() + timedelta(days=2)  # noqa: DTZ011
        sections = (
            make_section(),
            make_section("TRACK", licenses=5, expires=f"{tomorrow:%d.%m.%Y}"),
            make_section("FAX", licenses=1),
            make_section("NAMED_USERS", licenses=3),
        )
        file.write_text(make_license(*sections), encoding="utf-8")
        assert self.run(file).splitlines() == [
            "The licence is in force:",
            "  FAX: 1 licence, valid to 31.12.2099, Müller & Söhne (unknown section: kept, not counted)",
            "  NAMED_USERS: 3 licences, valid to 31.12.2099, Müller & Söhne",
            "  REST_USERS: 10 licences, valid to 31.12.2099, Müller & Söhne",
            f"  TRACK: 5 licences, valid to {tomorrow:%d.%m.%Y}, Müller & Söhne (kept, not counted here)",
        ]
        assert LicenseFile.objects.get().imported_by_name == ""

    def test_it_reads_standard_input(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(DEMO_LICENSE.read_bytes())))
        assert "REST_USERS: 10 licences" in self.run("-")
        assert self.refusal_of("-") == "standard input: The file has no section [REST_USERS]."

    @pytest.mark.parametrize(
        ("content", "reason"),
        [
            (b"", "no section [REST_USERS]"),
            (make_license().encode("latin-1"), "Line 2: This is not a text file in UTF-8."),
            (bytes(range(256)), "not a text file"),
            (b"#" * 200_000, "larger than 100 kB"),
            (make_license().replace("=10", "=-10").encode(), "Line 6: “-10” is not a number of licences"),
            (make_license().replace("=10", "=12").encode(), "Line 1: The signature of section [REST_USERS] is wrong"),
            (make_license(make_section(expires="31.12.2020")).encode(), "Line 5: The licence expired on 31.12.2020."),
            (make_license(make_section(products="CM/X")).encode(), "Line 3: The licence is for another product (CM/X)"),
        ],
    )
    def test_it_refuses_with_line_and_reason(self, tmp_path: Path, content: bytes, reason: str) -> None:
        file = tmp_path / "license.txt"
        file.write_bytes(content)
        message = self.refusal_of(file)
        assert message.startswith(f"{file}: ")
        assert reason in message

    def test_a_file_that_cannot_be_read_is_named(self, tmp_path: Path) -> None:
        assert self.refusal_of(tmp_path / "absent.txt") == f"{tmp_path / 'absent.txt'}: No such file or directory."
        assert self.refusal_of(tmp_path) == f"{tmp_path}: Is a directory."
