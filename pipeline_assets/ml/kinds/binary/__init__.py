"""The kind with labels 0 and 1: scores are a probability and a predicted label (1 from a threshold on)."""

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline_assets.ml.dataset import LabelledRows
from pipeline_assets.ml.kinds.binary import metrics
from pipeline_assets.ml.prediction import HALF, Prediction
from pipeline_assets.ml.trainers.base import Fit
from pipeline_assets.task.spec import Target


class Binary:
    """A target that is true or false; see :class:`pipeline_assets.ml.kinds.base.Kind`."""

    name: str = "binary"
    objective: str = "binary"
    label_type: str = "TINYINT"
    score_types: Mapping[str, str] = {"probability": "DOUBLE", "predicted_label": "BOOLEAN"}
    score_descriptions: Mapping[str, str] = {
        "probability": "What the model says: the probability that the label is 1",
        "predicted_label": "Whether the probability is at least the version's threshold, 0.5 by default",
    }
    metrics: Mapping[str, bool] = metrics.GREATER_IS_BETTER

    def target_problem(self, duckdb_type: str) -> str | None:
        """The target must be true or false."""
        return None if duckdb_type == "BOOLEAN" else f"gives {duckdb_type}; it must be true or false, as in delay > 15"

    def label_problem(self, rows: LabelledRows) -> str | None:
        """Both labels must be there."""
        label = rows.label
        values, counts = np.unique(label, return_counts=True)
        if values.tolist() == [0, 1]:
            return None
        shown = ", ".join(f"{count} of label {value}" for value, count in zip(values, counts, strict=True))
        return f"{len(label)} rows: {shown or 'none'}; needed are rows of label 0 and of label 1"

    def strata(self, rows: LabelledRows) -> NDArray[np.int64]:
        """Each side of a split needs both labels."""
        return np.asarray(rows.label.astype(np.int64))

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

    def details(self, rows: LabelledRows, prediction: Prediction) -> dict[str, float]:
        """Precision and recall, where they are defined: at 0.5, and at the version's threshold if it is another."""
        found = metrics.at_threshold(rows.label, prediction.output)
        values = {"precision_at_0.5": found.precision, "recall_at_0.5": found.recall}
        if prediction.threshold != HALF:
            own = metrics.at_threshold(rows.label, prediction.output, prediction.threshold)
            values.update({"precision_at_threshold": own.precision, "recall_at_threshold": own.recall})
        return {name: value for name, value in values.items() if value is not None}

    def columns(self, prediction: Prediction) -> list[pa.Array]:
        """Probability and predicted label."""
        probability = prediction.output
        return [pa.array(probability, pa.float64()), pa.array(probability >= prediction.threshold, pa.bool_())]

    def plots(self, rows: LabelledRows, prediction: Prediction, fit: Fit, title: str) -> dict[str, bytes]:
        """See :mod:`pipeline_assets.ml.kinds.binary.plots`."""
        from pipeline_assets.ml.kinds.binary.plots import plots  # matplotlib takes a second

        return plots(rows.label, prediction.output, fit, title)
