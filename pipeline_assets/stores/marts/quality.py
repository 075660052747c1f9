"""The mart ``<task>_quality``: how good the predictions of each batch were, once their labels were known."""

from collections.abc import Mapping

import pyarrow as pa

from pipeline_assets.stores.marts.definition import MartTable
from pipeline_assets.task.judged_metrics import judged_metrics
from pipeline_assets.task.names import own_name
from pipeline_assets.task.spec import TaskSpec

KEY = ("model_version", "batch", "segment", "segment_value")
_BEFORE: Mapping[str, tuple[pa.DataType, str]] = {
    "model_version": (pa.int64(), "The version that predicted"),
    "batch": (pa.string(), "Predict batch"),
    "segment": (pa.string(), "Categorical feature whose rows of one value are judged; empty for all rows"),
    "segment_value": (pa.string(), "That value; empty for all rows"),
    "predictions": (pa.int64(), "Predicted rows"),
    "judged_rows": (pa.int64(), "Those of them whose label is known by now"),
}
_AFTER: Mapping[str, tuple[pa.DataType, str]] = {
    "problem": (pa.string(), "Why the rows have no metrics, or no baseline, if they have none"),
    "label_mean": (pa.float64(), "Share of label 1, or mean label, of the judged rows; null for classes"),
    "decided_share": (
        pa.float64(),
        "Share of judged rows that were decided positive; for a binary target",
    ),
    "calibration": (pa.string(), "What was predicted and what came true, by tenths of the rows, as JSON; of all rows"),
    "matching": (pa.string(), "How the rows of the truth and the predictions met, as JSON; of all rows"),
    "truth_from": (pa.string(), "The file of truth, or the train batches, that the labels are from"),
    "predicted_at": (pa.timestamp("us", tz="UTC"), "When the batch was predicted"),
    "run_id": (pa.string(), "Dagster run that judged"),
    "judged_at": (pa.timestamp("us", tz="UTC"), "When"),
}
_SOMETIMES = ("problem", "label_mean", "decided_share", "calibration", "matching")


def metric_columns(task: TaskSpec) -> dict[str, tuple[str, str]]:
    """By metric, the columns of its value and of its baseline, under names that no other column of the mart has."""
    taken = (*_BEFORE, *_AFTER)
    return {
        name: (own_name(name, taken), own_name(f"baseline_{name}", taken)) for name in judged_metrics(task.target.kind)
    }


def quality(task: TaskSpec) -> MartTable:
    """``<task>_quality``: one row per version, batch and segment; kept when the batch itself goes from the marts."""
    metrics: dict[str, tuple[pa.DataType, str]] = {}
    greater = judged_metrics(task.target.kind)
    for name, (own, baseline) in metric_columns(task).items():
        better = "more" if greater[name] else "less"
        metrics[own] = (pa.float64(), f"{name} of the predictions; {better} is better")
        metrics[baseline] = (pa.float64(), f"{name} of the constant baseline on the same rows")
    columns = {**_BEFORE, **metrics, **_AFTER}
    return MartTable(
        name=f"{task.name}_quality",
        schema=pa.schema(
            [
                pa.field(name, kind, nullable=name in metrics or name in _SOMETIMES)
                for name, (kind, _) in columns.items()
            ]
        ),
        description=f"{task.name}: predictions judged by the labels that came later, by version, batch and segment",
        column_descriptions={name: text for name, (_, text) in columns.items()},
        key=KEY,
    )
