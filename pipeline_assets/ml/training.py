"""One training: makes a model from labelled rows, evaluated on rows that neither fitted it nor stopped its fit."""

from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from pipeline_assets.errors import DataError, located
from pipeline_assets.ml.dataset import LabelledRows, TrainingFrame
from pipeline_assets.ml.judging import Evaluated, attempt, check_labels, fitting_sides, judge, judged
from pipeline_assets.ml.kinds.base import kind_of
from pipeline_assets.ml.prediction import HALF, Prediction
from pipeline_assets.ml.search import Found, OnTrial, search
from pipeline_assets.ml.split import VALIDATION, SplitRule, split_rule
from pipeline_assets.ml.threshold import Threshold, threshold_of
from pipeline_assets.ml.trainers.base import Fit, FittedModel, OnProgress, trainer
from pipeline_assets.ml.weights import class_factors, weighted
from pipeline_assets.task.spec import TaskSpec


@dataclass(frozen=True)
class Trained:
    """A fitted model and its evaluation.

    Attributes:
        fit: the evaluated model, its parameters, curves and importance; of several folds the fit whose number of
            iterations is the median.
        evaluated: what the metrics are of: ``fit.model``, or the models of the folds.
        model: the one to register: ``fit.model``, or a refit of it on all labelled rows.
        refitted: whether ``model`` is a refit.
        split: the rule that divided the rows.
        validation: the rows that evaluated; with folds, every labelled row.
        prediction: of ``evaluated``, one entry per validation row.
        metrics: on the validation rows, every metric of the kind.
        baseline: the same metrics of a prediction that knows only the labels of the training rows.
        constant: that prediction for one row.
        details: more numbers of the kind.
        training_rows: how many ``fit`` learned from.
        stopping_rows: how many stopped it.
        labelled_rows: number of all rows with a label; a refit learns from all of them.
        unlabelled: rows of the batch that were left out.
        label_facts: numbers of the kind that describe the labels of the training rows.
        notes: sentences of the kind that a reader of the metrics must know.
        found: of the search; ``None`` where the task has none. ``fit`` has its parameters.
        threshold: of the version; chosen, where the task has a goal, on the stopping rows.
    """

    fit: Fit
    evaluated: Evaluated
    model: FittedModel
    refitted: bool
    split: SplitRule
    validation: LabelledRows
    prediction: Prediction
    metrics: dict[str, float]
    baseline: dict[str, float]
    constant: Prediction
    details: dict[str, float]
    training_rows: int
    stopping_rows: int
    labelled_rows: int
    unlabelled: int
    label_facts: dict[str, float]
    notes: list[str]
    threshold: Threshold
    found: Found | None = None


def train(
    task: TaskSpec,
    frame: TrainingFrame,
    on_progress: OnProgress | None = None,
    *,
    on_trial: OnTrial | None = None,
    batch: str = "",
    sha256: str = "",
) -> Trained:
    """Splits, fits, evaluates and, where the task says so, searches parameters before and refits on all rows after.

    Args:
        task: its ``training`` says how.
        frame: the batch.
        on_progress: as in :meth:`pipeline_assets.ml.trainers.base.Trainer.fit`.
        on_trial: called after each trial of the search.
        batch: its name, which the split's rule keeps.
        sha256: of its file, which the rule keeps too.

    Raises:
        DataError: there are no labelled rows, only one label, or a side of the split lacks rows or a label.
        TaskError: the package refuses a parameter.
    """
    rows, kind = frame.rows, kind_of(task)
    if len(rows) == 0:
        raise DataError(
            "no labelled rows to train on",
            task=task.name,
            found=f"{frame.unlabelled} rows, all without a label",
            expected=f"rows where {task.target.expression} is not null",
        )
    check_labels(task, rows, "labelled", "learn")
    with located({"task": task.name}):
        rule = split_rule(rows, task, kind.strata(rows), batch=batch, sha256=sha256)
    sides = fitting_sides(task, rows, rule)
    how = task.training.search
    found = None
    if how is not None:
        found = search(task, how, len(sides[0][0]), partial(attempt, sides=sides), on_trial)
        task = found.task(task)
    by = judge(task, rows, rule, sides, on_progress)
    threshold = threshold_of(task, by.stopped)
    prediction = replace(by.prediction, threshold=threshold.value)
    trained = Trained(
        fit=by.fit,
        evaluated=by.evaluated,
        model=by.fit.model,
        refitted=task.training.refit,
        split=rule,
        validation=by.validation,
        prediction=prediction,
        metrics=kind.evaluate(by.validation, prediction),
        baseline=kind.evaluate(by.validation, by.baseline),
        constant=kind.baseline(by.training, 1),
        details=kind.details(by.validation, prediction),
        training_rows=len(by.training),
        stopping_rows=by.stopping_rows,
        labelled_rows=len(rows),
        unlabelled=frame.unlabelled,
        label_facts=kind.label_facts(by.training),
        notes=kind.notes(by.training, by.validation),
        threshold=threshold,
        found=found,
    )
    # A refit takes the most memory: the copies of rows that the first fit learned from go before it.
    del by, sides
    return replace(trained, model=_refit(task, rows, trained.fit)) if task.training.refit else trained


def _refit(task: TaskSpec, rows: LabelledRows, fit: Fit) -> FittedModel:
    every = kind_of(task).learned(task.target, weighted(rows, class_factors(task, rows)))
    return trainer(task.training.package).refit(task, every, fit)


def validation_rows(task: TaskSpec, frame: TrainingFrame, rule: SplitRule) -> LabelledRows:
    """The validation rows of a version, found in its batch by its rule."""
    rows = frame.rows
    return rows.take(np.flatnonzero(rule.side_of(rows, kind_of(task).strata(rows)) == VALIDATION))


def evaluate(task: TaskSpec, model: Evaluated, rows: LabelledRows, threshold: float = HALF) -> dict[str, float]:
    """The metrics of a version's evaluated models on any rows.

    Args:
        threshold: of the model's version.

    Raises:
        DataError: the rows cannot evaluate a model.
    """
    return kind_of(task).evaluate(rows, judged(task, model, rows, threshold))
