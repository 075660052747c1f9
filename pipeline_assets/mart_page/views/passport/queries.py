"""What the marts hold of one row: its prediction, and the records that say why that version made it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg2.extensions import cursor as Cursor  # noqa: N812 - it is a class
from psycopg2.sql import SQL, Identifier, Literal

from pipeline_assets.mart_page import catalog
from pipeline_assets.mart_page.catalog import Mart
from pipeline_assets.mart_page.choices import ChoiceMade, choices_where
from pipeline_assets.task.batch import BatchRef
from pipeline_assets.task.spec import TaskSpec

_PREDICTION = ("probability", "model_version", "run_id", "predicted_at")
_SOMETIMES = ("predicted_label", "decision")  # columns that a task's mart need not have


@dataclass(frozen=True)
class Prediction:
    """A row of the output mart.

    Attributes:
        decision: whether the output file takes the row; ``None`` for a task without a rule, whose file takes all rows.
        predicted_label: the label that the model predicts; ``None`` in marts that do not hold it.
    """

    probability: float
    model_version: int
    run_id: str
    predicted_at: datetime
    decision: bool | None = None
    predicted_label: bool | None = None


@dataclass(frozen=True)
class MartRows:
    """What the marts hold of one row.

    Attributes:
        prediction: ``None`` if it was not predicted.
        choice: of the run that predicted it.
        crowning: the latest choice before the prediction that made its version champion.
        label: whether the event came true, in train; ``None`` is unknown.
    """

    prediction: Prediction | None = None
    choice: ChoiceMade | None = None
    crowning: ChoiceMade | None = None
    label: bool | None = None


def mart_rows(cursor: Cursor, schema: str, task: TaskSpec, ref: BatchRef, row: int) -> MartRows:
    """Everything that the marts hold of one row; each statement looks up one row, or one version's choices."""
    if ref.stage == "train":
        return MartRows(label=_label(cursor, catalog.mart(cursor, schema, task, "train_input"), ref.batch, row))
    prediction = _prediction(cursor, catalog.mart(cursor, schema, task, "predict_output"), ref.batch, row)
    choices = catalog.mart(cursor, schema, task, "model_choices")
    if prediction is None or choices is None:
        return MartRows(prediction)
    of_run = SQL("run_id = {} AND stage = 'predict'").format(Literal(prediction.run_id))
    made = choices_where(cursor, choices, of_run, limit=1)
    made_champion = SQL(
        "model_version = {} AND previous_version IS DISTINCT FROM model_version AND chosen_at <= {}"
    ).format(Literal(prediction.model_version), Literal(prediction.predicted_at))
    crowned = choices_where(cursor, choices, made_champion, limit=1)
    return MartRows(prediction, made[0] if made else None, crowned[0] if crowned else None)


def _prediction(cursor: Cursor, mart: Mart | None, batch: str, row: int) -> Prediction | None:
    if mart is None:
        return None
    names = [*_PREDICTION, *(name for name in _SOMETIMES if name in mart.columns)]
    found = _row(cursor, mart, names, batch, row)
    return None if found is None else Prediction(**dict(zip(names, found, strict=True)))


def _label(cursor: Cursor, mart: Mart | None, batch: str, row: int) -> bool | None:
    found = None if mart is None else _row(cursor, mart, (mart.label,), batch, row)
    return None if found is None or found[0] is None else bool(found[0])


def _row(cursor: Cursor, mart: Mart, columns: Sequence[str], batch: str, row: int) -> tuple[Any, ...] | None:
    query = SQL("SELECT {} FROM {} WHERE {} = {} AND {} = {} LIMIT 1").format(
        SQL(", ").join(map(Identifier, columns)), mart.sql, mart.batch, Literal(batch), mart.row_number, Literal(row)
    )
    cursor.execute(query)
    return cursor.fetchone()
