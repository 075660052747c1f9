"""The mart of a task's choices: one row each time a champion is chosen."""

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pyarrow as pa

from pipeline_assets.stores.marts.definition import MartTable
from pipeline_assets.task.spec import TaskSpec

if TYPE_CHECKING:
    from pipeline_assets.ml.selection import Choice

# Columns of a choice that may have no value; those from reason_code on were added to existing tables.
_SOMETIMES = (
    "previous_version", "gain", "reason_code", "reason_values", "judged_on", "gain_low", "gain_high", "difference",
    "chosen_by", "chosen_because",
)  # fmt: skip


def model_choices(task: TaskSpec) -> MartTable:
    """``<task>_model_choices``: one row per choice of a champion, kept for every run that made one.

    The last row at a moment names the champion of that moment, whatever its stage.
    """
    columns: dict[str, tuple[pa.DataType, str]] = {
        "run_id": (pa.string(), "Dagster run that chose"),
        "stage": (pa.string(), "train: after a training; predict: before scoring; rollback, promote: a person's order"),
        "batch": (pa.string(), "Batch of that run; empty for a person's order"),
        "policy": (pa.string(), "Selection policy of the task"),
        "model_version": (pa.int64(), "The champion that was chosen"),
        "previous_version": (pa.int64(), "The champion before, if there was one"),
        "reason": (pa.string(), "Why, in one sentence"),
        "reason_code": (pa.string(), "The same as a code"),
        "reason_values": (pa.string(), "What the sentence names, as JSON"),
        "judged_on": (pa.string(), "The rows on which champion and challenger were compared, as JSON"),
        "metric": (pa.string(), "Metric of the task, which the choice goes by"),
        "gain": (pa.float64(), "The challenger's over the champion on the same rows, where they were compared"),
        "gain_low": (pa.float64(), "Lower end of the 95 % interval of the gain, paired over resamples of the rows"),
        "gain_high": (pa.float64(), "Upper end of that interval"),
        "difference": (
            pa.string(),
            "What the challenger changes in the latest predict batch, as JSON, where looked at",
        ),
        "chosen_by": (pa.string(), "The person who decided, where one did"),
        "chosen_because": (pa.string(), "Why, in that person's words"),
        "candidates": (
            pa.string(),
            "Every version that was looked at, as JSON: metrics, and why it could not be chosen",
        ),
        "chosen_at": (pa.timestamp("us", tz="UTC"), "When"),
    }
    return MartTable(
        name=f"{task.name}_model_choices",
        schema=pa.schema([pa.field(name, kind, nullable=name in _SOMETIMES) for name, (kind, _) in columns.items()]),
        description=f"{task.name}: the record of choice, one row each time a champion is chosen",
        column_descriptions={name: text for name, (_, text) in columns.items()},
        key=("run_id", "stage"),
    )


def choice_row(task: TaskSpec, batch: str, run_id: str, choice: "Choice") -> pa.RecordBatchReader:
    """One choice as the row of :func:`model_choices`.

    Args:
        batch: of the run; empty for a person's order.
    """
    record = choice.to_json()
    row = {
        "run_id": run_id,
        "stage": choice.stage,
        "batch": batch,
        "policy": choice.policy,
        "model_version": choice.winner,
        "previous_version": choice.previous,
        "reason": choice.reason,
        "reason_code": record["reason_code"],
        "reason_values": json.dumps(record["reason_values"], ensure_ascii=False),
        "judged_on": None if record["judged_on"] is None else json.dumps(record["judged_on"], ensure_ascii=False),
        "metric": choice.metric,
        "gain": choice.gain,
        "gain_low": None if choice.gain_interval is None else choice.gain_interval.low,
        "gain_high": None if choice.gain_interval is None else choice.gain_interval.high,
        "difference": None if choice.difference is None else json.dumps(record["difference"], ensure_ascii=False),
        "chosen_by": None if choice.person is None else choice.person.name,
        "chosen_because": None if choice.person is None else choice.person.words,
        "candidates": json.dumps(record["candidates"], ensure_ascii=False),
        "chosen_at": datetime.now(UTC),
    }
    schema = model_choices(task).schema
    return pa.RecordBatchReader.from_batches(schema, [pa.RecordBatch.from_pylist([row], schema=schema)])
