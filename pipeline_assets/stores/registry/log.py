"""Everything that a training writes to MLflow: the run's record with the model's files, then the version."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from pipeline_assets.ml.judging import FoldModels
from pipeline_assets.ml.selection import feature_columns
from pipeline_assets.ml.trainers.base import FittedModel, objective_of
from pipeline_assets.ml.training import Trained
from pipeline_assets.stores.registry.version_tags import (
    BATCH,
    DAGSTER_RUN,
    FEATURES,
    FINGERPRINTS,
    METRICS,
    PACKAGE,
    READY,
    REFIT,
    SPLIT,
    THRESHOLD,
    divided,
)
from pipeline_assets.task.fingerprints import Slice
from pipeline_assets.task.spec import TaskSpec

if TYPE_CHECKING:
    import pandas as pd
    from mlflow import MlflowClient
    from mlflow.entities import Dataset
    from mlflow.models import ModelSignature

INPUT_URI = "input_uri"
INPUT_SHA256 = "input_sha256"
IMPORTANCE = "importance.json"
REPRODUCTIONS = "reproductions"  # a folder of the run's artifacts: a report each time its version was made again
MODEL = "model"  # a folder of the run's artifacts, like the next one
EVALUATED_MODEL = "evaluated_model"
CLASSES = "classes"  # in the metadata of a model of the objective multiclass: the name of each column of its output

# What a version rests on.
_SLICES: tuple[Slice, ...] = ("features", "target", "training")
_MODELS_OF_A_RUN = "mlflow.log-model.history"  # a system tag: MLflow's page of a run lists the models from it
_OF_TENSORS = "tensorflow"  # the flavor whose signature names tensors, not columns
_EXAMPLE_ROWS = 5
_PARAMETERS_A_CALL = 100  # limits of MLflow's API
_METRICS_A_CALL = 1000
_METRICS_AGAIN = 100  # MLflow 2 refuses more per call where some of them were logged before
_DIGEST_LENGTH = 36

T = TypeVar("T")


@dataclass(frozen=True)
class Provenance:
    """What a version was made from, beside the rows themselves.

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
    files: Mapping[str, str | bytes],
) -> None:
    """Writes the run's record: tags, parameters, input, curves, files, models. Writing it again replaces it."""
    from mlflow.entities import DatasetInput, InputTag, Metric, Param, RunTag

    # MLflow takes metrics with the same run, step, value and time for one: a retried step adds no second point.
    run = client.get_run(run_id)
    time = run.info.start_time
    client.log_batch(run_id, tags=[RunTag(key, value) for key, value in _tags(task, provenance).items()])
    for parameters in _parts(_parameters(task, trained).items(), _PARAMETERS_A_CALL):
        client.log_batch(run_id, params=[Param(key, value) for key, value in parameters])
    dataset = _dataset(task, provenance)
    client.log_inputs(run_id, [DatasetInput(dataset, [InputTag("mlflow.data.context", "training")])])
    for points in _parts(_points(trained), _METRICS_AGAIN if run.data.metrics else _METRICS_A_CALL):
        client.log_batch(run_id, metrics=[Metric(key, value, time, step) for key, value, step in points])
    with TemporaryDirectory() as folder:
        root = Path(folder)
        (root / "task.yaml").write_text(provenance.task_yaml, encoding="utf-8")
        (root / IMPORTANCE).write_text(_json(trained.fit.importance, indent=2), encoding="utf-8")
        for name, content in files.items():
            (root / name).write_bytes(content.encode() if isinstance(content, str) else content)
        (root / "plots").mkdir()
        for name, image in plots.items():
            (root / "plots" / f"{name}.png").write_bytes(image)
        # Comparisons use the fit that was evaluated: its refit has learned from every row.
        kept = {MODEL: trained.model, **_evaluated(trained)}
        models = [_save(model, root / name, run_id, task, trained) for name, model in kept.items()]
        client.log_artifacts(run_id, folder)
    client.set_tag(run_id, _MODELS_OF_A_RUN, _json(models))


def fold_model(number: int) -> str:
    """The folder of the model that the rows of a fold evaluated, among the run's artifacts."""
    return f"{EVALUATED_MODEL}_{number}"


def _evaluated(trained: Trained) -> dict[str, FittedModel]:
    """The evaluated models by their folders, where they are not the registered one."""
    if isinstance(trained.evaluated, FoldModels):
        return {fold_model(number): model for number, model in enumerate(trained.evaluated.models)}
    return {EVALUATED_MODEL: trained.evaluated} if trained.refitted else {}


def register(client: "MlflowClient", run_id: str, task: TaskSpec, trained: Trained, provenance: Provenance) -> int:
    """Registers the model that the run holds as a version: one call, so that it is whole or not there.

    Args:
        client: of the registry.
        run_id: where :func:`log_training` has written everything.
        task: its name is the registered model's.
        trained: has the metrics.
        provenance: says what the model was made from.

    Returns:
        The number of the version.
    """
    if not client.search_registered_models(f"name = '{task.name}'"):
        _create_registered_model(client, task)
    shown = ", ".join(f"{name} {value:.4f}" for name, value in trained.metrics.items())
    tags = {
        BATCH: provenance.batch,
        METRICS: _json(trained.metrics),
        **divided(FEATURES, _json(feature_columns(task.features))),
        FINGERPRINTS: _fingerprints(task),
        DAGSTER_RUN: provenance.dagster_run_id,
        **divided(SPLIT, _json(trained.split.to_json())),
        PACKAGE: task.training.package,
        REFIT: _json(trained.refitted),
        **({THRESHOLD: _json(trained.threshold.value)} if trained.threshold.sentence else {}),
        READY: "true",
    }
    version = client.create_model_version(
        task.name,
        # The address itself, not runs:/..., which would be looked up in the process's own tracking URI.
        source=f"{client.get_run(run_id).info.artifact_uri}/{MODEL}",
        run_id=run_id,
        tags=tags,
        description=_description(trained, provenance, shown),
    )
    return int(version.version)


def _description(trained: Trained, provenance: Provenance, shown: str) -> str:
    """The version's description. It says that the metrics are those of the evaluated fit."""
    evaluated = (
        f"Fitted to {trained.training_rows} rows of batch {provenance.batch}, stopped on {trained.stopping_rows};"
        f" on {len(trained.validation)} validation rows: {shown}."
    )
    if isinstance(trained.evaluated, FoldModels):
        evaluated = (
            f"Judged by {len(trained.evaluated.models)} folds of batch {provenance.batch}: each of"
            f" {len(trained.validation)} labelled rows by a model that had not learned from it: {shown}."
        )
    refitted = (
        f"Then fitted to all {trained.labelled_rows} labelled rows with the same number of iterations: the metrics"
        " are those of the fit before."
    )
    threshold = f"Threshold {trained.threshold.value:.4f}, {trained.threshold.sentence}."
    parts = [
        evaluated,
        *([refitted] if trained.refitted else []),
        *([threshold] if trained.threshold.sentence else []),
        *(f"{note}." for note in trained.notes),
    ]
    return " ".join(parts)


def _tags(task: TaskSpec, provenance: Provenance) -> dict[str, str]:
    tags = {
        "task": task.name,
        BATCH: provenance.batch,
        INPUT_URI: provenance.uri,
        INPUT_SHA256: provenance.sha256,
        DAGSTER_RUN: provenance.dagster_run_id,
        "mlflow.source.git.commit": provenance.code_commit,
        "lock_sha256": provenance.lock_sha256,
        FINGERPRINTS: _fingerprints(task),
    }
    return {key: value for key, value in tags.items() if value is not None}


def _fingerprints(task: TaskSpec) -> str:
    return _json({which: task.fingerprint(which) for which in _SLICES})


def _parameters(task: TaskSpec, trained: Trained) -> dict[str, str]:
    """The task's own parameters and those of its search under their names, and all in effect with ``effective.``."""
    training, found = task.training, trained.found
    searched = {} if found is None else {"search.trials": len(found.trials), "search.best_trial": found.best.number}
    parameters = {
        "package": training.package,
        "seed": training.seed,
        "threads": training.threads,
        "metric": training.metric,
        "early_stopping_rounds": training.early_stopping_rounds,
        **{f"validation.{key}": value for key, value in training.validation.model_dump(exclude_none=True).items()},
        **training.model_dump(include={"weight", "class_weights", "threshold"}, exclude_none=True),
        **training.parameters,
        **({} if found is None else found.best.parameters),
        **searched,
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
    yield from ((f"baseline/{name}", value, best) for name, value in trained.baseline.items())
    counts = {
        "best_iteration": best,
        "iterations": trained.fit.iterations,
        "training_rows": trained.training_rows,
        "stopping_rows": trained.stopping_rows,
        "validation_rows": len(trained.validation),
        "unlabelled_rows": trained.unlabelled,
        **trained.label_facts,
    }
    if trained.threshold.sentence:
        counts["threshold"] = trained.threshold.value
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


def _save(model: FittedModel, path: Path, run_id: str, task: TaskSpec, trained: Trained) -> dict[str, Any]:
    """Saves a model in its package's own MLflow flavor.

    ``log_model`` of MLflow 3 asks the server for a logged model, which an MLflow 2 server does not know;
    ``save_model`` asks no server.

    Returns:
        What MLflow keeps with the run about it.
    """
    import importlib

    from mlflow.models import Model

    classes = {CLASSES: list(model.classes)} if model.classes else None
    saved = Model(artifact_path=path.name, run_id=run_id, metadata=classes)
    flavor = importlib.import_module(f"mlflow.{model.flavor}")
    options = {
        "signature": _tensors(task, model) if model.flavor == _OF_TENSORS else _signature(task),
        "input_example": _example(task, trained),
        # Given here, because MLflow would otherwise start a second Python to find them.
        "pip_requirements": [*_requirements("mlflow", "numpy", "pandas"), *flavor.get_default_pip_requirements()],
        **model.save_options,
    }
    flavor.save_model(model.native, str(path), mlflow_model=saved, **options)
    return saved.get_tags_dict()


def _signature(task: TaskSpec) -> "ModelSignature":
    """The signature, written here: MLflow infers none from a frame with categories."""
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, DataType, Schema

    numeric = [ColSpec(DataType.double, name) for name in task.features.numeric]
    categorical = [ColSpec(DataType.string, name) for name in task.features.categorical]
    # What the package's own ``predict`` gives, which MLflow calls.
    given = {"regression": DataType.double, "multiclass": DataType.string}
    output = given.get(objective_of(task), DataType.long)
    return ModelSignature(inputs=Schema([*numeric, *categorical]), outputs=Schema([ColSpec(output)]))


def _tensors(task: TaskSpec, model: FittedModel) -> "ModelSignature":
    """The signature of a flavor that takes tensors alone: one per feature, by name."""
    import numpy as np
    from mlflow.models import ModelSignature
    from mlflow.types import Schema, TensorSpec

    numeric = [TensorSpec(np.dtype(np.float64), (-1,), name) for name in task.features.numeric]
    categorical = [TensorSpec(np.dtype(np.str_), (-1,), name) for name in task.features.categorical]
    shape = (-1, len(model.classes)) if model.classes else (-1,)
    outputs = Schema([TensorSpec(np.dtype(np.float64), shape)])
    return ModelSignature(inputs=Schema([*numeric, *categorical]), outputs=outputs)


def _example(task: TaskSpec, trained: Trained) -> "pd.DataFrame":
    rows = trained.validation.features.head(_EXAMPLE_ROWS).reset_index(drop=True)
    return rows.astype(dict.fromkeys(task.features.categorical, object))


def _requirements(*names: str) -> list[str]:
    from importlib.metadata import version

    return [f"{name}=={version(name)}" for name in names]


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
