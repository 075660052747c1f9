"""The marts of a task: names, columns and their meaning, from the task's own descriptions."""

import pyarrow as pa

from pipeline_assets.ml.scoring import scores_schema
from pipeline_assets.stores.marts.definition import MartTable, MartView
from pipeline_assets.stores.marts.model_choices import model_choices
from pipeline_assets.task import plugins
from pipeline_assets.task.fingerprints import task_fingerprints
from pipeline_assets.task.names import own_name
from pipeline_assets.task.preparation import MORE_COLUMNS, input_mart_names, input_mart_schema
from pipeline_assets.task.spec import DECISION, FEATURE_PREFIX, LABEL, ROW_ADDRESS, Stage, TaskSpec

_ADDRESS = {
    "batch": "Input file or folder that the row came in",
    "row_number": "Place of the row in its batch, from 0",
}
# Columns of the lineage view that say how the version was chosen: the field of the record, and what it means.
_CHOICE = {
    "choice_policy": ("policy", "Policy by which the version was chosen"),
    "choice_reason": ("reason", "Why the version was chosen"),
}
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


def lineage_names(task: TaskSpec) -> dict[str, str]:
    """How the lineage view calls the columns of the output mart and of the choice: others where the input has them."""
    inputs = input_mart(task, "predict").stored
    theirs = [name for name in inputs.schema.names if name not in inputs.key]
    return {name: own_name(name, theirs) for name in (*output_mart(task).schema.names, *_CHOICE)}


def lineage(task: TaskSpec) -> MartView:
    """``<task>_lineage``: every prediction beside its input row and the choice of the version that made it."""
    inputs, outputs, choices = input_mart(task, "predict").stored, output_mart(task), model_choices(task)
    theirs = [name for name in inputs.schema.names if name not in inputs.key]
    own = lineage_names(task)
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
