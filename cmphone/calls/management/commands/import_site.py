"""`manage.py import_site FILE`: makes the configuration what a site file says."""

import os
from argparse import ArgumentParser

from django.core.management.base import BaseCommand, CommandError

from cmphone.calls.site_sections import SECTIONS
from cmphone.contacts.rebuilding import rebuild_stale_customer_groups
from cmphone.contacts.site.file import apply_site
from cmphone.contacts.site.tables import MAX_BYTES, SiteFileError, parse_site
from cmphone.file_arguments import read_file_argument


class Command(BaseCommand):
    help = (
        "Makes the configuration what the site file FILE says, and tells what that changed. "
        "All or nothing; what the file does not mention stays as it is; safe to repeat."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", metavar="FILE", help="the site file (TOML); - reads standard input")
        parser.add_argument("--dry-run", action="store_true", help="only tell what would change")

    def handle(self, *args: object, file: str, dry_run: bool, **options: object) -> None:
        try:
            tables = parse_site(read_file_argument(file, limit=MAX_BYTES))
            changes = apply_site(data=tables, environ=os.environ, dry_run=dry_run, sections=SECTIONS)
        except SiteFileError as error:
            problems = "".join(f"\n  {problem}" for problem in error.problems)
            raise CommandError(f"{file}: nothing was changed, because of this:{problems}") from error
        for change in changes:
            self.stdout.write(str(change))
        if not changes:
            self.stdout.write("Nothing changed.")
        elif dry_run:
            self.stdout.write("Nothing was changed: this was a dry run.")
        if not dry_run:
            rebuild_stale_customer_groups(progress=self.stdout.write)
