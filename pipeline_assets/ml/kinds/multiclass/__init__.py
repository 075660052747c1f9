"""The kind whose labels are classes, named by the text of the target: scores are a class and every probability."""

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline_assets.ml.dataset import LabelledRows
from pipeline_assets.ml.kinds import labels
from pipeline_assets.ml.kinds.base import Differences, OfResamples, Purpose, by_evaluation
from pipeline_assets.ml.kinds.multiclass import metrics
from pipeline_assets.ml.prediction import Prediction
from pipeline_assets.ml.split import Strata
from pipeline_assets.ml.trainers.base import Fit
from pipeline_assets.task.spec import Target

_CLASSES = 2  # without two there is nothing to tell apart
_MOST_CLASSES = 1000  # more are values of a number or of a key, and every row would have a probability of each
_NAMED, _LONGEST = 20, 40  # of a note: names, and characters of one


class Multiclass:
    """A target of several classes; see :class:`pipeline_assets.ml.kinds.base.Kind`.

    A model knows the classes of its training rows. A validation row of another class counts as predicted wrong, with
    probability 0.
    """

    name: str = "multiclass"
    objective: str = "multiclass"
    label_type: str = "VARCHAR"
    score_types: Mapping[str, str] = {
        "predicted_label": "VARCHAR",
        "probability": "DOUBLE",
        "probabilities": "MAP(VARCHAR, DOUBLE)",
    }
    score_descriptions: Mapping[str, str] = {
        "predicted_label": "What the model says: the class with the largest probability",
        "probability": "The probability of that class",
        "probabilities": "The probability of each class that the model knows, by its name",
    }
    metrics: Mapping[str, bool] = metrics.GREATER_IS_BETTER

    def target_problems(self, target: Target, duckdb_type: str) -> dict[str, str]:
        """Any single value names a class."""
        found = labels.refused(target, self.name)
        if labels.is_nested(duckdb_type):
            found["expression"] = f"gives {duckdb_type}; a class is one value, such as a text or a number"
        return found

    def label(self, target: Target, duckdb_type: str) -> str:
        """The text of the target's value."""
        return f"cast({labels.value(target, duckdb_type)} as {self.label_type})"

    def label_problem(self, rows: LabelledRows, purpose: Purpose) -> str | None:
        """Two classes are needed to learn and to evaluate; very many are no classes."""
        present = np.unique(rows.label)
        if len(present) > _MOST_CLASSES:
            return f"{len(rows)} rows of {len(present)} classes; there can be at most {_MOST_CLASSES}"
        if len(present) >= (1 if purpose == "stop" else _CLASSES):
            return None
        if not len(present):
            return "no rows"
        return f"{len(rows)} rows, all of class {rows.classes[present[0]]}; needed are rows of two classes at least"

    def strata(self, rows: LabelledRows) -> Strata:
        """Each side of a split gets its share of every class; rows of a class too rare for three sides are learned."""
        return Strata(rows.label.astype(np.int64), rows.classes, on_every_side=False)

    def learned(self, target: Target, rows: LabelledRows) -> LabelledRows:  # noqa: ARG002 - every kind's signature
        """The classes as they are."""
        return rows

    def prediction(self, target: Target, output: NDArray[np.float64], classes: tuple[str, ...]) -> Prediction:  # noqa: ARG002 - every kind's signature
        """The probability of each class."""
        return Prediction(output, classes)

    def baseline(self, training: LabelledRows, rows: int) -> Prediction:
        """The share of each class among the training rows, for every row."""
        counts = np.bincount(training.label, minlength=len(training.classes))
        known = np.flatnonzero(counts)
        shares = counts[known] / counts.sum()
        return Prediction(np.broadcast_to(shares, (rows, len(known))), tuple(training.classes[code] for code in known))

    def evaluate(self, rows: LabelledRows, prediction: Prediction) -> dict[str, float]:
        """See :func:`pipeline_assets.ml.kinds.multiclass.metrics.scores`."""
        return metrics.scores(rows, prediction)

    def of_resamples(self, rows: LabelledRows, prediction: Prediction, metric: str) -> OfResamples:
        """See :func:`pipeline_assets.ml.kinds.multiclass.metrics.of_resamples`."""
        found = metrics.of_resamples(metrics.aligned(rows, prediction), metric)
        return by_evaluation(self, rows, prediction, metric) if found is None else found

    def differences(self, before: Prediction, after: Prediction) -> Differences:
        """Another class; the total variation between the two distributions, which is between 0 and 1."""
        names = tuple(sorted({*before.classes, *after.classes}))
        (was, old), (becomes, new) = (_spread(each, names) for each in (before, after))
        shown = np.array(names, dtype=object)
        way = shown[was] + " → " + shown[becomes]
        return Differences(was != becomes, way, np.abs(new - old).sum(axis=1) / 2, "another predicted class")

    def details(self, rows: LabelledRows, prediction: Prediction) -> dict[str, float]:
        """How many classes the validation rows have, and how many of those rows have one that the model lacks."""
        known = np.isin(np.array(rows.classes, dtype=object), prediction.classes)
        unknown = int(np.count_nonzero(~known[rows.label]))
        return {"validation_classes": float(len(np.unique(rows.label))), "rows_of_unknown_classes": float(unknown)}

    def label_facts(self, training: LabelledRows) -> dict[str, float]:
        """How many classes there are, and how large the largest and the smallest are."""
        _, counts = np.unique(training.label, return_counts=True)
        return {
            "training_classes": float(len(counts)),
            "training_largest_class_share": float(counts.max() / counts.sum()),
            "training_smallest_class_rows": float(counts.min()),
        }

    def notes(self, training: LabelledRows, validation: LabelledRows) -> list[str]:
        """Which classes the metrics say nothing of, and which the evaluated model cannot know."""
        learned, evaluated = (set(np.unique(rows.label).tolist()) for rows in (training, validation))
        found = []
        if never := sorted(learned - evaluated):
            found.append(
                f"{_classes(training, never)} have no validation row, so the metrics do not say how well a model"
                " predicts them"
            )
        if unseen := sorted(evaluated - learned):
            found.append(
                f"{_classes(training, unseen)} have validation rows but no training row, so the evaluated model cannot"
                " predict them"
            )
        return found

    def columns(self, prediction: Prediction) -> list[pa.Array]:
        """The most probable class, its probability, and the probability of every class."""
        output, count = prediction.output, len(prediction.classes)
        best = np.argmax(output, axis=1)
        names = pa.array(prediction.classes, pa.string())
        offsets = pa.array(np.arange(len(output) + 1, dtype=np.int32) * count)
        keys = names.take(pa.array(np.tile(np.arange(count, dtype=np.int32), len(output))))
        return [
            names.take(pa.array(best)),
            pa.array(output[np.arange(len(output)), best], pa.float64()),
            pa.MapArray.from_arrays(offsets, keys, pa.array(output.ravel(), pa.float64())),
        ]

    def plots(self, rows: LabelledRows, prediction: Prediction, fit: Fit, title: str) -> dict[str, bytes]:
        """See :mod:`pipeline_assets.ml.kinds.multiclass.plots`."""
        from pipeline_assets.ml.kinds.multiclass.plots import plots  # matplotlib takes a second

        return plots(rows, prediction, fit, title)


def _spread(prediction: Prediction, names: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """The predicted class of each row as a position in ``names``, and the probability of each of those classes."""
    places = np.array([names.index(name) for name in prediction.classes], dtype=np.int64)
    output = np.zeros((len(prediction), len(names)))
    output[:, places] = prediction.output
    return places[np.argmax(prediction.output, axis=1)], output


def _classes(rows: LabelledRows, codes: Sequence[int]) -> str:
    names = [rows.classes[code] for code in codes[:_NAMED]]
    shown = ", ".join(name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…" for name in names)
    more = f" and {len(codes) - _NAMED} more" if len(codes) > _NAMED else ""
    return f"{len(codes)} of {len(rows.classes)} classes ({shown}{more})"
