"""What the pipeline needs from a package that fits models; one module per package implements it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, cast, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from pipeline_assets.errors import TaskError
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

    @property
    def classes(self) -> tuple[str, ...]:
        """For the objective ``multiclass``, the name of each column of a prediction; otherwise empty."""

    @property
    def save_options(self) -> Mapping[str, Any]:
        """More arguments for the ``save_model`` of the MLflow flavor; mostly empty."""

    def predict(self, frame: "pd.DataFrame") -> NDArray[np.float64]:
        """Predictions for a frame of :func:`~pipeline_assets.ml.dataset.scoring_frame`; the kind makes scores of them.

        For the objective ``binary`` it is the probability of label 1, for ``regression`` the label that the model
        learned, each of shape (rows,); for ``multiclass`` the probability of each class, shape (rows, classes).
        """

    @property
    def explains(self) -> bool:
        """Whether :meth:`contributions` may be called: not every package can say what a feature adds."""

    def contributions(self, frame: "pd.DataFrame", of: int = 0) -> NDArray[np.float64]:
        """What each feature adds to a row's score, shape (rows, features + 1); the last column is the base.

        The sum of a row is, for ``regression``, the prediction, otherwise the score before it becomes a probability:
        for ``binary`` log-odds, for ``multiclass`` the raw score of one class.

        Args:
            frame: as for :meth:`predict`.
            of: for ``multiclass``, the position of the class in :attr:`classes`.
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
        stops_early: whether the stopping rows decide how many iterations a fit has; of a package of many estimators,
            whether they do for some. A fit of one without iterations counts as one iteration.
    """

    flavor: str
    stops_early: bool

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
            training: rows to learn from; for ``multiclass`` the model has the classes of these rows alone.
            stopping: rows that stop the fit early; for ``multiclass`` some may have a class that the others lack.
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

    def restore(self, native: Any, classes: tuple[str, ...] = ()) -> FittedModel:
        """The model of a package's own object that the registry has loaded; its predictions are bit-identical.

        Args:
            native: what the MLflow flavor loaded.
            classes: those of the model that was saved.
        """


@dataclass(frozen=True)
class Range:
    """Numbers that a search may try.

    Attributes:
        low: the smallest; if it and ``high`` are whole numbers, only whole numbers are tried.
        high: the largest.
        log: whether equal factors, and not equal steps, are equally likely; ``low`` is then above 0.
    """

    low: float
    high: float
    log: bool = False


@dataclass(frozen=True)
class Options:
    """Values, each text, a number, a boolean or ``None``, of which a search may try one."""

    values: tuple[str | int | float | bool | None, ...]


Space = Mapping[str, Range | Options]


@runtime_checkable
class Searchable(Protocol):
    """What a trainer has in addition if ``training.search`` can find parameters for it."""

    def space(self, task: TaskSpec, rows: int) -> Space:
        """Parameters worth trying, by their names in ``training.parameters``; those that the task gives are left out.

        Args:
            task: its ``training.parameters`` are those that every trial has.
            rows: number of rows that a trial learns from.

        Returns:
            Empty if the package's model, such as an estimator that nobody here knows, has no space.
        """


def trainer(package: str) -> Trainer:
    """The trainer of a name or dotted path; the package itself is imported only when it is used.

    Raises:
        TaskError: there is none.
    """
    return cast("Trainer", plugins.trainer(package))


def objective_of(task: TaskSpec) -> str:
    """What a trainer fits for the task's kind."""
    return plugins.kind(task.target.kind).objective


def refuse_parameters(task: TaskSpec, problems: Mapping[str, str]) -> None:
    """Raises the first problem of the task's training parameters, by the parameter's name; does nothing without any.

    Raises:
        TaskError: there is a problem.
    """
    for name, sentence in problems.items():
        raise TaskError(sentence, task=task.name, found=f"{name}: {task.training.parameters.get(name)}")
