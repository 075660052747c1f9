"""A Dagster run as Airflow sees it, and the rule that says which of several runs belongs to a task instance."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

FINISHED = ("SUCCESS", "FAILURE", "CANCELED")
# Dagster refuses to terminate these; their process looks at the run's status before it does anything.
NOT_BEGUN = ("NOT_STARTED", "STARTING")
CLEARED = "airflow/cleared"
# Dagster submits a run at once after it has created it. A run that is older and not submitted was left by a webserver
# that died in between.
_SUBMITTED_WITHIN = 120


@dataclass(frozen=True)
class Run:
    """One run.

    Attributes:
        run_id: Dagster's id of the run.
        status: one of ``NOT_STARTED``, ``QUEUED``, ``STARTING``, ``STARTED``, ``CANCELING`` and :data:`FINISHED`.
        created: time of its creation, in seconds since 1970.
        cleared: number of the task instance's life that launched it; see :func:`~dagster_runs.compat.lives`.
    """

    run_id: str
    status: str
    created: float
    cleared: int

    @classmethod
    def of(cls, answer: Mapping[str, Any]) -> "Run":
        """Reads a run from a GraphQL answer."""
        tags = {tag["key"]: tag["value"] for tag in answer["tags"]}
        return cls(answer["runId"], answer["status"], answer["creationTime"], int(tags.get(CLEARED, 0)))

    @property
    def finished(self) -> bool:
        """Whether the run has ended, in any way."""
        return self.status in FINISHED

    def lost(self, now: float) -> bool:
        """Whether the run was created and never submitted, so that nothing will ever start it.

        >>> Run("a", "NOT_STARTED", 0, 0).lost(300)
        True
        """
        return self.status == "NOT_STARTED" and now - self.created > _SUBMITTED_WITHIN


def own(runs: Iterable[Run], cleared: int, since: int) -> Run | None:
    """The run that a task instance continues with; ``None`` if it must launch a new one.

    Args:
        runs: all runs with the task instance's tags, except the lost ones.
        cleared: number of the task instance's present life.
        since: number of the first life whose success the task instance has not taken yet.

    A run of the present life belongs to the task instance: its outcome counts, whether Airflow retries, was restarted
    or was killed. A run of an earlier life belongs to it only if it still goes on (clearing a waiting task terminates
    its run, so nobody wanted this one to end), or if it succeeded and Airflow has not seen that. The user cleared
    everything else to do it again.

    >>> done = Run("a", "SUCCESS", created=1, cleared=0)
    >>> own([done], 0, 0) is done, own([done], 1, 0) is done, own([done], 1, 1) is None
    (True, True, True)
    """
    by_age = sorted(runs, key=lambda run: (run.created, run.run_id))
    present = [run for run in by_age if run.cleared >= cleared]
    if present:
        # There are several if a launch arrived late; the oldest that still goes on counts.
        going = [run for run in present if not run.finished]
        ended = [run for status in FINISHED for run in present if run.status == status]
        return (going or ended)[0]
    going = [run for run in by_age if not run.finished]
    if going:
        return going[-1]
    last = by_age[-1] if by_age else None
    return last if last and last.status == "SUCCESS" and last.cleared >= since else None
