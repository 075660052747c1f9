"""What training, scoring and selection need from a kind of target; each kind implements it."""

from collections.abc import Mapping
from typing import Any, Protocol, cast

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline_assets.ml.trainers.base import Fit
from pipeline_assets.task import plugins
from pipeline_assets.task.spec import TaskSpec


class Kind(plugins.KindTerms, Protocol):
    """A kind of target. ``label`` and ``prediction`` are arrays with one entry per row.

    A prediction is the model's output for the kind's objective; for ``binary`` the probability of label 1.
    """

    def label_problem(self, label: NDArray[Any]) -> str | None:
        """Why rows with these labels cannot be used to learn or to evaluate; ``None`` if they can."""

    def strata(self, label: NDArray[Any]) -> NDArray[np.int64]:
        """The group of each row; every side of a split needs rows of each group. All 0 if there are no groups."""

    def baseline(self, training: NDArray[Any], rows: int) -> NDArray[np.float64]:
        """The prediction for ``rows`` rows of a model that knows only the labels of the training rows."""

    def evaluate(self, label: NDArray[Any], prediction: NDArray[np.float64]) -> dict[str, float]:
        """The value of every metric.

        Raises:
            DataError: these rows cannot evaluate a model.
        """

    def details(self, label: NDArray[Any], prediction: NDArray[np.float64]) -> dict[str, float]:
        """More numbers to log, by name; no choice depends on them."""

    def columns(self, prediction: NDArray[np.float64]) -> list[pa.Array]:
        """The score columns, in the order and of the types of ``score_types``."""

    def plots(self, label: NDArray[Any], prediction: NDArray[np.float64], fit: Fit, title: str) -> dict[str, bytes]:
        """PNG images by name; the title says which task and batch."""


def kind_of(task: TaskSpec) -> Kind:
    """The kind of the task's target."""
    return cast("Kind", plugins.kind(task.target.kind))


def gain(kind: plugins.KindTerms, metric: str, challenger: float, champion: float) -> float:
    """By how much the challenger is better, in the metric's own unit; negative when it is worse."""
    return challenger - champion if kind.metrics[metric] else champion - challenger


def reaches(kind: plugins.KindTerms, metric: str, value: float, limit: float) -> bool:
    """Whether a value is at least as good as the limit."""
    return gain(kind, metric, value, limit) >= 0


def best(kind: plugins.KindTerms, metric: str, values: Mapping[int, float]) -> int:
    """The version with the best value; if several have it, the newest."""
    sign = 1 if kind.metrics[metric] else -1
    return max(values, key=lambda version: (sign * values[version], version))
