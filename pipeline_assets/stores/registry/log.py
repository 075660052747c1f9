"""Everything a training leaves in MLflow: the run's record, then the version."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from pipeline_assets.ml.selection import feature_columns
from pipeline_assets.ml.trainers.base import FittedModel
from pipeline_assets.ml.training import Trained
from pipeline_assets.task.spec import TaskSpec

if TYPE_CHECKING:
    import pandas as pd
    from mlflow import MlflowClient
    from mlflow.entities import Dataset, LoggedModel
    from mlflow.models import ModelSignature

READY = "ready"
BATCH = "batch"
METRICS = "metrics"
FINGERPRINTS = "fingerprints"
SPLIT = "split"
PACKAGE = "package"
REFIT = "refit"
EVALUATED_MODEL = "evaluated_model"  # folder of the run's artifacts
FEATURES = "features"
INPUT_URI = "input_uri"
INPUT_SHA256 = "input_sha256"
IMPORTANCE = "importance.json"
DAGSTER_RUN = "dagster_run_id"  # as dagster-mlflow names it

_MODEL_NAME = "model"
_EXAMPLE_ROWS = 5
_PARAMETERS_A_CALL = 100  # limits of MLflow's API
_METRICS_A_CALL = 1000
_DIGEST_LENGTH = 36

T = TypeVar("T")


@dataclass(frozen=True)
class Provenance:
    """What a version was made from, beyond the rows themselves.

    Attributes:
        batch: the partition.
        uri: of the raw file or folder.
        sha256: of its content.
        rows: raw rows.
        task_yaml: the text of the task's ``defs.yaml``.
        dagster_run_id: of the run that trains.
        code_commit: of the code, where it is known.
        lock_sha256: of ``requirements.lock``, where it is known.
    """

    batch: str
    uri: str
    sha256: str
    rows: int
    task_yaml: str
    dagster_run_id: str
    code_commit: str | None = None
    lock_sha256: str | None = None


def log_training(
    client: "MlflowClient",
    run_id: str,
    task: TaskSpec,
    trained: Trained,
    provenance: Provenance,
    *,
    plots: Mapping[str, bytes],
) -> None:
    """Writes the run's record: tags, parameters, input, curves, files. Writing it again changes nothing."""
    from mlflow.entities import DatasetInput, InputTag, Metric, Param, RunTag

    # Metrics of one run, step, value and time are one metric to MLflow: a retried step adds no second point.
    time = client.get_run(run_id).info.start_time
    client.log_batch(run_id, tags=[RunTag(key, value) for key, value in _tags(task, provenance).items()])
    for parameters in _parts(_parameters(task, trained).items(), _PARAMETERS_A_CALL):
        client.log_batch(run_id, params=[Param(key, value) for key, value in parameters])
    dataset = _dataset(task, provenance)
    client.log_inputs(run_id, [DatasetInput(dataset, [InputTag("mlflow.data.context", "training")])])
    for points in _parts(_points(trained), _METRICS_A_CALL):
        client.log_batch(run_id, metrics=[Metric(key, value, time, step) for key, value, step in points])
    with TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "task.yaml").write_text(provenance.task_yaml, encoding="utf-8")
        (root / IMPORTANCE).write_text(_json(trained.fit.importance, indent=2), encoding="utf-8")
        (root / "plots").mkdir()
        for name, image in plots.items():
            (root / "plots" / f"{name}.png").write_bytes(image)
        client.log_artifacts(run_id, folder)


def log_version(client: "MlflowClient", run_id: str, task: TaskSpec, trained: Trained, provenance: Provenance) -> int:
    """Uploads the model and registers it; the tag that makes it a candidate comes last.

    Returns:
        The number of the version.
    """
    model = _upload(client, run_id, task, trained, provenance)
    if not client.search_registered_models(f"name = '{task.name}'"):
        _create_registered_model(client, task)
    shown = ", ".join(f"{name} {value:.4f}" for name, value in trained.metrics.items())
    version = client.create_model_version(
        task.name,
        # The address itself: a models:/ address would be looked up in the process's own tracking URI.
        source=model.artifact_location,
        run_id=run_id,
        model_id=model.model_id,
        tags={
            BATCH: provenance.batch,
            METRICS: _json(trained.metrics),
            FEATURES: _json(feature_columns(task.features)),
            FINGERPRINTS: _json({which: task.fingerprint(which) for which in ("features", "target", "training")}),
            SPLIT: _json(trained.split.to_json()),
            PACKAGE: task.training.package,
            REFIT: _json(trained.refitted),
            DAGSTER_RUN: provenance.dagster_run_id,
        },
        description=_description(trained, provenance, shown),
    )
    # A server notes this by itself; without one, the model's page would not know of its version.
    versions = _json([{"name": task.name, "version": int(version.version)}])
    client.set_logged_model_tags(model.model_id, {"mlflow.modelVersions": versions})
    client.set_model_version_tag(task.name, version.version, READY, "true")
    return int(version.version)


def _description(trained: Trained, provenance: Provenance, shown: str) -> str:
    """The metrics are those of the evaluated fit, and the version says so."""
    evaluated = (
        f"Fitted to {trained.training_rows} rows of batch {provenance.batch}, stopped on {trained.stopping_rows};"
        f" on {len(trained.validation)} validation rows: {shown}."
    )
    refitted = (
        f" Then fitted to all {trained.labelled_rows} labelled rows with the same number of iterations: the metrics"
        " are those of the fit before."
    )
    return evaluated + refitted if trained.refitted else evaluated


def _tags(task: TaskSpec, provenance: Provenance) -> dict[str, str]:
    tags = {
        "task": task.name,
        BATCH: provenance.batch,
        INPUT_URI: provenance.uri,
        INPUT_SHA256: provenance.sha256,
        DAGSTER_RUN: provenance.dagster_run_id,
        "mlflow.source.git.commit": provenance.code_commit,
        "lock_sha256": provenance.lock_sha256,
    }
    return {key: value for key, value in tags.items() if value is not None}


def _parameters(task: TaskSpec, trained: Trained) -> dict[str, str]:
    """The task's own parameters under their names, and all that were in effect under ``effective.``."""
    training = task.training
    parameters = {
        "package": training.package,
        "seed": training.seed,
        "threads": training.threads,
        "metric": training.metric,
        "early_stopping_rounds": training.early_stopping_rounds,
        **{f"validation.{key}": value for key, value in training.validation.model_dump(exclude_none=True).items()},
        **training.parameters,
        **{f"effective.{key}": value for key, value in trained.fit.parameters.items()},
    }
    return {key: value if isinstance(value, str) else _json(value) for key, value in parameters.items()}


def _points(trained: Trained) -> Iterator[tuple[str, float, int]]:
    """Every number as (key, value, step): the curves by iteration, the rest at the best iteration."""
    for side, curves in trained.fit.curves.items():
        for name, values in curves.items():
            for step, value in enumerate(values):
                yield f"{side}/{_key(name)}", value, step
    best = trained.fit.best_iteration
    yield from ((name, value, best) for name, value in _metrics(trained).items())
    yield from ((f"guess/{name}", value, best) for name, value in trained.baseline.items())
    counts = {
        "best_iteration": best,
        "iterations": trained.fit.iterations,
        "training_rows": trained.training_rows,
        "stopping_rows": trained.stopping_rows,
        "validation_rows": len(trained.validation),
        "unlabelled_rows": trained.unlabelled,
        "training_label_mean": trained.share,
    }
    yield from ((name, float(value), best) for name, value in counts.items())


def _metrics(trained: Trained) -> dict[str, float]:
    return {**trained.metrics, **trained.details}


def _key(name: str) -> str:
    """A metric's name in the characters that MLflow allows."""
    return "".join(letter if letter.isalnum() or letter in "_-. /" else "_" for letter in name)


def _dataset(task: TaskSpec, provenance: Provenance) -> "Dataset":
    from mlflow.entities import Dataset

    scheme = urlsplit(provenance.uri).scheme
    columns = {name: column.type for name, column in task.columns_of("train").items()}
    return Dataset(
        name=provenance.batch,
        digest=provenance.sha256[:_DIGEST_LENGTH],
        source_type="s3" if scheme == "s3" else "local",
        source=_json({"uri": provenance.uri, "sha256": provenance.sha256}),
        schema=_json({"columns": columns}),
        profile=_json({"num_rows": provenance.rows}),
    )


def _upload(
    client: "MlflowClient", run_id: str, task: TaskSpec, trained: Trained, provenance: Provenance
) -> "LoggedModel":
    """The model in its package's own MLflow flavor, saved aside, then uploaded and finalised."""
    import importlib

    from mlflow.entities import LoggedModelOutput, Metric
    from mlflow.models import Model

    run = client.get_run(run_id).info
    fitted = trained.model
    logged = client.create_logged_model(
        run.experiment_id,
        name=_MODEL_NAME,
        source_run_id=run_id,
        tags={"task": task.name, BATCH: provenance.batch},
        params={key: str(value) for key, value in task.training.parameters.items()},
        model_type=f"{task.target.kind} classifier",
    )
    flavor = importlib.import_module(f"mlflow.{fitted.flavor}")
    with TemporaryDirectory() as folder:
        path = Path(folder) / _MODEL_NAME
        flavor.save_model(
            fitted.native,
            str(path),
            mlflow_model=Model(artifact_path=logged.artifact_location, run_id=run_id, model_id=logged.model_id),
            signature=_signature(task),
            input_example=_example(task, trained),
            # Given, because MLflow would otherwise start a second Python to find them out.
            pip_requirements=_requirements(fitted.package),
        )
        client.log_model_artifacts(logged.model_id, str(path))
        if trained.refitted:
            _keep_evaluated(client, run_id, trained.fit.model, Path(folder))
    dataset = _dataset(task, provenance)
    step = trained.fit.best_iteration
    client.log_outputs(run_id, [LoggedModelOutput(logged.model_id, step)])
    client.log_batch(
        run_id,
        metrics=[
            Metric(key, value, run.start_time, step, logged.model_id, dataset.name, dataset.digest, run_id)
            for key, value in _metrics(trained).items()
        ],
    )
    return client.finalize_logged_model(logged.model_id, "READY")


def _keep_evaluated(client: "MlflowClient", run_id: str, model: FittedModel, folder: Path) -> None:
    """The fit that was evaluated, beside the refit: comparisons go by it, for the refit has learned from every row."""
    import importlib

    path = folder / EVALUATED_MODEL
    importlib.import_module(f"mlflow.{model.flavor}").save_model(
        model.native, str(path), pip_requirements=_requirements(model.package)
    )
    client.log_artifacts(run_id, str(path), EVALUATED_MODEL)


def _signature(task: TaskSpec) -> "ModelSignature":
    """Written out: from a frame with categories MLflow infers none."""
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, Schema

    numeric = [ColSpec(DataType.double, name) for name in task.features.numeric]
    categorical = [ColSpec(DataType.string, name) for name in task.features.categorical]
    return ModelSignature(inputs=Schema([*numeric, *categorical]), outputs=Schema([ColSpec(DataType.long)]))


def _example(task: TaskSpec, trained: Trained) -> "pd.DataFrame":
    rows = trained.validation.features.head(_EXAMPLE_ROWS).reset_index(drop=True)
    return rows.astype(dict.fromkeys(task.features.categorical, object))


def _requirements(package: str) -> list[str]:
    from importlib.metadata import version

    return [f"{name}=={version(name)}" for name in ("mlflow", package, "numpy", "pandas")]


def _create_registered_model(client: "MlflowClient", task: TaskSpec) -> None:
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(task.name, tags={"task": task.name}, description=task.description)
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":  # another run of the task came first
            raise


def _parts(items: Iterable[T], size: int) -> Iterator[Sequence[T]]:
    everything = list(items)
    for start in range(0, len(everything), size):
        yield everything[start : start + size]


def _json(value: Any, indent: int | None = None) -> str:
    return json.dumps(value, ensure_ascii=False, indent=indent)
