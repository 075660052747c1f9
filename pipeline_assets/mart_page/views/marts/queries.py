"""Rows of a mart of any size: read a page at a time, counted up to a limit, streamed for a download."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from psycopg2.extensions import cursor as Cursor  # noqa: N812 - it is a class
from psycopg2.sql import SQL, Composable, Composed, Identifier, Literal

from pipeline_assets.mart_page.catalog import Column, Mart
from pipeline_assets.mart_page.views.marts import addressed
from pipeline_assets.mart_page.views.marts.filters import Filter, all_of, condition
from pipeline_assets.stores.marts import catalog as mart_catalog
from pipeline_assets.stores.marts.sql import Dialect
from pipeline_assets.stores.marts.sql_types import arrow_type

PAGE_ROWS = 50
# Nobody reads more pages than this; a filter or the reverse order leads further.
LAST_PAGE = 200
COUNTED = PAGE_ROWS * LAST_PAGE
# A filter on part of a text compares the distinct values of a key column if they are at most so many; else each row.
_FEW_VALUES = 2000
# Batches that a picker offers: the last ones by name.
_BATCHES = 2000


@dataclass(frozen=True)
class Order:
    """How rows are ordered: by a column, then by row number and batch; backwards all or none.

    Attributes:
        column: ``None`` for the address alone: batch and row number.
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
        return condition(self.mart, self.filters, self.batch)

    @property
    def by_index(self) -> bool:
        """Whether the mart has indexes for every column that the rows are filtered and ordered by: not on Greenplum."""
        ordered = [] if self.order.column is None else [self.order.column]
        return self.mart.dialect is Dialect.POSTGRESQL and all(
            column.key for column in [*ordered, *(one.column for one in self.filters)]
        )

    def order_by(self) -> Composed:
        """The order's expressions; rows without a value come last."""
        back = SQL(" DESC") if self.order.down else SQL("")
        terms: list[Composable] = []
        column, address = self.order.column, self.mart.address
        if column is not None and column.name not in address:
            # An index read backwards gives nulls first; a key has no nulls, so the index serves both ways.
            nulls = SQL("") if column.key else SQL(" NULLS LAST")
            terms.append(column.sql + back + nulls)
        by_batch = column is None or column.name == address[0]
        terms += [Identifier(name) + back for name in (address if by_batch else address[::-1])]
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
    """The order that is asked for; without one on PostgreSQL, the order of a key column that a filter names.

    Its index then gives the first rows at once. Ordered by their address, all rows of a range of the key would have to
    be read first. Greenplum has no such index: there the order of addresses finds the first rows in the first batches.
    """
    if sort is not None and sort in mart.columns:
        return Order(mart.columns[sort], down)
    keys = [one.column for one in filters if one.column.key and one.column.name not in mart.address]
    return Order(keys[0] if keys and mart.dialect is Dialect.POSTGRESQL else None, down)


def page(cursor: Cursor, asked: Asked, columns: Sequence[str], number: int, beside: Beside | None = None) -> Rows:
    """The rows of one page.

    Args:
        asked: which rows.
        columns: of the mart, in order.
        number: from 1 to :data:`LAST_PAGE`.
        beside: what else to show.
    """
    number = min(max(number, 1), LAST_PAGE)
    where = _where(cursor, asked)
    found = addressed.addresses(cursor, asked, where, (number - 1) * PAGE_ROWS, PAGE_ROWS + 1)
    shown = found[:PAGE_ROWS]
    own = addressed.rows(cursor, asked.mart, columns, shown)
    others = addressed.rows(cursor, beside.mart, beside.columns, shown) if beside else {}
    nothing = (None,) * len(beside.columns) if beside else ()
    # A row of a batch that was replaced since its address was read may be gone.
    rows = [(*own[one], *others.get(one, nothing)) for one in shown if one in own]
    return Rows((*columns, *(beside.columns if beside else ())), rows, len(found) > PAGE_ROWS)


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
    # A mart's rows are in its partitions. One that has no statistics counts nothing: -1 since PostgreSQL 14.
    query = SQL(
        "SELECT COALESCE(sum(greatest(p.reltuples, 0)), 0)::bigint FROM pg_class c"
        " JOIN pg_namespace n ON n.oid = c.relnamespace LEFT JOIN pg_inherits i ON i.inhparent = c.oid"
        " JOIN pg_class p ON p.oid = COALESCE(i.inhrelid, c.oid) WHERE n.nspname = {} AND c.relname = {}"
    )
    cursor.execute(query.format(Literal(mart.schema), Literal(mart.name)))
    return int(cursor.fetchall()[0][0])


def batches(cursor: Cursor, mart: Mart) -> list[str]:
    """The batches in a mart, by name; the last ones by name where there are very many.

    They are those of its partitions. Of a mart that a former version made and no run has moved over yet, PostgreSQL
    looks each one up in the index, and Greenplum reads the column.
    """
    there = mart_catalog.partitions(cursor, mart.schema, mart.name)
    if there:
        return sorted(there[-_BATCHES:])
    found = _distinct(cursor, mart, mart.columns[mart.address[0]], _BATCHES, down=True)
    return sorted(str(value) for value in found[:_BATCHES])


def stream(cursor: Cursor, asked: Asked, columns: Sequence[str], rows_at_once: int = 10_000) -> pa.RecordBatchReader:
    """All the rows asked for, as they come from the server; the cursor must be a named one.

    They come in the order asked for. Only Greenplum, which has no index, gives the rows of a whole mart unordered
    where no order is asked for: it would have to sort all of them first.

    Args:
        columns: of the mart, in order.
        rows_at_once: rows of one record batch: what is held in memory.
    """
    schema = pa.schema([(name, arrow_type(asked.mart.columns[name].kind)) for name in columns])
    wanted = [
        SQL("{0}::text" if field.type == pa.string() else "{0}").format(Identifier(field.name)) for field in schema
    ]
    unordered = asked.batch is None and asked.order.column is None and asked.mart.dialect is Dialect.GREENPLUM
    order = Composed([]) if unordered else SQL(" ORDER BY ") + asked.order_by()
    cursor.itersize = rows_at_once
    cursor.execute(
        SQL("SELECT {} FROM {} WHERE {}{}").format(SQL(", ").join(wanted), asked.mart.sql, asked.where, order)
    )

    def parts() -> Iterator[pa.RecordBatch]:
        while rows := cursor.fetchmany(rows_at_once):
            values = zip(*rows, strict=True)
            arrays = [pa.array(column, field.type) for column, field in zip(values, schema, strict=True)]
            yield pa.record_batch(arrays, schema=schema)

    return pa.RecordBatchReader.from_batches(schema, parts())


def _where(cursor: Cursor, asked: Asked) -> Composed:
    """The condition; words within a key of few values become a list of those values, which an index finds."""
    if asked.mart.dialect is Dialect.GREENPLUM:
        return asked.where
    terms = []
    for one in asked.filters:
        found: list[Any] = []
        if one.word in ("contains", "starts") and one.column.key and one.column.kind == "text":
            found = _distinct(cursor, asked.mart, one.column, _FEW_VALUES, batch=asked.batch)
        if not 0 < len(found) <= _FEW_VALUES:
            terms.append(one.sql)
        else:
            written, values = str(one.value), [str(value) for value in found]
            hit = (
                [value for value in values if value.startswith(written)]
                if one.word == "starts"
                else [value for value in values if written.lower() in value.lower()]
            )
            terms.append(SQL("{} = ANY ({}::text[])").format(one.column.sql, Literal(hit)))
    return all_of(asked.mart, terms, asked.batch)


def _distinct(
    cursor: Cursor, mart: Mart, column: Column, most: int, *, batch: str | None = None, down: bool = False
) -> list[Any]:
    """The values of a key column in a batch or in all, in order; one more than ``most`` if there are more."""
    way = {"way": SQL(" DESC" if down else ""), "beyond": SQL("<" if down else ">"), "most": Literal(most + 1)}
    names = {"mart": mart.sql, "column": column.sql, "of_batch": all_of(mart, [], batch), **way}
    if mart.dialect is Dialect.GREENPLUM:
        query = SQL("SELECT DISTINCT {column} FROM {mart} WHERE {of_batch} ORDER BY 1{way} LIMIT {most}").format(
            **names
        )
    else:
        # From value to value through the index, instead of through all rows.
        query = SQL(
            "WITH RECURSIVE v AS ("
            "(SELECT {column} AS value FROM {mart} WHERE {of_batch} ORDER BY {column}{way} LIMIT 1)"
            " UNION ALL SELECT (SELECT {column} FROM {mart} WHERE {of_batch} AND {column} {beyond} v.value"
            " ORDER BY {column}{way} LIMIT 1) FROM v WHERE v.value IS NOT NULL"
            ") SELECT value FROM v WHERE value IS NOT NULL LIMIT {most}"
        ).format(**names)
    cursor.execute(query)
    return [value for (value,) in cursor.fetchall()]
