"""Predictions judged by the labels that came later: metrics against a constant baseline, segments and calibration."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline_assets.errors import DataError
from pipeline_assets.ml.dataset import LabelledRows
from pipeline_assets.ml.kinds.base import kind_of
from pipeline_assets.ml.prediction import Prediction
from pipeline_assets.monitoring.truth import Form, form_of, labelled_rows
from pipeline_assets.task.judged_metrics import PRECISION, RECALL
from pipeline_assets.task.spec import DECISION, TaskSpec

# The file of a version that holds the prediction of the constant baseline.
BASELINE_FILE = "baseline.json"
_BINS = 10
_SEGMENTS, _VALUES = 3, 20  # features whose values are judged apart, and values that such a feature may have


class Bin(NamedTuple):
    """Rows with neighbouring predictions.

    Attributes:
        rows: how many.
        predicted: mean prediction: of label 1, of the predicted class, or in the target's own unit.
        came_true: share of label 1, share of rows whose class was predicted right, or mean label.
    """

    rows: int
    predicted: float
    came_true: float


@dataclass(frozen=True)
class Judged:
    """How good the predictions of some rows were.

    Attributes:
        segment: the categorical feature whose rows of one value these are; empty for all rows.
        value: that value.
        predictions: predicted rows.
        rows: those of them whose label is known.
        metrics: by name; empty where the rows cannot be judged.
        baseline: the same of the constant baseline; of precision and recall, those of a random draw of as many rows.
        problem: why there are no metrics, or no baseline; ``None`` where both are there.
        label_mean: share of label 1, or mean label; ``None`` for classes, and without rows.
        decided: share of rows that were decided positive; ``None`` if the target is not binary, and without rows.
        calibration: of all rows; empty for a segment, and for a kind with score columns of its own.
    """

    segment: str
    value: str
    predictions: int
    rows: int
    metrics: Mapping[str, float] = field(default_factory=dict)
    baseline: Mapping[str, float] = field(default_factory=dict)
    problem: str | None = None
    label_mean: float | None = None
    decided: float | None = None
    calibration: tuple[Bin, ...] = ()


@dataclass(frozen=True)
class _Rows:
    """Judged rows: labels, what was predicted, and for a binary target what was decided."""

    rows: LabelledRows
    prediction: Prediction
    decision: NDArray[np.bool_] | None

    def take(self, places: NDArray[np.int64]) -> "_Rows":
        return _Rows(
            self.rows.take(places),
            replace(self.prediction, output=self.prediction.output[places]),
            None if self.decision is None else self.decision[places],
        )


def baseline_text(constant: Prediction) -> str:
    """The prediction of a constant baseline for one row, as it is kept with a version."""
    return json.dumps({"output": constant.output[0].tolist(), "classes": list(constant.classes)}, ensure_ascii=False)


def baseline_of(text: str | None) -> Prediction | None:
    """The inverse of :func:`baseline_text`; ``None`` for a version of former code, which keeps none."""
    if text is None:
        return None
    found = json.loads(text)
    return Prediction(np.array([found["output"]], np.float64), tuple(found["classes"]))


def segments(task: TaskSpec, importance: Mapping[str, float], values: Mapping[str, int]) -> list[str]:
    """The categorical features whose values are judged apart: the most important ones with few values.

    Args:
        task: its features.
        importance: of the version's features; where its package says none, they go in the task's order.
        values: how many different values each feature has in the batch; those that are not there are left out.
    """
    few = [name for name in task.features.categorical if 1 < values.get(name, 0) <= _VALUES]
    return sorted(few, key=lambda name: -importance.get(name, 0.0))[:_SEGMENTS]


def judge(
    task: TaskSpec,
    labels: pa.ChunkedArray,
    scores: Mapping[str, pa.ChunkedArray],
    features: Mapping[str, pa.ChunkedArray],
    *,
    constant: Prediction | None,
    minimum_rows: int,
) -> list[Judged]:
    """Judges all rows, then those of each value of each feature.

    Args:
        task: its kind evaluates.
        labels: one per prediction, null where none is known.
        scores: the score columns, and ``decision`` if the task has a rule; one value per prediction.
        features: the segments: dictionaries of text, one value per prediction.
        constant: of the version, the prediction of the constant baseline; ``None`` if it is not known.
        minimum_rows: a segment with fewer known labels has no metrics.

    Raises:
        DataError: the stored scores are not those of the task's kind.
    """
    known = np.flatnonzero(labels.is_valid().to_numpy())
    at = pa.array(known)
    there = {name: column.take(at) for name, column in scores.items()}
    decision = there.pop(DECISION, None)
    rows, prediction = labelled_rows(task, labels.take(at), there)
    found = _Rows(rows, prediction, _decided(task, decision, there))
    form = form_of(task, there)
    whole = replace(_judged(task, found, constant, len(labels)), calibration=_calibration(form, found))
    judged = [whole]
    for name, column in features.items():
        codes = column.combine_chunks()
        of_rows = codes.indices.to_numpy()
        for code, value in enumerate(codes.dictionary.to_pylist()):
            predictions = int(np.count_nonzero(of_rows == code))
            own = np.flatnonzero(of_rows[known] == code)
            if len(own) < minimum_rows:
                few = f"{len(own)} rows with a known label; {minimum_rows} are needed"
                judged.append(Judged(name, value, predictions, len(own), problem=few))
            elif predictions:
                judged.append(_judged(task, found.take(own), constant, predictions, (name, value)))
    return judged


def _judged(
    task: TaskSpec, found: _Rows, constant: Prediction | None, predictions: int, of: tuple[str, str] = ("", "")
) -> Judged:
    kind, rows = kind_of(task), len(found.rows)
    metrics: dict[str, float] = {}
    baseline: dict[str, float] = {}
    problem = None
    label = found.rows.label
    mean = float(np.mean(label)) if rows and not found.rows.classes else None
    decided = float(np.mean(found.decision)) if rows and found.decision is not None else None
    try:
        metrics = {**_of_decision(label, found.decision), **kind.evaluate(found.rows, found.prediction)}
        if constant is None:
            problem = "the version keeps no baseline: it was trained by an earlier version of the pipeline"
        else:
            same = replace(constant, output=np.repeat(constant.output, rows, axis=0))
            drawn = {PRECISION: mean, RECALL: decided} if decided is not None else {}
            baseline = {name: share for name, share in drawn.items() if share is not None}
            baseline |= kind.evaluate(found.rows, same)
    except DataError as error:
        problem = f"{error.what}: {error.facts.get('found', '')}"
    return Judged(*of, predictions, rows, metrics, baseline, problem, mean, decided)


def _decided(
    task: TaskSpec, decision: pa.ChunkedArray | None, scores: Mapping[str, pa.ChunkedArray]
) -> NDArray[np.bool_] | None:
    """What was decided about each row: by the output's rule, else by the predicted label."""
    if kind_of(task).objective != "binary":
        return None
    said = scores.get("predicted_label") if decision is None else decision
    return None if said is None else said.fill_null(fill_value=False).to_numpy().astype(np.bool_)


def _of_decision(label: NDArray[Any], decision: NDArray[np.bool_] | None) -> dict[str, float]:
    """Precision and recall, where they are defined."""
    if decision is None:
        return {}
    hits, taken = int(np.count_nonzero(decision & (label == 1))), int(np.count_nonzero(decision))
    ones = int(np.count_nonzero(label))
    return {**({PRECISION: hits / taken} if taken else {}), **({RECALL: hits / ones} if ones else {})}


def _calibration(form: Form, found: _Rows) -> tuple[Bin, ...]:
    if form == "other":
        return ()
    if form == "multiclass":
        output, names = found.prediction.output, found.prediction.classes
        best = np.argmax(output, axis=1) if len(output) else np.zeros(0, np.int64)
        code = {name: at for at, name in enumerate(found.rows.classes)}
        right = np.array([code[name] for name in names], np.int64)[best] == found.rows.label
        return calibration(np.max(output, axis=1, initial=0.0), right.astype(np.float64))
    return calibration(found.prediction.output, found.rows.label.astype(np.float64))


def calibration(predicted: NDArray[np.float64], came_true: NDArray[np.float64]) -> tuple[Bin, ...]:
    """Means by bins of about as many rows each, from the lowest prediction up; equal predictions share a bin.

    Args:
        predicted: one number per row.
        came_true: what it was to be, one number per row.
    """
    if not len(predicted):
        return ()
    edges = np.unique(np.quantile(predicted, np.linspace(0, 1, _BINS + 1)[1:-1], method="lower"))
    place = np.searchsorted(edges, predicted, "left")
    counts = np.bincount(place, minlength=len(edges) + 1)
    sums = [np.bincount(place, values, minlength=len(counts)) for values in (predicted, came_true)]
    return tuple(
        Bin(int(count), float(said / count), float(came / count))
        for count, said, came in zip(counts, *sums, strict=True)
        if count
    )


def missed_limits(greater: Mapping[str, bool], metrics: Mapping[str, float], limits: Mapping[str, float]) -> list[str]:
    """The limits that are missed, as sentences; a metric without a value misses its own.

    Args:
        greater: by metric, whether greater is better.
        metrics: that were measured.
        limits: by metric, the worst value that is good enough.
    """
    said = []
    for name, limit in limits.items():
        value = metrics.get(name)
        if value is None or (value < limit if greater[name] else value > limit):
            found = "has no value" if value is None else f"is {value:.4g}"
            said.append(f"{name} {found}; at {'least' if greater[name] else 'most'} {limit:g} is wanted")
    return said
