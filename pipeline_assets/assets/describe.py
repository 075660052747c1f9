"""What the Dagster UI shows of an asset: columns with their meaning, where they come from, counts, plots."""

import base64
from collections.abc import Iterable, Mapping
from typing import Any

import dagster as dg

from pipeline_assets.stores.marts.greenplum import MartTable
from pipeline_assets.task import plugins
from pipeline_assets.task.batch import Manifest
from pipeline_assets.task.column_lineage import feature_sources, label_sources, select_sources, weight_sources
from pipeline_assets.task.expressions import read_named
from pipeline_assets.task.names import own_name
from pipeline_assets.task.preparation import features_schema as schema_of_features
from pipeline_assets.task.spec import (
    DECISION,
    FEATURE_PREFIX,
    LABEL,
    MODEL_VERSION,
    ROW_ADDRESS,
    SPLIT_BY,
    SPLIT_HASH,
    THRESHOLD,
    WEIGHT,
    Stage,
    TaskSpec,
)
from pipeline_assets.task.types import contract_name
from pipeline_assets.task.validation import appended, output_types, score_types, stage_types

SCHEMA = "dagster/column_schema"
LINEAGE = "dagster/column_lineage"


def column_schema(task: TaskSpec, stage: Stage) -> dict[str, Any]:
    """The contract's columns with their types and rules."""
    return {
        SCHEMA: dg.TableSchema(
            columns=[
                dg.TableColumn(
                    name=name,
                    type=column.type,
                    description=column.description,
                    constraints=dg.TableColumnConstraints(
                        nullable=column.nullable,
                        unique=task.key == (name,),
                        other=[
                            *([f"check: {column.check}"] if column.check else []),
                            *([f"one of {', '.join(str(one) for one in column.allowed)}"] if column.allowed else []),
                        ],
                    ),
                )
                for name, column in task.columns_of(stage).items()
            ],
            constraints=dg.TableConstraints(
                other=[
                    *([f"key: {', '.join(task.key)}"] if task.key else []),
                    *(f"{name}: {expression}" for name, expression in task.checks.items()),
                ]
            ),
        )
    }


def features_schema(task: TaskSpec, stage: Stage) -> dict[str, Any]:
    """The prepared columns with the expressions that make them."""
    features = task.features.all
    more = {
        own_name("row_number", features): "Place of the row in its batch, from 0",
        own_name(LABEL, features): f"{task.target.description} ({task.target.shown})".strip(),
        SPLIT_HASH: "Hash of the key, or of the row address, that a split by share goes by",
        own_name(SPLIT_BY, features): f"Orders the split by time ({task.training.validation.column})",
        own_name(WEIGHT, features): f"Weight of the row in the fit ({task.training.weight})",
    }
    return {
        SCHEMA: dg.TableSchema(
            columns=[
                dg.TableColumn(
                    name=column.name,
                    type=str(column.type),
                    description=more.get(column.name)
                    or f"{features[column.name].description} ({features[column.name].expression})".strip(),
                    constraints=dg.TableColumnConstraints(nullable=column.nullable),
                )
                for column in schema_of_features(task, stage)
            ]
        )
    }


def mart_schema(table: MartTable) -> dict[str, Any]:
    """A mart's columns."""
    return {
        "dagster/table_name": table.name,
        SCHEMA: dg.TableSchema(
            columns=[
                dg.TableColumn(
                    name=column.name,
                    type=str(column.type),
                    description=table.column_descriptions.get(column.name, ""),
                    constraints=dg.TableColumnConstraints(nullable=column.nullable),
                )
                for column in table.schema
            ],
            constraints=dg.TableConstraints(other=[f"primary key: {', '.join(table.key)}"]),
        ),
    }


def _lineage(sources: Mapping[str, Iterable[str]], key: dg.AssetKey) -> dict[str, Any]:
    return {
        LINEAGE: dg.TableColumnLineage(
            {
                column: [dg.TableColumnDep(asset_key=key, column_name=source) for source in used]
                for column, used in sources.items()
                if used
            }
        )
    }


def features_lineage(task: TaskSpec, stage: Stage, raw: dg.AssetKey) -> dict[str, Any]:
    """Raw column to feature, read from the expressions."""
    sources = feature_sources(task)
    if stage == "train":
        sources[own_name(LABEL, task.features.names)] = label_sources(task)
        if task.training.validation.column is not None:
            sources[own_name(SPLIT_BY, task.features.names)] = (task.training.validation.column,)
        sources[own_name(WEIGHT, task.features.names)] = weight_sources(task)
    return _lineage(sources, raw)


def input_mart_lineage(task: TaskSpec, stage: Stage, raw: dg.AssetKey) -> dict[str, Any]:
    """Raw column to itself and to the features made of it."""
    sources: dict[str, tuple[str, ...]] = {name: (name,) for name in task.columns_of(stage)}
    sources.update({f"{FEATURE_PREFIX}{name}": used for name, used in feature_sources(task).items()})
    if stage == "train":
        sources[own_name(LABEL, sources)] = label_sources(task)
    return _lineage(sources, raw)


def output_schema(task: TaskSpec) -> dict[str, Any]:
    """The output file's columns: the input's own or the task's select, what is appended, the row address."""
    if task.output.select is None:
        own = {name: (column.type, column.description) for name, column in task.columns_of("predict").items()}
        own.update({name: (contract_name(output_types(task)[name]), "") for name in appended(task)})
    else:
        types = {**stage_types(task, "predict"), **output_types(task)}
        found = read_named(task.output.select, types)
        own = {name: (contract_name(found[name].type), text) for name, text in task.output.select.items()}
    batch, row_number = (own_name(name, own) for name in ROW_ADDRESS)
    own[batch] = ("string", "Input file or folder of the row")
    own[row_number] = ("int64", "Place of the row in it, from 0")
    columns = [dg.TableColumn(name=name, type=kind, description=text) for name, (kind, text) in own.items()]
    return {SCHEMA: dg.TableSchema(columns=columns)}


def predictions_lineage(task: TaskSpec, raw: dg.AssetKey, features: dg.AssetKey) -> dict[str, Any]:
    """Input column to output column; every feature to the score columns."""
    deps: dict[str, list[dg.TableColumnDep]] = {}
    types = stage_types(task, "predict")
    unscored = {own_name(name, types) for name in (MODEL_VERSION, THRESHOLD)}
    scores = [dg.TableColumnDep(asset_key=features, column_name=name) for name in task.features.names]
    if task.output.select is None:
        deps = {name: [dg.TableColumnDep(asset_key=raw, column_name=name)] for name in types}
        deps.update({name: scores for name in appended(task) if name not in unscored})
    else:
        for name, used in select_sources(task).items():
            deps[name] = [dg.TableColumnDep(asset_key=raw, column_name=column) for column in used if column in types]
            if (output_types(task).keys() - unscored) & set(used):
                deps[name] += scores
    row_number = own_name("row_number", task.features.names)
    deps[own_name("row_number", deps)] = [dg.TableColumnDep(asset_key=features, column_name=row_number)]
    return {LINEAGE: dg.TableColumnLineage(deps)}


def output_mart_lineage(predictions: dg.AssetKey, features: dg.AssetKey, task: TaskSpec) -> dict[str, Any]:
    """Feature to score; the row address to itself."""
    scores = [dg.TableColumnDep(asset_key=features, column_name=name) for name in task.features.names]
    return {
        LINEAGE: dg.TableColumnLineage(
            {
                **dict.fromkeys(plugins.kind(task.target.kind).score_types, scores),
                **({DECISION: scores} if task.output.where is not None else {}),
                "row_number": [dg.TableColumnDep(asset_key=predictions, column_name="row_number")],
            }
        )
    }


def drift_lineage(task: TaskSpec, predictions: dg.AssetKey, features: dg.AssetKey) -> dict[str, Any]:
    """Every feature and score column to what the mart says of it."""
    compared = [
        *(dg.TableColumnDep(asset_key=features, column_name=name) for name in task.features.names),
        *(dg.TableColumnDep(asset_key=predictions, column_name=name) for name in score_types(task)),
    ]
    return {LINEAGE: dg.TableColumnLineage(dict.fromkeys(("distance", "bins"), compared))}


def manifest(found: Manifest) -> dict[str, Any]:
    """The counts of a check."""
    return {
        "raw_rows": found.rows,
        "accepted_rows": found.accepted,
        "rejected_rows": found.rejected,
        "unlabelled_rows": found.unlabelled,
        "uri": found.uri,
        "dagster/uri": found.uri,
        "parts": len(found.parts),
        "bytes": sum(part.size for part in found.parts),
        "sha256": found.sha256,
        **({"unexpected_columns": ", ".join(found.unexpected)} if found.unexpected else {}),
        **({"reasons": reasons(found.reasons)} if found.reasons else {}),
    }


def reasons(counts: Mapping[str, int]) -> dg.TableMetadataValue:
    """Rows by broken rule, most first."""
    return dg.MetadataValue.table(
        [dg.TableRecord({"rule": rule, "rows": rows}) for rule, rows in counts.items()],
        schema=dg.TableSchema([dg.TableColumn("rule", "string"), dg.TableColumn("rows", "int")]),
    )


def picture(png: bytes, title: str) -> dg.MarkdownMetadataValue:
    """A plot that the UI shows inline."""
    return dg.MetadataValue.md(f"![{title}](data:image/png;base64,{base64.b64encode(png).decode()})")


def link(url: str) -> dg.MetadataValue[Any]:
    """A page of a server as a link, a file of an embedded store as its path."""
    return dg.MetadataValue.url(url) if url.startswith("http") else dg.MetadataValue.path(url.removeprefix("file://"))
