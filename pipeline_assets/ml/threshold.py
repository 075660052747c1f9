"""The threshold of a binary version: the probability from which on a row's predicted label is 1."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline_assets.ml.dataset import LabelledRows
from pipeline_assets.ml.prediction import HALF
from pipeline_assets.ml.ranking import ranking
from pipeline_assets.ml.trainers.base import FittedModel
from pipeline_assets.task.spec import TaskSpec
from pipeline_assets.task.training_spec import Gain, ThresholdGoal


@dataclass(frozen=True)
class Threshold:
    """A version's threshold.

    Attributes:
        value: rows of at least this probability have the predicted label 1.
        sentence: how it came about, for the record; empty where nobody asked for a threshold.
        reached: whether it reaches the goal; ``False`` for a precision that no threshold has.
    """

    value: float = HALF
    sentence: str = ""
    reached: bool = True


@dataclass(frozen=True)
class Decisions:
    """Every way to divide some rows by a threshold: one entry per way, from no row decided positive to all of them.

    Attributes:
        threshold: halfway between the probabilities of the last row above it and the first row below it.
        hits: rows of label 1 at or above it.
        positive: rows at or above it.
        ones: rows of label 1 among all.
        rows: all of them.
    """

    threshold: NDArray[np.float64]
    hits: NDArray[np.int64]
    positive: NDArray[np.int64]
    ones: int
    rows: int

    @property
    def precision(self) -> NDArray[np.float64]:
        """Share of label 1 among the rows decided positive; 0 where there are none."""
        return np.asarray(self.hits / np.maximum(self.positive, 1))

    @property
    def recall(self) -> NDArray[np.float64]:
        """Share of the rows decided positive among those of label 1; 0 where there are none."""
        return np.asarray(self.hits / max(self.ones, 1))

    @property
    def f1(self) -> NDArray[np.float64]:
        """The harmonic mean of precision and recall."""
        return np.asarray(2 * self.hits / np.maximum(self.positive + self.ones, 1))

    def gain(self, of: Gain) -> NDArray[np.float64]:
        """The sum of what each row's decision is worth."""
        false_positive = self.positive - self.hits
        false_negative = self.ones - self.hits
        true_negative = self.rows - self.positive - false_negative
        return np.asarray(
            of.true_positive * self.hits
            + of.false_positive * false_positive
            + of.true_negative * true_negative
            + of.false_negative * false_negative
        )


def decisions(label: NDArray[np.int8], probability: NDArray[np.float64]) -> Decisions:
    """Every way to divide the rows.

    Args:
        label: 0 or 1, one value per row.
        probability: of label 1, one value per row.
    """
    ranked = ranking(label, probability)
    edges = np.concatenate([[1.0], ranked.score, [0.0]])
    # Nothing is above the probability 1, so some threshold would decide no row only below it.
    some = int(len(ranked.score) > 0 and ranked.score[0] >= 1.0)
    return Decisions(
        threshold=((edges[:-1] + edges[1:]) / 2)[some:],
        hits=np.concatenate([[0], ranked.hits])[some:].astype(np.int64),
        positive=np.concatenate([[0], ranked.rows])[some:].astype(np.int64),
        ones=int(np.count_nonzero(label == 1)),
        rows=len(label),
    )


def threshold_of(task: TaskSpec, fits: Sequence[tuple[FittedModel, LabelledRows]]) -> Threshold:
    """The threshold that a task asks for.

    Args:
        task: its ``training.threshold`` says which.
        fits: each evaluated model with the rows that stopped its fit, to choose the threshold on.
    """
    wanted = task.training.threshold
    if wanted is None:
        return Threshold()
    if not isinstance(wanted, ThresholdGoal):
        return Threshold(float(wanted), "as the task says")
    label = np.concatenate([stopping.label for _, stopping in fits])
    return chosen(wanted, label, np.concatenate([model.predict(stopping.features) for model, stopping in fits]))


def chosen(wanted: ThresholdGoal, label: NDArray[np.int8], probability: NDArray[np.float64]) -> Threshold:
    """The threshold that is best for a goal on some rows.

    Args:
        wanted: the goal.
        label: of the rows, 0 or 1.
        probability: of label 1, one value per row.
    """
    ways = decisions(label, probability)
    at, goal, reached = _best(wanted, ways)
    found = f"precision {ways.precision[at]:.4f}, recall {ways.recall[at]:.4f}, F1 {ways.f1[at]:.4f}"
    if wanted.gain is not None:
        found = f"gain {ways.gain(wanted.gain)[at]:g}, {found}"
    how = f"chosen on {ways.rows} stopping rows for {goal}"
    if not reached:
        how = f"no threshold reaches {goal} on the {ways.rows} stopping rows; this one has the highest precision"
    return Threshold(float(ways.threshold[at]), f"{how}: there {found}", reached)


def _best(wanted: ThresholdGoal, ways: Decisions) -> tuple[int, str, bool]:
    """The position of the best way, the goal in words, and whether the way reaches it; of equals the first one."""
    if wanted.precision is not None:
        goal = f"the highest recall with precision at least {wanted.precision:g}"
        fits = (ways.precision >= wanted.precision) & (ways.positive > 0)
        if not fits.any():
            return _largest(ways.precision, ways.recall), f"precision {wanted.precision:g}", False
        return _largest(np.where(fits, ways.recall, -1.0), ways.precision), goal, True
    if wanted.recall is not None:
        goal = f"the highest precision with recall at least {wanted.recall:g}"
        return _largest(np.where(ways.recall >= wanted.recall, ways.precision, -1.0), ways.recall), goal, True
    if wanted.gain is not None:
        return _largest(ways.gain(wanted.gain), ways.precision), "the largest gain", True
    return _largest(ways.f1, ways.precision), "the best F1", True


def _largest(first: NDArray[np.float64], second: NDArray[np.float64]) -> int:
    return int(np.lexsort((-np.arange(len(first)), second, first))[-1])
