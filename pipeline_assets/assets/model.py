"""Model: turns features into a version in the registry, and records the choice whether it is champion."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import dagster as dg
import pyarrow as pa

from pipeline_assets.assets import describe
from pipeline_assets.assets.champion import made_by, settle
from pipeline_assets.assets.difference import Rival, Stores, Versions, latest_difference, metadata_of, plots_of
from pipeline_assets.assets.graph import TaskGraph
from pipeline_assets.engine.record import manifest_of
from pipeline_assets.io_managers.errors import translate_errors
from pipeline_assets.ml.choosing import choose, fitting_champion, weighed
from pipeline_assets.ml.comparison import Contestant, alone, compare
from pipeline_assets.ml.dataset import LabelledRows, TrainingFrame, training_frame
from pipeline_assets.ml.difference import Difference
from pipeline_assets.ml.judging import Evaluated
from pipeline_assets.ml.kinds.base import kind_of
from pipeline_assets.ml.search import Found, Trial
from pipeline_assets.ml.selection import Candidate, Choice
from pipeline_assets.ml.split import SplitRule
from pipeline_assets.ml.trainers.base import FittedModel, Progress
from pipeline_assets.ml.training import Trained, train, validation_rows
from pipeline_assets.monitoring.column_hashes import ColumnHashes, Hashing
from pipeline_assets.monitoring.kept import kept_files
from pipeline_assets.monitoring.version_record import record_of
from pipeline_assets.stores.files.base import FileStore
from pipeline_assets.stores.marts.greenplum import MartStore
from pipeline_assets.stores.registry.log import Provenance
from pipeline_assets.stores.registry.registry import Registry
from pipeline_assets.task.batch import Manifest
from pipeline_assets.task.spec import TaskSpec


@dataclass(frozen=True)
class _Made:
    """The version of a run, with what the comparison and the run's metadata need.

    Attributes:
        model: the one that was evaluated.
        split: the rule that divided its batch.
        validation: the rows that evaluated it.
        threshold: of the version.
        registered: loads the model that predicts, which a refit has made of the evaluated one.
        importance: of its features by name.
        shown: metadata of the materialisation.
    """

    version: int
    model: Evaluated
    split: SplitRule
    validation: LabelledRows
    threshold: float
    registered: Callable[[], FittedModel]
    importance: Mapping[str, float]
    shown: dict[str, Any]


def model_asset(graph: TaskGraph) -> dg.AssetsDefinition:
    """``<task>/model``."""
    task, mlflow = graph.task, graph.resource("mlflow")

    @graph.asset(
        "train",
        "model",
        # Of a dotted path the class alone: Dagster allows no colon in the name of a kind.
        kinds=[task.training.package.rpartition(":")[2], "mlflow"],
        description=f"A version of the registered model {task.name}, and the choice of the champion by the policy"
        f" '{task.selection.policy}'. {task.target.description}",
        ins={"features": dg.AssetIn(key=graph.key("train_features"))},
        required_resource_keys={"files", "features", "marts", "registry", "scratch", mlflow},
    )
    def model(context: dg.AssetExecutionContext, features: pa.RecordBatchReader) -> dg.MaterializeResult[None]:
        # By key, because each task has its own MLflow run resource, and Dagster does not mix keys with arguments.
        of = context.resources
        files: FileStore = of.files
        marts: MartStore = of.marts
        registry: Registry = of.registry
        stores = Stores(files, of.features, marts, of.scratch)
        ref = graph.ref("train", context.partition_key)
        with translate_errors(context.retry_number):
            run_id = getattr(context.resources, mlflow).active_run().info.run_id
            raw = manifest_of(files, ref)
            hashing = Hashing()
            frame = training_frame(hashing.passing(features), task)
            done = _finished(registry, task, context.run, raw)
            if done is not None and done.split is not None:
                context.log.info("this run has made version %d already: it is not trained again", done.version)
                made = _restored(registry, task, done, done.split, frame)
            else:
                trained = train(
                    task,
                    frame,
                    lambda at: context.log.info(_progress(at)),
                    on_trial=partial(_tried, context, registry, run_id),
                    batch=ref.batch,
                    sha256=raw.sha256,
                )
                for note in trained.notes:
                    context.log.info(note)
                made = _published(
                    registry, graph, run_id, raw, trained, features=hashing.found, dagster_run=context.run.run_id
                )

            def compared(versions: Versions) -> Difference | None:
                return latest_difference(stores, task, versions, context.log.info)

            choice = settle(
                registry,
                marts,
                task,
                batch=ref.batch,
                run_id=context.run.run_id,
                decide=lambda candidates: _decide(registry, task, made, candidates, compared),
                keep=lambda chosen: registry.log_choice(run_id, chosen, plots_of(task, chosen)),
            )
        context.log.info(choice.reason)
        return dg.MaterializeResult(
            metadata={
                "model_version": made.version,
                "mlflow_run": describe.link(registry.run_url(run_id)),
                "mlflow_version": describe.link(registry.version_url(task.name, made.version)),
                "champion": choice.winner,
                "reason": choice.reason,
                "choice": dg.MetadataValue.json(choice.to_json()),
                **metadata_of(task, choice),
                **made.shown,
            }
        )

    return model


def _finished(registry: Registry, task: TaskSpec, run: dg.DagsterRun, raw: Manifest) -> Candidate | None:
    """The version that an earlier attempt of this run made from the same file by the same description."""
    done = made_by(registry.candidates(task.name), run)
    wanted = {which: task.fingerprint(which) for which in ("features", "target", "training")}
    if done is None or done.fingerprints != wanted or done.split is None or done.split.sha256 != raw.sha256:
        return None
    return done


def _restored(registry: Registry, task: TaskSpec, done: Candidate, split: SplitRule, frame: TrainingFrame) -> _Made:
    model, rows = registry.load_evaluated(task.name, done.version), validation_rows(task, frame, split)
    return _Made(
        version=done.version,
        model=model,
        split=split,
        validation=rows,
        threshold=done.threshold,
        registered=lambda: registry.load(task.name, done.version),
        importance=registry.training(done.run_id).importance,
        shown={"validation_rows": len(rows), **_rounded(done.metrics)},
    )


def _published(
    registry: Registry,
    graph: TaskGraph,
    run_id: str,
    raw: Manifest,
    trained: Trained,
    *,
    features: ColumnHashes,
    dagster_run: str,
) -> _Made:
    task, batch = graph.task, raw.ref.batch
    record = record_of(task, raw, features, trained)
    made_of = Provenance(
        batch=batch,
        uri=raw.uri,
        sha256=raw.sha256,
        rows=raw.rows,
        task_yaml=graph.yaml,
        dagster_run_id=dagster_run,
        code_commit=record.environment.code_commit,
        lock_sha256=record.environment.lock_sha256,
    )
    title = f"{task.name}, {batch}"
    plots = kind_of(task).plots(trained.validation, trained.prediction, trained.fit, title)
    version = registry.publish(run_id, task, trained, made_of, plots, files=kept_files(task, record, trained))
    return _Made(
        version=version,
        model=trained.evaluated,
        split=trained.split,
        validation=trained.validation,
        threshold=trained.threshold.value,
        registered=lambda: trained.model,
        importance=trained.fit.importance,
        shown=_metadata(task, trained, plots),
    )


def _tried(context: dg.AssetExecutionContext, registry: Registry, run_id: str, trial: Trial) -> None:
    shown = ", ".join(f"{name} {value}" for name, value in trial.parameters.items()) or "the task's own parameters"
    outcome = f"failed: {trial.problem}" if trial.value is None else f"{trial.metric} {trial.value:.4f}"
    context.log.info("trial %d of %d, %.1f s: %s, with %s", trial.number, trial.of, trial.seconds, outcome, shown)
    registry.log_trial(run_id, trial)


def _progress(at: Progress) -> str:
    scores = ", ".join(f"{name} {value:.4f}" for name, value in at.scores.items())
    return f"iteration {at.iteration} of at most {at.iterations}: {scores}"


def _decide(
    registry: Registry,
    task: TaskSpec,
    made: _Made,
    candidates: Sequence[Candidate],
    compared: Callable[[Versions], Difference | None],
) -> Choice:
    """Chooses by the scores on the same rows, and looks at what a new champion changes in the latest predict batch."""
    challenger = Contestant(made.version, made.model, made.split, made.threshold)
    champion = fitting_champion(task, candidates)
    if champion is None or champion.version == made.version:
        return choose(task, candidates, alone(task, challenger, made.validation))
    model = registry.load_evaluated(task.name, champion.version)
    holder = Contestant(champion.version, model, champion.split, champion.threshold)
    choice = choose(task, candidates, compare(task, challenger, holder, made.validation))
    if choice.winner != made.version:
        return choice
    versions = Versions(
        Rival(champion.version, registry.load(task.name, champion.version), champion.threshold),
        Rival(made.version, made.registered(), made.threshold),
        made.importance,
    )
    difference = compared(versions)
    return choice if difference is None else weighed(task, choice, difference)


def _searched(found: Found) -> dict[str, Any]:
    return {
        "trials": len(found.trials),
        "seconds_of_trials": round(sum(each.seconds for each in found.trials), 1),
        "found_parameters": dg.MetadataValue.json(dict(found.best.parameters)),
    }


def _rounded(values: Any) -> dict[str, float]:
    return {name: round(value, 6) for name, value in values.items()}


def _metadata(task: TaskSpec, trained: Trained, plots: dict[str, bytes]) -> dict[str, Any]:
    return {
        "metric": task.training.metric,
        "training_rows": trained.training_rows,
        "stopping_rows": trained.stopping_rows,
        "validation_rows": len(trained.validation),
        "unlabelled_rows": trained.unlabelled,
        "refitted_on_rows": trained.labelled_rows if trained.refitted else 0,
        **_rounded(trained.metrics),
        **{f"{name}_of_constant_baseline": value for name, value in _rounded(trained.baseline).items()},
        **_rounded(trained.label_facts),
        **({"notes": "\n".join(trained.notes)} if trained.notes else {}),
        **({} if trained.found is None else _searched(trained.found)),
        "iterations": trained.fit.iterations,
        "best_iteration": trained.fit.best_iteration,
        **_threshold(trained),
        **{name: describe.picture(png, name.replace("_", " ")) for name, png in plots.items()},
    }


def _threshold(trained: Trained) -> dict[str, Any]:
    if not trained.threshold.sentence:
        return {}
    return {"threshold": trained.threshold.value, "threshold_reason": trained.threshold.sentence}
