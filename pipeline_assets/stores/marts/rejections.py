"""The mart ``<task>_rejections``: how many rows each check of each batch rejected, by rule."""

from datetime import datetime
from typing import Any

import pyarrow as pa

from pipeline_assets.stores.marts.definition import MartTable
from pipeline_assets.task.batch import Manifest
from pipeline_assets.task.spec import TaskSpec

_MOMENT = pa.timestamp("us", tz="UTC")


def rejections_mart(task: TaskSpec) -> MartTable:
    """One row per check and broken rule; a check that rejected nothing has one row with an empty rule and 0 rows."""
    columns: dict[str, tuple[pa.DataType, str]] = {
        "run_id": (pa.string(), "Dagster run that made the check"),
        "stage": (pa.string(), "train or predict"),
        "batch": (pa.string(), "Batch that was checked"),
        "rule": (pa.string(), "Rule that rows broke; empty if none was broken"),
        "rows": (pa.int64(), "Rows that broke the rule; a row may break several"),
        "rejected_rows": (pa.int64(), "Rows of the batch that broke any rule"),
        "batch_rows": (pa.int64(), "Rows of the batch"),
        "sha256": (pa.string(), "Of the batch's content"),
        "contract": (pa.string(), "Fingerprint of the contract that the check used"),
        "checked_at": (_MOMENT, "When"),
    }
    return MartTable(
        name=f"{task.name}_rejections",
        schema=pa.schema([pa.field(name, kind, nullable=False) for name, (kind, _) in columns.items()]),
        description=f"{task.name}: rows rejected by rule, of every check of every batch",
        column_descriptions={name: text for name, (_, text) in columns.items()},
        key=("run_id", "stage", "rule"),
        batch_column="",  # loads replace a check or forget a batch; none is noted as a load of a batch
    )


def rejection_rows(task: TaskSpec, manifest: Manifest, run_id: str) -> tuple[dict[str, object], pa.RecordBatchReader]:
    """The rows of one check, and the values that those have which they replace."""
    check: dict[str, Any] = {
        "run_id": run_id,
        "stage": manifest.ref.stage,
        "batch": manifest.ref.batch,
        "rejected_rows": manifest.rejected,
        "batch_rows": manifest.rows,
        "sha256": manifest.sha256,
        "contract": manifest.fingerprints["contract"],
        "checked_at": manifest.checked_at,
    }
    rows = [{**check, "rule": rule, "rows": count} for rule, count in (manifest.reasons or {"": 0}).items()]
    return {"run_id": run_id, "stage": manifest.ref.stage}, _reader(task, rows)


def no_rejections(task: TaskSpec) -> pa.RecordBatchReader:
    """No row, to forget a batch's."""
    return _reader(task, [])


def _reader(task: TaskSpec, rows: list[dict[str, Any]]) -> pa.RecordBatchReader:
    schema = rejections_mart(task).schema
    made = [{**row, "checked_at": datetime.fromisoformat(row["checked_at"])} for row in rows]
    return pa.RecordBatchReader.from_batches(schema, [pa.RecordBatch.from_pylist(made, schema=schema)])
