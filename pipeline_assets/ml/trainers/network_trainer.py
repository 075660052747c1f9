"""What trainers of neural networks do alike, whatever the package: check, fit with early stopping, refit, restore."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from pipeline_assets.errors import TaskError
from pipeline_assets.ml.dataset import LabelledRows
from pipeline_assets.ml.trainers import network_parameters as parameters
from pipeline_assets.ml.trainers.base import Fit, OnProgress, Progress, Space, objective_of, refuse_parameters
from pipeline_assets.ml.trainers.network_encoding import Encoded
from pipeline_assets.ml.trainers.networks import LOSSES, Goal, Watch, builder_of, goal_of, importance
from pipeline_assets.task.spec import TaskSpec

if TYPE_CHECKING:
    import pandas as pd

AVERAGED = 0.999  # weight of the former mean in the mean of the weights over the steps
LONGEST_STEP = 1.0  # norm of a gradient


@dataclass(frozen=True)
class NetworkModel:
    """A fitted network."""

    native: Any
    package: str
    flavor: str
    save_options: Mapping[str, Any] = field(default_factory=dict)
    explains: bool = False

    @property
    def classes(self) -> tuple[str, ...]:
        """For ``multiclass``, the name of each column of a prediction."""
        found: tuple[str, ...] = self.native.goal.classes
        return found

    def predict(self, frame: "pd.DataFrame") -> NDArray[np.float64]:
        """See :class:`pipeline_assets.ml.trainers.base.FittedModel`."""
        found: NDArray[np.float64] = self.native.predict(frame)
        return found

    def contributions(self, frame: "pd.DataFrame", of: int = 0) -> NDArray[np.float64]:
        """A network cannot say what a feature adds."""
        raise NotImplementedError


class NetworkTrainer(ABC):
    """Fits networks; see :class:`pipeline_assets.ml.trainers.base.Trainer`.

    Attributes:
        own: the training parameter that names the user's own network.
        title: the package's name in sentences.
        save_options: for the ``save_model`` of the MLflow flavor.
    """

    package: str
    flavor: str
    own: ClassVar[str]
    title: ClassVar[str]
    save_options: ClassVar[Mapping[str, Any]] = {}
    objectives: frozenset[str] = frozenset({"binary", "multiclass", "regression"})
    stops_early: bool = True

    @abstractmethod
    def has_gpu(self) -> bool:
        """Whether the package can use a GPU.

        Raises:
            PipelineError: the package is not installed, or is set up in a way that the trainer cannot use.
        """

    @abstractmethod
    def epochs(
        self, task: TaskSpec, rows: LabelledRows, goal: Goal, sizes: parameters.Sizes
    ) -> tuple[Any, Iterator[float]]:
        """A model, and an iterator that fits it: an epoch a step, each with the mean loss of its batches."""

    @abstractmethod
    def repeatable(self, task: TaskSpec, device: str, rows: int) -> AbstractContextManager[None]:
        """Seed, threads and algorithms of the task, for a fit of so many rows."""

    @abstractmethod
    def weights(self, model: Any) -> Any:
        """A copy of a model's weights."""

    @abstractmethod
    def put_weights(self, model: Any, weights: Any) -> None:
        """Gives a model the weights of :meth:`weights`."""

    def shown(self) -> dict[str, Any]:
        """More parameters in effect, which the package decides."""
        return {}

    def parameter_problems(self, given: Mapping[str, Any], objective: str = "") -> dict[str, str]:  # noqa: ARG002 - every trainer's signature
        """By name; see :func:`pipeline_assets.ml.trainers.network_parameters.problems`."""
        return parameters.problems(given, self.own)

    def check(self, task: TaskSpec) -> None:
        """Refuses parameters without a meaning, a device that is not there and a network that cannot be imported."""
        given = task.training.parameters
        refuse_parameters(task, self.parameter_problems(given))
        gpu = self.has_gpu()
        if given.get("device") == "cuda" and not gpu:
            raise TaskError(
                f"there is no GPU that {self.title} can use",
                task=task.name,
                found="device: cuda",
                do="leave training.parameters.device out to fit on the CPU",
            )
        if self.own in given:
            builder_of(task, given[self.own], parameters.own_arguments(given, self.own))

    def space(self, task: TaskSpec, rows: int) -> Space:  # noqa: ARG002 - every trainer's signature
        """See :class:`pipeline_assets.ml.trainers.base.Searchable`."""
        return parameters.space(task.training.parameters, self.own)

    def fit(
        self,
        task: TaskSpec,
        training: LabelledRows,
        stopping: LabelledRows,
        on_progress: OnProgress | None = None,
    ) -> Fit:
        """Fits with early stopping on the stopping rows and keeps the best epoch."""
        self.check(task)
        sizes = parameters.sizes(task.training.parameters, len(training))
        goal = goal_of(task, training, objective_of(task))
        stopping = goal.known(stopping)
        weight = stopping.weight
        watch = Watch(task.training.early_stopping_rounds, LOSSES[goal.objective])
        with self.repeatable(task, sizes.device, len(training)):
            model, epochs = self.epochs(task, training, goal, sizes)
            judged, labels = model.encoding.encode(stopping.features), goal.labels(stopping)
            best = None
            for loss in epochs:
                if watch.add(goal.shown(loss), goal.loss(model.raw(judged), labels, weight)):
                    best = self.weights(model)
                if on_progress is not None and watch.due(sizes.epochs):
                    on_progress(Progress(watch.done, sizes.epochs, watch.scores()))
                if watch.over:
                    break
            self.put_weights(model, best)

            def loss_of(encoded: Encoded, rows: NDArray[np.int64]) -> float:
                return goal.loss(model.raw(encoded), labels[rows], None if weight is None else weight[rows])

            shares = importance(model.encoding, judged, loss_of, task.training.seed)
        return Fit(
            model=self.restore(model),
            parameters={**task.training.parameters, **sizes.shown(), **self.shown()},
            curves=watch.curves,
            importance=shares,
            iterations=watch.done,
            best_iteration=watch.best,
        )

    def refit(self, task: TaskSpec, rows: LabelledRows, fit: Fit) -> NetworkModel:
        """Fits all the rows for as many epochs as were best, with the sizes that the fit chose for its rows."""
        sizes = replace(parameters.sizes(fit.parameters, len(rows)), epochs=fit.best_iteration + 1)
        goal = goal_of(task, rows, objective_of(task))
        with self.repeatable(task, sizes.device, len(rows)):
            model, epochs = self.epochs(task, rows, goal, sizes)
            for _ in epochs:
                pass
        return self.restore(model)

    def restore(self, native: Any, classes: tuple[str, ...] = ()) -> NetworkModel:  # noqa: ARG002 - the network knows its classes
        """The model around a network that was fitted, or that MLflow loaded."""
        return NetworkModel(native, self.package, self.flavor, self.save_options)
