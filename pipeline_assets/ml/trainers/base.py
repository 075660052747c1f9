"""What the pipeline asks of a package that fits models; one module a package stands behind it."""

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
        iterations: iterations planned; early stopping may end before.
        scores: the latest value of every curve, such as ``stopping/AUC``.
    """

    iteration: int
    iterations: int
    scores: dict[str, float]


OnProgress = Callable[[Progress], None]


class FittedModel(Protocol):
    """A model that can score, whichever package fitted it."""

    @property
    def package(self) -> str:
        """The trainer's name, as ``training.package`` has it."""

    @property
    def flavor(self) -> str:
        """The MLflow flavor that saves and loads the package's own object."""

    @property
    def native(self) -> Any:
        """The package's own object."""

    def predict(self, frame: "pd.DataFrame") -> NDArray[np.float64]:
        """What the kind's score columns are made of, from frames of :func:`~pipeline_assets.ml.dataset.scoring_frame`.

        For the objective ``binary`` it is the probability of label 1, shape (rows,).
        """

    def contributions(self, frame: "pd.DataFrame") -> NDArray[np.float64]:
        """What each feature adds to a row's score, shape (rows, features + 1); the last column is the base.

        A row sums up to the score before it becomes a probability (log-odds).
        """


@dataclass(frozen=True)
class Fit:
    """What a fit gave.

    Attributes:
        model: at its best iteration.
        parameters: every parameter in effect, those the package chose included.
        curves: by side (``training``, ``stopping``), then by the package's own metric name, a value an
            iteration.
        importance: share of each feature in the model, in percent, most first.
        iterations: how many were run.
        best_iteration: the one whose model this is, from 0.
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
        """Looks at the task's parameters, names and values, without any data.

        Raises:
            TaskError: a parameter is unknown, impossible, or not the task's to set; the message names it.
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
            training: rows to learn from, all labels among them.
            stopping: rows that stop the fit early, all labels among them.
            on_progress: called now and then, by iterations; what it raises ends the fit and is raised again.

        Raises:
            TaskError: as :meth:`check`.
            DataError: the package cannot learn from these rows.
        """

    def refit(self, task: TaskSpec, rows: LabelledRows, fit: Fit) -> FittedModel:
        """A model of all these rows, with as many iterations as ``fit`` found best and its other parameters.

        Raises:
            DataError: the package cannot learn from these rows.
        """

    def restore(self, native: Any) -> FittedModel:
        """The model around the package's own object, as the registry loaded it."""

    def save(self, model: FittedModel, folder: Path) -> None:
        """Writes the model into an empty folder, in the package's own format."""

    def load(self, folder: Path) -> FittedModel:
        """The model that :meth:`save` wrote; it predicts the same to the bit."""


def trainer(package: str) -> Trainer:
    """The trainer of a name or dotted path; importing the package itself waits until it is used.

    Raises:
        TaskError: there is none.
    """
    return cast("Trainer", plugins.trainer(package))
