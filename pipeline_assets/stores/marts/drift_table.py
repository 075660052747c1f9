"""The mart of drift: how far each column of each predict batch is from the rows that evaluated its version."""

import pyarrow as pa

from pipeline_assets.stores.marts.definition import MartTable
from pipeline_assets.task.spec import TaskSpec

# Limits may be absent.
_SOMETIMES = ("warn_from", "fail_from")


def drift_mart(task: TaskSpec) -> MartTable:
    """``<task>_drift``: one row per batch and compared column; loading a batch again replaces its rows."""
    columns: dict[str, tuple[pa.DataType, str]] = {
        "role": (pa.string(), "feature or score"),
        "column_name": (pa.string(), "Name of the feature or of the score column"),
        "batch": (pa.string(), "Predict batch"),
        "model_version": (pa.int64(), "Version that predicted the batch, and whose validation rows are the reference"),
        "distance": (
            pa.float64(),
            "Jensen-Shannon distance between batch and reference, less chance: 0 is the same, 1 has nothing in common",
        ),
        "chance": (pa.float64(), "By chance alone the distance seldom reaches this, with so few rows"),
        "verdict": (pa.string(), "ok, warn or fail, by the task's limits at that time"),
        "warn_from": (pa.float64(), "Distance from which on the task warned"),
        "fail_from": (pa.float64(), "Distance from which on the task failed the run"),
        "row_count": (pa.int64(), "Rows of the batch, all of which were compared"),
        "reference_rows": (pa.int64(), "Rows of the reference"),
        "bins": (
            pa.string(),
            "JSON list: kind (range, value, others, missing), low, high, value, and the shares reference and batch",
        ),
        "run_id": (pa.string(), "Dagster run that wrote the row"),
        "compared_at": (pa.timestamp("us", tz="UTC"), "When the row was written"),
    }
    return MartTable(
        name=f"{task.name}_drift",
        schema=pa.schema([pa.field(name, kind, nullable=name in _SOMETIMES) for name, (kind, _) in columns.items()]),
        description=f"{task.name}: how far each column of a predict batch is from the rows that evaluated its version",
        column_descriptions={name: text for name, (_, text) in columns.items()},
        key=("role", "column_name", "batch"),
    )
