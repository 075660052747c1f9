"""How sure a metric and a gain are: percentile intervals of a bootstrap over the judged rows."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pipeline_assets.ml.dataset import LabelledRows
from pipeline_assets.ml.kinds.base import Kind, gain
from pipeline_assets.ml.prediction import Prediction

RESAMPLES = 400
LEVEL = 0.95
MOST_ROWS = 20_000
_FEWEST_ROWS, _MOST_CELLS = 500, 100_000  # of a prediction of many classes
_SEED = 0


@dataclass(frozen=True)
class Interval:
    """Where a number lies with a confidence of 95 %, in its own unit."""

    low: float
    high: float


@dataclass(frozen=True)
class Intervals:
    """What :func:`bootstrap` finds.

    Attributes:
        of: the metric's, by version; empty where too few resamples could be judged.
        gain: of the first version over the second, on the same resamples; ``None`` for one version.
    """

    of: Mapping[int, Interval]
    gain: Interval | None = None


def bootstrap(kind: Kind, metric: str, rows: LabelledRows, predictions: Mapping[int, Prediction]) -> Intervals:
    """Percentile intervals (Efron 1979) of a metric, and of the paired gain: 400 resamples with replacement.

    The cost is bounded. Of more than 20,000 rows, or fewer where a prediction has many classes (rows x classes is at
    most 100,000, but at least 500 rows), a random subset is resampled, and what it shows of the spread is scaled by
    the square root of its share of the rows, because the spread of a metric falls with the root of the number of
    rows (m out of n bootstrap: Bickel, Goetze and van Zwet 1997). The seed is fixed: the same rows give the same
    intervals. Every version is judged on the same resamples, so the interval of the gain is a paired one: it is
    narrower than the intervals of the two metrics let one think.

    A resample that cannot be judged, as one without a row of label 1, is left out; if half of them are, there are no
    intervals.

    Args:
        kind: judges.
        metric: one of the kind's.
        rows: the judged rows.
        predictions: by version, one entry per row; the challenger's first, then the champion's.
    """
    random = np.random.default_rng(_SEED)
    width = max(len(each.classes) or 1 for each in predictions.values())
    most = min(MOST_ROWS, max(_MOST_CELLS // width, _FEWEST_ROWS))
    count = min(len(rows), most)
    subset = np.sort(random.choice(len(rows), count, replace=False)) if count < len(rows) else np.arange(count)
    scale = float(np.sqrt(count / len(rows)))
    some = rows.take(subset)
    judges = [kind.of_resamples(some, _take(each, subset), metric) for each in predictions.values()]
    drawn = (np.bincount(random.integers(0, count, count), minlength=count) for _ in range(RESAMPLES))
    values = np.array([[judge(times) for judge in judges] for times in drawn])
    values = values[np.isfinite(values).all(axis=1)]
    if 2 * len(values) < RESAMPLES:
        return Intervals({})
    once = np.ones(count, dtype=np.int64)
    part = [judge(once) for judge in judges]
    whole = part if count == len(rows) else [kind.evaluate(rows, each)[metric] for each in predictions.values()]
    of = {
        version: _interval(values[:, place] - part[place], whole[place], scale)
        for place, version in enumerate(predictions)
    }
    if len(judges) == 1:
        return Intervals(of)
    sign = gain(kind, metric, 1.0, 0.0)
    gained = sign * (values[:, 0] - values[:, 1])
    centre = sign * (part[0] - part[1]), sign * (whole[0] - whole[1])
    return Intervals(of, _interval(gained - centre[0], centre[1], scale))


def _interval(deviations: NDArray[np.float64], value: float, scale: float) -> Interval:
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(deviations, [tail, 1 - tail])
    return Interval(float(value + scale * low), float(value + scale * high))


def _take(prediction: Prediction, rows: NDArray[np.int64]) -> Prediction:
    return replace(prediction, output=prediction.output[rows])
