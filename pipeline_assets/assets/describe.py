"""What the Dagster UI shows of an asset: columns with their meaning, where they come from, counts, plots."""

import base64
from collections.abc import Iterable, Mapping
from typing import Any

import dagster as dg

from pipeline_assets.stores.marts.greenplum import MartTable
from pipeline_assets.task import plugins
from pipeline_assets.task.batch import Manifest
from pipeline_assets.task.expressions import read
from pipeline_assets.task.names import own_name
from pipeline_assets.task.preparation import features_schema as schema_of_features
from pipeline_assets.task.spec import (
    DECISION,
    FEATURE_PREFIX,
    LABEL,
    MODEL_VERSION,
    SPLIT_BY,
    SPLIT_HASH,
    Stage,
    TaskSpec,
)
from pipeline_assets.task.types import contract_name
from pipeline_assets.task.validation import appended, common_types, output_types, stage_types

SCHEMA = "dagster/column_schema"
LINEAGE = "dagster/column_lineage"


def column_schema(task: TaskSpec, stage: Stage) -> dict[str, Any]:
    """The contract's columns with what it demands of them."""
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
        "row_number": "Place of the row in its batch, from 0",
        LABEL: f"{task.target.description} ({task.target.expression})".strip(),
        SPLIT_HASH: "Hash of the key, or of the row address, that a split by share goes by",
        SPLIT_BY: f"Orders the split by time ({task.training.validation.column})",
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


def _feature_sources(task: TaskSpec) -> dict[str, tuple[str, ...]]:
    types = common_types(task)
    return {name: read(feature.expression, types).columns for name, feature in task.features.all.items()}


def features_lineage(task: TaskSpec, stage: Stage, raw: dg.AssetKey) -> dict[str, Any]:
    """Raw column to feature, read off the expressions."""
    sources = dict(_feature_sources(task))
    if stage == "train":
        sources[LABEL] = read(task.target.expression, stage_types(task, "train")).columns
        if task.training.validation.column is not None:
            sources[SPLIT_BY] = (task.training.validation.column,)
    return _lineage(sources, raw)


def input_mart_lineage(task: TaskSpec, stage: Stage, raw: dg.AssetKey) -> dict[str, Any]:
    """Raw column to itself and to the features made of it."""
    sources: dict[str, tuple[str, ...]] = {name: (name,) for name in task.columns_of(stage)}
    sources.update({f"{FEATURE_PREFIX}{name}": used for name, used in _feature_sources(task).items()})
    if stage == "train":
        sources[LABEL] = read(task.target.expression, stage_types(task, "train")).columns
    return _lineage(sources, raw)


def output_schema(task: TaskSpec) -> dict[str, Any]:
    """The output file's columns: the input's own or the task's select, what is appended, the row address."""
    if task.output.select is None:
        own = {name: (column.type, column.description) for name, column in task.columns_of("predict").items()}
        own.update({name: (contract_name(output_types(task)[name]), "") for name in appended(task)})
    else:
        types = {**stage_types(task, "predict"), **output_types(task)}
        own = {name: (contract_name(read(text, types).type), text) for name, text in task.output.select.items()}
    own.update(
        batch=("string", "Input file or folder of the row"), row_number=("int64", "Place of the row in it, from 0")
    )
    columns = [dg.TableColumn(name=name, type=kind, description=text) for name, (kind, text) in own.items()]
    return {SCHEMA: dg.TableSchema(columns=columns)}


def predictions_lineage(task: TaskSpec, raw: dg.AssetKey, features: dg.AssetKey) -> dict[str, Any]:
    """Input column to output column; every feature to the score columns."""
    deps: dict[str, list[dg.TableColumnDep]] = {}
    types = stage_types(task, "predict")
    unscored = {own_name(MODEL_VERSION, types)}
    scores = [dg.TableColumnDep(asset_key=features, column_name=name) for name in task.features.names]
    if task.output.select is None:
        deps = {name: [dg.TableColumnDep(asset_key=raw, column_name=name)] for name in types}
        deps.update({name: scores for name in appended(task) if name not in unscored})
    else:
        for name, expression in task.output.select.items():
            used = read(expression, {**types, **output_types(task)}).columns
            deps[name] = [dg.TableColumnDep(asset_key=raw, column_name=column) for column in used if column in types]
            if (output_types(task).keys() - unscored) & set(used):
                deps[name] += scores
    deps["row_number"] = [dg.TableColumnDep(asset_key=features, column_name="row_number")]
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
    """A plot that the UI shows where it stands."""
    return dg.MetadataValue.md(f"![{title}](data:image/png;base64,{base64.b64encode(png).decode()})")


def link(url: str) -> dg.MetadataValue[Any]:
    """A page of a server as a link, a file of an embedded store as its path."""
    return dg.MetadataValue.url(url) if url.startswith("http") else dg.MetadataValue.path(url.removeprefix("file://"))
