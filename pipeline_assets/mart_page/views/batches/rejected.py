"""How many rows the last check of each batch rejected, by rule, from the mart of rejections."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from psycopg2.extensions import cursor as Cursor  # noqa: N812 - it is a class
from psycopg2.sql import SQL, Identifier, Literal

from pipeline_assets.stores.marts import catalog as mart_catalog
from pipeline_assets.stores.marts.rejections import rejections_mart
from pipeline_assets.task.spec import Stage, TaskSpec

# Batches of a picture; the latest by name.
SHOWN = 50


@dataclass(frozen=True)
class RejectedOf:
    """The last check of a batch.

    Attributes:
        rows: of the batch.
        rejected: rows that broke any rule.
        rules: rows by rule.
    """

    batch: str
    rows: int
    rejected: int
    checked_at: datetime
    rules: Mapping[str, int] = field(default_factory=dict)


def rejected_of(cursor: Cursor, schema: str, task: TaskSpec, stage: Stage) -> list[RejectedOf]:
    """The last check of each of the latest batches of a stage, in the order of their names.

    Empty where no check was counted yet: earlier versions of the pipeline counted none.
    """
    name = rejections_mart(task).name
    if mart_catalog.relation_state(cursor, schema, name) is None:
        return []
    query = SQL(
        "WITH latest AS (SELECT batch, max(checked_at) AS checked_at FROM {table} WHERE stage = {stage}"
        " GROUP BY batch ORDER BY batch DESC LIMIT {limit})"
        " SELECT r.batch, r.batch_rows, r.rejected_rows, r.checked_at, r.rule, r.rows FROM {table} r"
        " JOIN latest l ON l.batch = r.batch AND l.checked_at = r.checked_at"
        " WHERE r.stage = {stage} ORDER BY r.batch, r.rows DESC, r.rule"
    )
    cursor.execute(query.format(table=Identifier(schema, name), stage=Literal(stage), limit=Literal(SHOWN)))
    found: dict[str, RejectedOf] = {}
    for batch, rows, rejected, checked_at, rule, count in cursor.fetchall():
        one = found.get(batch) or RejectedOf(batch, rows, rejected, checked_at)
        rules = {**one.rules, rule: count} if rule else one.rules
        found[batch] = RejectedOf(batch, rows, rejected, checked_at, rules)
    return list(found.values())
