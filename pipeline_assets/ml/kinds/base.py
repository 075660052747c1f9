"""What training, scoring and selection need from a kind of target; each kind implements it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, Protocol, cast

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline_assets.errors import DataError
from pipeline_assets.ml.dataset import LabelledRows
from pipeline_assets.ml.prediction import HALF, Prediction
from pipeline_assets.ml.ranking import total
from pipeline_assets.ml.split import Strata
from pipeline_assets.ml.trainers.base import Fit, FittedModel
from pipeline_assets.task import plugins
from pipeline_assets.task.spec import Target, TaskSpec

if TYPE_CHECKING:
    import pandas as pd


Purpose = Literal["learn", "stop", "evaluate"]
# A metric on a resample of rows, by how often each row was drawn; NaN where such rows cannot be judged.
OfResamples = Callable[[NDArray[np.int64]], float]


@dataclass(frozen=True)
class Differences:
    """How a second prediction of the same rows differs from the first; arrays have one entry per row.

    Attributes:
        flipped: whether the decision that the scores say is another.
        way: which way, as text; of rows that did not flip, any text.
        moved: by how much the score moved, in its own unit; negative where it fell and has a direction.
        rule: what counts as another decision, as a sentence's part.
    """

    flipped: NDArray[np.bool_]
    way: NDArray[np.object_]
    moved: NDArray[np.float64]
    rule: str


class Kind(plugins.KindTerms, Protocol):
    """A kind of target: what its labels, predictions, scores and metrics are.

    A prediction has one entry per row. ``evaluate``, ``details`` and ``plots`` get the rows that it is of.
    """

    def label_problem(self, rows: LabelledRows, purpose: Purpose) -> str | None:
        """Why rows with these labels cannot be used for a purpose; ``None`` if they can."""

    def strata(self, rows: LabelledRows) -> Strata:
        """The groups of the rows, each of which a split by share divides by itself."""

    def learned(self, target: Target, rows: LabelledRows) -> LabelledRows:
        """The rows with the labels that a trainer fits: the task may transform them."""

    def prediction(self, target: Target, output: NDArray[np.float64], classes: tuple[str, ...]) -> Prediction:
        """The prediction in the target's own unit, from what a model that learned :meth:`learned` gives."""

    def baseline(self, training: LabelledRows, rows: int) -> Prediction:
        """The prediction for ``rows`` rows of a model that knows only the labels of the training rows."""

    def evaluate(self, rows: LabelledRows, prediction: Prediction) -> dict[str, float]:
        """The value of every metric.

        Raises:
            DataError: these rows cannot evaluate a model.
        """

    def of_resamples(self, rows: LabelledRows, prediction: Prediction, metric: str) -> OfResamples:
        """A metric as a function of resamples of some rows: what is the same for all of them is computed once.

        :func:`by_evaluation` does for any metric what is right, slowly.
        """

    def differences(self, before: Prediction, after: Prediction) -> Differences:
        """How two predictions of the same rows differ; each has its own threshold and classes."""

    def details(self, rows: LabelledRows, prediction: Prediction) -> dict[str, float]:
        """More numbers to log, by name; no choice depends on them. Those that are not defined are left out."""

    def label_facts(self, training: LabelledRows) -> dict[str, float]:
        """Numbers that describe the labels of the training rows, by name."""

    def notes(self, training: LabelledRows, validation: LabelledRows) -> list[str]:
        """Sentences about these labels that a reader of the metrics must know; mostly none."""

    def columns(self, prediction: Prediction) -> list[pa.Array]:
        """The score columns, in the order and of the types of ``score_types``."""

    def plots(self, rows: LabelledRows, prediction: Prediction, fit: Fit, title: str) -> dict[str, bytes]:
        """PNG images by name; the title says which task and batch."""


def kind_of(task: TaskSpec) -> Kind:
    """The kind of the task's target."""
    return cast("Kind", plugins.kind(task.target.kind))


def predict(task: TaskSpec, model: FittedModel, frame: "pd.DataFrame", threshold: float = HALF) -> Prediction:
    """What a model of the task says of some rows, in the target's own unit.

    Args:
        task: its target says what the model has learned.
        model: of any package.
        frame: of :func:`~pipeline_assets.ml.dataset.scoring_frame`.
        threshold: of the version; only the kind ``binary`` has one.
    """
    found = kind_of(task).prediction(task.target, model.predict(frame), model.classes)
    return replace(found, threshold=threshold)


def by_evaluation(kind: Kind, rows: LabelledRows, prediction: Prediction, metric: str) -> OfResamples:
    """Any metric of any kind on resamples: evaluates the rows again, each as often as it was drawn."""
    light = replace(rows, features=rows.features.iloc[:, :0])  # no metric looks at features

    def value(times: NDArray[np.int64]) -> float:
        drawn = np.repeat(np.arange(len(times)), times)
        try:
            return kind.evaluate(light.take(drawn), replace(prediction, output=prediction.output[drawn]))[metric]
        except DataError:
            return float("nan")

    return value


def mean_of(losses: NDArray[np.float64]) -> OfResamples:
    """A metric that is the mean of one value per row."""
    return lambda times: total(times, losses) / float(times.sum())


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
