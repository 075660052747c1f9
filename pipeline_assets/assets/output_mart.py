"""Output mart: every scored row beside its row address, score, version and run."""

from collections.abc import Iterator
from datetime import UTC, datetime

import dagster as dg
import pyarrow as pa

from pipeline_assets.assets import describe
from pipeline_assets.assets.graph import TaskGraph
from pipeline_assets.errors import DataError
from pipeline_assets.io_managers.predictions import StoredScores
from pipeline_assets.stores.marts.tables import output_mart
from pipeline_assets.task.batch import BatchRef


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
        _check_output(graph, context.partition_key, predictions.provenance.get("output_fingerprint"))
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


def _check_output(graph: TaskGraph, batch: str, stored: str | None) -> None:
    """Refuses scores made under another ``output`` than the task has now: their decision would be another.

    Raises:
        DataError: names both fingerprints and what to run.
    """
    expected = graph.task.fingerprint("output")
    if stored != expected:
        raise DataError(
            "the stored scores were made under another output than the task has now",
            **BatchRef(graph.task.name, "predict", batch).facts(),
            found=f"fingerprint of output {stored}" if stored else "no fingerprint, as former versions stored them",
            expected=f"fingerprint of output {expected}",
            do=f"materialise {graph.task.name}/predictions for this batch again",
        )
