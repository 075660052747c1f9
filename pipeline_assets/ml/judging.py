"""Fits models and judges them by rows that they have not learned from: rows held out, or in turn those of each fold."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from pipeline_assets.errors import DataError
from pipeline_assets.ml.dataset import LabelledRows
from pipeline_assets.ml.kinds.base import Purpose, kind_of, predict
from pipeline_assets.ml.prediction import HALF, Prediction
from pipeline_assets.ml.split import SIDES, STOPPING, TRAINING, VALIDATION, SplitRule, stopping_rows
from pipeline_assets.ml.trainers.base import Fit, FittedModel, OnProgress, trainer
from pipeline_assets.ml.weights import class_factors, weighted
from pipeline_assets.task.spec import TaskSpec

Places = NDArray[np.int64]


@dataclass(frozen=True)
class FoldModels:
    """The evaluated models of a version that was judged by folds: one per fold, in their order.

    Attributes:
        models: the one at place ``n`` has learned from the rows of every fold but ``n``.
        split: the rule that says the fold of a row.
    """

    models: tuple[FittedModel, ...]
    split: SplitRule


# What the metrics of a version are of.
Evaluated = FittedModel | FoldModels


@dataclass(frozen=True)
class Judgement:
    """The fits of a training, and what they say of rows that they have not learned from.

    Attributes:
        fit: the one whose numbers are shown, and whose number of iterations a refit takes: of several folds the one
            with the median number.
        evaluated: the models that ``prediction`` is of.
        validation: the rows that they judge.
        prediction: one entry per validation row; its threshold is not the version's yet.
        baseline: the same of models that know only the labels of their training rows.
        training: the rows that ``fit`` learned from.
        stopping_rows: how many rows stopped it.
        stopped: every fitted model with the rows that stopped its fit.
    """

    fit: Fit
    evaluated: Evaluated
    validation: LabelledRows
    prediction: Prediction
    baseline: Prediction
    training: LabelledRows
    stopping_rows: int
    stopped: tuple[tuple[FittedModel, LabelledRows], ...]


# For each fit the rows to learn from and those that stop it.
Sides = Sequence[tuple[LabelledRows, LabelledRows]]


def fitting_sides(task: TaskSpec, rows: LabelledRows, rule: SplitRule) -> Sides:
    """The rows of every fit: one fit where rows are held out, one per fold otherwise.

    Args:
        task: its kind says which labels a fit needs.
        rows: every labelled row of the batch.
        rule: that divides them.

    Raises:
        DataError: a side of the split lacks rows or a label.
    """
    strata = kind_of(task).strata(rows)
    if rule.by == "folds":
        fold = rule.fold_of(rows, strata)
        stopping = stopping_rows(rows, strata, fold, rule)
        masks = [(~stops & (fold != number), stops) for number, stops in enumerate(stopping)]
    else:
        side = rule.side_of(rows, strata)
        masks = [(side == TRAINING, side == STOPPING)]
    found = [(rows.take(np.flatnonzero(learn)), rows.take(np.flatnonzero(stop))) for learn, stop in masks]
    for training, stopped in found:
        check_labels(task, training, SIDES[TRAINING], "learn")
        check_labels(task, stopped, SIDES[STOPPING], "stop")
    return found


def attempt(task: TaskSpec, sides: Sides) -> tuple[float, int]:
    """The task's metric on the stopping rows, the mean of all fits, and the median of their numbers of iterations."""
    fits = [_fit(task, *each) for each in sides]
    kind, metric = kind_of(task), task.training.metric
    values = [
        kind.evaluate(stopping, predict(task, fit.model, stopping.features))[metric]
        for fit, (_, stopping) in zip(fits, sides, strict=True)
    ]
    return float(np.mean(values)), fits[_median(fits)].best_iteration + 1


def judge(
    task: TaskSpec, rows: LabelledRows, rule: SplitRule, sides: Sides, on_progress: OnProgress | None = None
) -> Judgement:
    """Fits as many models as the rule needs, and lets them predict the rows that they have not learned from.

    Args:
        task: its ``training`` says how.
        rows: every labelled row of the batch.
        rule: that divides them.
        sides: of :func:`fitting_sides`.
        on_progress: as in :meth:`pipeline_assets.ml.trainers.base.Trainer.fit`, for one fit after the other.

    Raises:
        DataError: the rows to judge lack a label, or the package cannot learn from its rows.
        TaskError: the package refuses a parameter.
    """
    kind = kind_of(task)
    strata = kind.strata(rows)
    validation = rows.take(np.flatnonzero(rule.side_of(rows, strata) == VALIDATION))
    check_labels(task, validation, SIDES[VALIDATION], "evaluate")
    fits = [_fit(task, *each, on_progress) for each in sides]
    shown = _median(fits)
    folds = rule.fold_of(rows, strata) if rule.by == "folds" else np.zeros(len(validation), dtype=np.int64)
    places = [np.flatnonzero(folds == number) for number in range(len(fits))]
    predicted, baseline = [], []
    for fit, (training, _), own in zip(fits, sides, places, strict=True):
        if len(own):
            predicted.append((own, predict(task, fit.model, validation.features.iloc[own])))
            baseline.append((own, kind.baseline(training, len(own))))
    models = tuple(fit.model for fit in fits)
    return Judgement(
        fit=fits[shown],
        evaluated=FoldModels(models, rule) if rule.by == "folds" else models[0],
        validation=validation,
        prediction=_joined(len(validation), predicted),
        baseline=_joined(len(validation), baseline),
        training=sides[shown][0],
        stopping_rows=len(sides[shown][1]),
        stopped=tuple((model, stopping) for model, (_, stopping) in zip(models, sides, strict=True)),
    )


def _median(fits: Sequence[Fit]) -> int:
    """The place of the fit whose number of iterations is the median, the lower one of two."""
    ordered = sorted(range(len(fits)), key=lambda at: (fits[at].best_iteration, at))
    return ordered[(len(fits) - 1) // 2]


def judged(task: TaskSpec, model: Evaluated, rows: LabelledRows, threshold: float = HALF) -> Prediction:
    """What a version's evaluated models say of rows; with folds, each row is predicted by the model of its own fold.

    Args:
        threshold: of the version.
    """
    if not isinstance(model, FoldModels):
        return predict(task, model, rows.features, threshold)
    fold = model.split.fold_of(rows, kind_of(task).strata(rows))
    parts = [
        (places, predict(task, each, rows.features.iloc[places], threshold))
        for number, each in enumerate(model.models)
        if len(places := np.flatnonzero(fold == number))
    ]
    return _joined(len(rows), parts)


def check_labels(task: TaskSpec, rows: LabelledRows, which: str, purpose: Purpose) -> None:
    """Refuses rows whose labels are not enough for a purpose.

    Raises:
        DataError: says what is missing.
    """
    kind = kind_of(task)
    # Rows of no weight are not learned from; those of validation evaluate whatever they weigh.
    problem = kind.label_problem(rows if purpose == "evaluate" else rows.counting, purpose)
    if problem:
        raise DataError(
            f"the {which} rows do not have the labels that the kind {kind.name} needs",
            task=task.name,
            found=problem,
            do="take a larger batch, or another split or target",
        )


def _fit(task: TaskSpec, training: LabelledRows, stopping: LabelledRows, on_progress: OnProgress | None = None) -> Fit:
    learned, factors = partial(kind_of(task).learned, task.target), class_factors(task, training)
    sides = learned(weighted(training, factors)), learned(weighted(stopping, factors))
    return trainer(task.training.package).fit(task, *sides, on_progress)


def _joined(count: int, parts: Sequence[tuple[Places, Prediction]]) -> Prediction:
    """One prediction of predictions for rows at given places; a class that a model does not know is impossible."""
    classes = tuple(sorted({name for _, each in parts for name in each.classes}))
    shape = (count, len(classes)) if classes else (count,)
    output = np.zeros(shape)
    for places, each in parts:
        if classes:
            columns = np.array([classes.index(name) for name in each.classes], dtype=np.int64)
            output[np.ix_(places, columns)] = each.output
        else:
            output[places] = each.output
    return Prediction(output, classes, parts[0][1].threshold if parts else HALF)
