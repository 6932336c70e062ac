"""How long a log-in has to wait after others have failed.  Pure.

Two counts brake: that of a user name from an address, and that of an address as a whole, which does not concern
the names that are at home there.  So nobody is locked out by what strangers do elsewhere, and somebody who tries
many names from one address soon waits.  People who log in rightly count nowhere, however many they are.
"""

from datetime import timedelta

# In a row: a log-in that succeeds ends the row of its name.
FREE_FAILURES_OF_NAME = 5
FREE_FAILURES_OF_ADDRESS = 100
FIRST_WAIT = timedelta(seconds=30)
LONGEST_WAIT = timedelta(minutes=15)
# After so long without another failure a row counts as none.
FORGOTTEN_AFTER = timedelta(hours=1)


def wait_after(failures: int, *, free: int) -> timedelta:
    """Return for how long after the last of so many failures nothing is tried: nothing for fewer than `free`, then
    twice as long with each, up to LONGEST_WAIT.
    """
    if failures < free:
        return timedelta(0)
    # Past the tenth it is the longest anyway.
    return min(LONGEST_WAIT, FIRST_WAIT * (1 << min(failures - free, 10)))
