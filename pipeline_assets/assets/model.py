"""Model: features in; a version in the registry, and the record of choice that says whether it is champion."""

from typing import Any

import dagster as dg
import pyarrow as pa

from pipeline_assets.assets import describe
from pipeline_assets.assets.code import code_commit, lock_sha256
from pipeline_assets.assets.graph import TaskGraph
from pipeline_assets.engine.record import manifest_of
from pipeline_assets.io_managers.errors import translate_errors
from pipeline_assets.ml.dataset import training_frame
from pipeline_assets.ml.selection import Choice, Comparison, choose, fitting_champion
from pipeline_assets.ml.trainers.base import Progress
from pipeline_assets.ml.training import Trained, evaluate, train
from pipeline_assets.stores.files.base import FileStore
from pipeline_assets.stores.marts.greenplum import MartStore
from pipeline_assets.stores.marts.tables import choice_row, model_choices
from pipeline_assets.stores.registry.log import Provenance
from pipeline_assets.stores.registry.registry import Registry
from pipeline_assets.task.spec import TaskSpec


def model_asset(graph: TaskGraph) -> dg.AssetsDefinition:
    """``<task>/model``."""
    task, mlflow = graph.task, graph.resource("mlflow")

    @graph.asset(
        "train",
        "model",
        kinds=[task.training.package, "mlflow"],
        description=f"A version of the registered model {task.name}, and the choice of the champion by the policy"
        f" '{task.selection.policy}'. {task.target.description}",
        ins={"features": dg.AssetIn(key=graph.key("train_features"))},
        required_resource_keys={"files", "marts", "registry", mlflow},
    )
    def model(context: dg.AssetExecutionContext, features: pa.RecordBatchReader) -> dg.MaterializeResult[None]:
        # By key, because the MLflow run is the task's own and Dagster does not mix keys with arguments.
        files: FileStore = context.resources.files
        marts: MartStore = context.resources.marts
        registry: Registry = context.resources.registry
        ref = graph.ref("train", context.partition_key)
        with translate_errors(context.retry_number):
            run_id = getattr(context.resources, mlflow).active_run().info.run_id
            raw = manifest_of(files, ref)
            trained = train(task, training_frame(features, task), lambda at: context.log.info(_progress(at)))
            made_of = Provenance(
                batch=ref.batch,
                uri=raw.uri,
                sha256=raw.sha256,
                rows=raw.rows,
                task_yaml=graph.yaml,
                dagster_run_id=context.run.run_id,
                code_commit=code_commit(),
                lock_sha256=lock_sha256(),
            )
            plots = _plots(task, ref.batch, trained)
            version = registry.publish(run_id, task, trained, made_of, plots)
            choice = _choose(registry, task, version, trained)
            registry.log_choice(run_id, choice)
            marts.replace(
                model_choices(task),
                {"run_id": context.run.run_id, "stage": "train"},
                choice_row(task, ref, context.run.run_id, choice),
            )
        context.log.info(choice.reason)
        return dg.MaterializeResult(
            metadata={
                "model_version": version,
                "mlflow_run": describe.link(registry.run_url(run_id)),
                "mlflow_version": describe.link(registry.version_url(task.name, version)),
                **_metadata(trained, choice, plots),
            }
        )

    return model


def _progress(at: Progress) -> str:
    scores = ", ".join(f"{name} {value:.4f}" for name, value in at.scores.items())
    return f"iteration {at.iteration} of at most {at.iterations}: {scores}"


def _plots(task: TaskSpec, batch: str, trained: Trained) -> dict[str, bytes]:
    from pipeline_assets.ml.plots import plots  # matplotlib takes a second

    return plots(trained, f"{task.name}, {batch}")


def _choose(registry: Registry, task: TaskSpec, version: int, trained: Trained) -> Choice:
    """Challenger and champion on the same rows; the alias goes to the winner."""
    candidates = registry.candidates(task.name)
    scores = {version: trained.metrics}
    champion = fitting_champion(task, candidates)
    if champion is not None and champion.version != version:
        scores[champion.version] = evaluate(registry.load(task.name, champion.version), trained.validation)
    choice = choose(task, candidates, Comparison(challenger=version, scores=scores))
    registry.set_champion(task.name, choice.winner)
    return choice


def _metadata(trained: Trained, choice: Choice, plots: dict[str, bytes]) -> dict[str, Any]:
    return {
        "champion": choice.winner,
        "reason": choice.reason,
        "choice": dg.MetadataValue.json(choice.to_json()),
        "training_rows": trained.training_rows,
        "validation_rows": len(trained.validation),
        "unlabelled_rows": trained.unlabelled,
        **{name: round(value, 6) for name, value in trained.metrics.items()},
        **{f"{name}_of_constant_guess": round(value, 6) for name, value in trained.baseline.items()},
        "iterations": trained.fit.iterations,
        "best_iteration": trained.fit.best_iteration,
        **{name: describe.picture(png, name.replace("_", " ")) for name, png in plots.items()},
    }
