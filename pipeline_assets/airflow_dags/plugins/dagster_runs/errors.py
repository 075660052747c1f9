"""What can be wrong with Dagster, as seen from Airflow."""

from collections.abc import Iterable

_SHOWN = 20


class DagsterError(Exception):
    """Asking again will not help: the job is unknown, the token is wrong, the answer is not Dagster's."""


class DagsterAway(DagsterError):  # noqa: N818 - it passes, and reads so
    """Dagster does not answer, or something behind it does not; asking again may help."""


def listed(names: Iterable[str]) -> str:
    """Names for a message, the first twenty of them.

    >>> listed(["b", "a"])
    'a, b'
    >>> listed([])
    'nothing'
    """
    known = sorted(names)
    more = f" and {len(known) - _SHOWN} more" if len(known) > _SHOWN else ""
    return (", ".join(known[:_SHOWN]) or "nothing") + more
