"""`python -m tests.bench.load`: a site of so many numbers, and how fast the product builds its index.

The contacts are copied straight into their table, as no interface of the product is meant for millions at once.
Their index is the product's own work: a customer group whose index was never built is stale, and the product
rebuilds what is stale.  Unless `--rebuild` asks for it, a site that is loaded is left as it is.
"""

import resource
import shutil
import subprocess
import sys
import time
from argparse import ArgumentParser, ArgumentTypeError
from datetime import UTC, datetime

import django
import orjson

from cmphone.embedded import CHECKOUT, find_place, hold_services
from tests.bench.data import GROUPS, GroupData
from tests.bench.place import BenchPlace, find_top, settle

USERNAME = "agent"
SEATS = 50
COLUMNS = (
    *("id", "customer_group_id", "kind", "company_id", "external_id", "is_active", "fields"),
    *("name", "name_details", "name_list", "created_at", "updated_at"),
)
# Every customer group has companies, persons and extensions.
FEWEST = 1_000


def main() -> None:
    """Load what is not loaded yet."""
    parser = ArgumentParser(prog="python -m tests.bench.load", description=__doc__)
    add_arguments(parser)
    options = parser.parse_args()
    place = BenchPlace(find_top(), options.numbers, options.seed)
    settle(place)
    if place.read_figures() is None:
        # Nobody knows how far the last try came.
        for folder in {place.var, find_place().data}:
            shutil.rmtree(folder, ignore_errors=True)
    django.setup()
    from cmphone.management.commands.serve_demo import raise_on_signals

    try:
        with raise_on_signals(), hold_services():
            load(place, from_nothing=options.rebuild)
    except KeyboardInterrupt:
        sys.exit(130)


def add_arguments(parser: ArgumentParser) -> None:
    """Add what says which site it is, and whether its index is built anew."""
    parser.add_argument("--numbers", type=read_size, default=1_000_000, help="how many different numbers there are")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rebuild", action="store_true", help="build the index from nothing, and time that")


def read_size(text: str) -> int:
    """Return the number in `text`, in which digits may be grouped by commas or underscores."""
    digits = text.replace(",", "").replace("_", "")
    if digits.isdecimal() and int(digits) >= FEWEST:
        return int(digits)
    raise ArgumentTypeError(f"from {FEWEST}, not {text}")


def load(place: BenchPlace, *, from_nothing: bool) -> None:
    """Make the database hold the site of `place`, with its index as the product builds it now.

    `from_nothing`: also where there is an index already.
    """
    from django.core.management import call_command

    from cmphone.contacts.models import Rebuild

    call_command("migrate", verbosity=0, interactive=False)
    figures = place.read_figures()
    if figures is None:
        figures = {"contacts": 0, "values": 0}
        make_configuration()
        started = time.monotonic()
        for group in place.site.groups:
            contacts, values = copy_contacts(group, first_id=figures["contacts"] + 1)
            figures["contacts"] += contacts
            figures["values"] += values
        figures["copy_seconds"] = round(time.monotonic() - started, 1)
        print(f"{figures['contacts']:,} contacts copied in {figures['copy_seconds']:g} s", flush=True)
    # Also where a migration, or a rebuild that was killed, has left entries that nobody vouches for.
    is_empty = from_nothing or not Rebuild.objects.exists()
    if is_empty:
        empty_index()
    restore_settings()
    if is_empty:
        print("Building the index …", flush=True)
    commit, at = find_commit(), datetime.now(UTC)
    seconds, megabytes = rebuild()
    if is_empty:
        figures["rebuild"] = {
            "seconds": round(seconds, 1),
            "numbers_per_second": round(figures["values"] / seconds),
            "peak_megabytes": megabytes,
            "commit": commit,
            "at": f"{at:%Y-%m-%d %H:%M}",
        }
        print(f"index built from nothing: {figures['rebuild']}", flush=True)
    if is_empty or seconds > 1:
        tidy()
    place.write_figures(figures)


def make_configuration() -> None:
    """Make the customer groups with their contact model, a licence, and a user with rights on most of the groups."""
    from tests import make

    model = make.make_contact_model()
    user = make.make_user(USERNAME, password=make.PASSWORD)
    for spec in GROUPS:
        plan = {"country_prefix": spec.country, "area_prefix": spec.area, "company_line": spec.company_line}
        guard = {"extension_min": spec.extension_min, "extension_max": spec.extension_max}
        group = make.make_customer_group(spec.name, model, **plan, **guard)
        if spec.is_visible:
            role = make.give_rights(user, group, create=True)
            make.make_queue(f"queue-{spec.name}", [group], role)
    make.make_license(SEATS)


def copy_contacts(group: GroupData, *, first_id: int) -> tuple[int, int]:
    """Copy the contacts of a group into their table; return how many contacts and number fields these are.

    One transaction, as PostgreSQL remembers each of its rows until it has looked for the company of each.
    """
    from django.db import connection, transaction

    from cmphone.contacts.models import CustomerGroup

    group_id = CustomerGroup.objects.get(name=group.spec.name).id
    now = datetime.now(UTC)
    contacts = values = 0
    with transaction.atomic(), connection.cursor() as cursor:
        with cursor.copy(f"copy contacts_contact ({', '.join(COLUMNS)}) from stdin") as copy:
            for row in group.contacts(first_id):
                fields = orjson.dumps(row.fields).decode()
                names = (row.name, row.name_details, row.name_list)
                copy.write_row((row.id, group_id, row.kind, row.company_id, "", True, fields, *names, now, now))
                contacts += 1
                values += row.number_count
        cursor.execute("select setval(pg_get_serial_sequence('contacts_contact', 'id'), %s)", [first_id + contacts - 1])
    return contacts, values


def empty_index() -> None:
    """Leave the customer groups as if their index had never been built."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("truncate numbering_indexentry")
    make_stale()


def make_stale() -> None:
    """Let every customer group count as never built."""
    from cmphone.contacts.models import Rebuild

    Rebuild.objects.all().delete()


def restore_settings() -> None:
    """Give the site the settings of its data, whatever a rebuild that was broken off has left.  Safe to repeat."""
    from cmphone.contacts.models import CustomerGroup
    from cmphone.contacts.services import save_configuration

    for spec in GROUPS:
        group = CustomerGroup.objects.get(name=spec.name)
        if group.area_prefix != spec.area:
            group.area_prefix = spec.area
            save_configuration([group])


def rebuild() -> tuple[float, int]:
    """Let the product build what is stale; return the seconds, and the peak of this process's memory in megabytes."""
    from cmphone.contacts.models import Subject
    from cmphone.contacts.rebuilding import rebuild_stale_customer_groups

    started = time.monotonic()
    # The names were copied with the contacts, as they are.
    rebuild_stale_customer_groups(subjects=[Subject.NUMBERS])
    seconds = time.monotonic() - started
    # Linux counts kilobytes, macOS bytes.
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return seconds, round(peak / (1_000_000 if sys.platform == "darwin" else 1_000))


def tidy() -> None:
    """Do now what PostgreSQL would do by itself a minute later, in the middle of a measurement."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("vacuum (analyze)")
        cursor.execute("checkpoint")


def find_commit() -> str:
    """Return the commit that is checked out, marked where files differ from it; empty outside of git."""
    command = ["git", "describe", "--always", "--dirty"]
    try:
        result = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return result.stdout.strip()


if __name__ == "__main__":
    main()
