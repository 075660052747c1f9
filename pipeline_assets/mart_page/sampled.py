"""Samples of a batch, drawn by row number: looking at a large batch costs no more than looking at a small one."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from psycopg2.extensions import cursor as Cursor  # noqa: N812 - it is a class
from psycopg2.sql import SQL, Literal

from pipeline_assets.mart_page.catalog import Column, Mart
from pipeline_assets.stores.marts.sql_types import arrow_type

ROWS = 20_000  # of a sample
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
    types = pa.schema([(each.name, arrow_type(each.kind)) for each in columns])
    names = [
        SQL("{}::text" if field.type == pa.string() else "{}").format(each.sql)
        for each, field in zip(columns, types, strict=True)
    ]
    query = SQL("SELECT {} ").format(SQL(", ").join(names)) + of_batch
    if len(wanted) <= last:
        # Greenplum joins with a set of numbers within seconds; to compare each row with an array takes it minutes.
        drawn = SQL(" AND {} IN (SELECT unnest({}::bigint[]))").format(mart.row_number, Literal(wanted))
        query += drawn
    cursor.execute(query)
    rows = cursor.fetchall()
    taken = zip(*rows, strict=True) if rows else ([] for _ in columns)
    arrays = [pa.array(list(column), field.type) for column, field in zip(taken, types, strict=True)]
    return Sample(batch, len(rows), last + 1, dict(zip(types.names, arrays, strict=True)))
