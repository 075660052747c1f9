import json
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from pipeline_assets.errors import DataError
from pipeline_assets.ml.dataset import LabelledRows
from pipeline_assets.ml.trainers import network_parameters as parameters
from pipeline_assets.ml.trainers.networks import (
    BLOCK,
    Encoded,
    Encoding,
    Watch,
    blocks,
    goal_of,
    importance,
    learn_encoding,
    plain,
    restored,
)
from pipeline_assets.task.spec import TaskSpec
from tests import trainable

NETWORKS = [("pytorch", "module"), ("tensorflow", "builder")]


def rows_of(distance: Any, carrier: list[str], label: Any = None) -> LabelledRows:
    count = len(carrier)
    frame = pd.DataFrame({"hour": np.full(count, np.nan), "distance": distance, "carrier": carrier})
    frame["carrier"] = frame["carrier"].astype("category")
    given = np.arange(count) % 2 if label is None else label
    return LabelledRows(frame, np.asarray(given), np.arange(count))


def learned(distance: Any, carrier: list[str], bins: int = 4) -> Encoding:
    return learn_encoding(rows_of(distance, carrier), trainable.task(), bins, rare=2)


def given(package: str, **values: Any) -> TaskSpec:
    return trainable.task(training=trainable.training(package=package, parameters=values))


def test_an_unknown_a_rare_and_a_missing_category_have_the_code_0() -> None:
    encoding = learned(range(5), ["b", "a", "b", "a", "rare"])
    assert encoding.vocabularies == (("a", "b"),)
    assert encoding.cardinalities == (3,)
    frame = {"hour": [1.0] * 5, "distance": [1.0] * 5, "carrier": ["a", "b", "rare", "new", None]}
    assert encoding.encode(frame).codes[:, 0].tolist() == [1, 2, 0, 0, 0]
    assert encoding.encode(pd.DataFrame(frame)).codes[:, 0].tolist() == [1, 2, 0, 0, 0]


def test_numbers_are_scaled_ranked_and_marked_where_missing() -> None:
    encoding = learned([0.0, 1.0, 2.0, 3.0, 1e6], ["a"] * 5)
    assert encoding.numbers == 6
    frame = {"hour": [np.nan] * 4, "distance": [2.0, 0.5, np.inf, np.nan], "carrier": ["a"] * 4}
    numbers = encoding.encode(frame).numbers
    hour, distance = numbers[:, 0::2], numbers[:, 1::2]
    assert hour.tolist() == [[0, 0, 1]] * 4
    assert distance[:, 1].tolist() == [0.5, 0.125, 1, 0]
    assert distance[:, 2].tolist() == [0, 0, 0, 1]
    assert distance[0, 0] == 0  # the median
    assert distance[2, 0] == pytest.approx(3)  # however far out
    assert np.isfinite(numbers).all()


def test_a_constant_feature_is_encoded() -> None:
    encoding = learned([7.0] * 4, ["a"] * 4)
    assert np.isfinite(encoding.encode(rows_of([7.0, -7.0], ["a", "a"]).features).numbers).all()


def test_an_encoding_and_a_goal_come_back_from_json() -> None:
    encoding = learned([0.1, 0.2, 1 / 3, 4e-300], ["Аэрофлот", "a", "a", "Аэрофлот"])
    goal = goal_of(trainable.task(), rows_of([1.0, 2.0], ["a", "b"]), "binary")
    assert restored(Encoding, json.loads(json.dumps(plain(encoding)))) == encoding
    assert restored(type(goal), json.loads(json.dumps(plain(goal)))) == goal


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


def test_raw_scores_come_in_blocks_of_one_size() -> None:
    seen = []

    def score(part: Encoded) -> Any:
        seen.append(len(part))
        return part.numbers[:, :1]

    numbers = np.arange(2 * BLOCK + 3, dtype=np.float32)[:, None]
    found = blocks(Encoded(numbers, np.zeros((len(numbers), 0), np.int32)), score)
    np.testing.assert_array_equal(found, numbers)
    assert seen == [BLOCK] * 3
    nothing = Encoded(np.zeros((0, 1), np.float32), np.zeros((0, 0), np.int32))
    assert blocks(nothing, score).shape == (0, 1)


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


@pytest.mark.parametrize(("package", "own"), NETWORKS)
@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ({"droput": 0.1}, "did you mean: dropout"),
        ({"dropout": 1}, "dropout must be a number from 0, below 1"),
        ({"hidden": [0]}, "hidden must be a list of whole numbers"),
        ({"epochs": True}, "epochs must be a whole number"),
        ({"learning_rate": 0}, "learning_rate must be a number above 0"),
        ({"device": "gpu"}, "device must be one of cpu, cuda"),
        ({"patience": 3}, "training.early_stopping_rounds sets it"),
        ({"seed": 3}, "training.seed sets it"),
    ],
)
def test_what_is_wrong_with_a_parameter_is_said_when_the_task_is_loaded(
    package: str, own: str, values: dict[str, Any], shown: str
) -> None:
    with pytest.raises(ValidationError, match=shown):
        given(package, **values)
    with pytest.raises(ValidationError, match=f"training.parameters.{own} is no import path"):
        given(package, **{own: "Wide"})


@pytest.mark.parametrize(("package", "own"), NETWORKS)
def test_other_parameters_go_to_the_tasks_own_network(package: str, own: str) -> None:
    found = given(package, **{own: "nets:Wide", "width": 3, "hidden": "any", "epochs": 2}).training.parameters
    assert parameters.own_arguments(found, own) == {"width": 3, "hidden": "any"}


def test_sizes_grow_with_the_rows_and_the_tasks_own_go_before_them() -> None:
    small, large = (parameters.sizes({}, rows) for rows in (150, 1_000_000))
    assert small.batch_size < large.batch_size
    assert small.bins < large.bins
    assert small.epochs * 150 < large.epochs * 1_000_000 <= 10_000_000
    assert parameters.sizes({"hidden": [8], "epochs": 2}, 150).hidden == (8,)
    assert parameters.sizes({"device": "cuda"}, 150).shown()["repeatable"] is False
