"""Reads contacts from a file into a customer group, and says what became of every line.

Exit code 0: every line went in.  1: some were refused.  2: the file, a column or an option cannot be used.
"""

import csv
import sys
from argparse import ArgumentParser
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any, TextIO

from django.core.checks import Tags
from django.core.management.base import BaseCommand, CommandError
from django.utils.translation import gettext as _

from cmphone.contacts.configuration import get_current_configuration
from cmphone.contacts.imports.csv_reading import CsvFile, open_csv
from cmphone.contacts.imports.files import FileOptions, import_all, open_source, tell_source_of_file
from cmphone.contacts.imports.importing import BATCH
from cmphone.contacts.imports.models import ImportSource
from cmphone.contacts.imports.types import Finding, Totals
from cmphone.contacts.models import CustomerGroup, Way
from cmphone.contacts.writing import Author
from cmphone.csv_cells import defuse
from cmphone.problems import InvalidRequest

# With a report, so many findings are shown besides.
SHOWN = 20
PROGRESS_EVERY = 10_000


class Command(BaseCommand):
    help = "Reads contacts from a CSV or vCard file into a customer group."
    # Not that of the addresses: it would load the API, which an import has no memory for.
    requires_system_checks = [Tags.database, Tags.models]

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", metavar="FILE", type=Path)
        parser.add_argument("--customer-group", required=True, metavar="NAME", help="internal name of the group")
        parser.add_argument(
            "--map",
            action="append",
            default=[],
            metavar="COLUMN=FIELD",
            help="the field, or external_id, kind, active, company, that a column is; COLUMN= leaves it out",
        )
        parser.add_argument(
            "--overwrite-empty", action="store_true", help="what is empty in the file is emptied in the contact, too"
        )
        parser.add_argument("--dry-run", action="store_true", help="report the same, but change nothing")
        parser.add_argument("--encoding", help="such as utf-8 or cp1252; told from the file if not given")
        parser.add_argument("--delimiter", help="one character, or tab; told from the file if not given")
        parser.add_argument("--report", type=Path, metavar="FILE.csv", help="write every finding there")

    def handle(self, *args: Any, **options: Any) -> None:
        group = self._get_group(options["customer_group"])
        with ExitStack() as stack:
            try:
                path: Path = options["file"]
                file_options = FileOptions(options["encoding"], _read_delimiter(options["delimiter"]), options["map"])
                kind = tell_source_of_file(path)
                if kind == ImportSource.CSV:
                    file = open_csv(path, encoding=file_options.encoding, delimiter=file_options.delimiter)
                    self.stdout.write(_describe(file))
                    file_options = FileOptions(file.encoding, file.delimiter, options["map"])
                report = self._open_report(options["report"], path, file_options.delimiter, stack)
                rules = get_current_configuration().groups[group.id]
                totals = import_all(
                    open_source(kind, path, rules=rules, options=file_options),
                    customer_group=group,
                    by=Author(None, Way(kind.value)),
                    overwrite_empty=options["overwrite_empty"],
                    dry_run=options["dry_run"],
                    report=report,
                    progress=self._show_progress if options["verbosity"] else lambda totals: None,
                )
            except InvalidRequest as problem:
                raise CommandError(problem.detail, returncode=2) from problem
        self._show_totals(totals, dry_run=options["dry_run"])
        if totals.refused:
            sys.exit(1)

    def _get_group(self, name: str) -> CustomerGroup:
        if group := CustomerGroup.objects.filter(name=name).first():
            return group
        known = ", ".join(CustomerGroup.objects.values_list("name", flat=True)) or "–"
        message = _("There is no customer group %(name)s. There are: %(known)s")
        raise CommandError(message % {"name": name, "known": known}, returncode=2)

    def _open_report(
        self, path: Path | None, file: Path, delimiter: str | None, stack: ExitStack
    ) -> Callable[[Finding], None]:
        if path is None:
            return lambda finding: self.stdout.write(_show(finding))
        try:
            if path.exists() and path.samefile(file):
                raise InvalidRequest(_("The report would overwrite the file that is read."))
            # Spreadsheets know by the mark that it is UTF-8.
            target = stack.enter_context(path.open("w", encoding="utf-8-sig", newline=""))
        except OSError as error:
            raise InvalidRequest(f"{path}: {error.strerror}.") from error
        write = _start_report(target, delimiter)
        shown = 0

        def report(finding: Finding) -> None:
            nonlocal shown
            write(finding)
            shown += 1
            if shown <= SHOWN:
                self.stdout.write(_show(finding))
            elif shown == SHOWN + 1:
                self.stdout.write(_("… and more, see %s") % path)

        return report

    def _show_progress(self, totals: Totals) -> None:
        # A batch is shorter than that, so none is passed over.
        if totals.lines % PROGRESS_EVERY < BATCH <= totals.lines:
            self.stderr.write(_("%d lines …") % totals.lines)

    def _show_totals(self, totals: Totals, *, dry_run: bool) -> None:
        labels = {
            "lines": _("records"),
            "created": _("created"),
            "changed": _("changed"),
            "unchanged": _("unchanged"),
            "refused": _("refused"),
            "companies_made": _("companies made for their persons"),
            "unreadable_numbers": _("numbers that cannot be read"),
            "impossible_numbers": _("impossible numbers"),
            "duplicates": _("possible duplicates"),
        }
        for name, count in asdict(totals).items():
            self.stdout.write(f"{count:>9,}  {labels[name]}")
        if dry_run:
            self.stdout.write(_("This was a dry run: nothing has changed."))


def _read_delimiter(text: str | None) -> str | None:
    if text is None:
        return None
    delimiter = "\t" if text.lower() in {"tab", "\\t"} else text
    if len(delimiter) != 1 or delimiter in '"\r\n\x00 ':
        raise InvalidRequest(_("The delimiter is one character, such as ; or , or tab."))
    return delimiter


def _describe(file: CsvFile) -> str:
    names = {"utf-8-sig": "UTF-8", "utf-16": "UTF-16", "utf-32": "UTF-32", "cp1252": "Windows-1252"}
    delimiters = {"\t": _("tab"), "\x1f": _("none")}
    return _("%(file)s: encoding %(encoding)s, delimiter %(delimiter)s") % {
        "file": file.path,
        "encoding": names.get(file.encoding, file.encoding),
        "delimiter": delimiters.get(file.delimiter, file.delimiter),
    }


def _show(finding: Finding) -> str:
    where = [_("Line %d") % finding.line] if finding.line else []
    where += [finding.column] if finding.column else []
    level = _("refused") if finding.is_error else _("warning")
    value = f" “{finding.value[:60]}”" if finding.value else ""
    text = f"{', '.join(where)}: {level}: {finding.message}{value}"
    # What is not printable might speak to the terminal.
    return "".join(character if character.isprintable() else "�" for character in text)


def _start_report(target: TextIO, delimiter: str | None) -> Callable[[Finding], None]:
    writer = csv.writer(target, delimiter=delimiter if delimiter and delimiter != "\x1f" else ",")
    writer.writerow([_("line of the file"), _("column"), _("level"), _("message"), _("value")])

    def write(finding: Finding) -> None:
        level = _("refused") if finding.is_error else _("warning")
        cells = [str(finding.line or ""), finding.column, level, finding.message, finding.value[:200]]
        writer.writerow([defuse(cell) for cell in cells])

    return write
