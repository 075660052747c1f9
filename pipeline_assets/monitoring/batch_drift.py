"""What a version keeps of the rows that evaluated it, and how far a predict batch is from them, column by column.

The reference is the validation rows: no model that the version's metrics are of has learned from them. Of rows that a
model has learned from it is surer than of new ones, so its scores of any new batch would seem to have moved. Features
are compared with the same rows: the metrics hold for rows like these.

Where the registered model is a refit, there are no rows that it has not learned from, and its scores of new rows lie
between two references: what the evaluated model says of the validation rows, and what the refit itself says of them.
The scores of a batch have moved as far as they are from the nearer one.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import pyarrow as pa

from pipeline_assets.ml.kinds.base import kind_of
from pipeline_assets.ml.prediction import Prediction
from pipeline_assets.monitoring.drift import Bins, Counts, Difference, Reference, comparable, difference
from pipeline_assets.task.drift_spec import DriftLimits
from pipeline_assets.task.spec import TaskSpec

if TYPE_CHECKING:
    import pandas as pd

# The name under which a version keeps its reference.
DRIFT_REFERENCE = "drift_reference.json"

Role = Literal["feature", "score"]
Verdict = Literal["ok", "warn", "fail"]

_ROWS_TOGETHER = 65_536  # the score columns of a kind may be wide: a probability of each of a thousand classes


@dataclass(frozen=True)
class DriftReference:
    """The columns of the rows that evaluated a version.

    Attributes:
        features: by name.
        scores: the score columns that can be compared, by name: as the evaluated model gives them and, where the
            registered one is another, as that one does, by the same bins.
    """

    features: Mapping[str, Reference]
    scores: Mapping[str, tuple[Reference, ...]]

    @classmethod
    def of(cls, task: TaskSpec, features: "pd.DataFrame", *predictions: Prediction) -> "DriftReference":
        """Of validation rows.

        Args:
            task: whose kind makes score columns.
            features: as a model gets them.
            predictions: of the evaluated model and, if it is another, of the registered one; one entry per row.
        """
        scored = [_scores(task, prediction) for prediction in predictions]
        bins = {name: Bins.of_scores(column) for name, column in scored[0].items()}
        return cls(
            {name: Reference.of(pa.array(features[name], from_pandas=True)) for name in task.features.names},
            {name: tuple(Reference.of(columns[name], own) for columns in scored) for name, own in bins.items()},
        )

    @property
    def feature_bins(self) -> dict[str, Bins]:
        """By feature."""
        return {name: each.bins for name, each in self.features.items()}

    @property
    def score_bins(self) -> dict[str, Bins]:
        """By score column."""
        return {name: each[0].bins for name, each in self.scores.items()}

    def to_text(self) -> str:
        """As JSON."""
        found = {
            "features": {name: _to_json((each,)) for name, each in self.features.items()},
            "scores": {name: _to_json(each) for name, each in self.scores.items()},
        }
        return json.dumps(found, ensure_ascii=False)

    @classmethod
    def from_text(cls, text: str) -> "DriftReference":
        """From :meth:`to_text`."""
        found = json.loads(text)
        return cls(
            {name: _from_json(each)[0] for name, each in found["features"].items()},
            {name: _from_json(each) for name, each in found["scores"].items()},
        )


def _to_json(references: Sequence[Reference]) -> dict[str, Any]:
    bins = references[0].bins
    return {"form": bins.form, "at": bins.at, "counts": [each.counts for each in references]}


def _from_json(found: Mapping[str, Any]) -> tuple[Reference, ...]:
    bins = Bins(found["form"], tuple(found["at"]))
    return tuple(Reference(bins, tuple(counts)) for counts in found["counts"])


@dataclass(frozen=True)
class ColumnDrift:
    """A column of a batch beside the reference of the version that predicted it.

    Attributes:
        limits: of the task, for this column.
    """

    role: Role
    name: str
    difference: Difference
    limits: DriftLimits

    @property
    def verdict(self) -> Verdict:
        """By the limits: what chance alone may do is no drift."""
        if self.difference.reaches(self.limits.fail):
            return "fail"
        return "warn" if self.difference.reaches(self.limits.warn) else "ok"


def compared(
    task: TaskSpec,
    reference: DriftReference,
    features: Mapping[str, Counts],
    scores: Mapping[str, Counts],
    types: Mapping[str, pa.DataType],
) -> Iterator[ColumnDrift]:
    """Compares the counted rows of a batch with a reference, column by column: features, then scores.

    Args:
        task: its limits give the verdicts.
        reference: of the version that predicted the batch.
        features: rows by the bins of the reference, by feature.
        scores: the same by score column.
        types: of the score columns.
    """
    limits = task.monitoring.drift
    for name, counts in features.items():
        kind = pa.float64() if name in task.features.numeric else pa.string()
        found = difference(reference.features[name], counts, kind)
        yield ColumnDrift("feature", name, found, limits.of_feature(name))
    for name, counts in scores.items():
        differences = (difference(each, counts, types[name]) for each in reference.scores[name])
        nearest = min(differences, key=lambda found: found.distance)
        yield ColumnDrift("score", name, nearest, limits.of_score(name))


def _scores(task: TaskSpec, prediction: Prediction) -> dict[str, pa.Array]:
    """The score columns that can be compared; whole maps and lists of scores cannot."""
    kind = kind_of(task)
    chunks: dict[str, list[pa.Array]] = {}
    for start in range(0, len(prediction), _ROWS_TOGETHER):
        part = replace(prediction, output=prediction.output[start : start + _ROWS_TOGETHER])
        for name, column in zip(kind.score_types, kind.columns(part), strict=True):
            if comparable(column.type):
                chunks.setdefault(name, []).append(column)
    return {name: pa.concat_arrays(each) for name, each in chunks.items()}
