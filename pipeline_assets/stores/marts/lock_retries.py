"""Tries again and again to lock a table that is being read, so that no reader waits long behind us."""

import time
from collections.abc import Callable
from typing import TypeVar

from psycopg2.errors import DeadlockDetected, LockNotAvailable
from psycopg2.extensions import cursor as Cursor  # noqa: N812 - it is a class

# While we wait to have a table for ourselves, every reader that comes later waits behind us. So each try is short, and
# between two tries those readers go on. The server cancels its own maintenance (autovacuum) for us after a second.
# Tries grow with the time waited, so that a table that is read without a pause is locked in the end.
_SHORTEST_MS, _LONGEST_MS = 1_200, 10_000
_SHARE_OF_WAITED = 0.05
# A reader of two tables may hold the second one and wait for the first one, which we hold. We give up before the server
# looks for a deadlock, which it does after a second: it would cancel one of the two.
_FURTHER_MS = 500

T = TypeVar("T")


def wait_briefly(cursor: Cursor) -> None:
    """From here on, waits less for a lock: call it within a try of :func:`with_lock_retries`, after the first lock."""
    cursor.execute("SET LOCAL lock_timeout = %s", [_FURTHER_MS])


def with_lock_retries(cursor: Cursor, action: Callable[[], T]) -> T:
    """Does something that needs locks, and does it again whenever a lock is not to be had for a moment.

    What the transaction did before stays done; what a try did is undone. The waits are those for the locks.

    Args:
        cursor: of an open transaction; afterwards its ``lock_timeout`` is that of the last try.
        action: what is done; it may be called any number of times.

    Raises:
        psycopg2.errors.LockNotAvailable: the session's ``lock_timeout`` has passed since the first try.
    """
    cursor.execute("SELECT setting::bigint FROM pg_settings WHERE name = 'lock_timeout'")
    limit = int(cursor.fetchall()[0][0])
    begun = time.monotonic()
    while True:
        waited = (time.monotonic() - begun) * 1000
        longest = min(max(_SHORTEST_MS, int(waited * _SHARE_OF_WAITED)), _LONGEST_MS)
        cursor.execute("SAVEPOINT before_try")
        cursor.execute("SET LOCAL lock_timeout = %s", [min(longest, limit) if limit else longest])
        try:
            done = action()
        except (LockNotAvailable, DeadlockDetected):
            cursor.execute("ROLLBACK TO SAVEPOINT before_try")
            if limit and (time.monotonic() - begun) * 1000 >= limit:
                raise
        else:
            cursor.execute("RELEASE SAVEPOINT before_try")
            return done
