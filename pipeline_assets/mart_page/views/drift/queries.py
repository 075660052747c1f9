"""Samples of a batch, drawn by row number: comparing large batches costs no more than comparing small ones."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from psycopg2.extensions import cursor as Cursor  # noqa: N812 - it is a class
from psycopg2.sql import SQL, Literal

from pipeline_assets.mart_page.catalog import Column, Mart
from pipeline_assets.mart_page.predicted import Predicted
from pipeline_assets.monitoring import drift as psi
from pipeline_assets.stores.marts.sql_types import arrow_type

ROWS = 20_000  # of a sample
SCORES = 5_000  # of a batch's scores
_PROBABILITY, _DECISION = "probability", "decision"
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
    """The distribution of a batch's scores.

    Attributes:
        rows: rows looked at.
        of: see :class:`Sample`.
        quantiles: of the probability, by :data:`QUANTILES`.
        decided: share of rows that the output file takes; ``None`` for a task without a rule, whose file takes all.
        shares: of the rows, by probability, in twenty equal steps from 0 to 1.
    """

    made: Predicted
    rows: int
    of: int
    quantiles: tuple[float, ...]
    decided: float | None
    shares: tuple[float, ...]


def numbers(count: int, size: int) -> list[int]:
    """Row numbers to look at: one out of each of ``size`` equal stretches of a batch, by a fixed seed.

    Equal steps could follow a pattern in the file, such as the hours of a day; a plain random draw is uneven.

    >>> numbers(3, 20_000)
    [0, 1, 2]
    """
    if count <= size:
        return list(range(count))
    edges = np.arange(size + 1, dtype=np.int64) * count // size
    return [int(number) for number in np.random.default_rng(_SEED).integers(edges[:-1], edges[1:])]


def sample(cursor: Cursor, mart: Mart, batch: str, columns: Sequence[Column], size: int = ROWS) -> Sample | None:
    """Some rows of a batch, each found by its address; ``None`` if the batch has none."""
    of_batch = SQL("FROM {} WHERE {} = {}").format(mart.sql, mart.batch, Literal(batch))
    cursor.execute(SQL("SELECT max({}) ").format(mart.row_number) + of_batch)
    (last,) = cursor.fetchall()[0]
    if last is None:
        return None
    wanted = numbers(last + 1, size)
    query = SQL("SELECT {} ").format(SQL(", ").join(each.sql for each in columns)) + of_batch
    if len(wanted) <= last:
        # Greenplum joins with a set of numbers within seconds; to compare each row with an array takes it minutes.
        drawn = SQL(" AND {} IN (SELECT unnest({}::bigint[]))").format(mart.row_number, Literal(wanted))
        query += drawn
    cursor.execute(query)
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
    """The scores of some batches, from a sample of each; none if the mart holds no probability."""
    columns = [output.columns[name] for name in (_PROBABILITY, _DECISION) if name in output.columns]
    if _PROBABILITY not in output.columns:
        return []
    found = []
    for made in batches:
        taken = sample(cursor, output, made.batch, columns, SCORES)
        if taken is not None and taken.rows:
            found.append(_scores(made, taken))
    return found


def _scores(made: Predicted, taken: Sample) -> Scores:
    probability, decision = taken.columns[_PROBABILITY].to_numpy(), taken.columns.get(_DECISION)
    counts, _ = np.histogram(probability, bins=20, range=(0, 1))
    return Scores(
        made=made,
        rows=taken.rows,
        of=taken.of,
        quantiles=tuple(float(value) for value in np.quantile(probability, QUANTILES)),
        decided=None if decision is None or decision.null_count == taken.rows else decision.true_count / taken.rows,
        shares=tuple(float(count) / taken.rows for count in counts),
    )
