"""The vendor's side: making keys and signing licence files, on a computer without any database."""

import io
import os
import stat
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.utils import translation

from license.files import format_public_key, parse_license, read_private_key, read_public_key, verify_license
from manage import needs_services
from tests.licenses import DEMO_KEY, make_license, make_section

CHECKOUT = Path(__file__).resolve().parent.parent
TODAY = date(2026, 7, 1)


def run(command: str, *arguments: object) -> str:
    out = io.StringIO()
    with translation.override("en"):
        call_command(command, *map(str, arguments), stdout=out)
    return out.getvalue()


def refusal_of(command: str, *arguments: object) -> str:
    with pytest.raises(CommandError) as caught:
        run(command, *arguments)
    return str(caught.value)


@pytest.fixture
def private(tmp_path: Path) -> Path:
    file = tmp_path / "private.txt"
    run("license_keygen", "--private", file)
    return file


def test_a_licence_signed_with_new_keys_is_accepted_by_who_has_the_public_one(tmp_path: Path) -> None:
    private, public = tmp_path / "private.txt", tmp_path / "public.txt"
    printed = run("license_keygen", "--private", private, "--public", public).splitlines()
    assert printed[-1] == f"CMPHONE_LICENSE_PUBLIC_KEY={public.read_text().strip()}"
    file = tmp_path / "license.txt"
    file.write_bytes(b"\xef\xbb\xbf# For M\xc3\xbcller\r\n" + make_section().replace("\n", "\r\n").encode())
    signed = parse_license(run("license_sign", file, "--key", private))
    section = verify_license(signed, public_key=read_public_key(public.read_text()), today=TODAY)
    assert (section.licensed, section.contract_party) == (10, "Müller & Söhne")
    assert "# For Müller" in signed.text


def test_only_its_owner_reads_the_private_key(private: Path) -> None:
    assert stat.S_IMODE(private.stat().st_mode) == 0o600
    assert read_private_key(private.read_text())


def test_two_runs_make_two_keys(tmp_path: Path, private: Path) -> None:
    run("license_keygen", "--private", tmp_path / "other.txt")
    assert private.read_text() != (tmp_path / "other.txt").read_text()


def test_no_key_is_overwritten(tmp_path: Path, private: Path) -> None:
    before = private.read_text()
    assert refusal_of("license_keygen", "--private", private).startswith(f"{private} is there already.")
    new = tmp_path / "new.txt"
    assert refusal_of("license_keygen", "--private", new, "--public", private).startswith(f"{private} is there")
    assert refusal_of("license_keygen", "--private", new, "--public", new).startswith(f"{new} is there")
    assert private.read_text() == before
    assert not new.exists()


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    file = tmp_path / "absent" / "private.txt"
    assert refusal_of("license_keygen", "--private", file) == f"{file}: No such file or directory."


def test_signatures_are_replaced_and_the_file_may_be_its_own_output(tmp_path: Path, private: Path) -> None:
    file = tmp_path / "license.txt"
    file.write_text(make_license(make_section(), make_section("NAMED_USERS")), encoding="utf-8")
    assert run("license_sign", file, "--key", private, "--output", file) == ""
    key = read_private_key(private.read_text()).public_key()
    assert format_public_key(key) != format_public_key(DEMO_KEY.public_key())
    signed = parse_license(file.read_bytes())
    assert verify_license(signed, public_key=key, today=TODAY)
    assert file.read_text(encoding="utf-8").count("signature=") == 2


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (make_section(licenses="many"), "Line 6: “many” is not a number of licences"),
        # The line of the file that was given, not of the signed one.
        (make_section() + make_section("TRACK", expires="31.02.2027"), "Line 11: “31.02.2027” is not a date"),
        (make_section().replace("version=1\n", ""), "Line 1: The section has no version, or an empty one."),
        (make_section() + make_section(), "Line 7: There is a section [REST_USERS] already."),
        ("", "The file has no section [REST_USERS]."),
    ],
)
def test_what_is_no_licence_is_not_signed(tmp_path: Path, private: Path, text: str, reason: str) -> None:
    file, output = tmp_path / "license.txt", tmp_path / "signed.txt"
    file.write_text(text, encoding="utf-8")
    message = refusal_of("license_sign", file, "--key", private, "--output", output)
    assert message.startswith(f"{file}: {reason}")
    assert not output.exists()


def test_files_that_cannot_be_used_are_named(tmp_path: Path, private: Path) -> None:
    absent, file = tmp_path / "absent.txt", tmp_path / "license.txt"
    file.write_text(make_section(), encoding="utf-8")
    assert refusal_of("license_sign", absent, "--key", private) == f"{absent}: No such file or directory."
    assert refusal_of("license_sign", file, "--key", absent) == f"{absent}: No such file or directory."
    assert refusal_of("license_sign", file, "--key", file).startswith(f"{file}: this is no private key")
    binary = tmp_path / "binary"
    binary.write_bytes(b"\xff\xfe\x00")
    assert refusal_of("license_sign", file, "--key", binary).startswith(f"{binary}: this is no private key")
    assert "not a text file in UTF-8" in refusal_of("license_sign", binary, "--key", private)
    assert refusal_of("license_sign", file, "--key", private, "--output", tmp_path) == f"{tmp_path}: Is a directory."


def test_both_run_where_there_is_no_database(tmp_path: Path) -> None:
    environ = {**os.environ, "CMPHONE_DATABASE_URL": "postgresql://nobody@127.0.0.1:1/nothing"}
    file = tmp_path / "license.txt"
    file.write_text(make_section(), encoding="utf-8")

    def manage(*arguments: str) -> str:
        command = [sys.executable, "manage.py", *arguments]
        result = subprocess.run(command, cwd=CHECKOUT, env=environ, capture_output=True, check=True, timeout=60)
        assert result.stderr == b""
        return result.stdout.decode()

    private = str(tmp_path / "private.txt")
    public_key = manage("license_keygen", "--private", private).splitlines()[-1].partition("=")[2]
    signed = parse_license(manage("license_sign", str(file), "--key", private))
    assert verify_license(signed, public_key=read_public_key(public_key), today=TODAY)
    for command in ("license_keygen", "license_sign"):
        assert not needs_services([command])
