"""Class weights: the same for every kind with classes, and for every trainer."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from pipeline_assets.errors import DataError
from pipeline_assets.ml.dataset import LabelledRows
from pipeline_assets.ml.trainers.base import trainer
from pipeline_assets.ml.training import train
from pipeline_assets.ml.weights import Factors, class_factors, weighted
from pipeline_assets.task.spec import TaskSpec
from tests import trainable


def task_of(kind: str, class_weights: Any, **target: Any) -> TaskSpec:
    more: dict[str, Any] = {"target": target} if target else {}
    return trainable.task(kind=kind, training=trainable.training(class_weights=class_weights), **more)


def factors(task: TaskSpec, rows: LabelledRows) -> Factors:
    found = class_factors(task, rows)
    assert found is not None
    return found


def totals(rows: LabelledRows) -> list[float]:
    weight = np.ones(len(rows)) if rows.weight is None else rows.weight
    return [float(each) for each in np.bincount(rows.label, weights=weight, minlength=len(rows.classes) or 2)]


@pytest.mark.parametrize("kind", ["binary", "multiclass"])
def test_balanced_labels_weigh_the_same_in_all_and_as_much_as_before(kind: str) -> None:
    task, rows = task_of(kind, "balanced"), trainable.frame(kind=kind).rows
    found = weighted(rows, factors(task, rows))
    assert len({round(each, 6) for each in totals(found)}) == 1
    assert sum(totals(found)) == pytest.approx(len(rows))
    heavy = replace(rows, weight=np.linspace(0, 5, len(rows)))
    found = weighted(heavy, factors(task, heavy))
    assert len({round(each, 6) for each in totals(found)}) == 1
    assert sum(totals(found)) == pytest.approx(sum(totals(heavy)))


def test_a_class_that_the_rows_do_not_have_breaks_nothing() -> None:
    rows = trainable.frame(kind="multiclass").rows
    task, some = task_of("multiclass", "balanced"), rows.take(np.flatnonzero(rows.label > 0))
    assert factors(task, some)[0] == 1.0
    assert np.isfinite(factors(task, some)).all()


def test_weights_by_label_multiply_those_of_the_rows() -> None:
    rows = trainable.frame(kind="multiclass").rows
    task = task_of("multiclass", {"late": 3, "рано": 0.5})
    found = weighted(replace(rows, weight=np.full(len(rows), 2.0)), factors(task, rows)).weight
    factor = {"late": 6.0, "on time": 2.0, "рано": 1.0}
    assert found is not None
    assert found.tolist() == [factor[rows.classes[label]] for label in rows.label]


@pytest.mark.parametrize(
    ("class_weights", "positive"),
    [({"positive": 4}, None), ({True: 4, False: 1}, None), ({1: 4}, None), ({"late": 4, "negative": 1}, "late")],
)
def test_the_labels_of_a_binary_target_have_several_names(class_weights: Any, positive: str | None) -> None:
    words = {"expression": "case when delay > 15 then 'late' end", "positive": positive}
    task = task_of("binary", class_weights, **({} if positive is None else words))
    assert factors(task, trainable.frame().rows).tolist() == [1.0, 4.0]


def test_fit_and_refit_learn_from_weighted_labels_and_metrics_do_not_know() -> None:
    task, frame = task_of("binary", {"positive": 5}), trainable.frame()
    made, plain = train(task, frame), trainable.trained()
    by_hand = trainer("catboost").refit(task, weighted(frame.rows, class_factors(task, frame.rows)), made.fit)
    features = frame.rows.features
    np.testing.assert_array_equal(made.model.predict(features), by_hand.predict(features))
    assert made.prediction.output.mean() > plain.prediction.output.mean() + 0.05
    assert made.baseline == plain.baseline


def test_a_label_that_the_batch_does_not_have_is_named() -> None:
    rows = trainable.frame(kind="multiclass").rows
    with pytest.raises(DataError, match="weighs a label that the batch does not have") as refused:
        class_factors(task_of("multiclass", {"lately": 2}), rows)
    assert refused.value.facts["expected"] == "one of late, on time, рано"


@pytest.mark.parametrize(
    ("kind", "training", "message"),
    [
        ("binary", {"class_weights": {"yes": 2}}, "no such label; the labels of a binary target"),
        ("binary", {"class_weights": {"positive": 2, 1: 2}}, "label 1 a second time"),
        ("binary", {"class_weights": {"positive": -1}}, "greater than or equal to 0"),
        ("regression", {"class_weights": "balanced"}, "the kind regression has no classes to weigh"),
        ("regression", {"threshold": 0.3}, "the task's kind is regression"),
        ("multiclass", {"threshold": {"goal": "f1"}}, "the task's kind is multiclass"),
    ],
)
def test_a_task_whose_kind_has_no_use_for_it_is_refused(kind: str, training: Any, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        trainable.task(kind=kind, training=trainable.training(**training))
