from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline_assets.engine.duckdb.scan import ROWS_PER_BATCH, scan
from pipeline_assets.errors import ContractError
from pipeline_assets.task.contract import ROW, in_bits, raw
from tests.examples import orders


def written(folder: Path, **tables: pa.Table) -> list[Path]:
    for name, table in tables.items():
        pq.write_table(table, folder / name)
    return [folder / name for name in tables]


def test_row_numbers_count_on_over_the_parts(tmp_path: Path) -> None:
    paths = written(tmp_path, a=orders(3), b=orders(4), c=orders(2))
    with scan(paths, tmp_path / "spill") as view:
        rows = view.stream(f"select {ROW}, {raw(0)} from raw").read_all()
        assert view.rows_of_parts == (3, 4, 2)
    assert rows["row_number"].to_pylist() == list(range(9))
    assert rows["order_id"].to_pylist() == [0, 1, 2, 0, 1, 2, 3, 0, 1]


def test_rows_stay_in_file_order_when_some_are_left_out(tmp_path: Path) -> None:
    count = 3 * ROWS_PER_BATCH + 17
    paths = written(tmp_path, a=pa.table({"x": np.arange(count)}))
    gone = np.arange(0, count, 7)
    with scan(paths, tmp_path / "spill") as view:
        view.mark("rejected", gone)
        query = f"select {ROW}, {raw(0)} from raw where not {in_bits('rejected')}"
        kept = np.concatenate([batch.column(0).to_numpy() for batch in view.stream(query)])
    assert np.array_equal(kept, np.setdiff1d(np.arange(count), gone))


def test_names_with_patterns_are_plain_names(tmp_path: Path) -> None:
    paths = written(tmp_path, **{"a[1]*?.parquet": orders(2), "a1.parquet": orders(5)})
    with scan(paths[:1], tmp_path / "spill") as view:
        assert view.rows == 2


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "0 bytes"),
        (b"order_id,price\n1,2\n", "cannot be read as parquet"),
        (b"PAR1 cut short", "cannot be read as parquet"),
    ],
)
def test_a_file_that_is_no_parquet_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "2026-01.parquet"
    path.write_bytes(content)
    with pytest.raises(ContractError, match=message) as refused, scan([path], tmp_path / "spill"):
        pass
    assert refused.value.facts["file"] == "2026-01.parquet"
    assert str(tmp_path) not in str(refused.value)


def test_a_truncated_parquet_is_named(tmp_path: Path) -> None:
    (path,) = written(tmp_path, a=orders(1000))
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ContractError, match="cannot be read as parquet"), scan([path], tmp_path / "spill"):
        pass


def test_a_file_without_rows_is_refused(tmp_path: Path) -> None:
    paths = written(tmp_path, a=orders(0))
    with pytest.raises(ContractError, match="holds no rows"), scan(paths, tmp_path / "spill"):
        pass


def test_parts_must_have_the_same_columns(tmp_path: Path) -> None:
    paths = written(tmp_path, a=orders(2), b=orders(2).drop_columns(["price"]))
    with pytest.raises(ContractError, match="do not have the same columns") as refused, scan(paths, tmp_path / "s"):
        pass
    assert refused.value.facts["file"] == "b"
    assert "price: double" in str(refused.value.facts["found"])


def test_nothing_is_left_in_the_spill_folder(tmp_path: Path) -> None:
    paths = written(tmp_path, a=orders(2))
    with scan(paths, tmp_path / "spill") as view:
        view.stream("select * from raw").read_all()
    assert list((tmp_path / "spill").iterdir()) == []


def test_rows_of_many_columns_come_in_smaller_batches(tmp_path: Path) -> None:
    zeros = pa.array(np.zeros(50_000, np.int8))
    paths = written(tmp_path, a=pa.table({f"c{place}": zeros for place in range(600)}))
    with scan(paths, tmp_path / "spill") as view:
        rows = [batch.num_rows for batch in view.stream("select * from raw")]
        few = [batch.num_rows for batch in view.stream(f"select {ROW} from raw")]
    assert sum(rows) == sum(few) == 50_000
    assert max(rows) <= ROWS_PER_BATCH // 3
    assert len(few) == 1
