"""Input mart: accepted rows as people read them, the raw columns beside the features made of them."""

import dagster as dg
import pyarrow as pa

from pipeline_assets.assets import describe
from pipeline_assets.assets.graph import TaskGraph
from pipeline_assets.engine.duckdb.accepted import RawBatch
from pipeline_assets.io_managers.errors import translate_errors
from pipeline_assets.stores.marts.tables import input_mart
from pipeline_assets.task.preparation import input_mart_query
from pipeline_assets.task.spec import Stage


def input_mart_asset(graph: TaskGraph, stage: Stage) -> dg.AssetsDefinition:
    """``<task>/<stage>_input_mart``."""

    @graph.asset(
        stage,
        f"{stage}_input_mart",
        kinds=["greenplum"],
        description=f"What the model gets to see in {stage}: accepted rows, raw columns and features side by side.",
        metadata={
            **describe.mart_schema(input_mart(graph.task, stage)),
            **describe.input_mart_lineage(graph.task, stage, graph.key(f"{stage}_raw")),
        },
        ins={"raw": dg.AssetIn(key=graph.key(f"{stage}_raw"))},
        io_manager_key=graph.resource("mart_io"),
    )
    def mart(context: dg.AssetExecutionContext, raw: RawBatch) -> pa.RecordBatchReader:
        with translate_errors(context.retry_number):
            return raw.stream(input_mart_query)

    return mart
