"""What is said where a file cannot grow: the system's own limit stands for a disk that is full."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline_assets.errors import StoreError
from pipeline_assets.stores.features.base import FeatureTable
from pipeline_assets.stores.features.parquet import ParquetFeatureStore
from pipeline_assets.stores.files.base import Area
from pipeline_assets.stores.files.download_cache import DownloadCache
from pipeline_assets.stores.files.local import LocalFiles
from pipeline_assets.stores.load import Piece
from tests.fixtures.files import NUMBERS, REF, FilesPlace, numbers, values_in, write

LIMIT = 100_000
SAID = r"(?s)the file cannot be written.*file: +{file}.*found: +.*File too large.*do: +check the folder.s.*free space"


@contextmanager
def full() -> Iterator[None]:
    """No file of this process grows beyond the limit: a write that would is cut short, the next one fails."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def noise() -> pa.RecordBatch:
    """More than the limit, however it is compressed."""
    return numbers(*np.random.default_rng(0).integers(0, 2**62, LIMIT).tolist())


def files_in(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob("*") if path.is_file() and path.name != ".lock"]


def test_a_file_that_cannot_be_written_is_named_and_the_former_stays(tmp_path: Path) -> None:
    store = LocalFiles(tmp_path)
    write(store, 1, 2)
    said = SAID.format(file=store.uri_of(Area.OUTPUT, REF))
    with pytest.raises(StoreError, match=said), full(), store.sink(Area.OUTPUT, REF, NUMBERS) as sink:
        sink.write(noise())
    assert values_in(store) == [1, 2]
    assert len(files_in(tmp_path)) == 1


def test_a_piece_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    load = LocalFiles(tmp_path).begin(Area.OUTPUT, REF, NUMBERS)
    with pytest.raises(StoreError, match=SAID.format(file=f"{tmp_path}/shop/predictions/.loads/.*0.parquet")), full():
        load.write(Piece(0, 1), pa.RecordBatchReader.from_batches(NUMBERS, [noise()]))
    with pytest.raises(StoreError, match="not written"):
        load.commit()


def test_an_input_that_cannot_be_copied_is_named(tmp_path: Path) -> None:
    pq.write_table(pa.Table.from_batches([noise()]), tmp_path / "in.parquet")
    store = LocalFiles(tmp_path / "data")
    with pytest.raises(StoreError, match=SAID.format(file=".*2026-01.parquet")), full():
        store.put(REF, tmp_path / "in.parquet")
    assert files_in(tmp_path / "data") == []


def test_features_that_cannot_be_written_are_named(tmp_path: Path) -> None:
    table = FeatureTable("shop", "predict", pa.schema([("row_number", pa.int64()), ("x", pa.int64())]))
    batch = noise()
    rows = pa.record_batch([pa.array(range(batch.num_rows), pa.int64()), batch["x"]], schema=table.schema)
    store = ParquetFeatureStore(tmp_path)
    with pytest.raises(StoreError, match=SAID.format(file=store.uri(table, "2026-01"))), full():
        store.replace(table, "2026-01", pa.RecordBatchReader.from_batches(table.schema, [rows]))
    assert store.count(table, "2026-01") is None


@pytest.mark.parametrize("files_place", ["s3"], indirect=True)
def test_a_download_that_is_cut_short_is_an_error_and_no_shorter_file(files_place: FilesPlace) -> None:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_batches([noise()]), sink)
    files_place.put("shop/predict/2026-01.parquet", sink.getvalue().to_pybytes())
    store = files_place.store
    found = store.find(REF)
    with pytest.raises(StoreError, match=SAID.format(file=".*2026-01.parquet")), full(), store.fetch(found):
        pass
    assert files_in(files_place.settings.state / "downloads") == []
    with store.fetch(found) as fetched:
        assert pq.read_table(fetched.paths[0]).num_rows == LIMIT


def test_a_copy_in_the_cache_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    def fill(folder: Path) -> None:
        (folder / "copy").write_bytes(bytes(2 * LIMIT))

    cache = DownloadCache(tmp_path)
    with pytest.raises(StoreError, match=SAID.format(file=f"{tmp_path}/key")), full(), cache.copy("key", 10, fill):
        pass
    assert files_in(tmp_path) == []
