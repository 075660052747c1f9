"""One training: makes a model from labelled rows, evaluated on rows that neither fitted it nor stopped its fit."""

from dataclasses import dataclass
from functools import partial

import numpy as np

from pipeline_assets.errors import DataError, located
from pipeline_assets.ml.dataset import LabelledRows, TrainingFrame
from pipeline_assets.ml.kinds.base import Kind, Purpose, kind_of, predict
from pipeline_assets.ml.prediction import HALF, Prediction
from pipeline_assets.ml.search import Found, OnTrial, search
from pipeline_assets.ml.split import SIDES, STOPPING, TRAINING, VALIDATION, SplitRule, split_rule
from pipeline_assets.ml.threshold import Threshold, threshold_of
from pipeline_assets.ml.trainers.base import Fit, FittedModel, OnProgress, trainer
from pipeline_assets.ml.weights import class_factors, weighted
from pipeline_assets.task.spec import TaskSpec


@dataclass(frozen=True)
class Trained:
    """A fitted model and its evaluation.

    Attributes:
        fit: the evaluated model, its parameters, curves and importance. All numbers here are of this fit.
        model: the one to register: ``fit.model``, or a refit of it on all labelled rows.
        refitted: whether ``model`` is a refit.
        split: the rule that divided the rows.
        validation: the rows that evaluated ``fit``.
        prediction: of ``fit.model``, one entry per validation row.
        metrics: on the validation rows, every metric of the kind.
        baseline: the same metrics of a prediction that knows only the labels of the training rows.
        details: more numbers of the kind.
        training_rows: how many ``fit`` learned from.
        stopping_rows: how many stopped it.
        unlabelled: rows of the batch that were left out.
        label_facts: numbers of the kind that describe the labels of the training rows.
        notes: sentences of the kind that a reader of the metrics must know.
        found: of the search; ``None`` where the task has none. ``fit`` has its parameters.
        threshold: of the version; chosen, where the task has a goal, on the stopping rows.
    """

    fit: Fit
    model: FittedModel
    refitted: bool
    split: SplitRule
    validation: LabelledRows
    prediction: Prediction
    metrics: dict[str, float]
    baseline: dict[str, float]
    details: dict[str, float]
    training_rows: int
    stopping_rows: int
    unlabelled: int
    label_facts: dict[str, float]
    notes: list[str]
    threshold: Threshold
    found: Found | None = None

    @property
    def labelled_rows(self) -> int:
        """Number of rows of all three sides; a refit learns from all of them."""
        return self.training_rows + self.stopping_rows + len(self.validation)


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
    _check_labels(task, kind, rows, "labelled", "learn")
    with located({"task": task.name}):
        rule = split_rule(rows, task, kind.strata(rows), batch=batch, sha256=sha256)
    training, stopping, validation = _sides(task, kind, rows, rule)
    package = trainer(task.training.package)
    learned = partial(kind.learned, task.target)
    factors, every = class_factors(task, training), weighted(rows, class_factors(task, rows))
    fitting, ending = learned(weighted(training, factors)), learned(weighted(stopping, factors))

    def attempt(tried: TaskSpec) -> tuple[float, int]:
        made = package.fit(tried, fitting, ending)
        return evaluate(tried, made.model, stopping)[task.training.metric], made.best_iteration + 1

    how = task.training.search
    found = None if how is None else search(task, how, len(training), attempt, on_trial)
    task = task if found is None else found.task(task)
    fit = package.fit(task, fitting, ending, on_progress)
    threshold = threshold_of(task, [(fit.model, stopping)])
    prediction = predict(task, fit.model, validation.features, threshold.value)
    return Trained(
        fit=fit,
        model=package.refit(task, learned(every), fit) if task.training.refit else fit.model,
        refitted=task.training.refit,
        split=rule,
        validation=validation,
        prediction=prediction,
        metrics=kind.evaluate(validation, prediction),
        baseline=kind.evaluate(validation, kind.baseline(training, len(validation))),
        details=kind.details(validation, prediction),
        training_rows=len(training),
        stopping_rows=len(stopping),
        unlabelled=frame.unlabelled,
        label_facts=kind.label_facts(training),
        notes=kind.notes(training, validation),
        threshold=threshold,
        found=found,
    )


def validation_rows(task: TaskSpec, frame: TrainingFrame, rule: SplitRule) -> LabelledRows:
    """The validation rows of a version, found in its batch by its rule."""
    rows = frame.rows
    return rows.take(np.flatnonzero(rule.side_of(rows, kind_of(task).strata(rows)) == VALIDATION))


def evaluate(task: TaskSpec, model: FittedModel, rows: LabelledRows, threshold: float = HALF) -> dict[str, float]:
    """The metrics of any model on any rows.

    Args:
        threshold: of the model's version.

    Raises:
        DataError: the rows cannot evaluate a model.
    """
    return kind_of(task).evaluate(rows, predict(task, model, rows.features, threshold))


def _sides(task: TaskSpec, kind: Kind, rows: LabelledRows, rule: SplitRule) -> list[LabelledRows]:
    side = rule.side_of(rows, kind.strata(rows))
    sides = [rows.take(np.flatnonzero(side == which)) for which in (TRAINING, STOPPING, VALIDATION)]
    purposes: tuple[Purpose, ...] = ("learn", "stop", "evaluate")
    for name, part, purpose in zip(SIDES, sides, purposes, strict=True):
        # The rows of validation evaluate whatever they weigh.
        _check_labels(task, kind, part if purpose == "evaluate" else part.counting, name, purpose)
    return sides


def _check_labels(task: TaskSpec, kind: Kind, rows: LabelledRows, which: str, purpose: Purpose) -> None:
    problem = kind.label_problem(rows, purpose)
    if problem:
        raise DataError(
            f"the {which} rows do not have the labels that the kind {kind.name} needs",
            task=task.name,
            found=problem,
            do="take a larger batch, or another split or target",
        )
