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


def judge(task: TaskSpec, rows: LabelledRows, rule: SplitRule, on_progress: OnProgress | None = None) -> Judgement:
    """Fits as many models as the rule needs, and lets them predict the rows that they have not learned from.

    Args:
        task: its ``training`` says how.
        rows: every labelled row of the batch.
        rule: that divides them.
        on_progress: as in :meth:`pipeline_assets.ml.trainers.base.Trainer.fit`, for one fit after the other.

    Raises:
        DataError: a side of the split lacks rows or a label.
        TaskError: the package refuses a parameter.
    """
    return _by_folds(task, rows, rule, on_progress) if rule.by == "folds" else _held_out(task, rows, rule, on_progress)


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


def _held_out(task: TaskSpec, rows: LabelledRows, rule: SplitRule, on_progress: OnProgress | None) -> Judgement:
    kind = kind_of(task)
    side = rule.side_of(rows, kind.strata(rows))
    training, stopping, validation = (rows.take(np.flatnonzero(side == w)) for w in (TRAINING, STOPPING, VALIDATION))
    check_labels(task, validation, SIDES[VALIDATION], "evaluate")
    fit = _fit(task, training, stopping, on_progress)
    return Judgement(
        fit=fit,
        evaluated=fit.model,
        validation=validation,
        prediction=predict(task, fit.model, validation.features),
        baseline=kind.baseline(training, len(validation)),
        training=training,
        stopping_rows=len(stopping),
        stopped=((fit.model, stopping),),
    )


def _by_folds(task: TaskSpec, rows: LabelledRows, rule: SplitRule, on_progress: OnProgress | None) -> Judgement:
    kind = kind_of(task)
    strata = kind.strata(rows)
    fold = rule.fold_of(rows, strata)
    stopping = stopping_rows(rows, strata, fold, rule)
    fits: list[tuple[Fit, LabelledRows, LabelledRows]] = []
    predicted: list[tuple[Places, Prediction]] = []
    baseline: list[tuple[Places, Prediction]] = []
    for number in range(rule.folds):
        places = np.flatnonzero(fold == number)
        sides = [rows.take(np.flatnonzero((fold != number) & (stopping[number] == stops))) for stops in (False, True)]
        fit = _fit(task, sides[0], sides[1], on_progress)
        fits.append((fit, sides[0], sides[1]))
        if len(places):
            predicted.append((places, predict(task, fit.model, rows.features.iloc[places])))
            baseline.append((places, kind.baseline(sides[0], len(places))))
    check_labels(task, rows, "labelled", "evaluate")
    ordered = sorted(range(len(fits)), key=lambda at: (fits[at][0].best_iteration, at))
    median, training, stopped = fits[ordered[(len(fits) - 1) // 2]]
    return Judgement(
        fit=median,
        evaluated=FoldModels(tuple(fit.model for fit, _, _ in fits), rule),
        validation=rows,
        prediction=_joined(len(rows), predicted),
        baseline=_joined(len(rows), baseline),
        training=training,
        stopping_rows=len(stopped),
        stopped=tuple((fit.model, rest) for fit, _, rest in fits),
    )


def _fit(task: TaskSpec, training: LabelledRows, stopping: LabelledRows, on_progress: OnProgress | None) -> Fit:
    check_labels(task, training, SIDES[TRAINING], "learn")
    check_labels(task, stopping, SIDES[STOPPING], "stop")
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
