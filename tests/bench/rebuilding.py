"""`python -m tests.bench.rebuilding`: changes settings and rebuilds what that makes stale, until it is told to end.

Then the settings are as before, and so is the index.
"""

import django

from tests.bench.data import GROUPS

STARTED = "rebuilding"
# In these the numbers that were typed without an area change.
OTHER_AREAS = {"49": "69", "33": "5", "1": "646", "39": "02", "44": "161"}


def main() -> None:
    """Rebuild until a signal comes."""
    django.setup()
    from django.db import connection

    from cmphone.contacts.models import Subject
    from cmphone.contacts.rebuilding import rebuild_stale_customer_groups
    from cmphone.management.commands.serve_demo import raise_on_signals
    from tests.bench.load import make_stale, restore_settings

    with raise_on_signals():
        try:
            change_settings()
            print(STARTED, flush=True)
            while True:
                rebuild_stale_customer_groups(subjects=[Subject.NUMBERS])
                make_stale()
                restore_settings()
                rebuild_stale_customer_groups(subjects=[Subject.NUMBERS])
                change_settings()
        except KeyboardInterrupt:
            # It came in the middle of a statement, maybe.
            connection.close()
            restore_settings()
            rebuild_stale_customer_groups(subjects=[Subject.NUMBERS])


def change_settings() -> None:
    """Make every customer group stale, and let some entries of some groups really change."""
    from cmphone.contacts.models import CustomerGroup
    from cmphone.contacts.services import save_configuration
    from tests.bench.load import make_stale

    make_stale()
    for spec in GROUPS:
        if spec.area and not spec.company_line:
            group = CustomerGroup.objects.get(name=spec.name)
            group.area_prefix = OTHER_AREAS[spec.country]
            save_configuration([group])


if __name__ == "__main__":
    main()
