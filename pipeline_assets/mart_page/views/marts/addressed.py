"""A page of rows in two steps: their addresses, read from few columns; then the rows that have these addresses.

PostgreSQL finds addresses in its indexes. Greenplum keeps columns apart and has no index on what people filter by:
whoever asks it for whole rows in an order makes it read and sort every column. In the second step each batch is named,
so that only its partition is read; a join would leave it to the planner to find that out.
"""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import TYPE_CHECKING, Any, TypeAlias

from psycopg2.extensions import cursor as Cursor  # noqa: N812 - it is a class
from psycopg2.sql import SQL, Composed, Identifier, Literal

from pipeline_assets.mart_page.catalog import Mart
from pipeline_assets.stores.marts import catalog as mart_catalog

if TYPE_CHECKING:
    from pipeline_assets.mart_page.views.marts.queries import Asked

Address: TypeAlias = tuple[str, int]

# Row numbers looked at first, by the rows that are wanted: some numbers are those of rejected rows.
_ROOM = 2


def addresses(cursor: Cursor, asked: "Asked", where: Composed, first: int, count: int) -> list[Address]:
    """Addresses of rows in the order asked for.

    Args:
        cursor: of the marts.
        asked: which rows, and in which order.
        where: their condition.
        first: place of the first one, from 0.
        count: of addresses at most.
    """
    by_address = asked.order.column is None or asked.order.column.name == asked.mart.address[0]
    there = _batches(cursor, asked) if by_address else []
    if not there:  # or a former version made the mart, and no run has moved it over yet
        return _found(cursor, asked, where, first + count)[first:]
    found: list[Address] = []
    for batches in _growing(there):
        missing = first + count - len(found)
        if missing <= 0:
            break
        of_batches = SQL("{} IN ({}) AND ").format(asked.mart.batch, SQL(", ").join(map(Literal, batches)))
        found += _of_batches(cursor, asked, of_batches + where, missing)
    return found[first : first + count]


def rows(
    cursor: Cursor, mart: Mart, columns: Sequence[str], wanted: Sequence[Address]
) -> dict[Address, tuple[Any, ...]]:
    """Values of some columns by address; an address that no row has is absent."""
    if not wanted:
        return {}
    by_batch = groupby(sorted(wanted), key=lambda address: address[0])
    terms = [
        SQL("({} = {} AND {} IN ({}))").format(
            mart.batch, Literal(batch), mart.row_number, SQL(", ").join(Literal(number) for _, number in ones)
        )
        for batch, ones in by_batch
    ]
    names = SQL(", ").join(map(Identifier, (*mart.address, *columns)))
    cursor.execute(SQL("SELECT {} FROM {} WHERE {}").format(names, mart.sql, SQL(" OR ").join(terms)))
    return {(batch, number): tuple(values) for batch, number, *values in cursor.fetchall()}


def _batches(cursor: Cursor, asked: "Asked") -> list[str]:
    """The batches in the order asked for."""
    if asked.batch is not None:
        return [asked.batch]
    there = mart_catalog.partitions(cursor, asked.mart.schema, asked.mart.name)
    return there[::-1] if asked.order.down else there


def _growing(there: Sequence[str]) -> Iterator[Sequence[str]]:
    """One, then two, then four of them, and so on: the first ones have all rows of most pages."""
    begin, size = 0, 1
    while begin < len(there):
        yield there[begin : begin + size]
        begin, size = begin + size, size * 2


def _of_batches(cursor: Cursor, asked: "Asked", where: Composed, count: int) -> list[Address]:
    """The first addresses of some batches: looked for among the first row numbers, where nothing says otherwise."""
    if not asked.filters and not asked.order.down:
        near = SQL(" AND {} < {}").format(asked.mart.row_number, Literal(count * _ROOM))
        found = _found(cursor, asked, where + near, count)
        if len(found) == count:
            return found
    return _found(cursor, asked, where, count)


def _found(cursor: Cursor, asked: "Asked", where: Composed, count: int) -> list[Address]:
    query = SQL("SELECT {}, {} FROM {} WHERE {} ORDER BY {} LIMIT {}")
    mart = asked.mart
    cursor.execute(query.format(mart.batch, mart.row_number, mart.sql, where, asked.order_by(), Literal(count)))
    return cursor.fetchall()
