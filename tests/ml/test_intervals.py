"""Intervals hold what they promise: the right width, the same each time, and paired for a gain."""

import numpy as np
import pandas as pd
import pytest

from pipeline_assets.ml import intervals
from pipeline_assets.ml.dataset import LabelledRows
from pipeline_assets.ml.intervals import bootstrap
from pipeline_assets.ml.kinds.binary import Binary
from pipeline_assets.ml.kinds.regression import Regression
from pipeline_assets.ml.prediction import Prediction


def rows(label: np.ndarray) -> LabelledRows:
    return LabelledRows(pd.DataFrame(index=range(len(label))), label, np.zeros(len(label), np.int64))


def numbers(count: int, seed: int = 1) -> tuple[LabelledRows, Prediction]:
    label = np.random.default_rng(seed).normal(size=count)
    return rows(label), Prediction(np.zeros(count))


def test_a_mean_has_the_interval_of_its_standard_error() -> None:
    held, zero = numbers(4000)
    (found,) = bootstrap(Regression(), "mae", held, {1: zero}).of.values()
    losses = np.abs(held.label)
    half = 1.96 * losses.std() / np.sqrt(len(losses))
    assert found.low < losses.mean() < found.high
    assert found.high - found.low == pytest.approx(2 * half, rel=0.15)


def test_more_rows_than_are_resampled_give_the_interval_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    held, zero = numbers(16_000)
    whole = bootstrap(Regression(), "mae", held, {1: zero}).of[1]
    monkeypatch.setattr(intervals, "MOST_ROWS", 2000)
    part = bootstrap(Regression(), "mae", held, {1: zero}).of[1]
    assert part.high - part.low == pytest.approx(whole.high - whole.low, rel=0.2)
    assert part.low < np.abs(held.label).mean() < part.high


def test_the_same_rows_give_the_same_intervals_and_a_gain_is_paired() -> None:
    random = np.random.default_rng(3)
    probability = random.random(3000)
    held = rows((random.random(3000) < probability).astype(np.int8))
    said = {2: Prediction(probability), 1: Prediction(np.clip(probability + random.normal(0, 0.1, 3000), 0, 1))}
    found = bootstrap(Binary(), "roc_auc", held, said)
    assert found == bootstrap(Binary(), "roc_auc", held, said)
    assert found.gain is not None
    assert 0 < found.gain.low < found.gain.high
    assert found.of[1].high > found.of[2].low  # apart, the two could be equal; on the same resamples they are not
    lost = bootstrap(Binary(), "log_loss", held, said).gain
    assert lost is not None
    assert lost.high > 0  # less is better


def test_rows_that_can_hardly_be_judged_have_no_interval() -> None:
    held = rows(np.array([1, *[0] * 3], np.int8))
    assert bootstrap(Binary(), "roc_auc", held, {1: Prediction(np.linspace(0, 1, 4))}).of
    ones = rows(np.ones(9, np.int8))
    assert bootstrap(Binary(), "roc_auc", ones, {1: Prediction(np.linspace(0, 1, 9))}).of == {}
