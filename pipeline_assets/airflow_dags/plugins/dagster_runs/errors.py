"""The two kinds of failure when Airflow asks Dagster: final ones, and ones that may pass."""

from collections.abc import Iterable

_SHOWN = 20


class DagsterError(Exception):
    """Asking again does not help: the job is unknown, the token is wrong, or the server is not Dagster."""


class DagsterAway(DagsterError):  # noqa: N818 - the state of the server, which may pass
    """Dagster, or a server that it needs, does not answer; asking again may help."""


def listed(names: Iterable[str]) -> str:
    """The names in alphabetical order for a message: the first twenty, and how many more there are.

    >>> listed(["b", "a"])
    'a, b'
    >>> listed([])
    'nothing'
    """
    known = sorted(names)
    more = f" and {len(known) - _SHOWN} more" if len(known) > _SHOWN else ""
    return (", ".join(known[:_SHOWN]) or "nothing") + more
