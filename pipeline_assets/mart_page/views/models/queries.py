"""What the mart of reproductions says of a task's versions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from psycopg2.extensions import cursor as Cursor  # noqa: N812 - it is a class
from psycopg2.sql import SQL, Identifier

from pipeline_assets.mart_page import catalog
from pipeline_assets.task.spec import TaskSpec

_COLUMNS = ("run_id", "model_version", "verdict", "because", "environment", "reproduced_at")


@dataclass(frozen=True)
class Reproduced:
    """One time that a version was made again.

    Attributes:
        run_id: the Dagster run that did so.
        model_version: the version.
        verdict: ``identical``, ``equal within tolerance``, ``different`` or ``cannot be asked here``.
        because: why, in one English sentence.
        environment: what was other than at training, as JSON.
        reproduced_at: when.
    """

    run_id: str
    model_version: int
    verdict: str
    because: str
    environment: str
    reproduced_at: datetime


def reproduced(cursor: Cursor, schema: str, task: TaskSpec) -> Mapping[int, Sequence[Reproduced]]:
    """By version: each time that it was made again, the latest first; empty where none was."""
    mart = catalog.mart(cursor, schema, task, "reproductions")
    if mart is None:
        return {}
    columns = SQL(", ").join(map(Identifier, _COLUMNS))
    cursor.execute(SQL("SELECT {} FROM {} ORDER BY reproduced_at DESC LIMIT 1000").format(columns, mart.sql))
    found: dict[int, list[Reproduced]] = {}
    for row in cursor.fetchall():
        each = Reproduced(*row)
        found.setdefault(each.model_version, []).append(each)
    return found
