"""How the scores of a batch are distributed, from a sample of its rows, whatever the kind of the task."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
from psycopg2.extensions import cursor as Cursor  # noqa: N812 - it is a class

from pipeline_assets.mart_page.catalog import Column, Mart
from pipeline_assets.mart_page.predicted import Predicted
from pipeline_assets.mart_page.sampled import Sample, sample
from pipeline_assets.task import plugins
from pipeline_assets.task.spec import DECISION, TaskSpec

ROWS = 5_000  # of a batch, whose scores are looked at
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
_LABEL = "predicted_label"


@dataclass(frozen=True)
class Scores:
    """The distribution of a batch's scores.

    Attributes:
        rows: rows looked at.
        of: see :class:`~pipeline_assets.mart_page.sampled.Sample`.
        values: the column that stands for the score, see :func:`main_column`; one value per row looked at.
        quantiles: of those values by :data:`QUANTILES`; empty where they are no numbers.
        shares: of the rows by predicted label, or by the values where they are no numbers; the largest first.
        decided: share of rows that the output file takes; ``None`` for a task without a rule, whose file takes all.
    """

    made: Predicted
    rows: int
    of: int
    values: pa.Array
    quantiles: tuple[float, ...] = ()
    shares: Mapping[str | bool, float] = field(default_factory=dict)
    decided: float | None = None


def main_column(task: TaskSpec, output: Mart) -> Column | None:
    """The score column that is drawn: the kind's first one in the mart that is a number, text or a truth value.

    For the kind ``binary`` it is the probability, for ``multiclass`` the predicted label, for ``regression`` the
    prediction.
    """
    there = [output.columns[name] for name in plugins.kind(task.target.kind).score_types if name in output.columns]
    return next((each for each in there if each.numeric or each.kind in ("text", "boolean")), None)


def scores(cursor: Cursor, task: TaskSpec, output: Mart, batches: Sequence[Predicted]) -> list[Scores]:
    """The scores of some batches, from a sample of each; none if the mart has no score column that can be drawn."""
    main = main_column(task, output)
    if main is None:
        return []
    wanted = {main.name: main, **{name: output.columns[name] for name in (_LABEL, DECISION) if name in output.columns}}
    found = []
    for made in batches:
        taken = sample(cursor, output, made.batch, list(wanted.values()), ROWS)
        if taken is not None and taken.rows:
            found.append(_scores(made, taken, main))
    return found


def shares_of(text: str) -> dict[str, float] | None:
    """Probabilities by class from the JSON that a mart keeps them as; ``None`` if it is anything else.

    >>> shares_of('{"a": 0.25, "b": 0.75}'), shares_of("[1]")
    ({'a': 0.25, 'b': 0.75}, None)
    """
    found = orjson.loads(text)
    if not isinstance(found, dict) or not all(isinstance(each, int | float) for each in found.values()):
        return None
    return {str(name): float(share) for name, share in found.items()}


def _scores(made: Predicted, taken: Sample, main: Column) -> Scores:
    values, decision = taken.columns[main.name], taken.columns.get(DECISION)
    label = taken.columns.get(_LABEL, None if main.numeric else values)
    return Scores(
        made=made,
        rows=taken.rows,
        of=taken.of,
        values=values,
        quantiles=_quantiles(values) if main.numeric else (),
        shares={} if label is None else _shares(label),
        decided=None if decision is None or decision.null_count == taken.rows else decision.true_count / taken.rows,
    )


def _quantiles(values: pa.Array) -> tuple[float, ...]:
    numbers = values.drop_null().cast(pa.float64(), safe=False).to_numpy()
    return tuple(float(value) for value in np.quantile(numbers, QUANTILES)) if len(numbers) else ()


def _shares(label: pa.Array) -> dict[str | bool, float]:
    counted = pc.value_counts(label.drop_null())
    pairs = zip(counted.field("values").to_pylist(), counted.field("counts").to_pylist(), strict=True)
    return {value: count / len(label) for value, count in sorted(pairs, key=lambda pair: (-pair[1], str(pair[0])))}
