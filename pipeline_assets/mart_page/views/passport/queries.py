"""What the marts say of one row: its prediction, and why the version that made it was chosen."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg2.extensions import cursor as Cursor  # noqa: N812 - it is a class
from psycopg2.sql import SQL, Composable, Identifier

from pipeline_assets.mart_page import catalog
from pipeline_assets.mart_page.catalog import Mart
from pipeline_assets.task.batch import BatchRef
from pipeline_assets.task.spec import LABEL, TaskSpec

_PREDICTION = ("probability", "decision", "model_version", "run_id", "predicted_at")
_CHOICE = (
    "run_id", "stage", "batch", "policy", "model_version", "previous_version", "reason", "metric", "gain",
    "candidates", "chosen_at",
)  # fmt: skip


@dataclass(frozen=True)
class Prediction:
    """A row of the output mart."""

    probability: float
    decision: bool
    model_version: int
    run_id: str
    predicted_at: datetime


@dataclass(frozen=True)
class Looked:
    """A candidate in a record of choice.

    Attributes:
        metrics: on the version's own validation rows.
        why_not: why it could not predict; ``None`` where it could.
        same_rows: its metric on the challenger's validation rows, where it was compared.
    """

    version: int
    metrics: dict[str, float]
    why_not: str | None
    same_rows: float | None


@dataclass(frozen=True)
class ChoiceMade:
    """A record of choice, as the mart keeps it."""

    run_id: str
    stage: str
    batch: str
    policy: str
    model_version: int
    previous_version: int | None
    reason: str
    metric: str
    gain: float | None
    candidates: tuple[Looked, ...]
    chosen_at: datetime


@dataclass(frozen=True)
class Told:
    """What the marts say of a row.

    Attributes:
        prediction: ``None`` if it was not predicted.
        choice: of the run that predicted it.
        crowning: the latest choice before that one which gave the version the alias it had not held.
        label: whether the event came true, in train; ``None`` is unknown.
    """

    prediction: Prediction | None = None
    choice: ChoiceMade | None = None
    crowning: ChoiceMade | None = None
    label: bool | None = None


def told(cursor: Cursor, schema: str, task: TaskSpec, ref: BatchRef, row: int) -> Told:
    """Everything that the marts say of one row; each statement is a look-up by key."""
    if ref.stage == "train":
        return Told(label=_label(cursor, catalog.mart(cursor, schema, task, "train_input"), ref.batch, row))
    prediction = _prediction(cursor, catalog.mart(cursor, schema, task, "predict_output"), ref.batch, row)
    choices = catalog.mart(cursor, schema, task, "model_choices")
    if prediction is None or choices is None:
        return Told(prediction)
    made = choices_where(cursor, choices, SQL("run_id = %s AND stage = 'predict'"), [prediction.run_id])
    crowned = choices_where(
        cursor,
        choices,
        SQL("model_version = %s AND previous_version IS DISTINCT FROM model_version AND chosen_at <= %s"),
        [prediction.model_version, prediction.predicted_at],
        limit=1,
    )
    return Told(prediction, made[0] if made else None, crowned[0] if crowned else None)


def choices_where(
    cursor: Cursor, choices: Mart, condition: Composable, values: Sequence[object], limit: int = 1000
) -> list[ChoiceMade]:
    """Records of choice, the latest first."""
    query = SQL("SELECT {} FROM {} WHERE {} ORDER BY chosen_at DESC LIMIT %s")
    columns = SQL(", ").join(map(Identifier, _CHOICE))
    cursor.execute(query.format(columns, choices.sql, condition), [*values, limit])
    return [_choice(row) for row in cursor.fetchall()]


def _choice(row: tuple[Any, ...]) -> ChoiceMade:
    values = dict(zip(_CHOICE, row, strict=True))
    candidates = tuple(
        Looked(each["version"], each["metrics"], each["why_not"], each.get("same_rows"))
        for each in json.loads(values.pop("candidates"))
    )
    return ChoiceMade(**values, candidates=candidates)


def _prediction(cursor: Cursor, mart: Mart | None, batch: str, row: int) -> Prediction | None:
    found = _row(cursor, mart, _PREDICTION, batch, row)
    return None if found is None else Prediction(*found)


def _label(cursor: Cursor, mart: Mart | None, batch: str, row: int) -> bool | None:
    found = _row(cursor, mart, (LABEL,), batch, row)
    return None if found is None or found[0] is None else bool(found[0])


def _row(cursor: Cursor, mart: Mart | None, columns: Sequence[str], batch: str, row: int) -> tuple[Any, ...] | None:
    if mart is None:
        return None
    query = SQL("SELECT {} FROM {} WHERE batch = %s AND row_number = %s")
    cursor.execute(query.format(SQL(", ").join(map(Identifier, columns)), mart.sql), [batch, row])
    return cursor.fetchone()
