"""The marts of a task: names, columns and their meaning, from the task's own descriptions."""

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pyarrow as pa

from pipeline_assets.ml.scoring import scores_schema
from pipeline_assets.stores.marts.definition import MartTable, MartView
from pipeline_assets.task import plugins
from pipeline_assets.task.batch import BatchRef
from pipeline_assets.task.fingerprints import task_fingerprints
from pipeline_assets.task.names import own_name
from pipeline_assets.task.preparation import MORE_COLUMNS, input_mart_names, input_mart_schema
from pipeline_assets.task.spec import DECISION, FEATURE_PREFIX, LABEL, ROW_ADDRESS, Stage, TaskSpec

if TYPE_CHECKING:
    from pipeline_assets.ml.selection import Choice

_ADDRESS = {
    "batch": "Input file or folder that the row came in",
    "row_number": "Place of the row in its batch, from 0",
}
# Columns of the lineage view that say how the version was chosen: the field of the record, and what it means.
_CHOICE = {
    "choice_policy": ("policy", "Policy by which the version was chosen"),
    "choice_reason": ("reason", "Why the version was chosen"),
}
# Columns of a choice that may have no value; the last three were added to existing tables.
_SOMETIMES = ("previous_version", "gain", "reason_code", "reason_values", "judged_on")
_SCORES = {
    "decision": "Whether the row is in the output file",
    "model_version": "Version of the registered model",
    "run_id": "Dagster run that wrote the row",
}


def input_mart(task: TaskSpec, stage: Stage) -> MartTable:
    """``<task>_<stage>_input``: accepted rows, with raw columns and the features made of them."""
    own = input_mart_names(task, stage)
    address = (own["batch"], own["row_number"])
    columns = {name: column.description for name, column in task.columns_of(stage).items()}
    features = {
        f"{FEATURE_PREFIX}{name}": f"{feature.description or 'Feature'} ({feature.expression})"
        for name, feature in task.features.all.items()
    }
    label = {own[LABEL]: f"{task.target.description or 'Label'} ({task.target.shown})"} if stage == "train" else {}
    more = {own[MORE_COLUMNS]: "JSON object of the columns for which a row has no room"}
    return MartTable(
        name=f"{task.name}_{stage}_input",
        schema=input_mart_schema(task, stage),
        description=f"{task.name}: accepted rows of {stage}, raw columns and features. {task.description}".strip(),
        column_descriptions={
            **{own[name]: text for name, text in _ADDRESS.items()},
            **{name: text for name, text in columns.items() if text},
            **features,
            **label,
            **more,
        },
        key=address,
        # One index per key column, which also has the row address: rows of any value are found, and in order. The row
        # number comes first: it differs within a batch, so its index is sorted without comparing the batch's name.
        indexes=tuple((column, *reversed(address)) for column in task.key),
        fingerprints=task_fingerprints(task, stage),
        batch_column=own["batch"],
        keep=task.keep,
        # Predictions go with their input rows, so that none is ever without.
        beside=(output_mart(task),) if stage == "predict" else (),
    )


def output_mart(task: TaskSpec) -> MartTable:
    """``<task>_predict_output``: one row per scored row, whether or not the output file has it."""
    return MartTable(
        name=f"{task.name}_predict_output",
        schema=pa.schema(
            [
                pa.field("batch", pa.string(), nullable=False),
                *scores_schema(task),
                pa.field("model_version", pa.int64(), nullable=False),
                pa.field("run_id", pa.string(), nullable=False),
                pa.field("predicted_at", pa.timestamp("us", tz="UTC"), nullable=False),
            ]
        ),
        description=f"{task.name}: every scored row and its score. {task.description}".strip(),
        column_descriptions={
            **_ADDRESS,
            **plugins.kind(task.target.kind).score_descriptions,
            **{name: text for name, text in _SCORES.items() if name != DECISION or task.output.where is not None},
            "predicted_at": "When the row was written",
        },
        key=ROW_ADDRESS,
        indexes=(("model_version",),),
    )


def model_choices(task: TaskSpec) -> MartTable:
    """``<task>_model_choices``: one row per choice of a champion, kept for every run that made one."""
    columns: dict[str, tuple[pa.DataType, str]] = {
        "run_id": (pa.string(), "Dagster run that chose"),
        "stage": (pa.string(), "train: after a training; predict: before scoring"),
        "batch": (pa.string(), "Batch of that run"),
        "policy": (pa.string(), "Selection policy of the task"),
        "model_version": (pa.int64(), "The champion that was chosen"),
        "previous_version": (pa.int64(), "The champion before, if there was one"),
        "reason": (pa.string(), "Why, in one sentence"),
        "reason_code": (pa.string(), "The same as a code"),
        "reason_values": (pa.string(), "What the sentence names, as JSON"),
        "judged_on": (pa.string(), "The rows on which champion and challenger were compared, as JSON"),
        "metric": (pa.string(), "Metric of the task, which the choice goes by"),
        "gain": (pa.float64(), "The challenger's over the champion on the same rows, where they were compared"),
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


def choice_row(task: TaskSpec, ref: BatchRef, run_id: str, choice: "Choice") -> pa.RecordBatchReader:
    """One choice as the row of :func:`model_choices`."""
    record = choice.to_json()
    row = {
        "run_id": run_id,
        "stage": ref.stage,
        "batch": ref.batch,
        "policy": choice.policy,
        "model_version": choice.winner,
        "previous_version": choice.previous,
        "reason": choice.reason,
        "reason_code": record["reason_code"],
        "reason_values": json.dumps(record["reason_values"], ensure_ascii=False),
        "judged_on": None if record["judged_on"] is None else json.dumps(record["judged_on"], ensure_ascii=False),
        "metric": choice.metric,
        "gain": choice.gain,
        "candidates": json.dumps(record["candidates"], ensure_ascii=False),
        "chosen_at": datetime.now(UTC),
    }
    schema = model_choices(task).schema
    return pa.RecordBatchReader.from_batches(schema, [pa.RecordBatch.from_pylist([row], schema=schema)])


def lineage(task: TaskSpec) -> MartView:
    """``<task>_lineage``: every prediction beside its input row and the choice of the version that made it."""
    inputs, outputs, choices = input_mart(task, "predict").stored, output_mart(task), model_choices(task)
    theirs = [name for name in inputs.schema.names if name not in inputs.key]
    own = {name: own_name(name, theirs) for name in (*outputs.schema.names, *_CHOICE)}
    columns = [
        *(f'o."{name}" as "{own[name]}"' for name in outputs.schema.names),
        *(f'c."{of_choice}" as "{own[name]}"' for name, (of_choice, _) in _CHOICE.items()),
        *(f"i.{_quoted(name)}" for name in theirs),
    ]
    batch, row_number = inputs.key
    return MartView(
        name=f"{task.name}_lineage",
        tables=(outputs, inputs, choices),
        sql=(
            f"select {', '.join(columns)} from {{{outputs.name}}} o"
            f" join {{{inputs.name}}} i on i.{_quoted(batch)} = o.batch and i.{_quoted(row_number)} = o.row_number"
            f" left join {{{choices.name}}} c on c.run_id = o.run_id and c.stage = 'predict'"
        ),
        description=f"{task.name}: every prediction with its input row and why its model version was chosen",
        column_descriptions={
            **inputs.column_descriptions,
            **{own[name]: text for name, text in outputs.column_descriptions.items()},
            **{own[name]: text for name, (_, text) in _CHOICE.items()},
        },
    )


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
