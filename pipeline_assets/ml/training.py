"""One training: labelled rows in; a model out, judged on rows it has not seen."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline_assets.errors import DataError, located
from pipeline_assets.ml import metrics
from pipeline_assets.ml.dataset import LabelledRows, TrainingFrame
from pipeline_assets.ml.metrics import AtThreshold
from pipeline_assets.ml.split import split
from pipeline_assets.ml.trainers.base import Fit, FittedModel, OnProgress, trainer
from pipeline_assets.task.spec import Metric, TaskSpec


@dataclass(frozen=True)
class Trained:
    """A fitted model and how it does.

    Attributes:
        fit: the model, its parameters, curves and importance.
        validation: the rows that judged it; a champion is scored on these as well.
        probability: the model's, a value a validation row.
        metrics: on the validation rows.
        guess: of the constant guess, the mean label of the training rows, on the validation rows.
        decision: at probability 0.5, on the validation rows.
        training_rows: learned from.
        unlabelled: rows of the batch left out.
        share: mean label of the training rows.
        boundary: first value that judges, where the split is by time.
    """

    fit: Fit
    validation: LabelledRows
    probability: NDArray[np.float64]
    metrics: dict[Metric, float]
    baseline: dict[Metric, float]
    decision: AtThreshold
    training_rows: int
    unlabelled: int
    share: float
    boundary: str | None


def train(task: TaskSpec, frame: TrainingFrame, on_progress: OnProgress | None = None) -> Trained:
    """Splits, fits and judges.

    Args:
        task: whose ``training`` says how.
        frame: the batch.
        on_progress: as :meth:`pipeline_assets.ml.trainers.base.Trainer.fit` has it.

    Raises:
        DataError: there are no labelled rows, one label only, or a side of the split lacks rows or a label.
        TaskError: the package refuses a parameter.
    """
    rows = frame.rows
    if len(rows) == 0:
        raise DataError(
            "no labelled rows to train on",
            task=task.name,
            found=f"{frame.unlabelled} rows, all without a label",
            expected=f"rows where {task.target.expression} is not null",
        )
    _check_labels(task, rows, "the labelled rows")
    with located({"task": task.name}):
        parts = split(rows, task.training.validation, task.training.seed)
    training, validation = rows.take(parts.training), rows.take(parts.validation)
    _check_labels(task, training, "the training rows")
    _check_labels(task, validation, "the validation rows")
    fit = trainer(task.training.package).fit(task, training, validation, on_progress)
    probability = fit.model.probability(validation.features)
    share = float(np.mean(training.label))
    return Trained(
        fit=fit,
        validation=validation,
        probability=probability,
        metrics=metrics.scores(validation.label, probability),
        baseline=metrics.constant_baseline(validation.label, share),
        decision=metrics.at_threshold(validation.label, probability),
        training_rows=len(training),
        unlabelled=frame.unlabelled,
        share=share,
        boundary=parts.boundary,
    )


def evaluate(model: FittedModel, rows: LabelledRows) -> dict[Metric, float]:
    """The scores of any model, such as the champion, on the rows that judged another."""
    return metrics.scores(rows.label, model.probability(rows.features))


def _check_labels(task: TaskSpec, rows: LabelledRows, which: str) -> None:
    values, counts = np.unique(rows.label, return_counts=True)
    if values.tolist() != [0, 1]:
        shown = ", ".join(f"{count} of label {value}" for value, count in zip(values, counts, strict=True))
        raise DataError(
            f"{which} do not have the labels 0 and 1",
            task=task.name,
            found=f"{len(rows)} rows: {shown}",
            expected="both labels, to train and to validate",
            do="take a larger batch, or another split or target",
        )
