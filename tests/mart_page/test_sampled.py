import pyarrow as pa
import pytest

from pipeline_assets.mart_page import catalog
from pipeline_assets.mart_page.sampled import numbers, sample
from tests.examples import shop
from tests.fixtures.postgres import Marts
from tests.mart_page.filled import cursor_of, put_input

TASK = shop()


def test_what_a_sample_costs_does_not_grow_with_the_batch(marts: Marts) -> None:
    """The server finds each row by its address; it does not read the batch."""
    rows = pa.table({"order_id": range(60_000), "price": pa.array(range(60_000), pa.float64())})
    put_input(marts, TASK, "train", "old", rows)
    with cursor_of(marts) as cursor:
        mart = catalog.mart(cursor, marts.schema, TASK, "train_input")
        assert mart is not None
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
    assert len(found) == min(count, size)
    assert found == sorted(set(found))
    assert all(place * count // size <= number < (place + 1) * count // size for place, number in enumerate(found)) or (
        count <= size
    )
