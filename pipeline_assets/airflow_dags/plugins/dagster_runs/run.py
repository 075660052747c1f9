"""A Dagster run as Airflow sees it, and which of several is a task instance's own."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

FINISHED = ("SUCCESS", "FAILURE", "CANCELED")
# Dagster refuses to terminate these; their process will look at the run's status before it does anything.
NOT_BEGUN = ("NOT_STARTED", "STARTING")
CLEARED = "airflow/cleared"
# A run is submitted in the moment after it is made. One that was not was left behind by a webserver that died.
_SUBMITTED_WITHIN = 120


@dataclass(frozen=True)
class Run:
    """One run.

    Attributes:
        run_id: Dagster's.
        status: one of ``NOT_STARTED``, ``QUEUED``, ``STARTING``, ``STARTED``, ``CANCELING`` and :data:`FINISHED`.
        created: seconds since 1970.
        cleared: how often the Airflow DAG run had been cleared when it was launched.
    """

    run_id: str
    status: str
    created: float
    cleared: int

    @classmethod
    def of(cls, answer: Mapping[str, Any]) -> "Run":
        """From GraphQL."""
        tags = {tag["key"]: tag["value"] for tag in answer["tags"]}
        return cls(answer["runId"], answer["status"], answer["creationTime"], int(tags.get(CLEARED, 0)))

    @property
    def finished(self) -> bool:
        """Whether it has ended, in whatever way."""
        return self.status in FINISHED

    def lost(self, now: float) -> bool:
        """Whether it was made and never submitted; nothing will ever start it.

        >>> Run("a", "NOT_STARTED", 0, 0).lost(300)
        True
        """
        return self.status == "NOT_STARTED" and now - self.created > _SUBMITTED_WITHIN


def own(runs: Iterable[Run], cleared: int, since: int) -> Run | None:
    """The run that a task instance goes on with; ``None`` if it is to launch one.

    Args:
        runs: that carry the task instance's tags, but those that were lost.
        cleared: how often its DAG run has been cleared by now: the number of its present life.
        since: the first of its lives in which Airflow waited for a run and has not taken a success yet.

    In its present life any run is its own: whether Airflow retries, was restarted or killed, the outcome is taken.
    Of an earlier life only a run that goes on (whoever cleared a waiting task has had it terminated, so nobody
    meant it to end), and a success that nobody has seen. Everything else was cleared to be done again.

    >>> done = Run("a", "SUCCESS", created=1, cleared=0)
    >>> own([done], 0, 0) is done, own([done], 1, 0) is done, own([done], 1, 1) is None
    (True, True, True)
    """
    by_age = sorted(runs, key=lambda run: (run.created, run.run_id))
    present = [run for run in by_age if run.cleared >= cleared]
    if present:
        # Several come of a launch that was delayed on its way; the oldest that goes on counts.
        going = [run for run in present if not run.finished]
        ended = [run for status in FINISHED for run in present if run.status == status]
        return (going or ended)[0]
    going = [run for run in by_age if not run.finished]
    if going:
        return going[-1]
    last = by_age[-1] if by_age else None
    return last if last and last.status == "SUCCESS" and last.cleared >= since else None
