"""`manage.py import_license FILE`: brings a licence into force."""

from argparse import ArgumentParser

from django.core.management.base import BaseCommand, CommandError

from cmphone.file_arguments import read_file_argument
from cmphone.problems import Problem
from license.files import COUNTED_SECTIONS, KNOWN_SECTIONS, MAX_BYTES
from license.importing import import_license


class Command(BaseCommand):
    help = (
        "Brings the licence in FILE into force, at once and for running servers too. "
        "When the file is refused, the licence before it stays in force."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", metavar="FILE", help="the licence file; - reads standard input")

    def handle(self, *args: object, file: str, **options: object) -> None:
        try:
            license_file = import_license(text=read_file_argument(file, limit=MAX_BYTES), imported_by=None)
        except Problem as problem:
            name = "standard input" if file == "-" else file
            raise CommandError(f"{name}: {problem.detail}") from problem
        self.stdout.write(self.style.SUCCESS("The licence is in force:"))
        for pool in license_file.pools.all():
            noun = "licence" if pool.licensed == 1 else "licences"
            line = f"  {pool.name}: {pool.licensed} {noun}, valid to {pool.expires_on:%d.%m.%Y}, {pool.contract_party}"
            if pool.name not in KNOWN_SECTIONS:
                line += " (unknown section: kept, not counted)"
            elif pool.name not in COUNTED_SECTIONS:
                line += " (kept, not counted here)"
            self.stdout.write(line)
