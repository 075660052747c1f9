"""The record of a training, read from its MLflow run: its data, parameters, metrics and importances."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from pipeline_assets.stores.registry.log import IMPORTANCE, INPUT_SHA256, INPUT_URI
from pipeline_assets.stores.registry.version_tags import BATCH, DAGSTER_RUN, FINGERPRINTS, texts

if TYPE_CHECKING:
    from mlflow import MlflowClient

CURVES = ("training", "stopping")  # sides that a package reports on while it fits


@dataclass(frozen=True)
class Training:
    """The record of one training. Values that the run does not have are ``None`` or empty.

    Attributes:
        run_id: of the MLflow run.
        experiment_id: of the MLflow experiment that the run is in.
        batch: that it learned from.
        input_uri: of that batch's file.
        input_sha256: of that file.
        dagster_run_id: of the run that trained.
        started: when, with a time zone.
        parameters: by name, as text.
        metrics: every number of the run by name, the last of each.
        importance: of the features by name, most important first, in the package's own unit.
        fingerprints: of the slices of the task's description that it was made with, by slice.
    """

    run_id: str
    experiment_id: str
    batch: str | None
    input_uri: str | None
    input_sha256: str | None
    dagster_run_id: str | None
    started: datetime
    parameters: Mapping[str, str]
    metrics: Mapping[str, float]
    importance: Mapping[str, float]
    fingerprints: Mapping[str, str] | None = None


def training_of(client: "MlflowClient", run_id: str) -> Training:
    """The training that a run holds.

    Raises:
        MlflowException: there is no such run, or no answer.
    """
    run = client.get_run(run_id)
    tags = run.data.tags
    return Training(
        run_id=run_id,
        experiment_id=str(run.info.experiment_id),
        batch=tags.get(BATCH),
        input_uri=tags.get(INPUT_URI),
        input_sha256=tags.get(INPUT_SHA256),
        dagster_run_id=tags.get(DAGSTER_RUN),
        started=datetime.fromtimestamp(run.info.start_time / 1000, UTC),
        parameters=dict(run.data.params),
        metrics=dict(run.data.metrics),
        importance=_importance(client, run_id),
        fingerprints=texts(tags.get(FINGERPRINTS)),
    )


def curves_of(client: "MlflowClient", run_id: str) -> dict[str, dict[str, list[float]]]:
    """Each metric of the package by iteration on each side; empty where the run has none.

    Returns:
        By the package's own metric name, then by side (``training``, ``stopping``): one value per iteration.

    Raises:
        MlflowException: there is no such run, or no answer.
    """
    found: dict[str, dict[str, list[float]]] = {}
    for key in client.get_run(run_id).data.metrics:
        side, _, name = key.partition("/")
        if side in CURVES and name:
            points = sorted(client.get_metric_history(run_id, key), key=lambda point: point.step)
            found.setdefault(name, {})[side] = [point.value for point in points]
    return found


def text_of(client: "MlflowClient", run_id: str, name: str) -> str | None:
    """A text among the files of a run; ``None`` where there is none of this name.

    Raises:
        MlflowException: there is no such run, or no answer.
    """
    content = bytes_of(client, run_id, name)
    return None if content is None else content.decode()


def bytes_of(client: "MlflowClient", run_id: str, name: str) -> bytes | None:
    """As :func:`text_of`, but the file's content as it is."""
    if not any(file.path == name for file in client.list_artifacts(run_id)):
        return None
    with TemporaryDirectory() as folder:
        return Path(client.download_artifacts(run_id, name, folder)).read_bytes()


def _importance(client: "MlflowClient", run_id: str) -> dict[str, float]:
    found = json.loads(text_of(client, run_id, IMPORTANCE) or "{}")
    return {name: float(value) for name, value in sorted(found.items(), key=lambda item: -item[1])}
