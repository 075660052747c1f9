from datetime import date, timedelta

import numpy as np
import pyarrow as pa
import pytest

from pipeline_assets.mart_page import catalog
from pipeline_assets.mart_page.views.drift import queries as drift
from pipeline_assets.monitoring.drift import Shift, compare
from pipeline_assets.task.spec import Stage
from tests.examples import shop
from tests.fixtures.postgres import Marts
from tests.mart_page.filled import cursor_of, put_input

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
