"""The values of one column of a mart: counted among the rows asked for, or among a sample of them."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from psycopg2.extensions import cursor as Cursor  # noqa: N812 - it is a class
from psycopg2.sql import SQL, Composed

from pipeline_assets.mart_page.catalog import Column
from pipeline_assets.mart_page.views.marts.queries import Asked, about, count
from pipeline_assets.mart_page.views.marts.statistics import Statistics, statistics
from pipeline_assets.stores.marts.sql import Dialect

_SAMPLED = 100_000
_BINS = 30
_TOP = 12


@dataclass(frozen=True)
class Distribution:
    """What values a column has among the rows asked for, or among a sample of them.

    Attributes:
        looked_at: rows.
        sampled: whether they are a part of the rows asked for.
        nulls: rows without a value.
        different: distinct values.
        edges: of the bins of numbers and dates (dates as days since the year 1), one more than ``counts``; empty
            for other columns.
        counts: rows in each bin, or with each of ``values``.
        values: the most frequent ones of a column without bins, most frequent first.
        others: rows whose values are in no bin, such as infinities, or not among ``values``.
        lowest: number or date; ``None`` if there is none.
        highest: number or date; ``None`` if there is none.
        statistics: of the values; ``None`` if there is none.
    """

    looked_at: int
    sampled: bool
    nulls: int
    different: int
    edges: tuple[float, ...] = ()
    counts: tuple[int, ...] = ()
    values: tuple[Any, ...] = ()
    others: int = 0
    lowest: Any = None
    highest: Any = None
    statistics: Statistics | None = None


def distribution(cursor: Cursor, asked: Asked, column: Column) -> Distribution:
    """A column's values among the rows asked for; of many rows, among a hundred thousand spread over the mart."""
    sampled = draws(cursor, asked)
    cursor.execute(
        SQL("SELECT {}, count(*) FROM {} WHERE {} GROUP BY 1 ORDER BY 2 DESC, 1").format(
            SQL("{}" if column.numeric or column.kind in ("date", "boolean") else "{}::text").format(column.sql),
            asked.mart.sql + sampled.clause if sampled else asked.mart.sql,
            asked.where + sampled.condition if sampled else asked.where,
        )
    )
    found = cursor.fetchall()
    values = [(value, number) for value, number in found if value is not None]
    rows, filled = sum(number for _, number in found), sum(number for _, number in values)
    seen = Distribution(rows, sampled is not None, rows - filled, len(values), statistics=statistics(values))
    if not values:
        return seen
    if column.numeric or column.kind == "date":
        return _binned(seen, values, dates=column.kind == "date")
    top = values[:_TOP]
    return replace(
        seen,
        counts=tuple(number for _, number in top),
        values=tuple(value for value, _ in top),
        others=filled - sum(number for _, number in top),
    )


def _binned(seen: Distribution, values: list[tuple[Any, int]], *, dates: bool) -> Distribution:
    numbers = np.array([value.toordinal() if dates else float(value) for value, _ in values], dtype=np.float64)
    weights = np.array([number for _, number in values])
    finite = np.isfinite(numbers)
    if not finite.any():
        return replace(seen, others=int(weights.sum()))
    counts, edges = np.histogram(numbers[finite], bins=min(_BINS, max(len(values), 1)), weights=weights[finite])
    return replace(
        seen,
        edges=tuple(edges.tolist()),
        counts=tuple(int(count) for count in counts),
        others=int(weights[~finite].sum()),
        lowest=values[int(np.argmin(np.where(finite, numbers, np.inf)))][0],
        highest=values[int(np.argmax(np.where(finite, numbers, -np.inf)))][0],
    )


@dataclass(frozen=True)
class Draw:
    """How a part of a mart is sampled: what follows the table's name, and what is added to the condition."""

    clause: Composed
    condition: Composed


def draws(cursor: Cursor, asked: Asked) -> Draw | None:
    """How to sample the rows asked for; ``None`` if they are few enough to read them all.

    PostgreSQL draws blocks, the same ones each time; Greenplum has no TABLESAMPLE and draws rows.
    """
    rows = about(cursor, asked.mart)
    if rows <= _SAMPLED or count(cursor, asked) is not None:
        return None
    share = SQL(repr(100.0 * _SAMPLED / rows))
    nothing = Composed([])
    if asked.mart.dialect is Dialect.GREENPLUM:
        return Draw(nothing, SQL(" AND random() * 100 < {}").format(share))
    return Draw(SQL(" TABLESAMPLE SYSTEM ({}) REPEATABLE (1)").format(share), nothing)
