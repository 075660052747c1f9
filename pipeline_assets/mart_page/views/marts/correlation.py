"""How a column goes with the score or the label, by the server's own arithmetic."""

from dataclasses import dataclass

from psycopg2.extensions import cursor as Cursor  # noqa: N812 - it is a class
from psycopg2.sql import SQL, Composable, Composed, Literal

from pipeline_assets.mart_page.catalog import Column, Mart
from pipeline_assets.mart_page.views.marts.distribution import draws
from pipeline_assets.mart_page.views.marts.queries import Asked


@dataclass(frozen=True)
class Against:
    """What a column is correlated with.

    Attributes:
        mart: that has it; rows of one address are the same.
        column: a number or a truth value.
    """

    mart: Mart
    column: Column


def measurable(column: Column) -> bool:
    """Whether a column can be correlated: numbers, and truth values as 0 and 1."""
    return (column.numeric and not column.json) or column.kind == "boolean"


def correlation(cursor: Cursor, asked: Asked, column: Column, against: Against) -> float | None:
    """Pearson's correlation of two columns over the rows asked for, or over the sample that the distribution is of.

    ``None`` where it has no value: fewer than two rows, or one value only.
    """
    sampled = draws(cursor, asked)
    source = asked.mart.sql + sampled.clause if sampled else asked.mart.sql
    where = asked.where + sampled.condition if sampled else asked.where
    if against.mart.name == asked.mart.name:
        rows = SQL("SELECT {} AS x, {} AS y FROM {} WHERE {}").format(
            _number(column, SQL("")), _number(against.column, SQL("")), source, where
        )
    else:
        of_batch = Composed([])
        if asked.batch is not None:  # so that the server reads one partition of the other mart
            of_batch = SQL(" AND o.{} = {}").format(against.mart.batch, Literal(asked.batch))
        rows = SQL(
            "SELECT i.x AS x, {y} AS y FROM (SELECT {batch} AS b, {row} AS r, {x} AS x FROM {source} WHERE {where}) i"
            " JOIN {other} o ON o.{other_batch} = i.b AND o.{other_row} = i.r{of_batch}"
        ).format(
            y=_number(against.column, SQL("o.")),
            batch=asked.mart.batch,
            row=asked.mart.row_number,
            x=_number(column, SQL("")),
            source=source,
            where=where,
            other=against.mart.sql,
            other_batch=against.mart.batch,
            other_row=against.mart.row_number,
            of_batch=of_batch,
        )
    # An infinity less itself is NaN, and NaN is not 0: both are left out.
    cursor.execute(SQL("SELECT corr(x, y) FROM ({}) t WHERE x - x = 0 AND y - y = 0").format(rows))
    found = cursor.fetchall()[0][0]
    return None if found is None else float(found)


def _number(column: Column, of: Composable) -> Composed:
    form = "({}{})::integer::double precision" if column.kind == "boolean" else "({}{})::double precision"
    return SQL(form).format(of, column.sql)
