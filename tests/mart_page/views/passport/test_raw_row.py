from pathlib import Path

import pyarrow as pa

from pipeline_assets.mart_page.problem import Problem
from pipeline_assets.mart_page.views.passport.raw_row import NoRow, NotChecked, RawRow, raw_row
from pipeline_assets.stores.files.base import FileStore
from pipeline_assets.task.batch import BatchRef
from tests.examples import orders, shop, with_column
from tests.fixtures.checked import checked

REF = BatchRef("shop", "predict", "2026-02")


def whole(folder: Path) -> tuple[FileStore, pa.Table]:
    """Two parts of 120 and 80 rows: row 7 has a bad price, row 150 the key of row 5, and a column is unknown."""
    table = orders(200, stage="predict")
    prices = table["price"].to_pylist()
    prices[7] = -1.0
    table = with_column(table, "price", prices)
    table = with_column(table, "order_id", [5 if row == 150 else row for row in range(200)], pa.int64())
    table = with_column(table, "colour", [f"<b>{row}</b>" for row in range(200)])
    files, _ = checked(folder, shop(), REF, table.slice(0, 120), table.slice(120))
    return files, table


def look(folder: Path, files: FileStore, row: int) -> RawRow:
    found = raw_row(files, shop(), REF, row, folder / "scratch")
    assert isinstance(found, RawRow)
    return found


def test_a_rows_values_are_the_files_own_wherever_it_lies(tmp_path: Path) -> None:
    files, table = whole(tmp_path)
    for row in (0, 49, 50, 119, 120, 150, 199):
        found = look(tmp_path, files, row)
        assert not isinstance(found.values, Problem)
        assert {each.column: each.value for each in found.values} == table.slice(row, 1).to_pylist()[0]
        assert (found.file.rpartition("/")[2], found.row_in_file) == (
            ("part-0.parquet", row) if row < 120 else ("part-1.parquet", row - 120)
        )


def test_a_value_says_what_the_contract_says_of_it(tmp_path: Path) -> None:
    files, _ = whole(tmp_path)
    found = look(tmp_path, files, 0).values
    assert not isinstance(found, Problem)
    told = {each.column: (each.kind, each.expected, each.description) for each in found}
    assert told["price"] == ("float64", "float64", "In euros")
    assert told["colour"] == ("string", None, "")


def test_an_accepted_row_keeps_every_rule(tmp_path: Path) -> None:
    files, _ = whole(tmp_path)
    found = look(tmp_path, files, 8)
    assert found.accepted
    assert not isinstance(found.checks, Problem)
    assert [each.broken for each in found.checks] == [None] * len(found.checks)
    assert "price: breaks price > 0" in [each.rule for each in found.checks]


def test_a_rejected_row_says_why_and_which_rule(tmp_path: Path) -> None:
    files, _ = whole(tmp_path)
    found = look(tmp_path, files, 7)
    assert (found.accepted, found.reason) == (False, "price: -1.0 breaks price > 0")
    assert not found.repeats_key
    assert not isinstance(found.checks, Problem)
    assert [each for each in found.checks if each.broken] == [
        each for each in found.checks if each.rule == "price: breaks price > 0"
    ]
    # A repeated key is no rule of the row alone.
    repeated = look(tmp_path, files, 150)
    assert repeated.reason == "key (order_id): repeats row 5"
    assert repeated.repeats_key
    assert not isinstance(repeated.checks, Problem)
    assert all(each.broken is None for each in repeated.checks)


def test_a_row_keeps_its_own_types_on_the_way_to_the_rules(tmp_path: Path) -> None:
    """Text that spells a number is a number, and 1.5 is no whole one: as in the pipeline's own check."""
    table = with_column(orders(3, stage="predict"), "order_id", ["0", "1.5", "2"])
    files, _ = checked(tmp_path, shop(), REF, table)
    assert look(tmp_path, files, 0).accepted
    found = look(tmp_path, files, 1)
    assert found.reason == "order_id: 1.5 is no int64"
    assert not isinstance(found.checks, Problem)
    assert [each.broken for each in found.checks if each.broken] == ["order_id: 1.5 is no int64"]
    assert not isinstance(found.values, Problem)
    assert (found.values[0].kind, found.values[0].expected) == ("string", "int64")


def test_an_input_that_changed_takes_the_values_but_not_the_verdict(tmp_path: Path) -> None:
    files, table = whole(tmp_path)
    (tmp_path / "data/shop/predict/2026-02/part-0.parquet").unlink()
    found = look(tmp_path, files, 8)
    assert found.accepted
    assert isinstance(found.values, Problem)
    assert "changed since it was found" in found.values.text
    # A rejected row was set aside whole.
    rejected = look(tmp_path, files, 7)
    assert not isinstance(rejected.values, Problem)
    assert {each.column: each.value for each in rejected.values} == table.slice(7, 1).to_pylist()[0]


def test_rows_and_batches_that_are_not_there_say_what_is(tmp_path: Path) -> None:
    files, _ = whole(tmp_path)
    assert raw_row(files, shop(), REF, 200, tmp_path / "scratch") == NoRow(200)
    for name in ("2026-03", "../train/2026-02", "", "a'; drop table x; --"):
        other = BatchRef("shop", "predict", name)
        assert raw_row(files, shop(), other, 0, tmp_path / "scratch") == NotChecked(("2026-02",))


def test_a_task_that_changed_since_says_so_in_place_of_its_checks(tmp_path: Path) -> None:
    files, _ = whole(tmp_path)
    columns = {**shop().model_dump()["columns"], "size": {"type": "int64"}}
    found = raw_row(files, shop(columns=columns), REF, 0, tmp_path / "scratch")
    assert isinstance(found, RawRow)
    assert isinstance(found.checks, Problem)
    assert "size" in found.checks.text
    assert not isinstance(found.values, Problem)
