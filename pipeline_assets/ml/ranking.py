"""How well scores put rows of label 1 before those of label 0, as scikit-learn defines it.

Importing scikit-learn takes as long as a small training; the numbers are few lines.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Ranking:
    """The rows by falling score; rows of the same score are one entry.

    Attributes:
        score: the distinct scores, the largest first.
        hits: for each, the number of rows of label 1 with at least this score; int64.
        rows: for each, the number of rows with at least this score; int64.
    """

    score: NDArray[np.float64]
    hits: NDArray[np.int64]
    rows: NDArray[np.int64]

    @property
    def recall(self) -> NDArray[np.float64]:
        """The share of the rows of label 1 that have at least each score; those rows must exist."""
        return np.asarray(self.hits / self.hits[-1])

    @property
    def precision(self) -> NDArray[np.float64]:
        """The share of label 1 among the rows of at least each score."""
        return np.asarray(self.hits / self.rows)

    @property
    def false_positive_rate(self) -> NDArray[np.float64]:
        """The share of the rows of label 0 that have at least each score; those rows must exist."""
        wrong = self.rows - self.hits
        return np.asarray(wrong / wrong[-1])

    @property
    def roc_auc(self) -> float:
        """The area below the ROC curve."""
        hits, wrong = self.hits, self.rows - self.hits
        # Only its corners, so that the sum is that of scikit-learn to the last bit.
        corner = np.concatenate([[True], (np.diff(wrong, 2) != 0) | (np.diff(hits, 2) != 0), [True]])
        if len(hits) > 2:  # noqa: PLR2004 - with fewer points there is nothing between two others
            hits, wrong = hits[corner], wrong[corner]
        return float(np.trapezoid(np.append(0, hits / hits[-1]), np.append(0, wrong / wrong[-1])))

    @property
    def average_precision(self) -> float:
        """The mean of the precisions, each with the recall that it gains as its weight."""
        # From the lowest score up, as scikit-learn adds them.
        gained = np.diff(np.append(self.recall[::-1], 0))
        return float(-np.sum(gained * self.precision[::-1]))


class RankedOnce:
    """Rows ranked once, for the ranking metrics of many resamples of them.

    Args:
        label: one value per row; 1 is the label that should come first.
        score: one value per row.
    """

    def __init__(self, label: NDArray[Any], score: NDArray[np.float64]) -> None:
        self._order = np.argsort(-score, kind="stable")
        falling = score[self._order]
        self._ones = (label[self._order] == 1).astype(np.int64)
        self._starts = np.flatnonzero(np.append([True], falling[1:] != falling[:-1]))

    def roc_auc(self, times: NDArray[np.int64]) -> float:
        """The area below the ROC curve, each row taken so many times; NaN if a label has none."""
        hits, wrong = self._counts(times)
        pairs = int(hits.sum()) * int(wrong.sum())
        # A pair counts if label 1 comes first, and by half if both have the same score.
        return total(wrong, np.cumsum(hits) - hits / 2) / pairs if pairs else float("nan")

    def average_precision(self, times: NDArray[np.int64]) -> float:
        """As :attr:`Ranking.average_precision`, each row taken so many times; NaN if label 1 has none."""
        hits, wrong = self._counts(times)
        found = int(hits.sum())
        if not found:
            return float("nan")
        precision = np.cumsum(hits) / np.maximum(np.cumsum(hits + wrong), 1)
        return total(hits, precision) / found

    def _counts(self, times: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Rows of label 1, and others, by distinct score."""
        drawn = times[self._order]
        ones = drawn * self._ones
        return np.add.reduceat(ones, self._starts), np.add.reduceat(drawn - ones, self._starts)


def total(times: NDArray[np.int64], values: NDArray[np.float64]) -> float:
    """The sum of values, each taken so many times.

    In one thread: ``@`` would start one per core, which takes longer for so few values, and may add in another order.
    """
    return float(np.einsum("i,i->", times, values))


def ranking(label: NDArray[Any], score: NDArray[np.float64]) -> Ranking:
    """Ranks rows.

    Args:
        label: one value per row; 1 is the label that should come first.
        score: one value per row.
    """
    order = np.argsort(-score, kind="stable")
    falling, ones = score[order], np.cumsum(label[order] == 1)
    last = np.flatnonzero(np.append(falling[:-1] != falling[1:], [True] * (len(falling) > 0)))
    return Ranking(falling[last], ones[last].astype(np.int64), (last + 1).astype(np.int64))
