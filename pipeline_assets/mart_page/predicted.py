"""Which version predicted which batch, read from one row of each batch."""

from dataclasses import dataclass
from datetime import datetime

from psycopg2.extensions import cursor as Cursor  # noqa: N812 - it is a class
from psycopg2.sql import SQL, Literal

from pipeline_assets.mart_page.catalog import Mart
from pipeline_assets.stores.marts.sql import Dialect


@dataclass(frozen=True)
class Predicted:
    """A batch in the output mart, and what made it."""

    batch: str
    model_version: int
    run_id: str
    predicted_at: datetime


def predicted(cursor: Cursor, output: Mart, choices: Mart, latest: int = 200) -> list[Predicted]:
    """The batches that are in the output mart, by name.

    Each prediction has left a record of choice, so the batches are those of the records: reading them from the mart
    would read all of it. PostgreSQL looks up one row of each batch in the index. Greenplum, which has no index there,
    is asked once per batch: it finds the partition by a batch that the statement names, and ends at the first row.

    Args:
        latest: at most so many batches, those predicted last.
    """
    query = SQL("SELECT batch FROM {} WHERE stage = 'predict' GROUP BY batch ORDER BY max(chosen_at) DESC LIMIT {}")
    cursor.execute(query.format(choices.sql, Literal(latest)))
    names = [name for (name,) in cursor.fetchall()]
    if not names:
        return []
    one = SQL("SELECT batch, model_version, run_id, predicted_at FROM {} WHERE batch = {} LIMIT 1")
    rows = []
    if output.dialect is Dialect.GREENPLUM:
        for name in names:
            cursor.execute(one.format(output.sql, Literal(name)))
            rows += cursor.fetchall()
    else:
        each = SQL("SELECT o.* FROM unnest({}::text[]) AS name, LATERAL ({}) o")
        cursor.execute(each.format(Literal(names), one.format(output.sql, SQL("name"))))
        rows = cursor.fetchall()
    return sorted((Predicted(*row) for row in rows), key=lambda each: each.batch)
