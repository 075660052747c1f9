"""The plots of a regression training as PNG bytes: predicted against actual values, and the errors."""

import numpy as np
from numpy.typing import NDArray

from pipeline_assets.ml.kinds import drawing
from pipeline_assets.ml.trainers.base import Fit

_MOST_ROWS = 3000  # of a scatter plot; more would only cover each other
_TAIL = 0.005  # share of the values that is left out at each end: a few extreme ones would hide all others
_BINS = 60


def plots(label: NDArray[np.float64], predicted: NDArray[np.float64], fit: Fit, title: str) -> dict[str, bytes]:
    """Every plot by name; the title says which task and batch."""
    return {
        "predicted_and_actual": predicted_and_actual(label, predicted, title),
        "residuals": residuals(label, predicted, title),
        **drawing.of_fit(fit, title),
    }


def predicted_and_actual(label: NDArray[np.float64], predicted: NDArray[np.float64], title: str) -> bytes:
    """Predictions by label, with the line of those that are right."""
    figure, axes = drawing.canvas("Predicted and actual", title, "label", "prediction")
    kept = np.unique(np.linspace(0, len(label) - 1, min(len(label), _MOST_ROWS)).astype(int))
    ends = _ends(np.concatenate([label, predicted]))
    axes.plot(ends, ends, color=drawing.BASELINE, linestyle="--", linewidth=1, label="right")
    axes.scatter(label[kept], predicted[kept], s=7, color=drawing.MODEL, alpha=0.3, linewidths=0, label="rows")
    axes.set_xlim(*ends)
    axes.set_ylim(*ends)
    axes.legend(loc="upper left", frameon=False)
    return drawing.png(figure)


def residuals(label: NDArray[np.float64], predicted: NDArray[np.float64], title: str) -> bytes:
    """How many rows have which error, in the label's unit; those of the mean label for comparison."""
    figure, axes = drawing.canvas("Errors", title, "prediction minus label", "rows")
    ends = _ends(predicted - label)
    mean = float(np.mean(label))
    axes.hist(mean - label, bins=_BINS, range=ends, histtype="step", color=drawing.BASELINE, label="of the mean label")
    axes.hist(predicted - label, bins=_BINS, range=ends, color=drawing.MODEL, alpha=0.7, label="of the model")
    axes.axvline(0, color=drawing.INK, linewidth=0.8)
    axes.legend(loc="upper right", frameon=False)
    return drawing.png(figure)


def _ends(values: NDArray[np.float64]) -> tuple[float, float]:
    """Where an axis begins and ends."""
    low, high = np.quantile(values[np.isfinite(values)], [_TAIL, 1 - _TAIL])
    margin = 0.03 * (high - low) or max(abs(low), 1.0)
    return float(low - margin), float(high + margin)
