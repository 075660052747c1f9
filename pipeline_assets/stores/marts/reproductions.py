"""The mart ``<task>_reproductions``: one row each time a version was made again from its record."""

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from pipeline_assets.stores.marts.definition import MartTable

_SOMETIMES = ("step", "column_name", "row_number", "found", "expected")
_COLUMNS: dict[str, tuple[pa.DataType, str]] = {
    "run_id": (pa.string(), "Dagster run that made the version again"),
    "model_version": (pa.int64(), "The version"),
    "verdict": (pa.string(), "identical, equal within tolerance, different, or cannot be asked here"),
    "because": (pa.string(), "Why, in one sentence"),
    "step": (pa.string(), "Step of the first difference: contract, features, search, predictions, model or metrics"),
    "column_name": (pa.string(), "Column of the first difference: a feature, a metric, a column of predictions"),
    "row_number": (pa.int64(), "Raw row of the first difference, or trial of the search, where it is known"),
    "found": (pa.string(), "The value there, here"),
    "expected": (pa.string(), "The value there, at training"),
    "environment": (pa.string(), "JSON object: what is other here than at training; null inside if it is not known"),
    "report": (pa.string(), "JSON object: the whole outcome"),
    "seconds": (pa.float64(), "How long it took"),
    "reproduced_at": (pa.timestamp("us", tz="UTC"), "When"),
}


def reproductions(task: str) -> MartTable:
    """``<task>_reproductions``.

    Args:
        task: its name.
    """
    fields = [pa.field(name, kind, nullable=name in _SOMETIMES) for name, (kind, _) in _COLUMNS.items()]
    return MartTable(
        name=f"{task}_reproductions",
        schema=pa.schema(fields),
        description=f"{task}: whether a version could be made again from its record, one row each time it was tried",
        column_descriptions={name: text for name, (_, text) in _COLUMNS.items()},
        key=("run_id",),
    )


def reproduction_row(task: str, row: Mapping[str, Any]) -> pa.RecordBatchReader:
    """One outcome as the row of :func:`reproductions`."""
    schema = reproductions(task).schema
    return pa.RecordBatchReader.from_batches(schema, [pa.RecordBatch.from_pylist([dict(row)], schema=schema)])
