"""`manage.py export_site`: prints the configuration as a site file."""

from argparse import ArgumentParser
from pathlib import Path

from django.core.management.base import BaseCommand, CommandError

from cmphone.calls.site_sections import SECTIONS
from cmphone.contacts.site.export import read_site
from cmphone.contacts.site.tables import format_site


class Command(BaseCommand):
    help = "Prints the configuration as a site file, which import_site takes. Passwords and secrets are never in it."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--output", metavar="FILE", help="write to FILE instead of printing")

    def handle(self, *args: object, output: str | None, **options: object) -> None:
        text = format_site(read_site(SECTIONS))
        if output is None:
            self.stdout.write(text, ending="")
            return
        try:
            Path(output).write_text(text, encoding="utf-8")
        except OSError as error:
            raise CommandError(f"{output}: {error.strerror}.") from error
