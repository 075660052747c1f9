"""How well numbers agree with the labels: metrics and their direction."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from pipeline_assets.errors import DataError
from pipeline_assets.ml.kinds.base import OfResamples, mean_of
from pipeline_assets.ml.ranking import total

GREATER_IS_BETTER: Mapping[str, bool] = {
    "rmse": False,
    "mae": False,
    "r2": True,
    "median_absolute_error": False,
}


def scores(label: NDArray[np.float64], predicted: NDArray[np.float64]) -> dict[str, float]:
    """Every metric that a task may choose, as scikit-learn defines it, in the label's unit but for ``r2``.

    Of labels that are all equal, ``r2`` is 1 if every prediction is right and otherwise 0.

    Raises:
        DataError: there are no rows.
    """
    if not len(label):
        raise DataError("no rows cannot evaluate a model", found="0 rows", expected="at least one row with a label")
    error = predicted - label
    squares, around = float(np.sum(error**2)), float(np.sum((label - np.mean(label)) ** 2))
    return {
        "rmse": float(np.sqrt(squares / len(label))),
        "mae": float(np.mean(np.abs(error))),
        "r2": 1 - squares / around if around else float(squares == 0),
        "median_absolute_error": float(np.median(np.abs(error))),
    }


def of_resamples(label: NDArray[np.float64], predicted: NDArray[np.float64], metric: str) -> OfResamples | None:
    """A metric on resamples of the rows, by how often each was drawn; ``None`` for one that is not known here."""
    error = predicted - label
    squares, distance = error**2, np.abs(error)

    def r2(times: NDArray[np.int64]) -> float:
        around = total(times, (label - total(times, label) / times.sum()) ** 2)
        missed = total(times, squares)
        return 1 - missed / around if around else float(missed == 0)

    def rmse(times: NDArray[np.int64]) -> float:
        return float(np.sqrt(total(times, squares) / times.sum()))

    def median(times: NDArray[np.int64]) -> float:
        return float(np.median(np.repeat(distance, times)))

    known = {"rmse": rmse, "mae": mean_of(distance), "r2": r2, "median_absolute_error": median}
    return known.get(metric)
