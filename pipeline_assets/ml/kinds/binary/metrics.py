"""How well probabilities agree with the labels: metrics, their direction, and those of a constant baseline."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline_assets.errors import DataError
from pipeline_assets.ml.ranking import ranking

GREATER_IS_BETTER: Mapping[str, bool] = {
    "roc_auc": True,
    "average_precision": True,
    "log_loss": False,
    "brier_score": False,
}
METRICS = tuple(GREATER_IS_BETTER)
_LEAST = float(np.finfo(np.float64).eps)  # of a probability whose logarithm is taken


def scores(label: NDArray[np.int8], probability: NDArray[np.float64]) -> dict[str, float]:
    """Every metric that a task may choose, as scikit-learn defines it.

    Args:
        label: 0 or 1, one value per row.
        probability: of label 1, one value per row.

    Raises:
        DataError: the rows do not have both labels, so a ranking cannot be evaluated.
    """
    ones = int(np.count_nonzero(label))
    if not 0 < ones < len(label):
        raise DataError(
            "rows with one label only cannot evaluate a model",
            found=f"{len(label)} rows, {ones} of label 1",
            expected="rows of label 0 and rows of label 1",
        )
    ranked = ranking(label, probability)
    return {
        "roc_auc": ranked.roc_auc,
        "average_precision": ranked.average_precision,
        **{name: float(np.mean(each)) for name, each in losses(label, probability).items()},
    }


def losses(label: NDArray[np.int8], probability: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """The metrics that are the mean of one value per row: those values."""
    own = np.where(label == 1, probability, 1 - probability)
    return {
        "log_loss": -np.log(np.clip(own, _LEAST, 1 - _LEAST)),
        "brier_score": (probability - (label == 1)) ** 2,
    }


def constant_baseline(label: NDArray[np.int8], share: float) -> dict[str, float]:
    """The metrics of the same probability for every row: a useful model must be better.

    Args:
        label: as in :func:`scores`.
        share: mean label of the training rows.
    """
    return scores(label, np.full(len(label), share))


@dataclass(frozen=True)
class AtThreshold:
    """A decision's quality; ``None`` where no row was decided positive, or no row has label 1.

    Attributes:
        threshold: rows of at least this probability are decided positive.
        precision: share of label 1 among those rows.
        recall: share of those rows among the rows with label 1.
    """

    threshold: float
    precision: float | None
    recall: float | None


def at_threshold(label: NDArray[np.int8], probability: NDArray[np.float64], threshold: float = 0.5) -> AtThreshold:
    """Precision and recall of a decision by a threshold.

    >>> at_threshold(np.array([0, 1, 1], np.int8), np.array([0.6, 0.7, 0.2]))
    AtThreshold(threshold=0.5, precision=0.5, recall=0.5)
    """
    decided = probability >= threshold
    hits = int(np.count_nonzero(decided & (label == 1)))
    positive, ones = int(np.count_nonzero(decided)), int(np.count_nonzero(label))
    return AtThreshold(
        threshold=threshold,
        precision=hits / positive if positive else None,
        recall=hits / ones if ones else None,
    )
