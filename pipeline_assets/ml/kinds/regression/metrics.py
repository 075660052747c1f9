"""How well numbers agree with the labels: metrics and their direction."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from pipeline_assets.errors import DataError

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
