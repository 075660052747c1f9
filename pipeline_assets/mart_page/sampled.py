"""Samples of a batch, drawn by row number: looking at a large batch costs no more than looking at a small one."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from psycopg2.extensions import cursor as Cursor  # noqa: N812 - it is a class
from psycopg2.sql import SQL, Composable, Composed, Literal

from pipeline_assets.mart_page.catalog import Column, Mart
from pipeline_assets.stores.marts.sql import Dialect
from pipeline_assets.stores.marts.sql_types import arrow_type

ROWS = 10_000  # of a sample, at most
# 2 to the 32nd by the golden ratio. Multiples of it, by 2 to the 32nd, leave remainders that are spread evenly and
# follow no pattern.
_STEP = 2_654_435_769
_BITS = 32


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


def numbers(count: int, size: int) -> list[int]:
    """Row numbers to look at: one out of each of at most ``size`` equal stretches of a batch, the same each time.

    Equal steps could follow a pattern in the file, such as the hours of a day; a plain random draw is uneven.

    >>> numbers(3, 10_000), numbers(10, 5)
    ([0, 1, 2], [0, 3, 4, 7, 8])
    """
    stretch = _stretch(count, size)
    places = np.arange(-(-count // stretch), dtype=np.int64)
    found = places * stretch + (((places * _STEP) & ((1 << _BITS) - 1)) * stretch >> _BITS)
    return [int(number) for number in found[found < count]]


def _stretch(count: int, size: int) -> int:
    return max(-(-count // size), 1)


def drawn(mart: Mart, count: int, size: int) -> Composed:
    """The condition that a row's number is one of :func:`numbers`, as the mart's server answers it soonest.

    PostgreSQL looks each number up in its index. Greenplum reads the batch's partition in any case, and computing is
    cheaper than a join: it compares a row with an array of thousands of numbers for minutes.
    """
    if mart.dialect is Dialect.POSTGRESQL:
        return SQL("{} IN (SELECT unnest({}::bigint[]))").format(mart.row_number, Literal(numbers(count, size)))
    return computed(mart.row_number, count, size)


def computed(number: Composable, count: int, size: int) -> Composed:
    """The condition that a row's number is one of :func:`numbers`, computed for each row: for queries that read all.

    It is no plain equality, which planners believe to hold of one row in 200: Greenplum then joins by a hash table that
    is too small by far.
    """
    mask = (1 << _BITS) - 1
    return SQL("abs({0} % {1} - ((((({0} / {1}) * {2}) & {3}) * {1}) >> {4})) < 1").format(
        number, *map(Literal, (_stretch(count, size), _STEP, mask, _BITS))
    )


def sample(cursor: Cursor, mart: Mart, batch: str, columns: Sequence[Column], size: int = ROWS) -> Sample | None:
    """Some rows of a batch, in its order; ``None`` if the batch has none."""
    of_batch = SQL("FROM {} WHERE {} = {}").format(mart.sql, mart.batch, Literal(batch))
    cursor.execute(SQL("SELECT max({}) ").format(mart.row_number) + of_batch)
    (last,) = cursor.fetchall()[0]
    if last is None:
        return None
    types = pa.schema([(each.name, arrow_type(each.kind)) for each in columns])
    names = [
        SQL("{}::text" if field.type == pa.string() else "{}").format(each.sql)
        for each, field in zip(columns, types, strict=True)
    ]
    query = SQL("SELECT {} ").format(SQL(", ").join(names)) + of_batch
    if size <= last:
        query += SQL(" AND ") + drawn(mart, last + 1, size)
    cursor.execute(query + SQL(" ORDER BY {}").format(mart.row_number))
    rows = cursor.fetchall()
    taken = zip(*rows, strict=True) if rows else ([] for _ in columns)
    arrays = [pa.array(list(column), field.type) for column, field in zip(taken, types, strict=True)]
    return Sample(batch, len(rows), last + 1, dict(zip(types.names, arrays, strict=True)))
