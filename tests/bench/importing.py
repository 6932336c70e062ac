"""`python -m tests.bench.importing`: imports so many contacts from a CSV file as people do it, and then copies the
very rows that this wrote into the same tables, emptied before; prints how long each takes.

A copy does nothing but write: it reads no numbers, renders no names, looks for nobody who is there already.
"""

import random
import resource
import shutil
import subprocess
import sys
import time
from argparse import ArgumentParser
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import django

from cmphone.embedded import CHECKOUT, find_place, hold_services
from tests.bench.data import FIRST_NAMES, LAST_NAMES
from tests.bench.load import read_size
from tests.bench.place import BenchPlace, find_top, settle

GROUP = "customers"
# What an import writes, in the order of what they point to.
TABLES = ("contacts_contact", "contacts_contactchange", "numbering_indexentry")
# A copy, and a transaction: of a million at once, PostgreSQL checks the keys at the end for longer than it copies.
ROWS = 50_000
# In it, the file is imported as a worker does it.  It tells its own peak: what the system counts for a child has that
# of its parent in it.
WORK = (
    "import django; django.setup(); from cmphone.contacts.imports.work import work_off_runs; work_off_runs()\n"
    "print(next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM:')))\n"
)
PROFILE = (
    "import django; django.setup(); import cProfile, pstats; from cmphone.contacts.imports.work import work_off_runs\n"
    "p = cProfile.Profile(); p.runcall(work_off_runs); pstats.Stats(p).sort_stats('tottime').print_stats(45)\n"
)


@dataclass(frozen=True)
class Figures:
    """Seconds, of which the importing process computed `cpu` itself, and its peak in megabytes."""

    seconds: float
    cpu: float
    megabytes: int

    def __str__(self) -> str:
        return f"{self.seconds:.1f} s, of which {self.cpu:.1f} in the process itself, which took {self.megabytes} MB"


def main() -> None:
    """Measure, and print what came out."""
    parser = ArgumentParser(prog="python -m tests.bench.importing", description=__doc__)
    parser.add_argument("--contacts", type=read_size, default=100_000)
    parser.add_argument("--without-ids", action="store_true", help="let the file have no external ids")
    parser.add_argument("--again", action="store_true", help="import the file once more, which changes nothing")
    parser.add_argument("--profile", action="store_true", help="only show where the time of the import goes")
    options = parser.parse_args()
    place = BenchPlace(find_top() / "importing", options.contacts, 1)
    settle(place)
    for folder in {place.var, find_place().data}:
        shutil.rmtree(folder, ignore_errors=True)
    django.setup()
    from cmphone.management.commands.serve_demo import raise_on_signals

    try:
        with raise_on_signals(), hold_services():
            prepare()
            file = place.var / "contacts.csv"
            with file.open("w", encoding="utf-8") as target:
                target.writelines(write_lines(options.contacts, has_ids=not options.without_ids))
            if options.profile:
                import_file(file, PROFILE)
                return
            imported = import_file(file)
            print(f"import: {imported}: {options.contacts / imported.seconds:,.0f} contacts a second", flush=True)
            if options.again:
                print(f"again:  {import_file(file)}", flush=True)
            copied = copy_rows(place.var)
            print(f"copy:   {copied:.1f} s; the import takes {imported.seconds / copied:.1f} times as long", flush=True)
    except KeyboardInterrupt:
        sys.exit(130)
    finally:
        shutil.rmtree(place.var, ignore_errors=True)


def prepare() -> None:
    """Make the customer group, and somebody who imports into it."""
    from django.core.management import call_command

    from tests import make

    call_command("migrate", verbosity=0, interactive=False)
    model = make.make_contact_model()
    make.make_customer_group(GROUP, model, country_prefix="49", area_prefix="211")
    make.make_user("importer", is_superuser=True)


def write_lines(count: int, *, has_ids: bool) -> Iterator[str]:
    """Yield the lines of a file with so many persons, each with two numbers of his own as people type them."""
    chance = random.Random(1)
    yield ("external_id;" if has_ids else "") + "first_name;last_name;phone;mobile\n"
    for n in range(count):
        name = f"{chance.choice(FIRST_NAMES)};{chance.choice(LAST_NAMES)}-{chance.choice(LAST_NAMES)} {n % 997}"
        phone = chance.choice(["0211 {:08}", "+49 211 {:08}", "0211/{:08}", "(0211) {:08}", "0049211{:08}"]).format(
            20_000_000 + n
        )
        mobile = chance.choice(["0171 {:07}", "+49 171 {:07}", "0171/{:07}", "+49 (0)171 {:07}"]).format(1_000_000 + n)
        yield (f"k{n};" if has_ids else "") + f"{name};{phone};{mobile}\n"


def import_file(file: Path, code: str = WORK) -> Figures:
    """Import a file in a process of its own, as the worker does it."""
    from cmphone.contacts.imports.models import ImportRun
    from cmphone.contacts.imports.runs import create_run, start_run
    from cmphone.contacts.models import CustomerGroup, User

    user, group = User.objects.get(username="importer"), CustomerGroup.objects.get(name=GROUP)
    with file.open("rb") as source:
        pieces = iter(lambda: source.read(1 << 20), b"")
        run = create_run(user=user, customer_group_id=group.pk, file_name=file.name, content=pieces)
    start_run(run, user=user, dry_run=False)
    started = time.monotonic()
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    said = subprocess.run(
        [sys.executable, "-c", code], cwd=CHECKOUT, stdout=subprocess.PIPE, text=True, check=True
    ).stdout
    seconds = time.monotonic() - started
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    run = ImportRun.objects.get(pk=run.pk)
    if run.state != "finished" or run.counts["refused"]:
        raise SystemExit(f"The import failed: {run.state}, {run.error}, {run.counts}")
    if code != WORK:
        print(said)
        return Figures(seconds, 0, 0)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Figures(seconds, cpu, int(said) // 1024)


def copy_rows(folder: Path) -> float:
    """Copy all rows out, empty the tables, and return how many seconds copying them in again takes."""
    from django.db import connection

    with connection.cursor() as cursor:
        for table in TABLES:
            with (folder / table).open("wb") as target, cursor.copy(f"copy {table} to stdout") as copy:
                target.writelines(copy)
        cursor.execute(f"truncate {', '.join(TABLES)} cascade")
        cursor.execute("checkpoint")
        started = time.monotonic()
        for table in TABLES:
            with (folder / table).open("rb") as source:
                while rows := list(islice(source, ROWS)):
                    with cursor.copy(f"copy {table} from stdin") as copy:
                        copy.write(b"".join(rows))
        return time.monotonic() - started


if __name__ == "__main__":
    main()
