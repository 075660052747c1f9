"""Predictions as marts keep them beside the labels that came later, as the task's kind evaluates them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from pipeline_assets.errors import DataError
from pipeline_assets.ml.dataset import LabelledRows
from pipeline_assets.ml.kinds.base import kind_of
from pipeline_assets.ml.prediction import Prediction
from pipeline_assets.task.spec import TaskSpec

Form = Literal["binary", "multiclass", "regression", "other"]

# The score columns from which a prediction can be made again, by the objective of the kind.
_NEEDED: Mapping[str, tuple[Form, tuple[str, ...]]] = {
    "binary": ("binary", ("probability",)),
    "multiclass": ("multiclass", ("predicted_label", "probability", "probabilities")),
    "regression": ("regression", ("prediction",)),
}


def form_of(task: TaskSpec) -> Form:
    """What form the scores of a task have: that of a built-in kind if they have its columns, whatever the kind's name.

    ``other`` is a kind of a third party with score columns of its own.
    """
    kind = kind_of(task)
    form, needed = _NEEDED.get(kind.objective, ("other", ()))
    return form if set(needed) <= set(kind.score_types) else "other"


@dataclass(frozen=True)
class Evaluation:
    """How good predictions were.

    Attributes:
        metrics: every metric of the kind.
        greater_is_better: by metric.
    """

    metrics: Mapping[str, float]
    greater_is_better: Mapping[str, bool]


def evaluation(task: TaskSpec, labels: Sequence[Any], scores: Mapping[str, Sequence[Any]]) -> Evaluation:
    """The metrics of stored predictions.

    Args:
        task: its kind evaluates.
        labels: as the input mart has them, none of them null: 0 or 1, text, or a number, by kind.
        scores: the score columns by name, one value per label; ``probabilities`` as mappings of class to probability.

    Raises:
        DataError: the kind cannot evaluate these rows, or has score columns of its own that no prediction can be made
            of.
    """
    kind = kind_of(task)
    rows, prediction = _rows(task, labels, scores)
    found = kind.evaluate(rows, prediction)
    return Evaluation({name: found[name] for name in kind.metrics if name in found}, kind.metrics)


def _rows(
    task: TaskSpec, labels: Sequence[Any], scores: Mapping[str, Sequence[Any]]
) -> tuple[LabelledRows, Prediction]:
    form = form_of(task)
    if form == "binary":
        return _labelled(np.array(labels, np.int8)), Prediction(np.array(scores["probability"], np.float64))
    if form == "regression":
        return _labelled(np.array(labels, np.float64)), Prediction(np.array(scores["prediction"], np.float64))
    if form == "multiclass":
        return _of_classes(labels, scores["probabilities"])
    raise DataError(
        "the scores of this kind cannot be compared with labels",
        task=task.name,
        found=", ".join(kind_of(task).score_types),
        expected="; ".join(f"{name}: {', '.join(columns)}" for name, (_, columns) in _NEEDED.items()),
    )


def _of_classes(labels: Sequence[str], stored: Sequence[Mapping[str, float]]) -> tuple[LabelledRows, Prediction]:
    """Rows and prediction of the kind ``multiclass``; labels may be of classes that no model knows, and the reverse."""
    known = tuple(sorted({name for each in stored for name in each}))
    output = np.array([[each.get(name, 0.0) for name in known] for each in stored], np.float64)
    classes = tuple(sorted({*labels, *known}))
    codes = {name: code for code, name in enumerate(classes)}
    label = np.array([codes[each] for each in labels], np.int32)
    return _labelled(label, classes), Prediction(output.reshape(len(stored), len(known)), known)


def _labelled(label: "np.ndarray[Any, Any]", classes: tuple[str, ...] = ()) -> LabelledRows:
    """Rows without features: they are evaluated, and nothing learns from them."""
    import pandas as pd

    rows = len(label)
    return LabelledRows(pd.DataFrame(index=pd.RangeIndex(rows)), label, np.zeros(rows, np.int64), classes=classes)
