"""Rows of a mart of any size: a page at a time, counted up to a bound, a column looked at by a sample."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
from psycopg2.extensions import cursor as Cursor  # noqa: N812 - it is a class
from psycopg2.sql import SQL, Composable, Composed, Identifier, Literal

from pipeline_assets.mart_page.catalog import Column, Mart
from pipeline_assets.mart_page.views.marts.filters import Filter, condition
from pipeline_assets.stores.marts import catalog as mart_catalog
from pipeline_assets.stores.marts.sql import Dialect
from pipeline_assets.stores.marts.sql_types import arrow_type
from pipeline_assets.task.spec import ROW_ADDRESS

PAGE_ROWS = 50
# Nobody turns more pages than these; a filter or the other order leads further.
LAST_PAGE = 200
COUNTED = PAGE_ROWS * LAST_PAGE
# Distinct values of a key that are looked through one by one; more are compared row by row.
_FEW_VALUES = 2000
_SAMPLED = 100_000
_BINS = 30
_TOP = 12


@dataclass(frozen=True)
class Order:
    """How rows are ordered: by a column, then by their address, backwards both or neither.

    Attributes:
        column: ``None`` for the address alone.
    """

    column: Column | None = None
    down: bool = False


@dataclass(frozen=True)
class Asked:
    """Which rows of a mart are wanted, and in which order."""

    mart: Mart
    batch: str | None
    filters: tuple[Filter, ...]
    order: Order

    @property
    def where(self) -> Composed:
        """The condition."""
        return condition(self.filters, self.batch)

    @property
    def by_index(self) -> bool:
        """Whether the indexes of the mart hold all that finds and orders the rows."""
        ordered = [] if self.order.column is None else [self.order.column]
        return all(column.key for column in [*ordered, *(one.column for one in self.filters)])

    def order_by(self, table: str = "") -> Composed:
        """The order's expressions; rows without a value come last."""
        back = SQL(" DESC") if self.order.down else SQL("")
        prefix = SQL(f"{table}.") if table else SQL("")
        terms: list[Composable] = []
        column = self.order.column
        if column is not None and column.name not in ROW_ADDRESS:
            # An index gives no NULLS LAST backwards; a key has no nulls to put anywhere.
            nulls = SQL("") if column.key else SQL(" NULLS LAST")
            terms.append(prefix + column.sql + back + nulls)
        address = ROW_ADDRESS
        if column is not None and column.name == "row_number":
            address = ("row_number", "batch")
        terms += [prefix + Identifier(name) + back for name in address]
        return SQL(", ").join(terms)


@dataclass(frozen=True)
class Beside:
    """Columns of another mart, shown beside each row of the same address.

    Attributes:
        mart: whose.
        columns: names of them.
    """

    mart: Mart
    columns: tuple[str, ...]


@dataclass(frozen=True)
class Rows:
    """One page of rows.

    Attributes:
        columns: names, those beside after the mart's own.
        rows: values.
        more: whether rows follow.
    """

    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]
    more: bool


def order_of(mart: Mart, filters: Sequence[Filter], sort: str | None, *, down: bool) -> Order:
    """The order that is asked for; else that of the key which a filter names, by which rows are found at once.

    Rows found by a range of a key but ordered by their address would all have to be read first.
    """
    if sort is not None and sort in mart.columns:
        return Order(mart.columns[sort], down)
    keys = [one.column for one in filters if one.column.key and one.column.name not in ROW_ADDRESS]
    return Order(keys[0] if keys else None, down)


def page(cursor: Cursor, asked: Asked, columns: Sequence[str], number: int, beside: Beside | None = None) -> Rows:
    """The rows of one page.

    Args:
        asked: which rows.
        columns: of the mart, in order.
        number: from 1 to :data:`LAST_PAGE`.
        beside: what else to show.
    """
    number = min(max(number, 1), LAST_PAGE)
    window = SQL("LIMIT {} OFFSET {}").format(SQL(str(PAGE_ROWS + 1)), SQL(str((number - 1) * PAGE_ROWS)))
    mart, where = asked.mart, _where(cursor, asked)
    if asked.by_index:
        # Addresses first, from the indexes alone; then the few rows themselves.
        found = SQL(
            "SELECT t.* FROM (SELECT batch, row_number FROM {mart} WHERE {where} ORDER BY {order} {window}) k"
            " JOIN {mart} t ON t.batch = k.batch AND t.row_number = k.row_number"
        ).format(mart=mart.sql, where=where, order=asked.order_by(), window=window)
    else:
        found = SQL("SELECT * FROM {mart} WHERE {where} ORDER BY {order} {window}").format(
            mart=mart.sql, where=where, order=asked.order_by(), window=window
        )
    names = [SQL("t.") + mart.columns[name].sql for name in columns]
    joined: Composable = SQL("")
    if beside is not None:
        names += [SQL("b.") + beside.mart.columns[name].sql for name in beside.columns]
        joined = SQL(" LEFT JOIN {} b ON b.batch = t.batch AND b.row_number = t.row_number").format(beside.mart.sql)
    query = SQL("SELECT {} FROM ({}) t{} ORDER BY {}")
    cursor.execute(query.format(SQL(", ").join(names), found, joined, asked.order_by("t")))
    rows = cursor.fetchall()
    shown = (*columns, *(beside.columns if beside else ()))
    return Rows(shown, rows[:PAGE_ROWS], len(rows) > PAGE_ROWS)


def count(cursor: Cursor, asked: Asked) -> int | None:
    """How many rows there are; ``None`` if they are more than :data:`COUNTED`."""
    # In the page's order where an index has it: else the planner takes the rows for spread evenly, and may read all.
    order = SQL(" ORDER BY ") + asked.order_by() if asked.by_index else SQL("")
    query = SQL("SELECT count(*) FROM (SELECT 1 FROM {} WHERE {}{} LIMIT {}) t")
    cursor.execute(query.format(asked.mart.sql, _where(cursor, asked), order, SQL(str(COUNTED + 1))))
    found = int(cursor.fetchall()[0][0])
    return None if found > COUNTED else found


def about(cursor: Cursor, mart: Mart) -> int:
    """About how many rows a whole mart has, as the server's statistics say."""
    query = (
        "SELECT reltuples::bigint FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
        " WHERE n.nspname = %s AND c.relname = %s"
    )
    cursor.execute(query, [mart.schema, mart.name])
    return max(int(cursor.fetchall()[0][0]), 0)


def batches(cursor: Cursor, mart: Mart) -> list[str]:
    """The batches in a mart, by name: a look into the index for each, however many rows it has."""
    return [str(value) for value in _distinct(cursor, mart, mart.columns["batch"], None) or []]


def stream(cursor: Cursor, asked: Asked, columns: Sequence[str], rows_at_once: int = 10_000) -> pa.RecordBatchReader:
    """All the rows asked for, in their order, as they come from the server; the cursor must be a named one.

    Args:
        columns: of the mart, in order.
        rows_at_once: rows of one record batch: what is held in memory.
    """
    schema = pa.schema([(name, arrow_type(asked.mart.columns[name].kind)) for name in columns])
    wanted = [
        SQL("{0}::text" if field.type == pa.string() else "{0}").format(Identifier(field.name)) for field in schema
    ]
    cursor.itersize = rows_at_once
    cursor.execute(
        SQL("SELECT {} FROM {} WHERE {} ORDER BY {}").format(
            SQL(", ").join(wanted), asked.mart.sql, asked.where, asked.order_by()
        )
    )

    def parts() -> Iterator[pa.RecordBatch]:
        while rows := cursor.fetchmany(rows_at_once):
            values = zip(*rows, strict=True)
            arrays = [pa.array(column, field.type) for column, field in zip(values, schema, strict=True)]
            yield pa.record_batch(arrays, schema=schema)

    return pa.RecordBatchReader.from_batches(schema, parts())


@dataclass(frozen=True)
class Distribution:
    """What values a column has among the rows asked for, or among a sample of them.

    Attributes:
        looked_at: rows.
        sampled: whether they are a part of the rows asked for.
        nulls: rows without a value.
        different: values that differ.
        edges: of the bins of numbers and dates (dates as days since the year 1), one more than ``counts``; empty
            for other columns.
        counts: rows in each bin, or with each of ``values``.
        values: the most frequent ones of a column without bins, most frequent first.
        others: rows whose values are in no bin, such as infinities, or not among ``values``.
        lowest: of the values that are ordered; ``None`` without any.
        highest: of the values that are ordered; ``None`` without any.
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


def distribution(cursor: Cursor, asked: Asked, column: Column) -> Distribution:
    """A column's values among at most about a hundred thousand of the rows asked for, taken all over the mart."""
    sampled = _draws(cursor, asked)
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
    seen = Distribution(rows, sampled is not None, rows - filled, len(values))
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
class _Draw:
    """How a part of a mart is drawn: what follows its name, and what is added to the condition."""

    clause: Composed
    condition: Composed


def _draws(cursor: Cursor, asked: Asked) -> _Draw | None:
    """How to look at a part of the rows asked for; ``None`` where all can be looked at.

    Blocks are drawn where the server can, the same ones each time; rows elsewhere.
    """
    rows = about(cursor, asked.mart)
    if rows <= _SAMPLED or count(cursor, asked) is not None:
        return None
    share = SQL(repr(100.0 * _SAMPLED / rows))
    nothing = Composed([])
    if mart_catalog.dialect(cursor) is Dialect.GREENPLUM:
        return _Draw(nothing, SQL(" AND random() * 100 < {}").format(share))
    return _Draw(SQL(" TABLESAMPLE SYSTEM ({}) REPEATABLE (1)").format(share), nothing)


def _where(cursor: Cursor, asked: Asked) -> Composed:
    """The condition; words within a key of few values become a list of those values, which an index finds."""
    terms = []
    for one in asked.filters:
        values = None
        if one.word in ("contains", "starts") and one.column.key and one.column.kind == "text":
            values = _distinct(cursor, asked.mart, one.column, _FEW_VALUES)
        if values is None:
            terms.append(one.sql)
        else:
            written, said = str(one.value), [str(value) for value in values]
            hit = (
                [value for value in said if value.startswith(written)]
                if one.word == "starts"
                else [value for value in said if written.lower() in value.lower()]
            )
            terms.append(SQL("{} = ANY ({}::text[])").format(one.column.sql, Literal(hit)))
    if asked.batch is not None:
        terms.insert(0, SQL("batch = {}").format(Literal(asked.batch)))
    return SQL(" AND ").join(terms) if terms else Composed([SQL("true")])


def _distinct(cursor: Cursor, mart: Mart, column: Column, most: int | None) -> list[Any] | None:
    """The values of a key column, in order; ``None`` if they are more than ``most``."""
    names = {"mart": mart.sql, "column": column.sql}
    if mart_catalog.dialect(cursor) is Dialect.GREENPLUM:
        query = SQL("SELECT DISTINCT {column} FROM {mart} ORDER BY 1").format(**names)
    else:
        # From value to value through the index, instead of through all rows.
        query = SQL(
            "WITH RECURSIVE v AS ((SELECT {column} AS value FROM {mart} ORDER BY {column} LIMIT 1) UNION ALL"
            " SELECT (SELECT {column} FROM {mart} WHERE {column} > v.value ORDER BY {column} LIMIT 1)"
            " FROM v WHERE v.value IS NOT NULL) SELECT value FROM v WHERE value IS NOT NULL"
        ).format(**names)
    cursor.execute(query + SQL(" LIMIT {}").format(SQL(str(most + 1))) if most is not None else query)
    values = [value for (value,) in cursor.fetchall()]
    return None if most is not None and len(values) > most else values
