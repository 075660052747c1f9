import json
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipeline_assets.ml.trainers.network_encoding import (
    BLOCK,
    Encoded,
    Encoding,
    blocks,
    plain,
    restored,
)
from pipeline_assets.ml.trainers.networks import goal_of
from tests import trainable
from tests.ml.trainers.network_cases import learned, rows_of


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
