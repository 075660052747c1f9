"""What the marts hold of one row: its prediction, and the records that say why that version made it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from psycopg2.extensions import cursor as Cursor  # noqa: N812 - it is a class
from psycopg2.sql import SQL, Identifier, Literal

from pipeline_assets.mart_page import catalog
from pipeline_assets.mart_page.catalog import Mart
from pipeline_assets.mart_page.choices import ChoiceMade, choices_where
from pipeline_assets.task import plugins
from pipeline_assets.task.batch import BatchRef
from pipeline_assets.task.spec import DECISION, TaskSpec

_PREDICTION = ("model_version", "run_id", "predicted_at")


@dataclass(frozen=True)
class Prediction:
    """A row of the output mart.

    Attributes:
        scores: the kind's score columns by name; the mart of a former version may lack some, but never the first.
        decision: whether the output file takes the row; ``None`` for a task without a rule, whose file takes all rows.
    """

    scores: Mapping[str, Any]
    model_version: int
    run_id: str
    predicted_at: datetime
    decision: bool | None = None


@dataclass(frozen=True)
class MartRows:
    """What the marts hold of one row.

    Attributes:
        prediction: ``None`` if it was not predicted.
        choice: of the run that predicted it.
        crowning: the latest choice before the prediction that made its version champion.
        label: in train, as the mart has it: 0 or 1, text, or a number, by kind; ``None`` is unknown.
    """

    prediction: Prediction | None = None
    choice: ChoiceMade | None = None
    crowning: ChoiceMade | None = None
    label: Any = None


def mart_rows(cursor: Cursor, schema: str, task: TaskSpec, ref: BatchRef, row: int) -> MartRows:
    """Everything that the marts hold of one row; each statement looks up one row, or one version's choices."""
    if ref.stage == "train":
        return MartRows(label=_label(cursor, catalog.mart(cursor, schema, task, "train_input"), ref.batch, row))
    prediction = _prediction(cursor, task, catalog.mart(cursor, schema, task, "predict_output"), ref.batch, row)
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


def _prediction(cursor: Cursor, task: TaskSpec, mart: Mart | None, batch: str, row: int) -> Prediction | None:
    if mart is None:
        return None
    first, *others = plugins.kind(task.target.kind).score_types
    scores = [first, *(name for name in others if name in mart.columns)]
    names = [*scores, *_PREDICTION, *([DECISION] if DECISION in mart.columns else [])]
    found = _row(cursor, mart, names, batch, row)
    if found is None:
        return None
    values = dict(zip(names, found, strict=True))
    said = {name: values.pop(name) for name in scores}
    nested = {name: orjson.loads(value) for name, value in said.items() if value and mart.columns[name].json}
    return Prediction({**said, **nested}, **values)


def _label(cursor: Cursor, mart: Mart | None, batch: str, row: int) -> Any:
    found = None if mart is None else _row(cursor, mart, (mart.label,), batch, row)
    return None if found is None else found[0]


def _row(cursor: Cursor, mart: Mart, columns: Sequence[str], batch: str, row: int) -> tuple[Any, ...] | None:
    query = SQL("SELECT {} FROM {} WHERE {} = {} AND {} = {} LIMIT 1").format(
        SQL(", ").join(map(Identifier, columns)), mart.sql, mart.batch, Literal(batch), mart.row_number, Literal(row)
    )
    cursor.execute(query)
    return cursor.fetchone()
