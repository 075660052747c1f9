"""The plots of a binary kind's training as PNG bytes: ROC, precision and recall, quality by threshold, calibration."""

import numpy as np
from numpy.typing import NDArray

from pipeline_assets.ml.dataset import LabelledRows
from pipeline_assets.ml.kinds import drawing
from pipeline_assets.ml.prediction import Prediction
from pipeline_assets.ml.ranking import ranking
from pipeline_assets.ml.threshold import decisions
from pipeline_assets.ml.trainers.base import Fit

_BINS = 10


def plots(rows: LabelledRows, prediction: Prediction, fit: Fit, title: str) -> dict[str, bytes]:
    """Every plot by name; the title says which task and batch."""
    label, probability = rows.label, prediction.output
    return {
        "roc": roc(label, probability, title),
        "precision_recall": precision_recall(label, probability, title),
        "calibration": calibration(label, probability, title),
        "quality_by_threshold": by_threshold(label, probability, prediction.threshold, title),
        **drawing.of_fit(fit, title),
    }


def roc(label: NDArray[np.int8], probability: NDArray[np.float64], title: str) -> bytes:
    """True positive rate by false positive rate."""
    ranked = ranking(label, probability)
    figure, axes = drawing.canvas("ROC curve", title, "false positive rate", "true positive rate")
    axes.plot([0, 1], [0, 1], color=drawing.BASELINE, linestyle="--", linewidth=1, label="baseline (area 0.500)")
    x, y = drawing.thinned(np.append(0, ranked.false_positive_rate), np.append(0, ranked.recall))
    axes.plot(x, y, color=drawing.MODEL, linewidth=2, label=f"model (area {ranked.roc_auc:.3f})")
    axes.fill_between(x, y, color=drawing.MODEL, alpha=0.08)
    drawing.unit_square(axes)
    axes.legend(loc="lower right", frameon=False)
    return drawing.png(figure)


def precision_recall(label: NDArray[np.int8], probability: NDArray[np.float64], title: str) -> bytes:
    """Precision by recall, with the share of label 1, which is the precision of a constant baseline."""
    ranked, share = ranking(label, probability), float(np.mean(label))
    figure, axes = drawing.canvas("Precision and recall", title, "recall", "precision")
    axes.axhline(share, color=drawing.BASELINE, linestyle="--", linewidth=1, label=f"baseline ({share:.3f})")
    # The curve begins where no row is decided: by convention with precision 1.
    x, y = drawing.thinned(np.append(0, ranked.recall), np.append(1, ranked.precision))
    axes.plot(x, y, color=drawing.MODEL, linewidth=2, label=f"model (average {ranked.average_precision:.3f})")
    drawing.unit_square(axes)
    axes.legend(loc="upper right", frameon=False)
    return drawing.png(figure)


def by_threshold(label: NDArray[np.int8], probability: NDArray[np.float64], threshold: float, title: str) -> bytes:
    """Precision, recall and F1 of the predicted label by threshold; the version's own threshold is marked."""
    ways = decisions(label, probability)
    figure, axes = drawing.canvas("Quality by threshold", title, "threshold", "share")
    some = ways.positive > 0  # precision is not defined where no row is decided positive
    for name, values, color in (("precision", ways.precision, drawing.MODEL), ("recall", ways.recall, drawing.OTHER)):
        x, y = drawing.thinned(ways.threshold[some], values[some])
        axes.plot(x, y, color=color, linewidth=1.6, label=name)
    x, y = drawing.thinned(ways.threshold[some], ways.f1[some])
    axes.plot(x, y, color=drawing.INK, linewidth=2, label="F1")
    own = f"the version's ({threshold:.3f})"
    axes.axvline(threshold, color=drawing.BASELINE, linestyle="--", linewidth=1, label=own)
    drawing.unit_square(axes)
    axes.legend(loc="best", frameon=False, fontsize=8)
    return drawing.png(figure)


def calibration(label: NDArray[np.int8], probability: NDArray[np.float64], title: str) -> bytes:
    """Observed share of label 1 by predicted probability, in bins of equal count; rows as a histogram."""
    edges = np.unique(np.quantile(probability, np.linspace(0, 1, _BINS + 1)))
    bins = np.clip(np.searchsorted(edges, probability, side="right") - 1, 0, max(len(edges) - 2, 0))
    count = np.bincount(bins)
    filled = count > 0
    predicted = np.bincount(bins, probability)[filled] / count[filled]
    observed = np.bincount(bins, label)[filled] / count[filled]
    figure, axes = drawing.canvas("Calibration", title, "predicted probability", "share of label 1")
    axes.plot([0, 1], [0, 1], color=drawing.BASELINE, linestyle="--", linewidth=1, label="perfect")
    axes.plot(predicted, observed, color=drawing.MODEL, linewidth=2, marker="o", markersize=5, label="model")
    drawing.unit_square(axes)
    heights, places = np.histogram(probability, bins=40, range=(0, 1))
    axes.bar(
        places[:-1],
        0.18 * heights / heights.max(),
        width=np.diff(places),
        align="edge",
        color=drawing.MODEL,
        alpha=0.25,
        label="rows",
    )
    axes.legend(loc="upper left", frameon=False)
    return drawing.png(figure)
