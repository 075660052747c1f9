"""Which version predicted which batch, read from one row of each batch."""

from dataclasses import dataclass
from datetime import datetime

from psycopg2.extensions import cursor as Cursor  # noqa: N812 - it is a class
from psycopg2.sql import SQL, Literal

from pipeline_assets.mart_page.catalog import Mart
from pipeline_assets.stores.marts import catalog as mart_catalog
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
    would read all of it. PostgreSQL looks up one row of each batch in the index; Greenplum has no index there and
    reads the mart once.

    Args:
        latest: at most so many batches, those predicted last.
    """
    query = SQL("SELECT batch FROM {} WHERE stage = 'predict' GROUP BY batch ORDER BY max(chosen_at) DESC LIMIT {}")
    cursor.execute(query.format(choices.sql, Literal(latest)))
    names = [name for (name,) in cursor.fetchall()]
    if not names:
        return []
    if mart_catalog.dialect(cursor) is Dialect.GREENPLUM:
        query = SQL(
            "SELECT batch, max(model_version), max(run_id), max(predicted_at) FROM {}"
            " WHERE batch IN (SELECT unnest({}::text[])) GROUP BY batch"
        )
    else:
        query = SQL(
            "SELECT o.* FROM unnest({1}::text[]) AS name, LATERAL"
            " (SELECT batch, model_version, run_id, predicted_at FROM {0} WHERE batch = name LIMIT 1) o"
        )
    cursor.execute(query.format(output.sql, Literal(names)))
    return sorted((Predicted(*row) for row in cursor.fetchall()), key=lambda each: each.batch)
