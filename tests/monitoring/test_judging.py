"""Predictions judged: metrics, segments, calibration and limits, beside numbers reckoned here."""

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics

from pipeline_assets.ml.prediction import Prediction
from pipeline_assets.monitoring.judging import (
    baseline_of,
    baseline_text,
    calibration,
    judge,
    missed_limits,
    segments,
)
from pipeline_assets.task.judged_metrics import judged_metrics
from tests.examples import shop
from tests.mart_page.kinds_of_orders import tasks

QUARTER = Prediction(np.array([0.25]))
PAIRS = st.lists(
    st.tuples(st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.9, 1.0]) | st.floats(0, 1), st.booleans()), min_size=1
)


@given(PAIRS)
def test_calibration_loses_no_row_and_no_part_of_a_mean(pairs: list[tuple[float, bool]]) -> None:
    predicted, came = (np.array(each, np.float64) for each in zip(*pairs, strict=True))
    bins = calibration(predicted, came)
    assert sum(each.rows for each in bins) == len(pairs)
    assert len(bins) <= 10
    means = [each.predicted for each in bins]
    assert means == sorted(means)
    for at, values in ((1, predicted), (2, came)):
        assert sum(each.rows * each[at] for each in bins) == pytest.approx(float(values.sum()))


def test_equal_predictions_are_in_one_part() -> None:
    assert calibration(np.full(50, 0.3), np.ones(50)) == ((50, pytest.approx(0.3), 1.0),)
    assert calibration(np.array([]), np.array([])) == ()
    tenths = calibration(np.arange(100) / 100, np.ones(100))
    assert [each.rows for each in tenths] == [10] * 10


def columns(
    count: int, seed: int = 0
) -> tuple[pa.ChunkedArray, dict[str, pa.ChunkedArray], dict[str, pa.ChunkedArray]]:
    rng = np.random.default_rng(seed)
    probability = rng.random(count)
    labels = pa.chunked_array(
        [pa.array([None if row % 7 == 6 else int(rng.random() < probability[row]) for row in range(count)], pa.int8())]
    )
    scores = {
        "probability": pa.chunked_array([pa.array(probability)]),
        "predicted_label": pa.chunked_array([pa.array(probability >= 0.5)]),
        "decision": pa.chunked_array([pa.array(probability >= 0.7)]),
    }
    country = pa.chunked_array([pa.array([("DE", "FR", "RU")[row % 3] for row in range(count)]).dictionary_encode()])
    return labels, scores, {"country": country}


def test_all_rows_and_each_segment_are_judged_by_every_metric_against_the_baseline() -> None:
    labels, scores, features = columns(300)
    whole, *parts = judge(shop(), labels, scores, features, constant=QUARTER, minimum_rows=10)
    known = [row for row, label in enumerate(labels.to_pylist()) if label is not None]
    label = [labels[row].as_py() for row in known]
    probability = [scores["probability"][row].as_py() for row in known]
    assert (whole.predictions, whole.rows, whole.problem) == (300, len(known), None)
    assert set(whole.metrics) == set(whole.baseline) == set(judged_metrics("binary"))
    assert whole.metrics["log_loss"] == pytest.approx(metrics.log_loss(label, probability))
    decided = [each >= 0.7 for each in probability]
    assert whole.metrics["precision"] == pytest.approx(metrics.precision_score(label, decided))
    assert whole.baseline["log_loss"] == pytest.approx(metrics.log_loss(label, [0.25] * len(label)))
    assert (whole.baseline["precision"], whole.baseline["recall"]) == (whole.label_mean, whole.decided)
    assert sum(each.rows for each in whole.calibration) == whole.rows
    assert [each.value for each in parts] == ["DE", "FR", "RU"]
    assert sum(each.predictions for each in parts) == 300
    assert sum(each.rows for each in parts) == whole.rows
    french = [at for at, row in enumerate(known) if row % 3 == 1]
    assert parts[1].metrics["roc_auc"] == pytest.approx(
        metrics.roc_auc_score([label[at] for at in french], [probability[at] for at in french])
    )


def test_what_cannot_be_judged_says_why() -> None:
    labels, scores, features = columns(30)
    whole, *parts = judge(shop(), labels, scores, features, constant=None, minimum_rows=100)
    assert "keeps no baseline" in str(whole.problem)
    assert whole.metrics
    assert {each.problem for each in parts} == {
        "9 rows with a known label; 100 are needed",
        "8 rows with a known label; 100 are needed",
    }
    same = pa.chunked_array([pa.array([1] * 30, pa.int8())])
    whole, *_ = judge(shop(), same, scores, {}, constant=QUARTER, minimum_rows=1)
    assert "one label only" in str(whole.problem)
    assert (dict(whole.metrics), whole.label_mean) == ({}, 1.0)


def maps(rows: list[dict[str, float]]) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array([list(row.items()) for row in rows], pa.map_(pa.string(), pa.float64()))])


@pytest.mark.parametrize("ordered", [True, False])
def test_classes_and_numbers_are_judged_too(ordered: bool) -> None:
    rows = [{"kept": 0.7, "lost": 0.3}, {"kept": 0.4, "lost": 0.6}, {"kept": 0.8, "lost": 0.2}]
    if not ordered:
        rows[1] = {"lost": 0.6, "kept": 0.4}
    scores: dict[str, Any] = {
        "predicted_label": pa.chunked_array([["kept", "lost", "kept"]]),
        "probability": pa.chunked_array([[0.7, 0.6, 0.8]]),
        "probabilities": maps(rows),
    }
    labels = pa.chunked_array([pa.array(["kept", "lost", "new"]).dictionary_encode()])
    constant = Prediction(np.array([[0.5, 0.5]]), ("kept", "lost"))
    (found,) = judge(tasks()["fates"], labels, scores, {}, constant=constant, minimum_rows=1)
    assert found.metrics["accuracy"] == pytest.approx(2 / 3)
    assert found.label_mean is None
    assert [(each.rows, each.came_true) for each in found.calibration] == [(1, 1.0), (1, 1.0), (1, 0.0)]

    numbers = {"prediction": pa.chunked_array([[2.0, 10.0, 310.0]])}
    true = pa.chunked_array([[1.0, 20.0, 300.0]])
    (found,) = judge(tasks()["refunds"], true, numbers, {}, constant=Prediction(np.array([100.0])), minimum_rows=1)
    assert found.metrics["mae"] == pytest.approx(7.0)
    assert found.baseline["mae"] == pytest.approx((99 + 80 + 200) / 3)
    assert found.label_mean == pytest.approx(107.0)


def test_a_baseline_comes_back_as_it_was_kept() -> None:
    for kept in (QUARTER, Prediction(np.array([[0.1, 0.9]]), ("а", "b"))):
        found = baseline_of(baseline_text(kept))
        assert found is not None
        assert np.array_equal(found.output, kept.output)
        assert found.classes == kept.classes
    assert baseline_of(None) is None


def test_segments_are_the_most_important_features_with_few_values() -> None:
    task = shop()
    assert segments(task, {"note": 60.0, "country": 5.0}, {"country": 3, "note": 2}) == ["note", "country"]
    assert segments(task, {"note": 60.0}, {"country": 3, "note": 2_000}) == ["country"]
    assert segments(task, {}, {"country": 1, "note": 2}) == ["note"]


@given(st.floats(-10, 10), st.floats(-10, 10), st.booleans())
def test_a_limit_is_the_worst_value_that_is_good_enough(value: float, limit: float, greater: bool) -> None:
    said = missed_limits({"m": greater}, {"m": value}, {"m": limit})
    assert bool(said) == (value < limit if greater else value > limit)
    assert missed_limits({"m": greater}, {}, {"m": limit}) != []
    assert missed_limits({"m": greater}, {"m": limit}, {"m": limit}) == []
