"""Keeps rights as they are, for whoever does something that needs them."""

from django.db import connection

# Then who waits is told to try again.
WAIT_AT_MOST = "5s"


def hold_rights() -> None:
    """Wait for changes of rights that are under way, and let none happen until the transaction ends.

    Rights that are read after it are those that count.  Raises OperationalError when others hold it for too long; that
    limit is then that of every lock of the transaction.
    """
    with connection.cursor() as cursor:
        cursor.execute("select set_config('lock_timeout', %s, true)", [WAIT_AT_MOST])
        # Shared by those who need rights.  Whoever changes one takes it alone, by trigger (migration 0004).
        cursor.execute("select pg_advisory_xact_lock_shared(hashtext('contacts_access'))")
