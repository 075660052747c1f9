"""What became of formerly rejected rows, over real files that are mended, moved, cut and written in other types."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline_assets.engine.duckdb.check import check
from pipeline_assets.engine.duckdb.replay import compare, rejected_now
from pipeline_assets.engine.record import record_of, to_metadata
from pipeline_assets.engine.replay import Replay
from pipeline_assets.errors import ContractError
from pipeline_assets.stores.files.base import Area
from pipeline_assets.stores.files.local import LocalFiles
from pipeline_assets.task.batch import BatchRef
from pipeline_assets.task.spec import TaskSpec
from tests.examples import orders, shop, with_column

REF = BatchRef("shop", "predict", "2026-02")
PRICE, COUNTRY, KEY = "price: breaks price > 0", "country: not allowed", "key (order_id): repeats"


class Batch:
    """One batch that is checked again and again."""

    def __init__(self, folder: Path, table: pa.Table, task: TaskSpec | None = None) -> None:
        self.folder, self.files = folder, LocalFiles(folder / "data")
        self.again(table, task or shop(), compared=False)

    def put(self, table: pa.Table) -> None:
        path = self.folder / "data" / "shop" / "predict" / "2026-02.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, path)

    def again(
        self, table: pa.Table | None, task: TaskSpec, *, compared: bool = True
    ) -> tuple[Replay, list[dict[str, Any]]]:
        """Checks the batch, of another table or by another task; the comparison with the check before."""
        if table is not None:
            self.put(table)
        found = check(self.files, task, REF, self.folder / "scratch", lambda _: None, run_id="run")
        former = record_of(self.files, REF) if compared else None
        with rejected_now(self.folder / "scratch") as aside:
            with self.files.sink(Area.REJECTED, REF, found.rejected.schema) as sink:
                sink.metadata.update(to_metadata(found.manifest))
                for batch in found.rejected:
                    sink.write(batch)
                    aside.add(batch)
            if former is None:
                return NotImplemented, []
            where = {"files": self.files, "task": task, "spill": self.folder / "scratch"}
            with compare(former, found.manifest, aside, **where) as outcome:
                rows = outcome.rows.read_all().to_pylist()
        assert Replay.from_metadata(outcome.replay.to_metadata()) == outcome.replay
        assert sum(outcome.replay.outcomes.values()) == len(rows) == former.manifest.rejected
        return outcome.replay, rows


def spoiled(count: int = 10, **values: dict[int, Any]) -> pa.Table:
    """Orders to predict, some of whose values are replaced, by column and row."""
    table = orders(count, stage="predict")
    for name, by_row in values.items():
        column = table[name].to_pylist()
        for row, value in by_row.items():
            column[row] = value
        table = with_column(table, name, column, table.schema.field(name).type)
    return table


def test_a_mended_rule_accepts_rows_and_another_goes_on_rejecting(tmp_path: Path) -> None:
    batch = Batch(tmp_path, spoiled(price={2: -1.0, 3: -9.0}, country={3: "US", 4: "US", 5: "XX"}))
    columns = shop().model_dump(mode="json")["columns"]
    columns["country"]["allowed"].append("US")
    columns["price"]["check"] = "price > -5"
    replay, rows = batch.again(None, shop(columns=columns))
    assert [(row["row_number"], row["outcome"], row["rules_now"]) for row in rows] == [
        (2, "accepted", None),
        (3, "other_rule", ["price: breaks price > -5"]),
        (4, "accepted", None),
        (5, "same_rule", [COUNTRY]),
    ]
    assert rows[1]["rules"] == [COUNTRY, PRICE]
    assert rows[1]["reason"] == "country: US is not one of DE, FR, RU; price: -9.0 breaks price > 0"
    assert [row["order_id"] for row in rows] == [2, 3, 4, 5]
    assert replay.outcomes == {"accepted": 2, "same_rule": 1, "other_rule": 1, "gone": 0}
    assert {(each.rule, each.outcome, each.rows) for each in replay.by_rule} == {
        (PRICE, "accepted", 1), (PRICE, "other_rule", 1), (COUNTRY, "accepted", 1), (COUNTRY, "other_rule", 1),
        (COUNTRY, "same_rule", 1),
    }  # fmt: skip
    assert (replay.newly, replay.newly_rejected) == ({}, 0)


def test_a_stricter_rule_names_the_rows_that_it_newly_rejects(tmp_path: Path) -> None:
    batch = Batch(tmp_path, spoiled(price={2: -1.0}))
    replay, rows = batch.again(None, shop(checks={"dear": "price > 3 and note is null"}))
    assert [row["outcome"] for row in rows] == ["same_rule"]
    assert replay.newly == {"dear: breaks price > 3 and note is null": 3}
    assert (replay.newly_rejected, replay.newly_first) == (3, (0, 1, 5))


def test_a_mended_file_is_searched_by_content_key_and_address(tmp_path: Path) -> None:
    former = spoiled(price={2: -1.0, 4: -1.0, 6: -1.0, 8: -1.0}, order_id={9: 0})
    batch = Batch(tmp_path, former)
    mended = with_column(former, "price", [*([1.0] * 4), -1.0, 1.0, -1.0, 7.5, -1.0, 1.0], pa.float64())
    # Row 0 is a new one; 8 is gone; 6 has moved up with its content, 2 with its key.
    new = with_column(orders(1, stage="predict"), "order_id", [77], pa.int64())
    moved = pa.concat_tables([new, mended.slice(0, 8), mended.slice(9)])
    replay, rows = batch.again(moved, shop())
    assert [
        (row["row_number"], row["outcome"], row["found_by"], row["row_number_now"], row["changed_columns"])
        for row in rows
    ] == [
        (2, "accepted", "key", 3, ["price"]),
        (4, "same_rule", "content", 5, []),
        (6, "same_rule", "content", 7, []),
        (8, "gone", None, None, []),
        (9, "same_rule", "key", 9, ["price"]),
    ]  # fmt: skip
    assert replay.changed == {"accepted": 1, "same_rule": 1, "other_rule": 0, "gone": 0}


def test_a_mended_key_is_found_at_its_address_while_the_file_has_as_many_rows(tmp_path: Path) -> None:
    former = spoiled(order_id={7: 3, 8: None})
    _, rows = Batch(tmp_path / "a", former).again(spoiled(), shop())
    assert [(row["outcome"], row["found_by"], row["changed_columns"]) for row in rows] == [
        ("accepted", "address", ["order_id"]), ("accepted", "address", ["order_id"]),
    ]  # fmt: skip
    _, rows = Batch(tmp_path / "b", former).again(spoiled(11), shop())
    assert [row["outcome"] for row in rows] == ["gone", "gone"]


def test_rows_without_a_key_are_found_by_content_or_in_place(tmp_path: Path) -> None:
    task = shop(key=None)
    former = spoiled(price={2: -1.0, 4: -2.0})
    _, rows = Batch(tmp_path / "a", former, task).again(spoiled(), task)
    assert [(row["outcome"], row["found_by"]) for row in rows] == [("accepted", "address")] * 2
    assert "order_id" not in rows[0]
    # Removed rows must not be taken for those that moved up into their places.
    _, rows = Batch(tmp_path / "b", former, task).again(former.take([0, 1, 3, 4, 5, 6, 7, 8, 9]), task)
    assert [(row["outcome"], row["row_number_now"]) for row in rows] == [("gone", None), ("same_rule", 3)]


def test_a_type_that_was_mended_changes_no_content_but_the_rows_it_changes(tmp_path: Path) -> None:
    former = spoiled()
    spelled = [str(value) for value in former["price"].to_pylist()]
    batch = Batch(tmp_path, with_column(former, "price", [*spelled[:3], "much", *spelled[4:]], pa.string()))
    _, rows = batch.again(former, shop())
    assert [(row["row_number"], row["outcome"], row["changed_columns"]) for row in rows] == [(3, "accepted", ["price"])]


def test_a_record_of_former_code_is_compared_by_its_reasons(tmp_path: Path) -> None:
    batch = Batch(tmp_path, spoiled(price={2: -1.0}, order_id={9: 0}))
    record = record_of(batch.files, REF)
    rows = record.stored.batches([*record.added[:2], *record.raw]).read_all()
    with batch.files.sink(Area.REJECTED, REF, rows.schema) as sink:
        known = to_metadata(record.manifest)
        sink.metadata.update({key: value for key, value in known.items() if "added_columns" not in key})
        for part in rows.to_batches():
            sink.write(part)
    assert record_of(batch.files, REF).raw == orders(1, stage="predict").column_names
    replay, found = batch.again(spoiled(order_id={9: 0}), shop())
    assert [row["rules"] for row in found] == [[PRICE], [KEY]]
    assert replay.outcomes == {"accepted": 1, "same_rule": 1, "other_rule": 0, "gone": 0}


def test_a_file_that_changes_under_the_comparison_is_an_error(tmp_path: Path) -> None:
    batch = Batch(tmp_path, spoiled(price={2: -1.0}))
    former = record_of(batch.files, REF)
    batch.put(spoiled(price={2: -2.0}))
    found = check(batch.files, shop(), REF, tmp_path / "scratch", lambda _: None)
    with rejected_now(tmp_path / "scratch") as aside:
        for part in found.rejected:
            aside.add(part)
        batch.put(spoiled(5))
        where = {"files": batch.files, "task": shop(), "spill": tmp_path / "scratch"}
        with (
            pytest.raises(ContractError, match="changed since it was found"),
            compare(former, found.manifest, aside, **where),
        ):
            pass


values = st.tuples(st.integers(0, 5), st.sampled_from([-1.0, 1.0, 2.0]), st.sampled_from(["DE", "US"]))


@settings(max_examples=25)
@given(st.lists(values, min_size=1, max_size=12), st.lists(values, min_size=1, max_size=12), st.booleans())
def test_each_former_row_has_one_outcome_and_no_present_row_stands_for_two(
    tmp_path_factory: pytest.TempPathFactory, before: list[Any], after: list[Any], keyed: bool
) -> None:
    def table(rows: list[Any]) -> pa.Table:
        made = orders(len(rows), stage="predict")
        made = with_column(made, "order_id", [row[0] for row in rows], pa.int64())
        made = with_column(made, "price", [row[1] for row in rows], pa.float64())
        return with_column(made, "country", [row[2] for row in rows])

    task = shop() if keyed else shop(key=None)
    batch = Batch(tmp_path_factory.mktemp("t"), table(before), task)
    replay, rows = batch.again(table(after), task)
    numbers = [row["row_number_now"] for row in rows if row["row_number_now"] is not None]
    assert len(numbers) == len(set(numbers)) == len(rows) - replay.outcomes["gone"]
    record = record_of(batch.files, REF)
    rejected = {row["row_number"]: row["rules"] for row in record.stored.batches(record.added).read_all().to_pylist()}
    for row in rows:
        assert (row["outcome"] == "accepted") == (row["found_by"] is not None and row["row_number_now"] not in rejected)
        assert row["rules_now"] == rejected.get(row["row_number_now"])
    assert replay.newly_rejected == len(rejected.keys() - set(numbers))


def test_nested_values_and_names_of_any_kind_are_compared(tmp_path: Path) -> None:
    def table(tags: list[str]) -> pa.Table:
        more = {
            "rules": pa.array([[{"a": tag}] for tag in tags]),
            "row_number": pa.array(range(len(tags))),
            "Цена, %": pa.array([b"\xff"] * len(tags)),
            "took": pa.array([1] * len(tags), pa.duration("us")),
        }
        made = spoiled(len(tags), price=dict.fromkeys(range(len(tags)), -1.0))
        for name, column in more.items():
            made = made.append_column(name, column)
        return made

    batch = Batch(tmp_path, table(["x", "y"]))
    assert record_of(batch.files, REF).added == [
        "pipeline_row_number", "reason", "pipeline_rules", "file", "row_in_file", "run_id",
    ]  # fmt: skip
    _, rows = batch.again(table(["x", "z"]), shop())
    assert [row["changed_columns"] for row in rows] == [[], ["rules"]]


def test_many_rows_are_compared_in_order(tmp_path: Path) -> None:
    count = 150_000
    table = with_column(orders(count, stage="predict"), "price", [-1.0] * count, pa.float64())
    batch = Batch(tmp_path, table)
    order = np.random.default_rng(1).permutation(count)
    replay, rows = batch.again(table.take(order), shop())
    assert replay.outcomes["same_rule"] == count
    assert [row["row_number"] for row in rows] == list(range(count))
    assert [row["row_number_now"] for row in rows] == np.argsort(order).tolist()
