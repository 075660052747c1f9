"""The plots of a training as PNG bytes, small enough to be shown inline.

Matplotlib is used without pyplot, which keeps figures in global state and may need a display.
"""

import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pipeline_assets.ml.trainers.base import Fit

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MODEL, _OTHER, _BASELINE = "#2563a8", "#d9822b", "#8a8f98"
_INK, _GRID = "#24292f", "#e4e7eb"
_INCHES = (6.4, 4.2)
_DPI = 110
_MOST_POINTS = 1000  # of a curve; more cannot be distinguished at this size
_MOST_FEATURES = 20
_BINS = 10


def plots(label: NDArray[np.int8], probability: NDArray[np.float64], fit: Fit, title: str) -> dict[str, bytes]:
    """Every plot by name; the title says which task and batch."""
    return {
        "roc": roc(label, probability, title),
        "precision_recall": precision_recall(label, probability, title),
        "calibration": calibration(label, probability, title),
        "learning_curves": learning_curves(fit.curves, fit.best_iteration, title),
        "importance": importance(fit.importance, title),
    }


def roc(label: NDArray[np.int8], probability: NDArray[np.float64], title: str) -> bytes:
    """True positive rate by false positive rate."""
    from sklearn import metrics

    false_positive, true_positive, _ = metrics.roc_curve(label, probability)
    area = metrics.roc_auc_score(label, probability)
    figure, axes = _canvas("ROC curve", title, "false positive rate", "true positive rate")
    axes.plot([0, 1], [0, 1], color=_BASELINE, linestyle="--", linewidth=1, label="baseline (area 0.500)")
    x, y = _thinned(false_positive, true_positive)
    axes.plot(x, y, color=_MODEL, linewidth=2, label=f"model (area {area:.3f})")
    axes.fill_between(x, y, color=_MODEL, alpha=0.08)
    _unit_square(axes)
    axes.legend(loc="lower right", frameon=False)
    return _png(figure)


def precision_recall(label: NDArray[np.int8], probability: NDArray[np.float64], title: str) -> bytes:
    """Precision by recall, with the share of label 1, which is the precision of a constant baseline."""
    from sklearn import metrics

    precision, recall, _ = metrics.precision_recall_curve(label, probability)
    average, share = metrics.average_precision_score(label, probability), float(np.mean(label))
    figure, axes = _canvas("Precision and recall", title, "recall", "precision")
    axes.axhline(share, color=_BASELINE, linestyle="--", linewidth=1, label=f"baseline ({share:.3f})")
    x, y = _thinned(recall, precision)
    axes.plot(x, y, color=_MODEL, linewidth=2, label=f"model (average {average:.3f})")
    _unit_square(axes)
    axes.legend(loc="upper right", frameon=False)
    return _png(figure)


def calibration(label: NDArray[np.int8], probability: NDArray[np.float64], title: str) -> bytes:
    """Observed share of label 1 by predicted probability, in bins of equal count; rows as a histogram."""
    edges = np.unique(np.quantile(probability, np.linspace(0, 1, _BINS + 1)))
    bins = np.clip(np.searchsorted(edges, probability, side="right") - 1, 0, max(len(edges) - 2, 0))
    count = np.bincount(bins)
    filled = count > 0
    predicted = np.bincount(bins, probability)[filled] / count[filled]
    observed = np.bincount(bins, label)[filled] / count[filled]
    figure, axes = _canvas("Calibration", title, "predicted probability", "share of label 1")
    axes.plot([0, 1], [0, 1], color=_BASELINE, linestyle="--", linewidth=1, label="perfect")
    axes.plot(predicted, observed, color=_MODEL, linewidth=2, marker="o", markersize=5, label="model")
    _unit_square(axes)
    heights, places = np.histogram(probability, bins=40, range=(0, 1))
    axes.bar(
        places[:-1],
        0.18 * heights / heights.max(),
        width=np.diff(places),
        align="edge",
        color=_MODEL,
        alpha=0.25,
        label="rows",
    )
    axes.legend(loc="upper left", frameon=False)
    return _png(figure)


def learning_curves(curves: Mapping[str, Mapping[str, list[float]]], best_iteration: int, title: str) -> bytes:
    """Each metric by iteration on both sides, one panel per metric; the best iteration is marked."""
    names = list(dict.fromkeys(name for side in curves.values() for name in side))
    figure = _figure()
    figure.suptitle(_heading("Learning curves", title), x=0.02, ha="left", fontsize=11, color=_INK)
    panels = figure.subplots(1, len(names), squeeze=False)[0]
    for axes, name in zip(panels, names, strict=True):
        _style(axes, "iteration", name)
        for side, color in (("training", _OTHER), ("stopping", _MODEL)):
            values = np.asarray(curves.get(side, {}).get(name, []))
            if len(values):
                x, y = _thinned(np.arange(len(values)), values)
                axes.plot(x, y, color=color, linewidth=1.6, label=side)
        axes.axvline(best_iteration, color=_BASELINE, linestyle="--", linewidth=1, label=f"best ({best_iteration})")
        axes.legend(loc="best", frameon=False, fontsize=8)
    return _png(figure)


def importance(shares: Mapping[str, float], title: str) -> bytes:
    """The most important features, in percent of the whole."""
    most = sorted(shares.items(), key=lambda item: item[1])[-_MOST_FEATURES:]
    heading = "Feature importance" if len(most) == len(shares) else f"The {len(most)} most important features"
    figure, axes = _canvas(heading, title, "share, %", "", height=max(2.4, 1.1 + 0.26 * len(most)))
    # Positions, not names: two names that are cut to the same text must not share a bar.
    bars = axes.barh(range(len(most)), [share for _, share in most], color=_MODEL, height=0.7)
    axes.set_yticks(range(len(most)), [_short(name) for name, _ in most])
    axes.bar_label(bars, fmt="%.1f", padding=3, fontsize=8, color=_INK)
    axes.margins(x=0.1)
    axes.grid(visible=False, axis="y")
    return _png(figure)


def _figure(height: float = _INCHES[1]) -> "Figure":
    from matplotlib.figure import Figure

    return Figure(figsize=(_INCHES[0], height), dpi=_DPI, layout="constrained")


def _canvas(heading: str, title: str, x: str, y: str, height: float = _INCHES[1]) -> tuple["Figure", "Axes"]:
    figure = _figure(height)
    axes = figure.subplots()
    axes.set_title(_heading(heading, title), loc="left", fontsize=11, color=_INK)
    _style(axes, x, y)
    return figure, axes


def _heading(heading: str, title: str) -> str:
    return f"{heading} · {_plain(title)}"


def _style(axes: "Axes", x: str, y: str) -> None:
    axes.set_xlabel(x, color=_INK)
    axes.set_ylabel(y, color=_INK)
    axes.tick_params(colors=_INK, labelsize=9)
    axes.grid(visible=True, color=_GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(_GRID)


def _unit_square(axes: "Axes") -> None:
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1.01)


def _thinned(x: NDArray[Any], y: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    kept = np.unique(np.linspace(0, len(x) - 1, min(len(x), _MOST_POINTS)).astype(int))
    return x[kept], y[kept]


def _short(name: str) -> str:
    limit = 32
    return _plain(name if len(name) <= limit else f"{name[: limit - 1]}…")


def _plain(text: str) -> str:
    """Escaped text: matplotlib would read a formula between two dollar signs."""
    return text.replace("$", r"\$")


def _png(figure: "Figure") -> bytes:
    buffer = io.BytesIO()
    # Without the software's name the same training gives the same bytes.
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()
