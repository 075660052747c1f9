"""Tests of the hashes of columns: they show the column and the block, whatever the batches of the stream."""

import pyarrow as pa
import pytest

from pipeline_assets.monitoring.column_hashes import ColumnHashes, Hashing, first_unequal

ROWS = 1000


def _table() -> pa.Table:
    numbers = [None if row % 7 == 0 else float("nan") if row % 11 == 0 else row / 3 for row in range(ROWS)]
    texts = [None if row % 5 == 0 else "ещё" * (row % 4) for row in range(ROWS)]
    return pa.table({"row_number": pa.array(range(ROWS)), "price": pa.array(numbers, pa.float64()), "note": texts})


def _hashes(table: pa.Table, rows: int = 10_000) -> ColumnHashes:
    hashing = Hashing(rows_per_block=256)
    passed = hashing.passing(table.to_reader(rows)).read_all()
    assert passed.num_rows == table.num_rows
    return hashing.found


def test_they_depend_neither_on_the_batches_nor_on_dictionaries() -> None:
    table = _table()
    found = _hashes(table)

    assert found.rows == ROWS
    assert [len(hashes) for hashes in found.columns.values()] == [4, 4, 4]
    assert _hashes(table, rows=33) == found
    assert _hashes(table.slice(500), rows=7) != found
    coded = table.set_column(2, "note", table["note"].dictionary_encode())
    assert _hashes(coded, rows=100) == found
    assert ColumnHashes.from_json(found.to_json()) == found


@pytest.mark.parametrize(
    ("column", "row", "value"),
    [("price", 300, 1e-300), ("price", 1, -0.0), ("price", 7, float("nan")), ("note", 999, ""), ("note", 5, "")],
)
def test_one_other_value_changes_one_hash(column: str, row: int, value: object) -> None:
    table = _table()
    values = table[column].to_pylist()
    values[row] = value
    other = table.set_column(
        table.column_names.index(column), column, pa.array(values, table.schema.field(column).type)
    )
    one, two = _hashes(table), _hashes(other)

    changed = [
        (name, block)
        for name in one.columns
        for block in range(4)
        if one.columns[name][block] != two.columns[name][block]
    ]
    assert changed == [(column, row // 256)]


def test_null_is_not_nan() -> None:
    nan = float("nan")
    assert first_unequal(pa.array([1.0, nan, None]), pa.array([1.0, nan, None])) is None
    assert first_unequal(pa.array([1.0, nan]), pa.array([1.0, None])) == 1
    assert first_unequal(pa.array([0.0]), pa.array([-0.0])) == 0
