import json
from datetime import date, timedelta

import numpy as np
import pyarrow as pa
import pytest

from pipeline_assets.mart_page import catalog
from pipeline_assets.mart_page.views.drift import queries as drift
from pipeline_assets.monitoring.drift import Bin, Shift, compare
from pipeline_assets.stores.marts.drift_table import drift_mart
from pipeline_assets.task.spec import Stage
from tests.examples import shop
from tests.fixtures.postgres import Marts
from tests.mart_page.filled import START, cursor_of, put_input

TASK = shop()
FIRST = date(2026, 1, 1)


def rows(count: int, seed: int, shift: float = 0.0, gaps: int = 0) -> pa.Table:
    """Orders; with ``gaps``, one row number in so many is left out, as rejected rows leave it."""
    rng = np.random.default_rng(seed)
    price = np.round(np.exp(rng.normal(3 + shift, 1, count)), 2)
    country = rng.choice(["DE", "FR", "RU"], count)
    note = ["gift" if draw < 0.3 else None for draw in rng.random(count)]
    numbers = [row + (row // gaps if gaps else 0) for row in range(count)]
    return pa.table(
        {
            "row_number": numbers,
            "order_id": numbers,
            "ordered_on": [FIRST + timedelta(days=int(day)) for day in rng.integers(0, 300, count)],
            "country": country.tolist(),
            "price": price,
            "note": note,
            "feature_price": price,
            "feature_weekday": rng.integers(1, 8, count).astype(float),
            "feature_country": country.tolist(),
            "feature_note": ["<null>" if text is None else text for text in note],
        }
    )


def mart_of(marts: Marts, stage: Stage) -> catalog.Mart:
    with cursor_of(marts) as cursor:
        found = catalog.mart(cursor, marts.schema, TASK, "train_input" if stage == "train" else "predict_input")
    assert found is not None
    return found


def compared(marts: Marts, train_batch: str = "old", predict_batch: str = "new") -> drift.Drift | None:
    with cursor_of(marts) as cursor:
        return drift.drift(cursor, mart_of(marts, "train"), mart_of(marts, "predict"), train_batch, predict_batch)


def test_small_batches_are_compared_whole_and_the_column_that_moved_is_first(marts: Marts) -> None:
    before, after = rows(2_000, 1), rows(1_500, 2, shift=1.0)
    put_input(marts, TASK, "train", "old", before)
    put_input(marts, TASK, "predict", "new", after)
    found = compared(marts)
    assert found is not None
    assert (found.train.rows, found.train.of, found.predict.rows) == (2_000, 2_000, 1_500)
    by_name = {shift.column.name: shift.difference for shift in found.columns}
    assert set(by_name) == set(before.column_names) - {"row_number"}
    indexes = [shift.difference.distance for shift in found.columns]
    assert indexes == sorted(indexes, reverse=True)
    # Its rival is the order's number, which ends elsewhere in a shorter batch.
    assert {shift.column.name for shift in found.columns[:3]} == {"price", "feature_price", "order_id"}
    for name, stability in by_name.items():
        own = compare(before[name].combine_chunks(), after[name].combine_chunks())
        assert stability == own, name
    assert by_name["feature_price"].shift == Shift.MUCH
    assert by_name["feature_country"].shift == Shift.LITTLE
    assert by_name["note"].bins[-1].reference == pytest.approx(0.7, abs=0.05)


def test_a_large_batch_is_sampled_evenly_the_same_each_time_and_gives_the_same_answer(marts: Marts) -> None:
    before, after = rows(30_000, 1, gaps=100), rows(30_000, 2, shift=0.5)
    put_input(marts, TASK, "train", "old", before)
    put_input(marts, TASK, "predict", "new", after)
    sampled = compared(marts)
    assert sampled is not None
    assert sampled == compared(marts)
    # Row numbers of rejected rows are drawn as well, and find nothing.
    assert sampled.train.of == 30_299
    assert 7_400 < sampled.train.rows < 7_575
    assert sampled.predict.rows == 10_000
    places = np.sort(np.asarray(sampled.predict.columns["order_id"].to_pylist()))
    assert np.abs(places - np.linspace(0, 29_999, 10_000)).max() < 4
    price = next(shift for shift in sampled.columns if shift.column.name == "price").difference.distance
    whole = compare(before["price"].combine_chunks(), after["price"].combine_chunks()).distance
    assert price == pytest.approx(whole, rel=0.1)


@pytest.mark.parametrize(("train_batch", "predict_batch"), [("old", "none"), ("none", "new"), ("a'; --", "<b>")])
def test_a_batch_without_rows_cannot_be_compared(marts: Marts, train_batch: str, predict_batch: str) -> None:
    put_input(marts, TASK, "train", "old", rows(10, 1))
    put_input(marts, TASK, "predict", "new", rows(10, 1))
    assert compared(marts, train_batch, predict_batch) is None


def put_drift(marts: Marts, batch: str, distances: dict[tuple[str, str], float]) -> None:
    table = drift_mart(TASK)
    bins = [{"kind": "range", "low": None, "high": 3.5, "reference": 0.5, "batch": 0.9}]
    bins.append({"kind": "missing", "reference": 0.5, "batch": 0.1})
    made = [
        {
            "role": role, "column_name": name, "batch": batch, "model_version": 3, "distance": distance, "chance": 0.01,
            "verdict": "warn" if distance > 0.2 else "ok", "warn_from": 0.2, "fail_from": None, "row_count": 60,
            "reference_rows": 80, "bins": json.dumps(bins), "run_id": "run", "compared_at": START,
        }
        for (role, name), distance in distances.items()
    ]  # fmt: skip
    marts.store.replace(table, {"batch": batch}, pa.Table.from_pylist(made, table.schema).to_reader())


def test_what_the_mart_keeps_comes_worst_first_and_by_batch(marts: Marts) -> None:
    put_drift(marts, "2026-02", {("feature", "price"): 0.9, ("feature", "gone"): 0.8})
    put_drift(marts, "2026-03", {("feature", "price"): 0.1, ("score", "probability"): 0.2})
    put_drift(marts, "2026-02", {("feature", "price"): 0.3, ("score", "probability"): 0.4})  # run again
    with cursor_of(marts) as cursor:
        mart = catalog.mart(cursor, marts.schema, TASK, "drift")
        assert mart is not None
        found = drift.kept(cursor, mart, TASK, "2026-02")
        assert drift.kept(cursor, mart, TASK, "a'; --") is None
        points = drift.history(cursor, mart, "feature", "price")
        assert drift.history(cursor, mart, "feature", "gone") == []
    assert found is not None
    assert [(shift.column.name, shift.verdict) for shift in found.columns] == [
        ("probability", "warn"),
        ("price", "warn"),
    ]
    price = found.columns[1]
    assert price.column.description == "price"
    assert (price.difference.rows, price.difference.reference_rows, found.version) == (60, 80, 3)
    assert price.difference.bins[0] == Bin("range", 0.5, 0.9, low=None, high=3.5)
    assert [(point.batch, point.distance, point.warn_from) for point in points] == [
        ("2026-02", 0.3, 0.2),
        ("2026-03", 0.1, 0.2),
    ]
