"""What the mart of reproductions says of a task's versions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from psycopg2.extensions import cursor as Cursor  # noqa: N812 - it is a class
from psycopg2.sql import SQL, Identifier

from pipeline_assets.mart_page import catalog
from pipeline_assets.task.spec import TaskSpec

_DIFFERENCE = ("step", "column_name", "row_number", "found", "expected")
_COLUMNS = ("run_id", "model_version", "verdict", "because", *_DIFFERENCE, "environment", "reproduced_at")


@dataclass(frozen=True)
class Reproduced:
    """One time that a version was made again.

    Attributes:
        run_id: the Dagster run that did so.
        model_version: the version.
        verdict: ``identical``, ``equal within tolerance``, ``different`` or ``cannot be asked here``.
        because: why, in one English sentence.
        step: of the first difference; ``None`` if there is none.
        column_name: of the first difference.
        row_number: of the first difference, or the trial of the search, where it is known.
        found: the value there, now.
        expected: the value there, at training.
        environment: what was other than at training, as JSON.
        reproduced_at: when.
    """

    run_id: str
    model_version: int
    verdict: str
    because: str
    step: str | None
    column_name: str | None
    row_number: int | None
    found: str | None
    expected: str | None
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
