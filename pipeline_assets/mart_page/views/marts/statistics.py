"""What is said of a column's values in numbers: mean, spread, quantiles, mode."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)


@dataclass(frozen=True)
class Statistics:
    """Of the values of a column, without nulls.

    Attributes:
        mode: the most frequent value; the smallest of several.
        mode_rows: rows that have it.
        mean: of numbers; ``None`` of anything else.
        deviation: the standard deviation of the rows looked at, of numbers.
        quantiles: the smallest value that at least so many of the rows do not exceed, for each of :data:`QUANTILES`;
            empty for values that are neither numbers nor dates.
    """

    mode: Any
    mode_rows: int
    mean: float | None = None
    deviation: float | None = None
    quantiles: tuple[Any, ...] = ()


def statistics(counted: Sequence[tuple[Any, int]]) -> Statistics | None:
    """The statistics of values with their counts; ``None`` without any value.

    Infinities and NaN count for the mode only.

    >>> statistics([(1, 2), (4, 1)]).mean, statistics([(1, 2), (4, 1)]).quantiles
    (2.0, (1, 1, 1, 4, 4))
    """
    if not counted:
        return None
    mode, mode_rows = max(counted, key=lambda each: each[1])
    if isinstance(mode, bool) or not isinstance(mode, int | float | dt.date):
        return Statistics(mode, mode_rows)
    dates = isinstance(mode, dt.date)
    numbers = np.array([each.toordinal() if dates else float(each) for each, _ in counted], dtype=np.float64)
    finite = np.isfinite(numbers)
    if not finite.any():
        return Statistics(mode, mode_rows)
    weights = np.array([count for _, count in counted])[finite]
    order = np.argsort(numbers[finite], kind="stable")
    there = [each for (each, _), known in zip(counted, finite, strict=True) if known]
    upto = np.cumsum(weights[order])
    places = np.searchsorted(upto, [share * upto[-1] for share in QUANTILES])
    quantiles = tuple(there[order[min(int(place), len(there) - 1)]] for place in places)
    if dates:
        return Statistics(mode, mode_rows, quantiles=quantiles)
    mean = float(np.average(numbers[finite], weights=weights))
    deviation = float(np.sqrt(np.average((numbers[finite] - mean) ** 2, weights=weights)))
    return Statistics(mode, mode_rows, mean, deviation, quantiles)
