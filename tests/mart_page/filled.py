"""Marts of the example task as the pipeline fills them, in a test's own schema."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
from psycopg2.extensions import cursor as Cursor  # noqa: N812 - it is a class

from pipeline_assets.mart_page.database import SESSION
from pipeline_assets.stores.marts.model_choices import model_choices
from pipeline_assets.stores.marts.tables import input_mart, output_mart
from pipeline_assets.task.spec import TaskSpec
from tests.fixtures.postgres import Marts

START = datetime(2026, 1, 1, tzinfo=UTC)


@contextmanager
def cursor_of(marts: Marts) -> Iterator[Cursor]:
    """A cursor as the page has it, but one that may do all; the page's own rights are tested with its database."""
    connection = marts.connect()
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(SESSION)
            yield cursor
    finally:
        connection.close()


def choice(run: str, stage: str, version: int, *, day: int, **more: Any) -> dict[str, Any]:
    """A record of choice, with its day as its moment."""
    return {
        "run_id": run, "stage": stage, "batch": f"{stage}-{day}", "policy": "champion", "model_version": version,
        "previous_version": version, "reason": f"{run} chose {version}", "metric": "roc_auc", "gain": None,
        "candidates": f'[{{"version": {version}, "metrics": {{"roc_auc": 0.7}}, "why_not": null, "same_rows": 0.6}}]',
        "chosen_at": START + timedelta(days=day), **more,
    }  # fmt: skip


def put_choices(marts: Marts, task: TaskSpec, rows: Sequence[dict[str, Any]]) -> None:
    table = model_choices(task)
    for row in rows:
        where = {"run_id": row["run_id"], "stage": row["stage"]}
        marts.store.replace(table, where, pa.Table.from_pylist([row], table.schema).to_reader())


def put_output(marts: Marts, task: TaskSpec, batch: str, probabilities: Sequence[float], *, run: str, day: int) -> None:
    table = output_mart(task)
    rows = [
        {
            "batch": batch, "row_number": row, "probability": value, "predicted_label": value >= 0.5,
            "decision": value >= 0.5, "model_version": 1, "run_id": run,
            "predicted_at": START + timedelta(days=day, hours=1),
        }
        for row, value in enumerate(probabilities)
    ]  # fmt: skip
    marts.store.replace(table, {"batch": batch}, pa.Table.from_pylist(rows, table.schema).to_reader())


def put_scores(marts: Marts, task: TaskSpec, batch: str, scores: Mapping[str, Sequence[Any]]) -> None:
    """Predictions of a task of any kind: its score columns, and ``decision`` where the task has a rule."""
    table = output_mart(task)
    count = len(next(iter(scores.values())))
    whole = {
        "batch": [batch] * count, "row_number": range(count), **scores, "model_version": [1] * count,
        "run_id": ["r"] * count, "predicted_at": [START] * count,
    }  # fmt: skip
    rows = pa.table({field.name: pa.array(list(whole[field.name]), field.type) for field in table.schema}, table.schema)
    marts.store.replace(table, {"batch": batch}, rows.to_reader())


def put_input(marts: Marts, task: TaskSpec, stage: Any, batch: str, rows: pa.Table) -> None:
    """Rows by the mart's columns; what they lack is null."""
    table = input_mart(task, stage)
    there = {name: rows[name].to_pylist() for name in rows.column_names}
    whole = [
        {
            **{name: values[row] for name, values in there.items()},
            "batch": batch,
            "row_number": there["row_number"][row] if "row_number" in there else row,
        }
        for row in range(rows.num_rows)
    ]
    marts.store.replace(table, {"batch": batch}, pa.Table.from_pylist(whole, table.schema).to_reader())
