"""Times the rendering of all names of a loaded site (load.py), after a change of every template.

.venv/bin/python -m tests.bench.names --numbers 100000
"""

import time
from argparse import ArgumentParser

import django

from cmphone.embedded import hold_services
from tests.bench.load import add_arguments, load
from tests.bench.place import BenchPlace, find_top, settle

ROUNDS = 3
# Of a contact: standard, details, list.
NAMES_OF_ONE = 3


def main() -> None:
    """Change the templates, and back, and say how fast their names were rendered each time."""
    parser = ArgumentParser(prog="python -m tests.bench.names", description=__doc__)
    add_arguments(parser)
    options = parser.parse_args()
    place = BenchPlace(find_top(), options.numbers, options.seed)
    settle(place)
    django.setup()
    with hold_services():
        load(place, from_nothing=options.rebuild)
        _render("not rendered by these settings yet")
        for _ in range(ROUNDS):
            _mark_templates()
            _render("every name is another one")
        _forget()
        _render("every name stays")


def _mark_templates() -> None:
    """Put a mark into every template, or take it out again."""
    from cmphone.contacts.services import save_configuration
    from templates_store.models import DisplayNames

    for row in DisplayNames.objects.all():
        for name in ("default", "details", "list"):
            source = getattr(row, name)
            setattr(row, name, source and (source[:-1] if source.endswith("*") else f"{source}*"))
        save_configuration([row])


def _forget() -> None:
    from cmphone.contacts.models import Rebuild

    Rebuild.objects.filter(subject="names").update(fingerprint="")


def _render(what: str) -> None:
    from cmphone.contacts.rebuilding import rebuild_stale_customer_groups

    started, started_at = time.process_time(), time.perf_counter()
    count = rebuild_stale_customer_groups(lambda text: None, subjects=["names"]) * NAMES_OF_ONE
    seconds, elapsed = time.process_time() - started, time.perf_counter() - started_at
    print(
        f"{what}: {count:,} names, {count / seconds:,.0f} a second of this process, "
        f"{count / elapsed:,.0f} a second of the clock"
    )


if __name__ == "__main__":
    main()
