"""How the predictions of a batch compare with the labels that came later."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from psycopg2.extensions import cursor as Cursor  # noqa: N812 - it is a class
from psycopg2.sql import SQL, Identifier, Literal

from pipeline_assets.mart_page.catalog import Mart

_MOST_ROWS = 200_000


@dataclass(frozen=True)
class Truth:
    """Predicted rows whose label is known by now, from a train batch with the same keys.

    Attributes:
        label: 0 or 1, a value a row.
        probability: as the model said.
        decision: whether the output file took the row; for a task without a rule, whether the model predicts the label
            1 (a probability of 0.5 or more).
        batches: train batches that the labels came in.
        partly: whether there are more such rows than were read.
    """

    label: npt.NDArray[np.int8]
    probability: npt.NDArray[np.float64]
    decision: npt.NDArray[np.bool_]
    batches: tuple[str, ...]
    partly: bool


def truth(cursor: Cursor, batch: str, *, output: Mart, inputs: Mart, trains: Mart) -> Truth | None:
    """The truth of a predicted batch, as far as train batches know it; the latest batch where several do.

    Args:
        batch: that was predicted.
        output: the mart of predictions.
        inputs: the mart of rows to predict; rows of the same key as its are the same.
        trains: the mart of rows with labels.

    Returns:
        ``None`` where no label is known.
    """
    same = SQL(" AND ").join(
        SQL("t.{} = i.{}").format(Identifier(there), Identifier(here))
        for there, here in zip(trains.task_key, inputs.task_key, strict=True)
    )
    query = SQL(
        "SELECT DISTINCT ON (o.row_number) t.{label}, o.probability, {decision}, t.{train_batch} FROM {output} o"
        " JOIN {inputs} i ON i.{input_batch} = o.batch AND i.{input_row} = o.row_number JOIN {trains} t ON {same}"
        " WHERE o.batch = {batch} AND t.{label} IS NOT NULL ORDER BY o.row_number, t.{train_batch} DESC LIMIT {most}"
    ).format(
        output=output.sql,
        inputs=inputs.sql,
        trains=trains.sql,
        label=Identifier(trains.label),
        decision=SQL(
            "coalesce(o.decision, o.probability >= 0.5)" if "decision" in output.columns else "o.probability >= 0.5"
        ),
        train_batch=trains.batch,
        input_batch=inputs.batch,
        input_row=inputs.row_number,
        same=same,
        batch=Literal(batch),
        most=Literal(_MOST_ROWS + 1),
    )
    cursor.execute(query)
    rows = cursor.fetchall()
    if not rows:
        return None
    label, probability, decision, batches = zip(*rows[:_MOST_ROWS], strict=True)
    return Truth(
        np.array(label, np.int8),
        np.array(probability, np.float64),
        np.array(decision, bool),
        tuple(sorted(set(batches))),
        len(rows) > _MOST_ROWS,
    )
