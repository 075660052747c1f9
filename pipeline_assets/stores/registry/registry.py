"""Makes, lists, loads and chooses model versions in MLflow: on a server, or in sqlite and a folder."""

import json
import uuid
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from types import EllipsisType, MappingProxyType
from typing import TYPE_CHECKING, Literal, TypeVar

from pipeline_assets.errors import StoreError
from pipeline_assets.ml.judging import Evaluated, FoldModels
from pipeline_assets.ml.search import Trial
from pipeline_assets.ml.selection import Candidate, Choice
from pipeline_assets.ml.trainers.base import FittedModel, trainer
from pipeline_assets.ml.training import Trained
from pipeline_assets.settings import MlflowSettings
from pipeline_assets.stores.registry.client import answers, check_database, connect, twice
from pipeline_assets.stores.registry.log import (
    CLASSES,
    EVALUATED_MODEL,
    INPUT_SHA256,
    REPRODUCTIONS,
    Provenance,
    fold_model,
    log_training,
    register,
)
from pipeline_assets.stores.registry.training import Training, bytes_of, curves_of, text_of, training_of
from pipeline_assets.stores.registry.trials import log_trial
from pipeline_assets.stores.registry.version_tags import (
    CHAMPION_RECORD,
    CHOSEN,
    DAGSTER_RUN,
    PACKAGE,
    READY,
    REFIT,
    REPRODUCTION,
    REPRODUCTION_RUN,
    candidate,
)
from pipeline_assets.task import plugins
from pipeline_assets.task.spec import TaskSpec

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from mlflow import MlflowClient
    from mlflow.entities.model_registry import ModelVersion
    from mlflow.store.entities import PagedList

CHAMPION = "champion"
_PAGE = 1000

T = TypeVar("T")


class Registry:
    """The registry of one environment. Each task has an experiment and a registered model of its name.

    Constructing it connects to nothing. Every method raises TransientError where MLflow does not answer, and
    StoreError where it refuses.

    Args:
        where: the server, or the folder of an embedded registry.
        ui_url: where people open MLflow; the server's address by default. A server that was started with a static
            prefix has its API at the root and its pages under the prefix.
    """

    def __init__(self, where: MlflowSettings | Path, ui_url: str | None = None) -> None:
        self._server: MlflowSettings | None = None
        self._folder: Path | None = None
        if isinstance(where, Path):
            self._folder = where.resolve()
            database = str(self._folder / "mlflow.db").replace("%", "%25")  # MLflow unquotes it
            self.tracking_uri = f"sqlite:///{database}"
        else:
            self._server = where
            self.tracking_uri = where.url.rstrip("/")
            ui_url = ui_url or self.tracking_uri
        self._ui_url = None if ui_url is None else ui_url.rstrip("/")

    @cached_property
    def client(self) -> "MlflowClient":
        """MLflow's own client; the first use connects."""
        with self._answers("connect"):
            if self._folder is not None:
                self._folder.mkdir(parents=True, exist_ok=True)
                check_database(self._folder / "mlflow.db")
            if self._server is None:
                return connect(self.tracking_uri)
            return connect(self.tracking_uri, self._server.login, self._server.password)

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
        *,
        files: Mapping[str, str | bytes] = MappingProxyType({}),
    ) -> int:
        """Logs a training to an open run and registers its model.

        The files are logged to the run first; then one call makes the version, complete and a candidate. If anything
        fails before, there is no version. A second attempt in the same run replaces the files. If the first attempt
        has already registered a version, that one is returned and nothing is written.

        Args:
            run_id: the MLflow run.
            task: its name is the registered model's.
            trained: the model and its metrics; where it was refitted, the evaluated model is kept beside it.
            provenance: what it was made from.
            plots: PNG images by name.
            files: texts or bytes by file name, such as ``record.json``, kept beside the model; :meth:`read_text` and
                :meth:`read_bytes` read them.

        Returns:
            The number of the version.
        """
        with self._answers(f"log the training of {task.name}"):
            made = [each for each in self._versions(task.name, f"run_id = '{run_id}'") if each.tags.get(READY)]
            if made:
                return max(int(each.version) for each in made)
            log_training(self.client, run_id, task, trained, provenance, plots=plots, files=files)
        with self._answers(f"register a version of {task.name}"):
            return register(self.client, run_id, task, trained, provenance)

    def log_trial(self, run_id: str, trial: Trial) -> None:
        """Stores a trial of a search as a run below the run of its training, once."""
        with self._answers("keep a trial of the search"):
            log_trial(self.client, run_id, trial)

    def log_choice(self, run_id: str, choice: Choice, plots: Mapping[str, bytes] | None = None) -> None:
        """Stores a record of choice with the run that made it; a second one of the same stage replaces the first.

        Args:
            run_id: the MLflow run.
            choice: the record.
            plots: PNG images by name, for the run's other plots.
        """
        with self._answers("keep the record of choice"), TemporaryDirectory() as folder:
            for name, image in (plots or {}).items():
                path = Path(folder) / f"{name}.png"
                path.write_bytes(image)
                self.client.log_artifact(run_id, str(path), "plots")
            self.client.log_dict(run_id, choice.to_json(), f"choice_{choice.stage}.json")
            self.client.set_tag(run_id, "choice", choice.reason)

    def read_text(self, run_id: str, name: str) -> str | None:
        """A text that is kept with the training of an MLflow run; ``None`` where it has none of this name."""
        with self._answers(f"read {name} of run {run_id}"):
            return text_of(self.client, run_id, name)

    def read_bytes(self, run_id: str, name: str) -> bytes | None:
        """As :meth:`read_text`, but a file's content as it is."""
        with self._answers(f"read {name} of run {run_id}"):
            return bytes_of(self.client, run_id, name)

    def log_reproduction(self, task: str, version: int, report: str, *, verdict: str, by: str) -> None:
        """Stores how a version was made again: the report with the run of its training, then tags of the version.

        Args:
            task: its name.
            version: the number.
            report: JSON.
            verdict: in a few words.
            by: the Dagster run that made it again.
        """
        with self._answers(f"keep the reproduction of version {version} of {task}"):
            run_id = self.client.get_model_version(task, str(version)).run_id
            if run_id:
                self.client.log_text(run_id, report, f"{REPRODUCTIONS}/{by}.json")
            for key, value in ((REPRODUCTION_RUN, by), (REPRODUCTION, verdict)):
                self.client.set_model_version_tag(task, str(version), key, value)

    def candidates(self, task: str) -> list[Candidate]:
        """Every registered version, oldest first; none where the task was never trained."""
        with self._answers(f"list the versions of {task}"):
            holder = self._champion(task)
            found = self._versions(task)
        return sorted((candidate(version, holder) for version in found), key=lambda each: each.version)

    def candidate(self, task: str, version: int) -> Candidate | None:
        """One registered version, asked for alone; ``None`` if it is not there."""
        client = self.client
        from mlflow.exceptions import MlflowException

        with self._answers(f"read version {version} of {task}"):
            try:
                return candidate(client.get_model_version(task, str(version)), self._champion(task))
            except MlflowException as error:
                if error.error_code == "RESOURCE_DOES_NOT_EXIST":
                    return None
                raise

    def input_sha256(self, task: str) -> dict[str, str]:
        """The sha256 of the input by MLflow run id, for every run of the task that recorded it."""
        with self._answers(f"list the trainings of {task}"):
            found = self.client.get_experiment_by_name(task)
            if found is None:
                return {}
            ids = [found.experiment_id]
            runs = _pages(lambda token: self.client.search_runs(ids, max_results=_PAGE, page_token=token))
        return {run.info.run_id: run.data.tags[INPUT_SHA256] for run in runs if INPUT_SHA256 in run.data.tags}

    def training(self, run_id: str) -> Training:
        """The record of the training in an MLflow run."""
        with self._answers(f"read the training of run {run_id}"):
            return training_of(self.client, run_id)

    def curves(self, run_id: str) -> dict[str, dict[str, list[float]]]:
        """The learning curves of the training in an MLflow run, as :func:`.training.curves_of` gives them."""
        with self._answers(f"read the curves of run {run_id}"):
            return curves_of(self.client, run_id)

    def load(self, task: str, version: int) -> FittedModel:
        """The model of a version, loaded by its package's own MLflow flavor."""
        with self._answers(f"load version {version} of {task}"):
            uri = self.client.get_model_version_download_uri(task, str(version))
            return self._load(task, version, uri)

    def load_evaluated(self, task: str, version: int) -> Evaluated:
        """What the version's metrics are of: the version itself, the fit before its refit, or the fits of its folds."""
        with self._answers(f"load the evaluated model of version {version} of {task}"):
            found = self.client.get_model_version(task, str(version))
            if found.tags.get(REFIT) != "true" or not found.run_id:
                return self.load(task, version)
            artifacts = self.client.get_run(found.run_id).info.artifact_uri
            split = candidate(found, None).split
            if split is not None and split.by == "folds":
                names = (fold_model(number) for number in range(split.folds))
                return FoldModels(tuple(self._load(task, version, f"{artifacts}/{name}") for name in names), split)
            return self._load(task, version, f"{artifacts}/{EVALUATED_MODEL}")

    def _load(self, task: str, version: int, uri: str) -> FittedModel:
        import importlib

        from mlflow.artifacts import download_artifacts
        from mlflow.models import Model

        with TemporaryDirectory() as folder:
            path = download_artifacts(
                uri, dst_path=folder, tracking_uri=self.tracking_uri, registry_uri=self.tracking_uri
            )
            saved = Model.load(path)
            flavors = saved.flavors
            # Versions of older code do not record their package, but they have the flavor's name.
            former = next((name for name in plugins.names("trainer") if name in flavors), "")
            package = self.client.get_model_version(task, str(version)).tags.get(PACKAGE, former)
            known = trainer(package) if package else None
            if known is None or known.flavor not in flavors:
                raise StoreError(
                    "the model version was made by a package that is not known here",
                    task=task,
                    found=f"version {version}: {package or 'no package'}, {', '.join(flavors)}",
                    available=plugins.names("trainer"),
                )
            native = importlib.import_module(f"mlflow.{known.flavor}").load_model(path)
        return known.restore(native, tuple((saved.metadata or {}).get(CLASSES, ())))

    def champion(self, task: str) -> int | None:
        """The version that has the alias."""
        with self._answers(f"read the alias {CHAMPION} of {task}"):
            return self._champion(task)

    def set_champion(
        self, task: str, version: int, record: str | None = None, *, expected: int | EllipsisType | None = ...
    ) -> bool:
        """Gives the alias to a version; the former champion loses it at the same moment.

        If several processes choose at once, the alias ends at the version of the last one: each records its choice,
        then sets the alias to the newest choice until it sees no newer one.

        Args:
            task: its name.
            version: the new champion.
            record: name of the record of choice; it is stored once the alias is at its version.
            expected: the champion that the choice was compared with, ``None`` for no champion; any by default.

        Returns:
            Whether this choice is the valid one. ``False``: another version had the alias and nothing was changed, or
            another process has chosen meanwhile; choose again.
        """
        with self._answers(f"set the alias {CHAMPION} of {task}"):
            if expected is not ... and self._champion(task) != expected:
                return False
            self.client.get_model_version(task, str(version))  # refuses an unknown one before anything is written
            mine = json.dumps({"version": version, "choice": uuid.uuid4().hex})
            self._tag(task, CHOSEN, mine)
            newest, followed = self._chosen(task), ""
            while newest != followed:
                self._give_alias(task, int(json.loads(newest)["version"]))
                newest, followed = self._chosen(task), newest
            if record is not None and newest == mine:
                self._tag(task, CHAMPION_RECORD, record)
        return newest == mine

    def champion_record(self, task: str) -> str | None:
        """The record of choice by which the alias was last set."""
        with self._answers(f"read the record of choice of {task}"):
            models = self.client.search_registered_models(f"name = '{task}'")
        return models[0].tags.get(CHAMPION_RECORD) if models else None

    def run_url(self, run_id: str) -> str:
        """Where a person looks at a run: MLflow's page, or the folder of its files where no page is known."""
        with self._answers(f"find the run {run_id}"):
            info = self.client.get_run(run_id).info
        if self._ui_url is None:
            return str(info.artifact_uri)
        return f"{self._ui_url}/#/experiments/{info.experiment_id}/runs/{run_id}"

    def version_url(self, task: str, version: int) -> str:
        """Where a person looks at a version: MLflow's page, or the folder of its files where no page is known."""
        if self._ui_url is not None:
            return f"{self._ui_url}/#/models/{task}/versions/{version}"
        with self._answers(f"find version {version} of {task}"):
            return str(self.client.get_model_version_download_uri(task, str(version)))

    def end_run(self, run_id: str, status: Literal["FINISHED", "FAILED", "KILLED"]) -> None:
        """Closes a run."""
        with self._answers(f"end the run {run_id}"):
            self.client.set_terminated(run_id, status)

    def open_runs(self, task: str) -> dict[str, str]:
        """Dagster run ids by MLflow run id, for the task's runs that MLflow shows as running."""
        with self._answers(f"list the open runs of {task}"):
            found = self.client.get_experiment_by_name(task)
            if found is None:
                return {}
            runs = _pages(
                lambda token: self.client.search_runs(
                    [found.experiment_id], "attributes.status = 'RUNNING'", max_results=_PAGE, page_token=token
                )
            )
        return {run.info.run_id: run.data.tags[DAGSTER_RUN] for run in runs if DAGSTER_RUN in run.data.tags}

    def _answers(self, to: str) -> "AbstractContextManager[None]":
        return answers(self.tracking_uri, to)

    def _versions(self, task: str, condition: str | None = None) -> "list[ModelVersion]":
        wanted = f"name = '{task}'" if condition is None else f"name = '{task}' and {condition}"
        return _pages(lambda token: self.client.search_model_versions(wanted, max_results=_PAGE, page_token=token))

    def _champion(self, task: str) -> int | None:
        models = self.client.search_registered_models(f"name = '{task}'")
        held = models[0].aliases.get(CHAMPION) if models else None
        return None if held is None else int(held)

    def _give_alias(self, task: str, version: int) -> None:
        twice(lambda: self.client.set_registered_model_alias(task, CHAMPION, str(version)))

    def _tag(self, task: str, key: str, value: str) -> None:
        twice(lambda: self.client.set_registered_model_tag(task, key, value))

    def _chosen(self, task: str) -> str:
        return str(self.client.get_registered_model(task).tags[CHOSEN])


def _pages(page: "Callable[[str | None], PagedList[T]]") -> "list[T]":
    """All results of a search, page by page."""
    found: list[T] = []
    token: str | None = None
    while True:
        part = page(token)
        found += part
        token = part.token
        if not token:
            return found
