"""What the pipeline needs from a package that fits models; one module per package implements it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from pipeline_assets.ml.dataset import LabelledRows
from pipeline_assets.task import plugins
from pipeline_assets.task.spec import TaskSpec

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Progress:
    """How far a fit has come.

    Attributes:
        iteration: iterations done.
        iterations: iterations planned; early stopping may end the fit before.
        scores: the latest value of every curve, such as ``stopping/AUC``.
    """

    iteration: int
    iterations: int
    scores: dict[str, float]


OnProgress = Callable[[Progress], None]


class FittedModel(Protocol):
    """A model that can score, fitted by any package."""

    @property
    def package(self) -> str:
        """The trainer's name, as in ``training.package``."""

    @property
    def flavor(self) -> str:
        """The MLflow flavor that saves and loads the package's own object."""

    @property
    def native(self) -> Any:
        """The package's own object."""

    def predict(self, frame: "pd.DataFrame") -> NDArray[np.float64]:
        """Predictions for a frame of :func:`~pipeline_assets.ml.dataset.scoring_frame`; the kind makes scores of them.

        For the objective ``binary`` it is the probability of label 1, shape (rows,).
        """

    def contributions(self, frame: "pd.DataFrame") -> NDArray[np.float64]:
        """What each feature adds to a row's score, shape (rows, features + 1); the last column is the base.

        The sum of a row is the score before it becomes a probability (log-odds).
        """


@dataclass(frozen=True)
class Fit:
    """The result of a fit.

    Attributes:
        model: at its best iteration.
        parameters: every parameter in effect, including those that the package chose.
        curves: by side (``training``, ``stopping``), then by the package's own metric name: one value per iteration.
        importance: share of each feature in the model, in percent, largest first.
        iterations: how many were run.
        best_iteration: the iteration of ``model``, from 0.
    """

    model: FittedModel
    parameters: dict[str, Any]
    curves: dict[str, dict[str, list[float]]]
    importance: dict[str, float]
    iterations: int
    best_iteration: int


class Trainer(plugins.TrainerTerms, Protocol):
    """A package that fits models.

    Attributes:
        flavor: the MLflow flavor that saves and loads the package's own object.
    """

    flavor: str

    def check(self, task: TaskSpec) -> None:
        """Checks names and values of the task's parameters, without any data.

        Raises:
            TaskError: a parameter is unknown, has an impossible value, or may not be set; the message names it.
        """

    def fit(
        self,
        task: TaskSpec,
        training: LabelledRows,
        stopping: LabelledRows,
        on_progress: OnProgress | None = None,
    ) -> Fit:
        """Fits a model; the same rows give the same model.

        Args:
            task: its ``training`` says how.
            training: rows to learn from, with all labels.
            stopping: rows that stop the fit early, with all labels.
            on_progress: called every few iterations; its exception ends the fit and is raised again.

        Raises:
            TaskError: as :meth:`check`.
            DataError: the package cannot learn from these rows.
        """

    def refit(self, task: TaskSpec, rows: LabelledRows, fit: Fit) -> FittedModel:
        """Fits a model to all these rows, with the best number of iterations of ``fit`` and its other parameters.

        Raises:
            DataError: the package cannot learn from these rows.
        """

    def restore(self, native: Any) -> FittedModel:
        """The model of a package's own object that the registry has loaded."""

    def save(self, model: FittedModel, folder: Path) -> None:
        """Writes the model into an empty folder, in the package's own format."""

    def load(self, folder: Path) -> FittedModel:
        """The model that :meth:`save` wrote; its predictions are bit-identical."""


def trainer(package: str) -> Trainer:
    """The trainer of a name or dotted path; the package itself is imported only when it is used.

    Raises:
        TaskError: there is none.
    """
    return cast("Trainer", plugins.trainer(package))
