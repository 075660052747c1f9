"""Predictions as marts keep them beside the labels that came later, as the task's kind evaluates them."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa

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


def form_of(task: TaskSpec, columns: Collection[str] | None = None) -> Form:
    """What form the scores of a task have: that of a built-in kind if they have its columns, whatever the kind's name.

    ``other`` is a kind of a third party with score columns of its own.

    Args:
        task: its kind has an objective.
        columns: the score columns that there are, such as those of a mart; by default those of the kind.
    """
    kind = kind_of(task)
    form, needed = _NEEDED.get(kind.objective, ("other", ()))
    return form if set(needed) <= set(kind.score_types if columns is None else columns) else "other"


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


def labelled_rows(
    task: TaskSpec, labels: pa.ChunkedArray, scores: Mapping[str, pa.ChunkedArray]
) -> tuple[LabelledRows, Prediction]:
    """Labels and predictions as a kind evaluates them, from columns.

    Args:
        task: its kind.
        labels: none of them null.
        scores: the score columns by name, one value per label; ``probabilities`` as maps.

    Raises:
        DataError: as :func:`evaluation`.
    """
    if form_of(task, scores) != "multiclass":
        values: dict[str, Any] = {name: each.to_numpy() for name, each in scores.items() if _is_number(each)}
        return _rows(task, labels.to_numpy() if _is_number(labels) else labels.to_pylist(), values)
    known, output = _matrix(scores["probabilities"])
    return _of_matrix(labels.cast(pa.string()).to_pylist(), known, output)


def _is_number(column: pa.ChunkedArray) -> bool:
    return bool(pa.types.is_integer(column.type) or pa.types.is_floating(column.type))


def _matrix(stored: pa.ChunkedArray) -> tuple[tuple[str, ...], "np.ndarray[Any, Any]"]:
    """Probabilities by class, shape (rows, classes): a version gives every row the same classes in the same order."""
    maps = stored.combine_chunks()
    keys, items = maps.keys, maps.items
    count = len(keys) // len(maps) if len(maps) else 0
    names = keys.slice(0, count)
    ordered = count > 0 and len(keys) == count * len(maps) and len(names.unique()) == count
    codes = keys.dictionary_encode().indices.to_numpy().reshape(-1, count) if ordered else np.zeros((0, 0))
    if ordered and np.all(codes == codes[0]):
        return tuple(names.to_pylist()), np.asarray(items.to_numpy(zero_copy_only=False)).reshape(len(maps), count)
    by_row = [dict(each) for each in maps.to_pylist()]
    known = tuple(sorted({name for each in by_row for name in each}))
    output = np.array([[each.get(name, 0.0) for name in known] for each in by_row], np.float64)
    return known, output.reshape(len(by_row), len(known))


def _rows(
    task: TaskSpec, labels: Sequence[Any], scores: Mapping[str, Sequence[Any]]
) -> tuple[LabelledRows, Prediction]:
    form = form_of(task, scores)
    numbers = {"binary": "probability", "regression": "prediction"}
    try:
        if form == "multiclass":
            return _of_classes([str(each) for each in labels], scores["probabilities"])
        if form in numbers:
            label = np.array(labels, np.int8 if form == "binary" else np.float64)
            return _labelled(label), Prediction(np.array(scores[numbers[form]], np.float64))
    except (TypeError, ValueError) as error:
        # The marts still hold rows of the task's former kind.
        raise DataError(
            "the stored labels or scores are not those of the task's kind",
            task=task.name,
            found=str(error),
            do="run the batches again",
        ) from error
    raise DataError(
        "the scores of this kind cannot be compared with labels",
        task=task.name,
        found=", ".join(scores),
        expected="; ".join(f"{name}: {', '.join(columns)}" for name, (_, columns) in _NEEDED.items()),
    )


def _of_classes(labels: Sequence[str], stored: Sequence[Mapping[str, float]]) -> tuple[LabelledRows, Prediction]:
    """Rows and prediction of the kind ``multiclass``; labels may be of classes that no model knows, and the reverse."""
    known = tuple(sorted({name for each in stored for name in each}))
    output = np.array([[each.get(name, 0.0) for name in known] for each in stored], np.float64)
    return _of_matrix(labels, known, output.reshape(len(stored), len(known)))


def _of_matrix(
    labels: Sequence[str], known: tuple[str, ...], output: "np.ndarray[Any, Any]"
) -> tuple[LabelledRows, Prediction]:
    classes = tuple(sorted({*labels, *known}))
    codes = {name: code for code, name in enumerate(classes)}
    label = np.array([codes[each] for each in labels], np.int32)
    return _labelled(label, classes), Prediction(output, known)


def _labelled(label: "np.ndarray[Any, Any]", classes: tuple[str, ...] = ()) -> LabelledRows:
    """Rows without features: they are evaluated, and nothing learns from them."""
    import pandas as pd

    rows = len(label)
    return LabelledRows(pd.DataFrame(index=pd.RangeIndex(rows)), label, np.zeros(rows, np.int64), classes=classes)
