"""Model versions in MLflow: made, listed, loaded, chosen. A server, or sqlite and a folder."""

import json
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit, urlunsplit

from pipeline_assets.errors import StoreError
from pipeline_assets.ml.selection import Candidate, Choice, FeatureColumns
from pipeline_assets.ml.trainers.base import PACKAGES, FittedModel, trainer
from pipeline_assets.ml.training import Trained
from pipeline_assets.settings import MlflowSettings
from pipeline_assets.stores.registry.client import answers, check_database, connect
from pipeline_assets.stores.registry.log import (
    DAGSTER_RUN,
    FEATURES,
    INPUT_SHA256,
    METRICS,
    READY,
    Provenance,
    log_training,
    log_version,
)
from pipeline_assets.stores.registry.training import Training, training_of
from pipeline_assets.task.spec import TaskSpec

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from mlflow import MlflowClient
    from mlflow.entities import Run
    from mlflow.entities.model_registry import ModelVersion

CHAMPION = "champion"
_PAGE = 1000


class Registry:
    """The registry of one environment. Each task has an experiment and a registered model of its name.

    Constructing it connects to nothing. Every method raises TransientError where MLflow does not answer, and
    StoreError where it refuses.

    Args:
        where: the server, or the folder of an embedded registry.
    """

    def __init__(self, where: MlflowSettings | Path) -> None:
        self._login: str | None = None
        self._password: str | None = None
        self._folder: Path | None = None
        if isinstance(where, Path):
            self._folder = where.resolve()
            database = str(self._folder / "mlflow.db").replace("%", "%25")  # MLflow unquotes it
            self.tracking_uri = f"sqlite:///{database}"
        else:
            # An address may carry credentials of its own; links and messages must not.
            parts = urlsplit(where.url)
            self._login, self._password = where.login or parts.username, where.password or parts.password
            bare = parts._replace(netloc=parts.netloc.rpartition("@")[2])
            self.tracking_uri = urlunsplit(bare).rstrip("/")

    @cached_property
    def client(self) -> "MlflowClient":
        """MLflow's own client; the first use connects."""
        with self._answers("connect"):
            if self._folder is not None:
                self._folder.mkdir(parents=True, exist_ok=True)
                check_database(self._folder / "mlflow.db")
            return connect(self.tracking_uri, self._login, self._password)

    def experiment(self, task: str) -> str:
        """The id of the task's experiment, created where there is none.

        MLflow would otherwise put the artifacts of an embedded experiment into the working directory.
        """
        client = self.client
        from mlflow.exceptions import MlflowException

        with self._answers(f"open the experiment {task}"):
            found = client.get_experiment_by_name(task)
            if found is None:
                place = None if self._folder is None else (self._folder / "artifacts" / task).as_uri()
                try:
                    return str(client.create_experiment(task, artifact_location=place))
                except MlflowException as error:
                    if error.error_code != "RESOURCE_ALREADY_EXISTS":  # another process came first
                        raise
                    found = client.get_experiment_by_name(task)
        if found is None or found.lifecycle_stage != "active":
            raise StoreError(
                "the task's MLflow experiment was deleted",
                task=task,
                found=f"experiment {task} in MLflow's trash",
                do="restore it in MLflow, or empty the trash (mlflow gc)",
            )
        return str(found.experiment_id)

    def publish(
        self,
        run_id: str,
        task: TaskSpec,
        trained: Trained,
        provenance: Provenance,
        plots: Mapping[str, bytes],
    ) -> int:
        """Logs a training to an open run and registers its model.

        The version becomes a candidate in the last step; whatever stops it before leaves one that never is.

        Returns:
            The number of the version.
        """
        with self._answers(f"log the training of {task.name}"):
            log_training(self.client, run_id, task, trained, provenance, plots=plots)
        with self._answers(f"register a version of {task.name}"):
            return log_version(self.client, run_id, task, trained, provenance)

    def log_choice(self, run_id: str, choice: Choice) -> None:
        """Keeps a record of choice with the run that made it."""
        with self._answers("keep the record of choice"):
            self.client.log_dict(run_id, choice.to_json(), f"choice_{choice.stage}.json")
            self.client.set_tag(run_id, "choice", choice.reason)

    def candidates(self, task: str) -> list[Candidate]:
        """Every registered version, oldest first; none where the task was never trained."""
        with self._answers(f"list the versions of {task}"):
            holder = self._champion(task)
            found: list[ModelVersion] = []
            token: str | None = None
            while True:
                page = self.client.search_model_versions(f"name = '{task}'", max_results=_PAGE, page_token=token)
                found += page
                token = page.token
                if not token:
                    break
        candidates = [_candidate(version, holder) for version in found]
        return sorted(candidates, key=lambda each: each.version)

    def input_sha256(self, task: str) -> dict[str, str]:
        """The sha256 of the input by MLflow run id, of every run of the task that says it."""
        with self._answers(f"list the trainings of {task}"):
            found = self.client.get_experiment_by_name(task)
            runs: list[Run] = []
            token: str | None = None
            while found is not None:
                page = self.client.search_runs([found.experiment_id], max_results=_PAGE, page_token=token)
                runs += page
                token = page.token
                if not token:
                    break
        return {run.info.run_id: run.data.tags[INPUT_SHA256] for run in runs if INPUT_SHA256 in run.data.tags}

    def training(self, run_id: str) -> Training:
        """What an MLflow run says of the training that it holds."""
        with self._answers(f"read the training of run {run_id}"):
            return training_of(self.client, run_id)

    def load(self, task: str, version: int) -> FittedModel:
        """The model of a version, loaded by its package's own MLflow flavor."""
        import importlib

        client = self.client
        from mlflow.artifacts import download_artifacts
        from mlflow.models import Model

        with self._answers(f"load version {version} of {task}"), TemporaryDirectory() as folder:
            uri = client.get_model_version_download_uri(task, str(version))
            path = download_artifacts(
                uri, dst_path=folder, tracking_uri=self.tracking_uri, registry_uri=self.tracking_uri
            )
            flavors = Model.load(path).flavors
            package = next((name for name in PACKAGES if name in flavors), None)
            if package is None:
                raise StoreError(
                    "the model version was made by a package that is not known here",
                    task=task,
                    found=f"version {version}: {', '.join(flavors)}",
                    available=PACKAGES,
                )
            native = importlib.import_module(f"mlflow.{package}").load_model(path)
        return trainer(package).restore(native)

    def champion(self, task: str) -> int | None:
        """The version that holds the alias."""
        with self._answers(f"read the alias {CHAMPION} of {task}"):
            return self._champion(task)

    def set_champion(self, task: str, version: int) -> None:
        """Gives the alias to a version; whichever held it loses it in the same moment."""
        with self._answers(f"set the alias {CHAMPION} of {task}"):
            self.client.set_registered_model_alias(task, CHAMPION, str(version))

    def run_url(self, run_id: str) -> str:
        """Where a person looks at a run: the server's page, or the folder of an embedded one's files."""
        with self._answers(f"find the run {run_id}"):
            info = self.client.get_run(run_id).info
        if self._folder is not None:
            return str(info.artifact_uri)
        return f"{self.tracking_uri}/#/experiments/{info.experiment_id}/runs/{run_id}"

    def version_url(self, task: str, version: int) -> str:
        """Where a person looks at a version: the server's page, or the folder of an embedded one's files."""
        if self._folder is None:
            return f"{self.tracking_uri}/#/models/{task}/versions/{version}"
        with self._answers(f"find version {version} of {task}"):
            return str(self.client.get_model_version_download_uri(task, str(version)))

    def end_run(self, run_id: str, status: Literal["FINISHED", "FAILED", "KILLED"]) -> None:
        """Closes a run."""
        with self._answers(f"end the run {run_id}"):
            self.client.set_terminated(run_id, status)

    def open_runs(self, task: str) -> dict[str, str]:
        """Dagster run ids by MLflow run id, of the task's runs that MLflow takes to be running."""
        with self._answers(f"list the open runs of {task}"):
            found = self.client.get_experiment_by_name(task)
            if found is None:
                return {}
            runs: list[Run] = []
            token: str | None = None
            while True:
                page = self.client.search_runs(
                    [found.experiment_id],
                    "attributes.status = 'RUNNING'",
                    max_results=_PAGE,
                    page_token=token,
                )
                runs += page
                token = page.token
                if not token:
                    break
        return {run.info.run_id: run.data.tags[DAGSTER_RUN] for run in runs if DAGSTER_RUN in run.data.tags}

    def heal(self, task: str, finished: Collection[str]) -> list[str]:
        """Marks as failed the runs left open by Dagster runs that have ended, such as those that were killed.

        Args:
            task: its name.
            finished: Dagster run ids that do not run any more.

        Returns:
            The MLflow run ids that were open.
        """
        left = [run_id for run_id, dagster_run in self.open_runs(task).items() if dagster_run in finished]
        for run_id in left:
            self.end_run(run_id, "FAILED")
        return left

    def _answers(self, to: str) -> "AbstractContextManager[None]":
        return answers(self.tracking_uri, to)

    def _champion(self, task: str) -> int | None:
        models = self.client.search_registered_models(f"name = '{task}'")
        held = models[0].aliases.get(CHAMPION) if models else None
        return None if held is None else int(held)


def _candidate(version: "ModelVersion", holder: int | None) -> Candidate:
    tags = version.tags
    return Candidate(
        version=int(version.version),
        run_id=version.run_id or "",
        ready=tags.get(READY) == "true",
        features=_features(_read(tags.get(FEATURES))),
        metrics=_numbers(_read(tags.get(METRICS))),
        created=datetime.fromtimestamp(version.creation_timestamp / 1000, UTC),
        champion=int(version.version) == holder,
    )


def _read(text: str | None) -> Any:
    """A tag's JSON, or ``None`` where it says nothing: people edit tags and register versions by hand."""
    try:
        return None if text is None else json.loads(text)
    except ValueError:
        return None


def _features(value: Any) -> FeatureColumns | None:
    if not isinstance(value, list):
        return None
    if not all(isinstance(pair, list) and [type(part) for part in pair] == [str, str] for pair in value):
        return None
    return tuple((name, kind) for name, kind in value)


def _numbers(value: Any) -> dict[str, float]:
    entries = value.items() if isinstance(value, dict) else ()
    return {name: float(number) for name, number in entries if isinstance(number, int | float)}
