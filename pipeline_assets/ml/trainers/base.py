"""What the pipeline asks of a package that fits models; one module a package stands behind it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from pipeline_assets.ml.dataset import LabelledRows
from pipeline_assets.task.spec import TaskSpec

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Progress:
    """How far a fit has come.

    Attributes:
        iteration: iterations done.
        iterations: iterations planned; early stopping may end before.
        scores: the latest value of every curve, such as ``validation/AUC``.
    """

    iteration: int
    iterations: int
    scores: dict[str, float]


OnProgress = Callable[[Progress], None]


class FittedModel(Protocol):
    """A model that can score, whichever package fitted it."""

    @property
    def package(self) -> str:
        """The package's name: a key of ``PACKAGES`` and MLflow's flavor."""

    @property
    def native(self) -> Any:
        """The package's own object."""

    def probability(self, frame: "pd.DataFrame") -> NDArray[np.float64]:
        """Probability of label 1 a row, from frames of :func:`pipeline_assets.ml.dataset.scoring_frame`."""

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
        curves: by side (``training``, ``validation``), then by the package's own metric name, a value an
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


class Trainer(Protocol):
    """A package that fits models."""

    def check(self, task: TaskSpec) -> None:
        """Looks at the task's parameters without any data.

        Raises:
            TaskError: a parameter is unknown, impossible, or not the task's to set; the message names it.
        """

    def fit(
        self,
        task: TaskSpec,
        training: LabelledRows,
        validation: LabelledRows,
        on_progress: OnProgress | None = None,
    ) -> Fit:
        """Fits a model; the same rows give the same model.

        Args:
            task: its ``training`` says how.
            training: rows to learn from, both labels among them.
            validation: rows that stop the fit early, both labels among them.
            on_progress: called now and then, by iterations; what it raises ends the fit and is raised again.

        Raises:
            TaskError: as :meth:`check`.
            DataError: the package cannot learn from these rows.
        """

    def restore(self, native: Any) -> FittedModel:
        """The model around the package's own object, as the registry loaded it."""


PACKAGES = ("catboost",)


def trainer(package: str) -> Trainer:
    """The trainer of a package; importing the package itself waits until it is used."""
    if package != "catboost":
        raise ValueError(f"no trainer for {package}; there are {', '.join(PACKAGES)}")
    from pipeline_assets.ml.trainers.catboost import CatBoostTrainer

    return CatBoostTrainer()
