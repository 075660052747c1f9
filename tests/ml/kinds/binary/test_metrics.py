import math

import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline_assets.errors import DataError
from pipeline_assets.ml.kinds.base import gain, reaches
from pipeline_assets.ml.kinds.binary import Binary, metrics

LABEL: NDArray[np.int8] = np.array([0, 0, 1, 1], np.int8)
PROBABILITY = np.array([0.1, 0.6, 0.4, 0.9])


def test_scores_are_those_worked_out_by_hand() -> None:
    found = metrics.scores(LABEL, PROBABILITY)
    assert found["roc_auc"] == pytest.approx(3 / 4)  # pairs in the right order
    assert found["average_precision"] == pytest.approx(0.5 * 1 + 0.5 * 2 / 3)
    assert found["log_loss"] == pytest.approx(-sum(map(math.log, (0.9, 0.4, 0.4, 0.9))) / 4)
    assert found["brier_score"] == pytest.approx((0.01 + 0.36 + 0.36 + 0.01) / 4)
    assert tuple(found) == metrics.METRICS


def test_the_constant_baseline_ranks_nothing() -> None:
    found = metrics.constant_baseline(np.array([0, 0, 0, 1], np.int8), share=0.25)
    assert found["roc_auc"] == 0.5
    assert found["average_precision"] == 0.25
    assert found["brier_score"] == pytest.approx(0.25 * 0.75)


@pytest.mark.parametrize("label", [[0, 0, 0], [1, 1], []])
def test_one_label_cannot_judge(label: list[int]) -> None:
    with pytest.raises(DataError, match="one label only"):
        metrics.scores(np.array(label, np.int8), np.full(len(label), 0.5))


def test_a_decision_includes_its_threshold_and_may_be_empty() -> None:
    assert metrics.at_threshold(LABEL, PROBABILITY, 0.4) == metrics.AtThreshold(0.4, 2 / 3, 1.0)
    assert metrics.at_threshold(LABEL, PROBABILITY, 0.95) == metrics.AtThreshold(0.95, None, 0.0)
    assert metrics.at_threshold(np.zeros(2, np.int8), np.ones(2)) == metrics.AtThreshold(0.5, 0.0, None)


@pytest.mark.parametrize(
    ("metric", "better", "worse"),
    [
        ("roc_auc", 0.8, 0.7),
        ("average_precision", 0.3, 0.2),
        ("log_loss", 0.3, 0.4),
        ("brier_score", 0.1, 0.2),
    ],
)
def test_each_metric_has_its_direction(metric: str, better: float, worse: float) -> None:
    assert gain(Binary(), metric, better, worse) == pytest.approx(0.1)
    assert gain(Binary(), metric, worse, better) == pytest.approx(-0.1)
    assert reaches(Binary(), metric, better, better)
    assert reaches(Binary(), metric, better, worse)
    assert not reaches(Binary(), metric, worse, better)
