"""`manage.py license_sign FILE --key PRIVATE`: signs every section of a licence file.  For the vendor."""

from argparse import ArgumentParser
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.core.management.base import BaseCommand, CommandError

from cmphone.file_arguments import read_file_argument
from license.files import MAX_BYTES, LicenseFileError, read_private_key, sign_license
from license.problems import LicenseRefused


class Command(BaseCommand):
    help = (
        "Writes the licence in FILE with every section signed; signatures that are there are replaced. "
        "Needs no database."
    )
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", metavar="FILE", help="the licence file; - reads standard input")
        parser.add_argument("--key", metavar="PRIVATE", required=True, help="the private key (license_keygen)")
        parser.add_argument("--output", metavar="FILE", help="where the signed file goes; without: standard output")

    def handle(self, *args: object, file: str, key: str, output: str | None, **options: object) -> None:
        private_key = _read_key(key)
        try:
            signed = sign_license(read_file_argument(file, limit=MAX_BYTES), private_key=private_key)
        except LicenseFileError as error:
            name = "standard input" if file == "-" else file
            refusal = LicenseRefused(error.code, line=error.line, subject=error.subject)
            raise CommandError(f"{name}: {refusal.detail}") from error
        if output is None:
            self.stdout.write(signed, ending="")
            return
        try:
            Path(output).write_bytes(signed.encode())
        except OSError as error:
            raise CommandError(f"{output}: {error.strerror}.") from error


def _read_key(file: str) -> Ed25519PrivateKey:
    try:
        return read_private_key(Path(file).read_text(encoding="utf-8"))
    except OSError as error:
        raise CommandError(f"{file}: {error.strerror}.") from error
    except ValueError as error:
        raise CommandError(f"{file}: this is no private key, which is 32 bytes in base64 (license_keygen).") from error
