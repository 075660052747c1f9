"""Output mart: every scored row with its row address, score, version and run."""

from collections.abc import Iterator
from datetime import UTC, datetime

import dagster as dg
import pyarrow as pa

from pipeline_assets.assets import describe
from pipeline_assets.assets.graph import TaskGraph
from pipeline_assets.io_managers.predictions import StoredScores
from pipeline_assets.stores.marts.tables import output_mart


def output_mart_asset(graph: TaskGraph) -> dg.AssetsDefinition:
    """``<task>/predict_output_mart``."""

    @graph.asset(
        "predict",
        "predict_output_mart",
        kinds=["greenplum"],
        description="Each prediction beside its row address, score, version and run; the view"
        f" {graph.task.name}_lineage joins it to its input row and to the choice of its version.",
        metadata={
            **describe.mart_schema(output_mart(graph.task)),
            **describe.output_mart_lineage(graph.key("predictions"), graph.key("predict_features"), graph.task),
        },
        ins={"predictions": dg.AssetIn(key=graph.key("predictions"))},
        deps=[graph.key("predict_input_mart")],
        io_manager_key=graph.resource("mart_io"),
    )
    def mart(context: dg.AssetExecutionContext, predictions: StoredScores) -> pa.RecordBatchReader:
        schema = output_mart(graph.task).schema
        constants = [
            (pa.scalar(int(predictions.provenance["model_version"])), "model_version"),
            (pa.scalar(predictions.provenance["run_id"]), "run_id"),
            (pa.scalar(datetime.now(UTC), pa.timestamp("us", tz="UTC")), "predicted_at"),
        ]

        def rows() -> Iterator[pa.RecordBatch]:
            for scores in predictions.rows:
                batch = pa.repeat(context.partition_key, scores.num_rows)
                columns = [batch, *scores.columns, *(pa.repeat(value, scores.num_rows) for value, _ in constants)]
                yield pa.RecordBatch.from_arrays(columns, schema=schema)

        return pa.RecordBatchReader.from_batches(schema, rows())

    return mart
