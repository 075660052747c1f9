"""Features and input mart: prepares accepted rows for a model and for people, in one pass over the file."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pyarrow as pa

from pipeline_assets.assets import describe
from pipeline_assets.assets.graph import TaskGraph
from pipeline_assets.engine.duckdb.accepted import RawBatch
from pipeline_assets.io_managers.errors import translate_errors
from pipeline_assets.io_managers.spool import twice
from pipeline_assets.stores.marts.tables import input_mart
from pipeline_assets.task.preparation import (
    features_of,
    features_query,
    features_schema,
    input_mart_of,
    input_mart_query,
    input_mart_schema,
    prepared_query,
)
from pipeline_assets.task.spec import Stage, TaskSpec


def prepared_assets(graph: TaskGraph, stage: Stage) -> dg.AssetsDefinition:
    """``<task>/<stage>_features`` and ``<task>/<stage>_input_mart``; each can be made alone.

    The mart has the columns of the features too, so one query gives both, and each expression is computed once. The
    features are written first; a temporary file keeps the rows for the mart.
    """
    features, mart = f"{stage}_features", f"{stage}_input_mart"
    raw_key = graph.key(f"{stage}_raw")

    @dg.multi_asset(
        name=f"{graph.task.name}__{stage}_prepared",
        outs={
            features: dg.AssetOut(
                **graph.attributes(
                    stage,
                    features,
                    {
                        **describe.features_schema(graph.task, stage),
                        **describe.features_lineage(graph.task, stage, raw_key),
                    },
                ),
                is_required=False,
                kinds={"tarantool"},
                description=f"Accepted {stage} rows, prepared for the model; the same expressions in both stages.",
                io_manager_key=graph.resource("features_io"),
            ),
            mart: dg.AssetOut(
                **graph.attributes(
                    stage,
                    mart,
                    {
                        **describe.mart_schema(input_mart(graph.task, stage)),
                        **describe.input_mart_lineage(graph.task, stage, raw_key),
                    },
                ),
                is_required=False,
                kinds={"greenplum"},
                description=f"What the model gets to see in {stage}: accepted rows, raw columns and features side by"
                " side.",
                io_manager_key=graph.resource("mart_io"),
            ),
        },
        ins={"raw": dg.AssetIn(key=raw_key)},
        partitions_def=graph.partitions(stage),
        can_subset=True,
    )
    def prepared(
        context: dg.AssetExecutionContext, raw: RawBatch, scratch: dg.ResourceParam[Path]
    ) -> Iterator[dg.Output[pa.RecordBatchReader]]:
        wanted = {key.path[-1] for key in context.selected_asset_keys}
        with translate_errors(context.retry_number):
            if features not in wanted:
                yield dg.Output(raw.stream(input_mart_query), output_name=mart)
            elif mart not in wanted:
                yield dg.Output(raw.stream(features_query), output_name=features)
            else:
                with twice(raw.stream(prepared_query), scratch) as (first, second):
                    yield dg.Output(_features(graph.task, stage, first), output_name=features)
                    yield dg.Output(_mart(graph.task, stage, second), output_name=mart)

    return prepared


def _mart(task: TaskSpec, stage: Stage, rows: pa.RecordBatchReader) -> pa.RecordBatchReader:
    batches = (input_mart_of(task, stage, batch) for batch in rows)
    return pa.RecordBatchReader.from_batches(input_mart_schema(task, stage), batches)


def _features(task: TaskSpec, stage: Stage, rows: pa.RecordBatchReader) -> pa.RecordBatchReader:
    batches = (features_of(task, stage, batch) for batch in rows)
    return pa.RecordBatchReader.from_batches(features_schema(task, stage), batches)
