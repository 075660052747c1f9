"""Features: accepted rows prepared for a model, by the task's expressions, one tuple a row."""

import dagster as dg
import pyarrow as pa

from pipeline_assets.assets import describe
from pipeline_assets.assets.graph import TaskGraph
from pipeline_assets.engine.duckdb.accepted import RawBatch
from pipeline_assets.io_managers.errors import translate_errors
from pipeline_assets.task.preparation import features_query
from pipeline_assets.task.spec import Stage


def features_asset(graph: TaskGraph, stage: Stage) -> dg.AssetsDefinition:
    """``<task>/<stage>_features``."""

    @graph.asset(
        stage,
        f"{stage}_features",
        kinds=["tarantool"],
        description=f"Accepted {stage} rows, prepared for the model; the same expressions in both stages.",
        metadata={
            **describe.features_schema(graph.task, stage),
            **describe.features_lineage(graph.task, stage, graph.key(f"{stage}_raw")),
        },
        ins={"raw": dg.AssetIn(key=graph.key(f"{stage}_raw"))},
        io_manager_key=graph.resource("features_io"),
    )
    def features(context: dg.AssetExecutionContext, raw: RawBatch) -> pa.RecordBatchReader:
        with translate_errors(context.retry_number):
            return raw.stream(features_query)

    return features
