"""How the predictions of a batch compare with the labels that came later."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from psycopg2.extensions import cursor as Cursor  # noqa: N812 - it is a class
from psycopg2.sql import SQL, Identifier, Literal

from pipeline_assets.mart_page.catalog import Mart
from pipeline_assets.mart_page.sampled import computed
from pipeline_assets.task.spec import DECISION

_MOST_ROWS = 200_000


@dataclass(frozen=True)
class Truth:
    """Predicted rows whose label is known by now, from a train batch with the same keys.

    Attributes:
        labels: as the input mart has them, one per row.
        scores: the score columns by name, one value per row; nested ones as Python has them.
        decision: whether the output file took the row; for a task without a rule, ``None`` for each row.
        batches: train batches that the labels came in.
        partly: whether a part of the batch was looked at, spread evenly over it, because it is large.
    """

    labels: Sequence[Any]
    scores: Mapping[str, Sequence[Any]]
    decision: Sequence[bool | None]
    batches: tuple[str, ...]
    partly: bool


def truth(cursor: Cursor, batch: str, *, output: Mart, inputs: Mart, trains: Mart) -> Truth | None:
    """The truth of a predicted batch, as far as train batches know it; the latest batch where several do.

    Of a large batch, up to two hundred thousand rows are looked at.

    Args:
        batch: that was predicted.
        output: the mart of predictions.
        inputs: the mart of rows to predict; rows of the same key as its are the same.
        trains: the mart of rows with labels.

    Returns:
        ``None`` where no label is known.
    """
    scores = [name for name in output.named("score") if name != DECISION]
    same = SQL(" AND ").join(
        SQL("t.{} = i.{}").format(Identifier(there), Identifier(here))
        for there, here in zip(trains.task_key, inputs.task_key, strict=True)
    )
    cursor.execute(
        SQL("SELECT max({}) FROM {} WHERE {} = {}").format(output.row_number, output.sql, output.batch, Literal(batch))
    )
    last = int(cursor.fetchall()[0][0] or 0)
    partly = last >= _MOST_ROWS
    query = SQL(
        "SELECT DISTINCT ON (o.row_number) t.{train_batch}, t.{label}, {decision}, {scores} FROM {output} o"
        " JOIN {inputs} i ON i.{input_batch} = o.batch AND i.{input_row} = o.row_number JOIN {trains} t ON {same}"
        " WHERE o.batch = {batch} AND i.{input_batch} = {batch} AND t.{label} IS NOT NULL{part}"
        " ORDER BY o.row_number, t.{train_batch} DESC"
    ).format(
        output=output.sql,
        inputs=inputs.sql,
        trains=trains.sql,
        label=Identifier(trains.label),
        decision=SQL("o.decision") if DECISION in output.columns else SQL("NULL::boolean"),
        scores=SQL(", ").join(SQL("o.") + Identifier(name) for name in scores),
        train_batch=trains.batch,
        input_batch=inputs.batch,
        input_row=inputs.row_number,
        same=same,
        batch=Literal(batch),
        part=SQL(" AND {} AND {}").format(
            *(computed(number, last + 1, _MOST_ROWS) for number in (SQL("o.row_number"), SQL("i.") + inputs.row_number))
        )
        if partly
        else SQL(""),
    )
    cursor.execute(query)
    rows = cursor.fetchall()
    if not rows:
        return None
    batches, labels, decision, *values = zip(*rows, strict=True)
    by_name = {
        name: [orjson.loads(each) for each in column] if output.columns[name].json else column
        for name, column in zip(scores, values, strict=True)
    }
    return Truth(
        labels,
        by_name,
        decision,
        tuple(sorted(set(batches))),
        partly,
    )
