"""Samples of a batch, drawn by row number: what a comparison costs does not grow with the batch."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from psycopg2.extensions import cursor as Cursor  # noqa: N812 - it is a class
from psycopg2.sql import SQL

from pipeline_assets.mart_page.catalog import Column, Mart
from pipeline_assets.mart_page.predicted import Predicted
from pipeline_assets.monitoring import drift as psi
from pipeline_assets.stores.marts.sql_types import arrow_type

ROWS = 20_000  # of a sample
SCORES = 5_000  # of a batch's scores
_SCORE_COLUMNS = ("probability", "decision")
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
_SEED = 0


@dataclass(frozen=True)
class Sample:
    """Rows of a batch, spread evenly over it; the same ones each time.

    Attributes:
        batch: its name.
        rows: how many.
        of: how many row numbers the batch has, rejected rows included; all rows were taken where it is small.
        columns: by name.
    """

    batch: str
    rows: int
    of: int
    columns: dict[str, pa.Array]


@dataclass(frozen=True)
class ColumnShift:
    """A column, train against predict."""

    column: Column
    stability: psi.Stability


@dataclass(frozen=True)
class Drift:
    """Columns of two batches compared, the worst first."""

    train: Sample
    predict: Sample
    columns: tuple[ColumnShift, ...]


@dataclass(frozen=True)
class Scores:
    """How a batch's scores lie.

    Attributes:
        rows: looked at.
        of: see :class:`Sample`.
        quantiles: see :data:`QUANTILES`.
        decided: share of rows that the output file takes.
        shares: of the rows, in twenty equal steps from 0 to 1.
    """

    made: Predicted
    rows: int
    of: int
    quantiles: tuple[float, ...]
    decided: float
    shares: tuple[float, ...]


def numbers(count: int, size: int) -> list[int]:
    """Row numbers to look at: one out of each of ``size`` equal stretches of a batch, by a fixed seed.

    An even step would fall in with what repeats in a file, such as a day's hours; a plain draw clumps.

    >>> numbers(3, 20_000)
    [0, 1, 2]
    """
    if count <= size:
        return list(range(count))
    edges = np.arange(size + 1, dtype=np.int64) * count // size
    return [int(number) for number in np.random.default_rng(_SEED).integers(edges[:-1], edges[1:])]


def sample(cursor: Cursor, mart: Mart, batch: str, columns: Sequence[Column], size: int = ROWS) -> Sample | None:
    """Some rows of a batch, each found by its address; ``None`` if the batch has none."""
    cursor.execute(SQL("SELECT max(row_number) FROM {} WHERE batch = %s").format(mart.sql), [batch])
    (last,) = cursor.fetchall()[0]
    if last is None:
        return None
    wanted = numbers(last + 1, size)
    query = SQL("SELECT {} FROM {} WHERE batch = %s").format(SQL(", ").join(each.sql for each in columns), mart.sql)
    values: list[object] = [batch]
    if len(wanted) <= last:
        query, values = query + SQL(" AND row_number = ANY (%s)"), [batch, wanted]
    cursor.execute(query, values)
    rows = cursor.fetchall()
    types = pa.schema([(each.name, arrow_type(each.kind)) for each in columns])
    taken = zip(*rows, strict=True) if rows else ([] for _ in columns)
    arrays = [pa.array(list(column), field.type) for column, field in zip(taken, types, strict=True)]
    return Sample(batch, len(rows), last + 1, dict(zip(types.names, arrays, strict=True)))


def drift(cursor: Cursor, train: Mart, predict: Mart, train_batch: str, predict_batch: str) -> Drift | None:
    """The columns that both marts have, compared by :mod:`~pipeline_assets.monitoring.drift`, the worst first.

    ``None`` if one of the batches has no row.
    """
    shared = [
        column
        for name, column in train.columns.items()
        if column.role in ("raw", "feature")
        and name in predict.columns
        and predict.columns[name].kind == column.kind
        and psi.comparable(arrow_type(column.kind))
    ]
    before = sample(cursor, train, train_batch, shared)
    after = sample(cursor, predict, predict_batch, shared)
    if before is None or after is None or not before.rows or not after.rows:
        return None
    shifts = [
        ColumnShift(column, psi.compare(before.columns[column.name], after.columns[column.name])) for column in shared
    ]
    return Drift(before, after, tuple(sorted(shifts, key=lambda shift: -shift.stability.index)))


def scores(cursor: Cursor, output: Mart, batches: Sequence[Predicted]) -> list[Scores]:
    """How the scores of some batches lie, from a sample of each."""
    found = []
    for made in batches:
        taken = sample(cursor, output, made.batch, [output.columns[name] for name in _SCORE_COLUMNS], SCORES)
        if taken is not None and taken.rows:
            found.append(_scores(made, taken))
    return found


def _scores(made: Predicted, taken: Sample) -> Scores:
    probability = taken.columns["probability"].to_numpy()
    counts, _ = np.histogram(probability, bins=20, range=(0, 1))
    return Scores(
        made=made,
        rows=taken.rows,
        of=taken.of,
        quantiles=tuple(float(value) for value in np.quantile(probability, QUANTILES)),
        decided=taken.columns["decision"].true_count / taken.rows,
        shares=tuple(float(count) / taken.rows for count in counts),
    )
