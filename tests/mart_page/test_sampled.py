import numpy as np
import pyarrow as pa
import pytest

from pipeline_assets.mart_page import catalog
from pipeline_assets.mart_page.sampled import numbers, sample
from pipeline_assets.stores.marts.sql import Dialect
from tests.examples import shop
from tests.fixtures.postgres import Marts
from tests.mart_page.filled import cursor_of, put_input

TASK = shop()


def test_on_postgresql_what_a_sample_costs_does_not_grow_with_the_batch(marts: Marts) -> None:
    """The server finds each row by its address; it does not read the batch. Greenplum has no index there."""
    rows = pa.table({"order_id": range(60_000), "price": pa.array(range(60_000), pa.float64())})
    put_input(marts, TASK, "train", "old", rows)
    with cursor_of(marts) as cursor:
        mart = catalog.mart(cursor, marts.schema, TASK, "train_input")
        assert mart is not None
        if mart.dialect is not Dialect.POSTGRESQL:
            return
        cursor.execute("SET LOCAL enable_seqscan = off")  # what a planner does of itself once a batch is large
        taken = sample(cursor, mart, "old", [mart.columns["price"]], 100)
        assert taken is not None
        assert taken.rows == 100
        assert cursor.query is not None
        cursor.execute(b"EXPLAIN " + cursor.query)
        plan = "\n".join(line for (line,) in cursor.fetchall())
    assert "row_number = " in plan.partition("Index Cond")[2]
    assert "Seq Scan" not in plan


@pytest.mark.parametrize(("count", "size"), [(0, 5), (5, 5), (6, 5), (7, 5), (10_000_000, 20_000), (20_001, 20_000)])
def test_numbers_are_distinct_rising_and_one_of_each_stretch(count: int, size: int) -> None:
    found = numbers(count, size)
    stretch = max(-(-count // size), 1)
    assert [number // stretch for number in found] == list(range(len(found)))
    assert len(found) in {count // stretch, -(-count // stretch)}
    assert len(found) <= size
    assert not found or found[-1] < count


def test_the_numbers_of_a_sample_follow_no_pattern() -> None:
    """Such as the hours of a day, or a batch put together from equal parts."""
    found = np.array(numbers(1_000_000, 20_000))
    for period in (2, 7, 24, 50, 100, 365, 1_000):
        counts = np.bincount(found % period, minlength=period)
        assert counts.min() > 0.8 * counts.mean(), period
        assert counts.max() < 1.2 * counts.mean(), period


def test_a_sample_has_the_rows_of_its_numbers(marts: Marts) -> None:
    """The server is asked in the way of its dialect; each draws the same rows, in their order."""
    rows = pa.table({"order_id": range(1_000), "price": pa.array(range(1_000), pa.float64())})
    put_input(marts, TASK, "train", "old", rows)
    with cursor_of(marts) as cursor:
        mart = catalog.mart(cursor, marts.schema, TASK, "train_input")
        assert mart is not None
        taken = sample(cursor, mart, "old", [mart.columns["order_id"]], 70)
    assert taken is not None
    assert (taken.rows, taken.of) == (len(numbers(1_000, 70)), 1_000)
    assert taken.columns["order_id"].to_pylist() == numbers(1_000, 70)
