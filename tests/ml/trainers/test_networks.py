from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from pipeline_assets.errors import DataError
from pipeline_assets.ml.trainers.network_encoding import (
    Encoded,
)
from pipeline_assets.ml.trainers.networks import Watch, goal_of, importance
from tests import trainable
from tests.ml.trainers.network_cases import learned, rows_of


def test_a_network_starts_from_what_the_labels_say_by_their_weight() -> None:
    rows = rows_of(range(4), ["a"] * 4, np.array([0, 0, 0, 1]))
    even = replace(rows, weight=np.array([1.0, 1.0, 1.0, 3.0]))
    assert goal_of(trainable.task(), even, "binary").start == pytest.approx((0.0,))
    goal = goal_of(trainable.task(), rows, "binary")
    assert goal.prediction(np.array([goal.start]))[0] == pytest.approx(0.25)
    assert goal.loss(np.zeros((4, 1)), goal.labels(rows)) == pytest.approx(np.log(2))


def test_the_loss_of_a_regression_is_in_the_labels_unit() -> None:
    rows = rows_of(range(4), ["a"] * 4, np.array([10.0, 20.0, 30.0, 40.0]))
    goal = goal_of(trainable.task(), rows, "regression")
    assert goal.loss(np.zeros((4, 1)), goal.labels(rows)) == pytest.approx(np.std([10, 20, 30, 40]))
    assert goal.prediction(np.zeros((1, 1)))[0] == 25


def test_the_feature_that_decides_is_the_important_one() -> None:
    encoding = learned(np.arange(200.0), ["a", "b"] * 100)
    encoded = encoding.encode(rows_of(np.arange(200.0), ["a", "b"] * 100).features)
    labels = encoded.numbers[:, 1]

    def loss(changed: Encoded, rows: Any) -> float:
        return float(np.mean((changed.numbers[:, 1] - labels[rows]) ** 2))

    shares = importance(encoding, encoded, loss, seed=0)
    assert next(iter(shares.items())) == ("distance", 100)
    assert importance(encoding, encoded, lambda *_: 1.0, seed=0) == pytest.approx(dict.fromkeys(shares, 100 / 3))


def test_a_fit_ends_when_nothing_gets_better() -> None:
    watch = Watch(2, "log_loss")
    assert [watch.add(1.0, value) for value in (0.5, 0.4, 0.4, 0.45)] == [True, True, False, False]
    assert (watch.best, watch.done, watch.over) == (1, 4, True)
    with pytest.raises(DataError, match="diverged"):
        watch.add(1.0, float("nan"))
