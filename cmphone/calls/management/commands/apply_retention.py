"""`manage.py apply_retention`: erases what is older than it is kept, as the clock does."""

from argparse import ArgumentParser

from django.core.management.base import BaseCommand, CommandError

from cmphone.calls.retention import apply_retention, count_expired
from cmphone.properties.selectors import load_properties


class Command(BaseCommand):
    help = "Erases what is older than it is kept (properties retention.…). The clock does so every night."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="erase nothing, and say how much it would be")

    def handle(self, *args: object, dry_run: bool, **options: object) -> None:
        expired = count_expired(load_properties()) if dry_run else apply_retention()
        if expired is None:
            raise CommandError("Another process is at it.")
        what = f"{expired.contacts} contacts, {expired.changes} changes in histories, {expired.cases} cases"
        self.stdout.write(f"Would be erased: {what}." if dry_run else f"Erased: {what}.")
