"""`manage.py load_demo`: the demo site, with its people, contacts and licence."""

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from cmphone import demo
from cmphone.contacts.configuration import get_current_configuration
from cmphone.contacts.imports.files import FileOptions, import_all, open_source
from cmphone.contacts.imports.models import ImportSource
from cmphone.contacts.imports.types import Finding
from cmphone.contacts.models import CustomerGroup, Way
from cmphone.contacts.rebuilding import rebuild_stale_customer_groups
from cmphone.contacts.site.file import apply_site
from cmphone.contacts.site.tables import SiteFileError, parse_site
from cmphone.contacts.writing import Author
from cmphone.problems import Problem
from license.importing import import_license
from license.models import LicenseFile


class Command(BaseCommand):
    help = "Loads the demo site, beside what is there already. Safe to repeat. Not for production."

    def handle(self, *args: object, verbosity: int, **options: object) -> None:
        if settings.PRODUCTION:
            raise CommandError("The demo site has passwords that everybody knows: it is not for production.")
        self._is_quiet = verbosity == 0
        try:
            changes = apply_site(data=parse_site(demo.SITE_FILE.read_bytes()), environ=demo.ENVIRON)
        except SiteFileError as error:
            raise CommandError(f"The demo does not fit the site that is here:\n{error}") from error
        self._say(f"{len(changes)} changes of the configuration")
        rebuild_stale_customer_groups(progress=self._say)
        for group in CustomerGroup.objects.filter(name__in=demo.CONTACT_FILES).order_by("name"):
            self._load_contacts(group)
        # Somebody's own licence is worth more than this one.
        if not LicenseFile.objects.exists():
            self._load_license()

    def _load_contacts(self, group: CustomerGroup) -> None:
        refused: list[Finding] = []
        rules = get_current_configuration().groups[group.id]
        totals = import_all(
            open_source(ImportSource.CSV, demo.CONTACT_FILES[group.name], rules=rules, options=FileOptions()),
            customer_group=group,
            by=Author(None, Way.CSV),
            report=lambda finding: refused.append(finding) if finding.is_error else None,
        )
        if refused:
            raise CommandError(f"{group.name}, line {refused[0].line}, {refused[0].column}: {refused[0].message}")
        self._say(
            f"{group.name}: {totals.created} contacts new, {totals.changed} changed, {totals.unchanged} as before"
        )

    def _load_license(self) -> None:
        try:
            import_license(text=demo.LICENSE_FILE.read_bytes(), imported_by=None)
        except Problem as problem:
            # The site has a key of its own, and so needs a licence of its own.
            self.stderr.write(f"The demo licence is not in force: {problem.detail}")
        else:
            self._say("The demo licence is in force.")

    def _say(self, text: str) -> None:
        if not self._is_quiet:
            self.stdout.write(text)
