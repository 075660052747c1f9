"""A threshold fixed, or chosen on the rows that stopped the fit."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics

from pipeline_assets.ml.prediction import Prediction
from pipeline_assets.ml.threshold import chosen, decisions
from pipeline_assets.ml.training import Trained, train
from pipeline_assets.task.training_spec import ThresholdGoal
from tests import trainable

# By falling probability: precision 1, 1, 2/3, 3/4, 3/5, recall 1/3, 2/3, 2/3, 1, 1.
LABEL = np.array([0, 1, 0, 1, 1], np.int8)
PROBABILITY = np.array([0.1, 0.3, 0.5, 0.7, 0.9])
GAIN = {"true_positive": 10, "false_positive": -1}


def goal(**given_goal: Any) -> ThresholdGoal:
    return ThresholdGoal.model_validate(given_goal)


@pytest.mark.parametrize(
    ("wanted", "value", "says"),
    [
        ({"goal": "f1"}, 0.2, "the best F1: there precision 0.7500, recall 1.0000, F1 0.8571"),
        ({"precision": 0.9}, 0.6, "highest recall with precision at least 0.9: there precision 1.0000, recall 0.6667"),
        ({"precision": 0.7}, 0.2, "highest recall with precision at least 0.7: there precision 0.7500"),
        ({"recall": 0.5}, 0.6, "the highest precision with recall at least 0.5: there precision 1.0000, recall 0.6667"),
        ({"recall": 1}, 0.2, "the highest precision with recall at least 1: there precision 0.7500, recall 1.0000"),
        ({"gain": GAIN}, 0.2, "the largest gain: there gain 29, precision 0.7500"),
        ({"gain": {"false_positive": -5, "false_negative": -1}}, 0.6, "the largest gain: there gain -1, precision 1"),
        ({"gain": {"true_positive": -1}}, 0.95, "the largest gain: there gain 0, precision 0.0000, recall 0.0000"),
        ({"gain": {"true_negative": -1}}, 0.05, "the largest gain: there gain 0, precision 0.6000, recall 1.0000"),
    ],
)
def test_a_goal_is_reached_as_well_as_can_be(wanted: dict[str, Any], value: float, says: str) -> None:
    found = chosen(goal(**wanted), LABEL, PROBABILITY)
    assert found.value == pytest.approx(value)
    assert found.reached
    assert found.sentence.startswith("chosen on 5 stopping rows for ")
    assert says in found.sentence


def test_a_precision_that_nothing_has_gets_the_highest_and_says_so() -> None:
    found = chosen(goal(precision=0.9), LABEL, 1 - PROBABILITY)
    assert not found.reached
    assert found.value == pytest.approx(0.05)
    assert found.sentence == (
        "no threshold reaches precision 0.9 on the 5 stopping rows; this one has the highest precision:"
        " there precision 0.6000, recall 1.0000, F1 0.7500"
    )


rows = st.lists(st.tuples(st.integers(0, 1), st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0])), min_size=1, max_size=12)


@given(rows)
def test_every_way_to_decide_counts_as_its_threshold_decides(drawn: list[tuple[int, float]]) -> None:
    label = np.array([each[0] for each in drawn], np.int8)
    probability = np.array([each[1] for each in drawn])
    ways = decisions(label, probability)
    assert ((ways.threshold >= 0) & (ways.threshold <= 1)).all()
    for at, threshold in enumerate(ways.threshold):
        decided = probability >= threshold
        assert (ways.positive[at], ways.hits[at]) == (decided.sum(), (decided & (label == 1)).sum())
        assert ways.f1[at] == pytest.approx(metrics.f1_score(label, decided, zero_division=0))
    # No threshold at all does better than the best of these.
    best = max(metrics.f1_score(label, probability >= value, zero_division=0) for value in (0, 0.1, 0.3, 0.6, 0.9, 1))
    assert ways.f1.max() == pytest.approx(best)


def made(threshold: Any) -> Trained:
    return train(trainable.task(training=trainable.training(threshold=threshold)), trainable.frame())


def test_a_fixed_threshold_is_the_versions() -> None:
    found = made(0.3)
    assert (found.threshold.value, found.threshold.sentence) == (0.3, "as the task says")
    assert found.prediction.threshold == 0.3
    assert found.metrics == trainable.trained().metrics
    assert found.details["recall_at_threshold"] > found.details["recall_at_0.5"]


def test_without_one_it_is_a_half_and_nothing_is_said() -> None:
    found = trainable.trained()
    assert (found.threshold.value, found.threshold.sentence) == (0.5, "")
    assert set(found.details) == {"precision_at_0.5", "recall_at_0.5"}


def test_the_goal_is_asked_of_the_stopping_rows_and_not_of_those_that_evaluate() -> None:
    found = made({"precision": 0.9})
    assert f"on {found.stopping_rows} stopping rows" in found.threshold.sentence
    probability = found.prediction.output
    again = chosen(goal(precision=0.9), found.validation.label, probability)
    assert again.value != found.threshold.value
    assert len(Prediction(probability, threshold=found.threshold.value)) == len(found.validation)
