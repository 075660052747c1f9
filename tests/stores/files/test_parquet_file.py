from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline_assets.stores.files import parquet_file
from pipeline_assets.stores.files.parquet_file import open_stored, parquet_sink


def rows(start: int, count: int) -> pa.RecordBatch:
    numbers = range(start, start + count)
    of = pa.array([f"t{one % 3}" for one in numbers], pa.string())
    return pa.record_batch({"row_number": pa.array(numbers, pa.int64()), "of": of})


def test_row_groups_are_full_however_rows_come(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet_file, "ROWS_PER_GROUP", 10)
    place = tmp_path / "a.parquet"
    sizes = (3, 12, 0, 10, 25, 1)
    with parquet_sink(place, rows(0, 0).schema, "a") as sink:
        for at, size in enumerate(sizes):
            sink.write(rows(sum(sizes[:at]), size))
    assert sink.rows == sum(sizes)
    metadata = pq.read_metadata(place)
    assert [metadata.row_group(at).num_rows for at in range(metadata.num_row_groups)] == [10] * 5 + [1]
    stored = open_stored(place, "a")
    assert stored.batches().read_all().equals(pa.Table.from_batches([rows(0, sum(sizes))]))


def test_a_column_called_row_number_may_hold_anything(tmp_path: Path) -> None:
    batch = pa.record_batch({"row_number": ["a", None], "of": [1, 2]})
    with parquet_sink(tmp_path / "a.parquet", batch.schema, "a") as sink:
        sink.write(batch)
    assert open_stored(tmp_path / "a.parquet", "a").batches().read_all().to_batches() == [batch]


def test_coded_texts_are_the_same_texts_of_the_file_that_was_opened(tmp_path: Path) -> None:
    place = tmp_path / "a.parquet"
    with parquet_sink(place, rows(0, 0).schema, "a") as sink:
        sink.write(rows(0, 9))
    stored = open_stored(place, "a")
    place.unlink()
    with parquet_sink(place, rows(0, 0).schema, "a") as sink:
        sink.write(rows(50, 2))
    coded = stored.batches(["of", "row_number"], coded=["of"]).read_all()
    assert coded.schema.types == [pa.dictionary(pa.int32(), pa.string()), pa.int64()]
    assert coded["of"].cast(pa.string()).to_pylist() == rows(0, 9).column("of").to_pylist()
    assert coded["row_number"].to_pylist() == list(range(9))
