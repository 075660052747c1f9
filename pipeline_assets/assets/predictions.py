"""Predictions: chooses the version by the task's algorithm, scores the batch with it and writes the output file."""

from typing import Any

import dagster as dg
import pyarrow as pa

from pipeline_assets.assets import describe
from pipeline_assets.assets.champion import settle
from pipeline_assets.assets.graph import TaskGraph
from pipeline_assets.engine.duckdb.accepted import RawBatch
from pipeline_assets.engine.scoring import scoring
from pipeline_assets.io_managers.errors import translate_errors
from pipeline_assets.io_managers.predictions import FINGERPRINT, MADE_UNDER, ScoredBatch
from pipeline_assets.ml.choosing import choose
from pipeline_assets.ml.dataset import scoring_frame
from pipeline_assets.ml.kinds.base import predict
from pipeline_assets.ml.prediction import Prediction
from pipeline_assets.ml.scoring import Scorer, scores_schema
from pipeline_assets.ml.selection import Choice
from pipeline_assets.stores.marts.greenplum import MartStore
from pipeline_assets.stores.registry.registry import Registry
from pipeline_assets.task.contract import Contract
from pipeline_assets.task.spec import TaskSpec


def predictions_asset(graph: TaskGraph) -> dg.AssetsDefinition:
    """``<task>/predictions``."""
    task = graph.task

    @graph.asset(
        "predict",
        "predictions",
        kinds=["parquet", "s3"],
        description="The output file: the input's rows that the task's rule keeps, each with its row address."
        f" Rule: {task.output.where or 'every row'}. {task.target.description}",
        metadata={
            **describe.output_schema(task),
            **describe.predictions_lineage(task, graph.key("predict_raw"), graph.key("predict_features")),
        },
        ins={
            "raw": dg.AssetIn(key=graph.key("predict_raw")),
            "features": dg.AssetIn(key=graph.key("predict_features")),
        },
        # Depends on the newest training, of any batch; so predictions become stale when a model is trained.
        deps=[dg.AssetDep(graph.key("model"), partition_mapping=dg.LastPartitionMapping())],
        io_manager_key=graph.resource("predictions_io"),
    )
    def predictions(
        context: dg.AssetExecutionContext,
        raw: RawBatch,
        features: pa.RecordBatchReader,
        marts: dg.ResourceParam[MartStore],
        registry: dg.ResourceParam[Registry],
    ) -> dg.Output[ScoredBatch]:
        with translate_errors(context.retry_number):
            choice = settle(
                registry,
                marts,
                task,
                batch=raw.manifest.ref.batch,
                run_id=context.run.run_id,
                decide=lambda candidates: choose(task, candidates),
            )
            context.log.info(choice.reason)
            model = registry.load(task.name, choice.winner)

            def scorer(contract: Contract) -> Scorer:
                def say(rows: pa.RecordBatch) -> Prediction:
                    return predict(task, model, scoring_frame(rows, task.features), choice.threshold)

                return Scorer(contract, raw.manifest.ref.batch, say, choice.winner)

            provenance = {
                "task": task.name,
                "batch": raw.manifest.ref.batch,
                "input_uri": raw.manifest.uri,
                "input_sha256": raw.manifest.sha256,
                "model_version": str(choice.winner),
                **{f"{FINGERPRINT}{which}": task.fingerprint(which) for which in MADE_UNDER},
                "run_id": context.run.run_id,
            }
            scored = ScoredBatch(
                scoring=scoring(raw, features, scorer),
                scores_schema=scores_schema(task),
                provenance=provenance,
                expected=raw.manifest.accepted,
            )
        return dg.Output(scored, metadata=_metadata(registry, task, choice))

    return predictions


def _metadata(registry: Registry, task: TaskSpec, choice: Choice) -> dict[str, Any]:
    return {
        "model_version": choice.winner,
        "reason": choice.reason,
        "choice": dg.MetadataValue.json(choice.to_json()),
        "mlflow_version": describe.link(registry.version_url(task.name, choice.winner)),
    }
