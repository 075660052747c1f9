"""How well probabilities of classes agree with the classes: metrics and their direction."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline_assets.errors import DataError
from pipeline_assets.ml.dataset import LabelledRows
from pipeline_assets.ml.kinds.base import OfResamples, mean_of
from pipeline_assets.ml.prediction import Prediction
from pipeline_assets.ml.ranking import RankedOnce, ranking

GREATER_IS_BETTER: Mapping[str, bool] = {
    "log_loss": False,
    "accuracy": True,
    "balanced_accuracy": True,
    "f1_macro": True,
    "roc_auc_ovr": True,
}
_LEAST = float(np.finfo(np.float64).eps)  # of a probability in the log loss, as in scikit-learn


@dataclass(frozen=True)
class Aligned:
    """Labels and predictions of rows as positions in one list of classes.

    Attributes:
        classes: all classes of the batch and of the model, in order.
        label: of each row.
        predicted: the most probable class of each row.
        probability: shape (rows, classes); 0 for a class that the model does not know.
    """

    classes: tuple[str, ...]
    label: NDArray[np.int64]
    predicted: NDArray[np.int64]
    probability: NDArray[np.float64]


def aligned(rows: LabelledRows, prediction: Prediction) -> Aligned:
    """Labels and predictions by the names of their classes: a model may have others than the batch."""
    classes = tuple(sorted({*rows.classes, *prediction.classes}))
    place = {name: position for position, name in enumerate(classes)}
    known = np.array([place[name] for name in prediction.classes], dtype=np.int64)
    own = np.array([place[name] for name in rows.classes], dtype=np.int64)
    probability = np.zeros((len(rows), len(classes)))
    probability[:, known] = prediction.output
    return Aligned(classes, own[rows.label], known[np.argmax(prediction.output, axis=1)], probability)


def scores(rows: LabelledRows, prediction: Prediction) -> dict[str, float]:
    """Every metric that a task may choose, as scikit-learn defines it.

    Means over classes (``balanced_accuracy``, ``roc_auc_ovr``) are over the classes that the rows have; ``f1_macro`` is
    over those that the rows or the predictions have.

    Args:
        rows: whose labels are known.
        prediction: one entry per row; a class that it does not have has probability 0.

    Raises:
        DataError: the rows have fewer than two classes, so a ranking cannot be evaluated.
    """
    found = aligned(rows, prediction)
    present = np.unique(found.label)
    if len(present) < 2:  # noqa: PLR2004 - one class and the others
        raise DataError(
            "rows with one class only cannot evaluate a model",
            found=f"{len(rows)} rows of {len(present)} classes",
            expected="rows of at least two classes",
        )
    of_label = found.probability[np.arange(len(rows)), found.label]
    hit = found.label == found.predicted
    recalls = np.bincount(found.label, hit)[present] / np.bincount(found.label)[present]
    areas = [ranking(found.label == code, found.probability[:, code]).roc_auc for code in present]
    return {
        "log_loss": float(-np.mean(np.log(np.clip(of_label, _LEAST, 1 - _LEAST)))),
        "accuracy": float(np.mean(hit)),
        "balanced_accuracy": float(np.mean(recalls)),
        "f1_macro": _f1_macro(found),
        "roc_auc_ovr": float(np.mean(areas)),
    }


def of_resamples(found: Aligned, metric: str) -> OfResamples | None:
    """A metric on resamples of the rows, by how often each was drawn; ``None`` for one that is not known here.

    Classes that a resample does not have are left out of means over classes.
    """
    if metric == "log_loss":
        of_label = found.probability[np.arange(len(found.label)), found.label]
        return mean_of(-np.log(np.clip(of_label, _LEAST, 1 - _LEAST)))
    hit, size = found.label == found.predicted, len(found.classes)
    if metric == "accuracy":
        return mean_of(hit.astype(np.float64))
    if metric == "roc_auc_ovr":
        present = np.unique(found.label)
        ranked = [RankedOnce(found.label == code, found.probability[:, code]) for code in present]
        return lambda times: _mean([each.roc_auc(times) for each in ranked])

    def by_class(times: NDArray[np.int64]) -> float:
        labels, right = (np.bincount(found.label, each, minlength=size) for each in (times, times * hit))
        if metric == "balanced_accuracy":
            return _mean(right[labels > 0] / labels[labels > 0])
        either = labels + np.bincount(found.predicted, times, minlength=size)
        return _mean(2 * right[either > 0] / either[either > 0])

    return by_class if metric in ("balanced_accuracy", "f1_macro") else None


def _mean(values: Any) -> float:
    """The mean of the values that are numbers; NaN if none is."""
    known = np.asarray(values)[np.isfinite(values)]
    return float(np.mean(known)) if len(known) else float("nan")


def _f1_macro(found: Aligned) -> float:
    """The mean of F1 over the classes that the rows or the predictions have."""
    size = len(found.classes)
    either = np.bincount(found.label, minlength=size) + np.bincount(found.predicted, minlength=size)
    both = np.bincount(found.label[found.label == found.predicted], minlength=size)
    some = either > 0
    return float(np.mean(2 * both[some] / either[some]))
