"""The kind with labels 0 and 1: scores are a probability and a predicted label (1 from a threshold on)."""

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline_assets.ml.dataset import LabelledRows
from pipeline_assets.ml.kinds import labels
from pipeline_assets.ml.kinds.base import Differences, OfResamples, Purpose, by_evaluation, mean_of
from pipeline_assets.ml.kinds.binary import metrics
from pipeline_assets.ml.prediction import HALF, Prediction
from pipeline_assets.ml.ranking import RankedOnce
from pipeline_assets.ml.split import Strata
from pipeline_assets.ml.trainers.base import Fit
from pipeline_assets.task import sql
from pipeline_assets.task.spec import Target

_EXAMPLES = {"VARCHAR": 'positive: "yes"', "DATE": 'positive: "2026-01-31"'}


class Binary:
    """A target of two labels; see :class:`pipeline_assets.ml.kinds.base.Kind`.

    Label 1 is a target that is true, or one that has the value ``positive``; every other value is label 0.
    """

    name: str = "binary"
    objective: str = "binary"
    label_type: str = "TINYINT"
    score_types: Mapping[str, str] = {"probability": "DOUBLE", "predicted_label": "BOOLEAN"}
    score_descriptions: Mapping[str, str] = {
        "probability": "What the model says: the probability that the label is 1",
        "predicted_label": "Whether the probability is at least the version's threshold, 0.5 by default",
    }
    metrics: Mapping[str, bool] = metrics.GREATER_IS_BETTER

    def target_problems(self, target: Target, duckdb_type: str) -> dict[str, str]:
        """A target that is not true or false needs a value that is label 1."""
        found = labels.refused(target, self.name, positive=True)
        if labels.is_nested(duckdb_type):
            found["expression"] = f"gives {duckdb_type}; it must be one value, or true or false, as in delay > 15"
        elif target.positive is None and duckdb_type != "BOOLEAN":
            example = _EXAMPLES.get(duckdb_type, "positive: 1")
            found["expression"] = (
                f"gives {duckdb_type}; it must be true or false, as in delay > 15, or the target says which value is"
                f" label 1, as in {example}"
            )
        elif target.positive is not None and (why := labels.not_of_type(target.positive, duckdb_type)):
            found["positive"] = why
        return found

    def label(self, target: Target, duckdb_type: str) -> str:
        """1 where the target is true or has the positive value, otherwise 0."""
        value = labels.value(target, duckdb_type)
        if target.positive is not None:
            value = f"{value} = cast({sql.literal(target.positive)} as {duckdb_type})"
        return f"cast({value} as {self.label_type})"

    def label_problem(self, rows: LabelledRows, purpose: Purpose) -> str | None:  # noqa: ARG002 - the same for each
        """Both labels must be there."""
        label = rows.label
        values, counts = np.unique(label, return_counts=True)
        if values.tolist() == [0, 1]:
            return None
        shown = ", ".join(f"{count} of label {value}" for value, count in zip(values, counts, strict=True))
        return f"{len(label)} rows: {shown or 'none'}; needed are rows of label 0 and of label 1"

    def strata(self, rows: LabelledRows) -> Strata:
        """Each side of a split needs both labels."""
        return Strata(rows.label.astype(np.int64), ("0", "1"))

    def learned(self, target: Target, rows: LabelledRows) -> LabelledRows:  # noqa: ARG002 - every kind's signature
        """The labels as they are."""
        return rows

    def prediction(self, target: Target, output: NDArray[np.float64], classes: tuple[str, ...]) -> Prediction:  # noqa: ARG002 - every kind's signature
        """The probability of label 1."""
        return Prediction(output)

    def baseline(self, training: LabelledRows, rows: int) -> Prediction:
        """The share of label 1 among the training rows, for every row."""
        return Prediction(np.full(rows, float(np.mean(training.label))))

    def evaluate(self, rows: LabelledRows, prediction: Prediction) -> dict[str, float]:
        """See :func:`pipeline_assets.ml.kinds.binary.metrics.scores`."""
        return metrics.scores(rows.label, prediction.output)

    def of_resamples(self, rows: LabelledRows, prediction: Prediction, metric: str) -> OfResamples:
        """Ranks the rows once, or computes the loss of each once."""
        if metric in ("roc_auc", "average_precision"):
            ranked = RankedOnce(rows.label, prediction.output)
            return ranked.roc_auc if metric == "roc_auc" else ranked.average_precision
        losses = metrics.losses(rows.label, prediction.output)
        return mean_of(losses[metric]) if metric in losses else by_evaluation(self, rows, prediction, metric)

    def differences(self, before: Prediction, after: Prediction) -> Differences:
        """Another predicted label, each version's by its own threshold; the move of the probability."""
        was, becomes = (each.output >= each.threshold for each in (before, after))
        way = np.where(becomes, "0 → 1", "1 → 0").astype(object)
        return Differences(was != becomes, way, after.output - before.output, "another predicted label")

    def details(self, rows: LabelledRows, prediction: Prediction) -> dict[str, float]:
        """Precision and recall, where they are defined: at 0.5, and at the version's threshold if it is another."""
        found = metrics.at_threshold(rows.label, prediction.output)
        values = {"precision_at_0.5": found.precision, "recall_at_0.5": found.recall}
        if prediction.threshold != HALF:
            own = metrics.at_threshold(rows.label, prediction.output, prediction.threshold)
            values.update({"precision_at_threshold": own.precision, "recall_at_threshold": own.recall})
        return {name: value for name, value in values.items() if value is not None}

    def label_facts(self, training: LabelledRows) -> dict[str, float]:
        """The share of label 1."""
        return {"training_label_mean": float(np.mean(training.label))}

    def notes(self, training: LabelledRows, validation: LabelledRows) -> list[str]:  # noqa: ARG002 - every kind's signature
        """None: both labels are on every side."""
        return []

    def columns(self, prediction: Prediction) -> list[pa.Array]:
        """Probability and predicted label."""
        probability = prediction.output
        return [pa.array(probability, pa.float64()), pa.array(probability >= prediction.threshold, pa.bool_())]

    def plots(self, rows: LabelledRows, prediction: Prediction, fit: Fit, title: str) -> dict[str, bytes]:
        """See :mod:`pipeline_assets.ml.kinds.binary.plots`."""
        from pipeline_assets.ml.kinds.binary.plots import plots  # matplotlib takes a second

        return plots(rows, prediction, fit, title)
