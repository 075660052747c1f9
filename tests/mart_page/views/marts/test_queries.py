import datetime as dt
from collections.abc import Callable
from typing import Any, TypeVar

import pyarrow as pa
import pytest

from pipeline_assets.mart_page import catalog
from pipeline_assets.mart_page.database import ReadOnlyDatabase
from pipeline_assets.mart_page.route import Route
from pipeline_assets.mart_page.views.marts import distribution, queries
from pipeline_assets.mart_page.views.marts.filters import filters_of
from pipeline_assets.mart_page.views.marts.queries import Asked, Beside, Order
from pipeline_assets.stores.marts.sql import Dialect
from tests.examples import orders, shop
from tests.fixtures.postgres import Marts
from tests.mart_page.filled import cursor_of, put_input, put_output

TASK = shop(key=["order_id", "country"])
COUNT = 230
T = TypeVar("T")


@pytest.fixture
def filled(marts: Marts) -> Marts:
    """Two batches of orders, the second one predicted."""
    put_input(marts, TASK, "predict", "a", orders(20, stage="predict"))
    put_input(marts, TASK, "predict", "b'; --", orders(COUNT, stage="predict"))
    put_output(marts, TASK, "b'; --", [row / COUNT for row in range(COUNT)], run="r", day=1)
    return marts


def mart(marts: Marts, which: catalog.Which = "predict_input") -> catalog.Mart:
    with cursor_of(marts) as cursor:
        found = catalog.mart(cursor, marts.schema, TASK, which)
    assert found is not None
    return found


def asked(
    marts: Marts, *filters: tuple[str, str, str], batch: str | None = None, sort: str | None = None, down: bool = False
) -> Asked:
    there = mart(marts)
    names = {
        f"w{slot}{part}": text for slot, one in enumerate(filters, 1) for part, text in zip("cov", one, strict=True)
    }
    found, wrong = filters_of(Route(more=names), there, "en")
    assert not wrong
    return Asked(there, batch, tuple(found), queries.order_of(there, found, sort, down=down))


def ask(marts: Marts, query: Callable[..., T], *args: Any) -> T:
    with cursor_of(marts) as cursor:
        return query(cursor, *args)


def rows_of(marts: Marts, wanted: Asked, number: int = 1) -> list[tuple[Any, ...]]:
    return ask(marts, queries.page, wanted, ["batch", "row_number", "price", "note"], number).rows


def test_a_mart_has_about_the_rows_of_its_batches(filled: Marts) -> None:
    assert ask(filled, queries.about, mart(filled)) == 20 + COUNT


def expected() -> list[dict[str, Any]]:
    return [
        {**row, "batch": batch, "row_number": number}
        for batch, count in (("a", 20), ("b'; --", COUNT))
        for number, row in enumerate(orders(count, stage="predict").to_pylist())
    ]


@pytest.mark.parametrize(
    ("filters", "keeps"),
    [
        ([("country", "is", "FR")], lambda row: row["country"] == "FR"),
        ([("country", "is_not", "FR")], lambda row: row["country"] != "FR"),
        ([("country", "contains", "r")], lambda row: row["country"] in ("FR", "RU")),
        ([("country", "starts", "R")], lambda row: row["country"] == "RU"),
        ([("country", "contains", "%")], lambda _: False),
        ([("order_id", "at_least", "100"), ("order_id", "at_most", "120")], lambda row: 100 <= row["order_id"] <= 120),
        ([("note", "empty", "")], lambda row: row["note"] is None),
        ([("note", "filled", "")], lambda row: row["note"] is not None),
        ([("note", "is_not", "Gift")], lambda row: row["note"] != "Gift"),
        ([("note", "contains", "gif")], lambda row: row["note"] == "Gift"),
        (
            [("price", "at_least", "30.5"), ("country", "is", "DE")],
            lambda row: row["price"] >= 30.5 and row["country"] == "DE",
        ),
        ([("ordered_on", "is", "02.01.2026")], lambda row: row["ordered_on"] == dt.date(2026, 1, 2)),
        ([("order_id", "contains", "11")], lambda row: "11" in str(row["order_id"])),
    ],
)
@pytest.mark.parametrize("batch", [None, "b'; --"])
def test_filters_keep_what_they_say(
    filled: Marts, filters: list[tuple[str, str, str]], keeps: Callable[[dict[str, Any]], bool], batch: str | None
) -> None:
    wanted = asked(filled, *filters, batch=batch)
    kept = {(row["batch"], row["row_number"]) for row in expected() if keeps(row) and batch in (None, row["batch"])}
    found: set[tuple[Any, ...]] = set()
    for number in range(1, 8):
        page = {row[:2] for row in rows_of(filled, wanted, number)}
        assert not page & found
        found |= page
    assert found == kept
    assert ask(filled, queries.count, wanted) == len(kept)


@pytest.mark.parametrize("down", [False, True])
@pytest.mark.parametrize("sort", ["price", "note", "order_id", "row_number", None])
def test_rows_come_in_order_and_those_without_a_value_last(filled: Marts, sort: str | None, down: bool) -> None:
    wanted = asked(filled, sort=sort, down=down)
    found = [row for number in range(1, 6) for row in rows_of(filled, wanted, number)]

    def rank(row: dict[str, Any]) -> tuple[Any, ...]:
        address = (row["row_number"], row["batch"]) if sort else (row["batch"], row["row_number"])
        return (*(["" if row[sort] is None else row[sort]] if sort in ("price", "note", "order_id") else []), *address)

    some = [row for row in expected() if sort is None or row[sort] is not None]
    none = [row for row in expected() if sort is not None and row[sort] is None]
    ordered = [*sorted(some, key=rank, reverse=down), *sorted(none, key=rank, reverse=down)]
    assert [row[:2] for row in found] == [(row["batch"], row["row_number"]) for row in ordered]


def test_a_page_says_whether_rows_follow(filled: Marts) -> None:
    wanted = asked(filled, batch="b'; --")
    assert ask(filled, queries.page, wanted, ["batch", "row_number"], 1).more
    last = ask(filled, queries.page, wanted, ["batch", "row_number"], 5)
    assert (len(last.rows), last.more) == (30, False)


def test_what_is_beside_belongs_to_the_row(filled: Marts) -> None:
    output = mart(filled, "predict_output")
    found = ask(
        filled, queries.page, asked(filled, ("order_id", "is", "7")), ["batch"], 1, Beside(output, ("probability",))
    )
    assert found.columns == ("batch", "probability")
    assert found.rows == [("a", None), ("b'; --", 7 / COUNT)]


def test_a_count_has_a_bound(filled: Marts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queries, "COUNTED", 100)
    assert ask(filled, queries.count, asked(filled)) is None
    assert ask(filled, queries.count, asked(filled, batch="a")) == 20


def test_batches_are_named(filled: Marts) -> None:
    assert ask(filled, queries.batches, mart(filled)) == ["a", "b'; --"]
    assert ask(filled, queries.batches, mart(filled, "predict_output")) == ["b'; --"]


def test_batches_of_any_name_are_named(marts: Marts) -> None:
    names = ["it's \\ one", "'", "two\nlines", 'b"; --']
    for name in names:
        put_input(marts, TASK, "predict", name, orders(1, stage="predict"))
    assert ask(marts, queries.batches, mart(marts)) == sorted(names)


@pytest.mark.parametrize("down", [False, True])
def test_pages_go_on_from_batch_to_batch(marts: Marts, down: bool) -> None:
    counts = {"a": 30, "b": 1, "c": 70, "d": 20, "e": 25}
    for name, count in counts.items():
        put_input(marts, TASK, "predict", name, orders(count, stage="predict"))
    addresses = sorted(((name, row) for name, count in counts.items() for row in range(count)), reverse=down)
    every = asked(marts, sort="batch", down=down)
    pages = [rows_of(marts, every, number) for number in range(1, 5)]
    assert [[row[:2] for row in page] for page in pages] == [addresses[:50], addresses[50:100], addresses[100:], []]
    some = asked(marts, ("country", "is", "FR"), sort="batch", down=down)
    kept = [(name, row) for name, row in addresses if orders(70)["country"][row].as_py() == "FR"]
    assert [row[:2] for row in rows_of(marts, some)] == kept[:50]


def test_a_key_of_many_values_is_compared_row_by_row(filled: Marts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queries, "_FEW_VALUES", 2)
    assert ask(filled, queries.count, asked(filled, ("country", "contains", "f"), batch="a")) == 7


def test_each_column_of_the_key_has_an_index_in_the_order_of_its_rows(filled: Marts) -> None:
    """Greenplum has none, and its rows are asked for in another way."""
    if mart(filled).dialect is Dialect.GREENPLUM:
        assert not asked(filled, ("country", "is", "FR"), sort="order_id").by_index
        assert asked(filled, ("country", "is", "FR")).order == Order()
        return
    assert asked(filled, ("country", "is", "FR"), sort="order_id").by_index
    assert not asked(filled, ("country", "is", "FR"), sort="price").by_index
    found = filled.query("SELECT indexdef FROM pg_indexes WHERE schemaname = %s", filled.schema)
    columns = {definition.partition(" btree ")[2] for (definition,) in found}
    assert {"(country, row_number, batch)", "(order_id, row_number, batch)"} <= columns


def test_all_rows_are_streamed_in_order(filled: Marts) -> None:
    database = ReadOnlyDatabase(filled.server, filled.schema)
    wanted = asked(filled, ("country", "is_not", "DE"), batch="b'; --", sort="price", down=True)
    with database.reading(stream=True) as cursor:
        reader = queries.stream(cursor, wanted, ["row_number", "price", "ordered_on", "note"], rows_at_once=40)
        batches = list(reader)
    database.close()
    table = pa.Table.from_batches(batches)
    source = [row for row in expected() if row["batch"] != "a" and row["country"] != "DE"]
    assert max(batch.num_rows for batch in batches) == 40
    assert table["row_number"].to_pylist() == [row["row_number"] for row in reversed(source)]
    assert table.schema.field("ordered_on").type == pa.date32()
    assert table["note"].null_count == sum(row["note"] is None for row in source)


def test_distributions_of_numbers_dates_and_words(filled: Marts) -> None:
    wanted = asked(filled, batch="b'; --")
    there = wanted.mart
    price = ask(filled, distribution.distribution, wanted, there.columns["price"])
    assert (price.looked_at, price.sampled, price.nulls, price.lowest, price.highest) == (
        COUNT,
        False,
        0,
        1.5,
        COUNT + 0.5,
    )
    assert sum(price.counts) == COUNT
    assert len(price.edges) == len(price.counts) + 1
    day = ask(filled, distribution.distribution, wanted, there.columns["ordered_on"])
    assert (day.lowest, day.different, sum(day.counts)) == (dt.date(2026, 1, 1), 28, COUNT)
    note = ask(filled, distribution.distribution, wanted, there.columns["note"])
    assert (note.values, note.counts, note.nulls) == (("Gift",), (46,), COUNT - 46)
    country = ask(
        filled, distribution.distribution, asked(filled, ("order_id", "at_most", "3")), there.columns["country"]
    )
    assert (country.values, country.counts) == (("DE", "FR", "RU"), (4, 2, 2))


def test_a_large_mart_is_looked_at_by_a_sample(filled: Marts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distribution, "_SAMPLED", 60)
    monkeypatch.setattr(queries, "COUNTED", 100)
    wanted = asked(filled)
    seen = ask(filled, distribution.distribution, wanted, wanted.mart.columns["price"])
    assert seen.sampled
    assert 0 <= seen.looked_at < COUNT + 20
    exact = ask(filled, distribution.distribution, asked(filled, batch="a"), wanted.mart.columns["price"])
    assert (exact.sampled, exact.looked_at) == (False, 20)


def test_infinities_are_in_no_bin(marts: Marts) -> None:
    put_output(marts, TASK, "b", [0.1, 0.9, float("inf"), float("nan")], run="r", day=1)
    there = mart(marts, "predict_output")
    seen = ask(marts, distribution.distribution, Asked(there, None, (), Order()), there.columns["probability"])
    assert (sum(seen.counts), seen.others, seen.lowest, seen.highest) == (2, 2, 0.1, 0.9)
