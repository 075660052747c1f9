"""The kind whose labels are numbers: the score is a number in the target's own unit."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline_assets.ml.dataset import LabelledRows
from pipeline_assets.ml.kinds import labels
from pipeline_assets.ml.kinds.base import Differences, OfResamples, Purpose, by_evaluation
from pipeline_assets.ml.kinds.regression import metrics
from pipeline_assets.ml.prediction import Prediction
from pipeline_assets.ml.split import Strata
from pipeline_assets.ml.trainers.base import Fit
from pipeline_assets.task.spec import Target
from pipeline_assets.task.validation import NUMBER

_LARGEST = float(np.log(np.finfo(np.float64).max)) - 1  # of which the exponential is finite
_STEP = 0.1  # of the middle range of a prediction: a smaller move is no other decision


class Regression:
    """A target that is a number; see :class:`pipeline_assets.ml.kinds.base.Kind`.

    With ``transform: log1p`` a model learns ``ln(1 + target)``; predictions and metrics are in the target's own unit.
    """

    name: str = "regression"
    objective: str = "regression"
    label_type: str = "DOUBLE"
    score_types: Mapping[str, str] = {"prediction": "DOUBLE"}
    score_descriptions: Mapping[str, str] = {"prediction": "What the model says, in the target's own unit"}
    metrics: Mapping[str, bool] = metrics.GREATER_IS_BETTER

    def target_problems(self, target: Target, duckdb_type: str) -> dict[str, str]:
        """The target must be a number."""
        found = labels.refused(target, self.name, transform=True)
        if duckdb_type == "BOOLEAN":
            found["expression"] = "is true or false, which the kind binary is for; a number is needed here"
        elif not NUMBER.match(duckdb_type):
            found["expression"] = f"gives {duckdb_type}; it must be a number: cast it, or take epoch(...) of a time"
        return found

    def label(self, target: Target, duckdb_type: str) -> str:
        """The target as DOUBLE; raises for an infinite one, and for one whose logarithm does not exist."""
        instead: dict[str, str] = {}
        if labels.is_float(duckdb_type):
            instead |= {"isnan(v)": "null", "isinf(v)": _raises("is no label: it is infinite")}
        if target.transform == "log1p":
            instead["v <= -1"] = _raises("is no label: transform log1p needs more than -1")
        return labels.cases(f"cast((\n{target.expression}\n) as {self.label_type})", instead)

    def label_problem(self, rows: LabelledRows, purpose: Purpose) -> str | None:
        """Rows must be there, and to learn they must differ."""
        if not len(rows):
            return "no rows"
        if purpose == "learn" and float(np.min(rows.label)) == float(np.max(rows.label)):
            return f"{len(rows)} rows, all with the label {rows.label[0]:g}; needed are rows of different labels"
        return None

    def strata(self, rows: LabelledRows) -> Strata:
        """One group: a number has no classes."""
        return Strata(np.zeros(len(rows), np.int64), ("all",))

    def learned(self, target: Target, rows: LabelledRows) -> LabelledRows:
        """The label, or the logarithm of 1 + label."""
        return replace(rows, label=np.log1p(rows.label)) if target.transform == "log1p" else rows

    def prediction(self, target: Target, output: NDArray[np.float64], classes: tuple[str, ...]) -> Prediction:  # noqa: ARG002 - every kind's signature
        """What the model gives, in the target's own unit."""
        return Prediction(np.expm1(np.minimum(output, _LARGEST)) if target.transform == "log1p" else output)

    def baseline(self, training: LabelledRows, rows: int) -> Prediction:
        """The mean label of the training rows, for every row."""
        return Prediction(np.full(rows, float(np.mean(training.label))))

    def evaluate(self, rows: LabelledRows, prediction: Prediction) -> dict[str, float]:
        """See :func:`pipeline_assets.ml.kinds.regression.metrics.scores`."""
        return metrics.scores(rows.label, prediction.output)

    def of_resamples(self, rows: LabelledRows, prediction: Prediction, metric: str) -> OfResamples:
        """See :func:`pipeline_assets.ml.kinds.regression.metrics.of_resamples`."""
        found = metrics.of_resamples(rows.label, prediction.output, metric)
        return by_evaluation(self, rows, prediction, metric) if found is None else found

    def differences(self, before: Prediction, after: Prediction) -> Differences:
        """A move by more than a tenth of the range that the middle 90 % of the first prediction spans.

        Such a step can be seen beside the numbers that people are used to, whatever their unit; a fixed number or a
        relative change would mean little around 0. If those are all equal, every move counts.
        """
        moved = after.output - before.output
        low, high = np.quantile(before.output, [0.05, 0.95]) if len(moved) else (0.0, 0.0)
        step = _STEP * float(high - low)
        way = np.where(moved > 0, "up", "down").astype(object)
        return Differences(np.abs(moved) > step, way, moved, f"a prediction that moves by more than {step:.4g}")

    def details(self, rows: LabelledRows, prediction: Prediction) -> dict[str, float]:
        """The mean error, and the mean relative one where no label is 0."""
        error = prediction.output - rows.label
        found = {"mean_error": float(np.mean(error))}
        if np.all(rows.label):
            found["mean_absolute_percentage_error"] = float(np.mean(np.abs(error / rows.label)))
        return found

    def label_facts(self, training: LabelledRows) -> dict[str, float]:
        """Mean, spread and range of the labels."""
        label = training.label
        return {
            "training_label_mean": float(np.mean(label)),
            "training_label_std": float(np.std(label)),
            "training_label_median": float(np.median(label)),
            "training_label_min": float(np.min(label)),
            "training_label_max": float(np.max(label)),
        }

    def notes(self, training: LabelledRows, validation: LabelledRows) -> list[str]:  # noqa: ARG002 - every kind's signature
        """None."""
        return []

    def columns(self, prediction: Prediction) -> list[pa.Array]:
        """The prediction."""
        return [pa.array(prediction.output, pa.float64())]

    def plots(self, rows: LabelledRows, prediction: Prediction, fit: Fit, title: str) -> dict[str, bytes]:
        """See :mod:`pipeline_assets.ml.kinds.regression.plots`."""
        from pipeline_assets.ml.kinds.regression.plots import plots  # matplotlib takes a second

        return plots(rows.label, prediction.output, fit, title)


def _raises(why: str) -> str:
    """SQL that raises with the value ``v`` and a reason; SQL's own ``error`` is volatile, which ``try`` refuses."""
    return f"cast(concat(v, ' {why}') as DOUBLE)"
