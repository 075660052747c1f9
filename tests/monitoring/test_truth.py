"""Stored predictions of each kind, evaluated by the kind itself."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from sklearn import metrics

from pipeline_assets.errors import DataError
from pipeline_assets.monitoring.truth import evaluation, form_of
from tests.examples import shop
from tests.mart_page.kinds_of_orders import tasks

KINDS = tasks()


def test_a_kind_of_a_third_party_has_the_form_of_the_columns_it_has() -> None:
    assert {name: form_of(task) for name, task in KINDS.items()} == {
        "fates": "multiclass",
        "refunds": "regression",
        "churn": "binary",
    }
    assert form_of(shop()) == "binary"


def test_probabilities_are_evaluated_with_every_metric_of_the_kind_and_its_direction() -> None:
    labels, probability = [0, 1, 1, 0], [0.2, 0.7, 0.4, 0.1]
    found = evaluation(shop(), labels, {"probability": probability})
    assert found.metrics["log_loss"] == pytest.approx(metrics.log_loss(labels, probability))
    assert found.metrics["roc_auc"] == pytest.approx(metrics.roc_auc_score(labels, probability))
    assert (found.greater_is_better["roc_auc"], found.greater_is_better["log_loss"]) == (True, False)
    assert list(evaluation(KINDS["churn"], labels, {"probability": probability}).metrics) == ["accuracy", "log_loss"]


def test_classes_are_evaluated_by_name_also_those_that_the_model_does_not_know() -> None:
    stored = [{"a": 0.7, "b": 0.3}, {"a": 0.4, "b": 0.6}, {"a": 0.8, "b": 0.2}]
    scores: dict[str, Sequence[Any]] = {
        "predicted_label": ["a", "b", "a"],
        "probability": [0.7, 0.6, 0.8],
        "probabilities": stored,
    }
    found = evaluation(KINDS["fates"], ["a", "b", "new"], scores).metrics
    assert found["accuracy"] == pytest.approx(2 / 3)
    known = evaluation(KINDS["fates"], ["a", "b", "b"], scores).metrics
    assert known["log_loss"] == pytest.approx(-np.mean(np.log([0.7, 0.6, 0.2])))


def test_numbers_are_evaluated_in_the_targets_own_unit() -> None:
    labels, prediction = [1.0, 20.0, 300.0], [2.0, 10.0, 310.0]
    found = evaluation(KINDS["refunds"], labels, {"prediction": prediction}).metrics
    assert found["rmse"] == pytest.approx(metrics.root_mean_squared_error(labels, prediction))
    assert found["r2"] == pytest.approx(metrics.r2_score(labels, prediction))


def test_rows_of_the_tasks_former_kind_are_told_from_its_own() -> None:
    with pytest.raises(DataError, match="not those of the task's kind"):
        evaluation(KINDS["refunds"], ["kept", "lost"], {"prediction": [1.0, 2.0]})
    with pytest.raises(DataError, match="cannot be compared") as other:
        evaluation(KINDS["refunds"], [1.0, 2.0], {"probability": [0.5, 0.5]})
    assert other.value.facts["found"] == "probability"


def test_what_cannot_be_evaluated_is_told() -> None:
    with pytest.raises(DataError):
        evaluation(shop(), [1, 1], {"probability": [0.2, 0.7]})
