"""The plots of a multiclass training as PNG bytes: confusion matrix, precision and recall of each class."""

import numpy as np
from numpy.typing import NDArray

from pipeline_assets.ml.dataset import LabelledRows
from pipeline_assets.ml.kinds import drawing
from pipeline_assets.ml.kinds.multiclass.metrics import aligned
from pipeline_assets.ml.prediction import Prediction
from pipeline_assets.ml.trainers.base import Fit

_MOST_CLASSES = 30  # rows of others are shown together
_NUMBERED = 12  # up to so many classes each cell says its count
_DARK = 0.5  # of a cell's share: from here on its number is white


def plots(rows: LabelledRows, prediction: Prediction, fit: Fit, title: str) -> dict[str, bytes]:
    """Every plot by name; the title says which task and batch."""
    names, counts = confusion(rows, prediction)
    return {
        "confusion_matrix": confusion_matrix(names, counts, title),
        "classes": of_classes(names, counts, title),
        **drawing.of_fit(fit, title),
    }


def confusion(rows: LabelledRows, prediction: Prediction) -> tuple[list[str], NDArray[np.int64]]:
    """The names of the classes that are shown, and how many rows of each were predicted to be of each.

    Of very many classes the most frequent are shown; the last name then stands for all others.
    """
    found = aligned(rows, prediction)
    size = len(found.classes)
    counts = np.bincount(found.label * size + found.predicted, minlength=size * size).reshape(size, size)
    seen = counts.sum(axis=1) + counts.sum(axis=0)
    shown = np.flatnonzero(seen)
    if len(shown) <= _MOST_CLASSES:
        return [found.classes[code] for code in shown], counts[np.ix_(shown, shown)]
    kept = np.sort(np.argsort(-seen, kind="stable")[: _MOST_CLASSES - 1])
    group = np.full(size, len(kept))
    group[kept] = np.arange(len(kept))
    merged = np.zeros((len(kept) + 1, len(kept) + 1), dtype=np.int64)
    np.add.at(merged, (group[:, None], group[None, :]), counts)
    return [*(found.classes[code] for code in kept), f"{len(shown) - len(kept)} others"], merged


def confusion_matrix(names: list[str], counts: NDArray[np.int64], title: str) -> bytes:
    """Share of each class's rows by predicted class; a row of the matrix adds up to 1."""
    size = len(names)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    figure, axes = drawing.canvas("Confusion matrix", title, "predicted", "label", height=max(4.2, 1.6 + 0.2 * size))
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    axes.grid(visible=False)
    font = 9 if size <= _NUMBERED else 6
    axes.set_xticks(range(size), [drawing.short(name, 16) for name in names], rotation=90, fontsize=font)
    axes.set_yticks(range(size), [drawing.short(name, 16) for name in names], fontsize=font)
    if size <= _NUMBERED:
        for (row, column), count in np.ndenumerate(counts):
            color = "white" if shares[row, column] > _DARK else drawing.INK
            axes.text(column, row, f"{count}", ha="center", va="center", fontsize=8, color=color)
    return drawing.png(figure)


def of_classes(names: list[str], counts: NDArray[np.int64], title: str) -> bytes:
    """Precision and recall of each class, with its number of rows."""
    hits = np.diag(counts)
    rows, predicted = counts.sum(axis=1), counts.sum(axis=0)
    height = max(2.6, 1.2 + 0.3 * len(names))
    figure, axes = drawing.canvas("Precision and recall by class", title, "share", "", height=height)
    places = np.arange(len(names))
    axes.barh(places - 0.2, hits / np.maximum(rows, 1), height=0.38, color=drawing.MODEL, label="recall")
    axes.barh(places + 0.2, hits / np.maximum(predicted, 1), height=0.38, color=drawing.OTHER, label="precision")
    labels = [f"{drawing.short(name, 20)} ({count})" for name, count in zip(names, rows.tolist(), strict=True)]
    axes.set_yticks(places, labels, fontsize=8)
    axes.invert_yaxis()
    axes.set_xlim(0, 1.01)
    axes.grid(visible=False, axis="y")
    figure.legend(loc="outside lower right", frameon=False, ncols=2, fontsize=8)
    return drawing.png(figure)
