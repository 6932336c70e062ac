"""`manage.py license_keygen`: makes the pair of keys that licences are signed and verified with.  For the vendor."""

import os
from argparse import ArgumentParser
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from django.core.management.base import BaseCommand, CommandError

from license.files import format_private_key, format_public_key

_COMMENT = (
    "# The private key that licences of CM/Phone are signed with. Whoever has it can make licences: keep it secret.\n"
)


class Command(BaseCommand):
    help = (
        "Makes a new pair of keys: the private one signs licences (license_sign), the public one is configured on the "
        "servers that are to accept them. Overwrites nothing. Needs no database."
    )
    requires_system_checks = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--private", metavar="FILE", required=True, help="where the private key goes")
        parser.add_argument("--public", metavar="FILE", help="where the public key goes, too")

    def handle(self, *args: object, private: str, public: str | None, **options: object) -> None:
        key = Ed25519PrivateKey.generate()
        public_text = format_public_key(key.public_key())
        _write_new(private, f"{_COMMENT}{format_private_key(key)}\n", mode=0o600)
        if public is not None:
            try:
                _write_new(public, f"{public_text}\n", mode=0o644)
            except CommandError:
                Path(private).unlink()
                raise
        self.stdout.write("Configure this on the servers that are to accept its licences:")
        self.stdout.write(f"CMPHONE_LICENSE_PUBLIC_KEY={public_text}")


def _write_new(file: str, text: str, *, mode: int) -> None:
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    except FileExistsError as error:
        raise CommandError(f"{file} is there already. Nothing was written: choose another name.") from error
    except OSError as error:
        raise CommandError(f"{file}: {error.strerror}.") from error
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        stream.write(text)
