"""Which version predicted which batch, by the first row of each: a look-up a batch, however many rows it has."""

from dataclasses import dataclass
from datetime import datetime

from psycopg2.extensions import cursor as Cursor  # noqa: N812 - it is a class
from psycopg2.sql import SQL

from pipeline_assets.mart_page.catalog import Mart


@dataclass(frozen=True)
class Predicted:
    """A batch in the output mart, and what made it."""

    batch: str
    model_version: int
    run_id: str
    predicted_at: datetime


def predicted(cursor: Cursor, output: Mart, choices: Mart, latest: int = 200) -> list[Predicted]:
    """The batches that are in the output mart, by name.

    Each prediction has left a record of choice, so the batches are those of the records: asking the mart itself
    for its batches would read all of it.

    Args:
        latest: so many batches at most, those predicted last.
    """
    query = SQL("SELECT batch FROM {} WHERE stage = 'predict' GROUP BY batch ORDER BY max(chosen_at) DESC LIMIT %s")
    cursor.execute(query.format(choices.sql), [latest])
    query = SQL("SELECT batch, model_version, run_id, predicted_at FROM {} WHERE batch = %s LIMIT 1")
    found = []
    for (batch,) in cursor.fetchall():
        cursor.execute(query.format(output.sql), [batch])
        row = cursor.fetchone()
        if row is not None:
            found.append(Predicted(*row))
    return sorted(found, key=lambda each: each.batch)
