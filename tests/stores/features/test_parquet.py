"""What is the parquet store's own; test_features.py has what holds for every feature store."""

from pathlib import Path

import pyarrow as pa
import pytest

from pipeline_assets.errors import ContractError, DataError
from pipeline_assets.stores.features.base import FeatureTable
from pipeline_assets.stores.features.parquet import ParquetFeatureStore
from tests.fixtures.feature_writers import BATCH, Writer, content, table_of

TABLE = table_of("shop")


def files_in(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_a_batch_is_one_file(tmp_path: Path) -> None:
    store = ParquetFeatureStore(tmp_path / "features")
    store.replace(TABLE, BATCH, content("shop", "me", 1).to_reader())
    assert store.uri(TABLE, BATCH) == str(tmp_path / f"features/shop/predict/{BATCH}.parquet")
    assert files_in(tmp_path) == {f"features/shop/predict/{BATCH}.parquet"}


def test_what_a_killed_writer_left_goes_with_the_next_write(tmp_path: Path) -> None:
    writer = Writer(tmp_path, "shop", "killed", 2)
    writer.reach("end")
    writer.kill()
    assert len(files_in(tmp_path)) == 1
    store = ParquetFeatureStore(tmp_path)
    assert store.count(TABLE, BATCH) is None
    store.replace(TABLE, "another", content("shop", "me", 1).to_reader())
    assert len(files_in(tmp_path)) == 2
    store.replace(TABLE, BATCH, content("shop", "me", 1).to_reader())
    assert files_in(tmp_path) == {"shop/predict/another.parquet", f"shop/predict/{BATCH}.parquet"}


@pytest.mark.parametrize("batch", ["", "..", "../train/other", "a/b", ".hidden", "a\0b"])
def test_no_name_leads_out_of_the_folder(tmp_path: Path, batch: str) -> None:
    store = ParquetFeatureStore(tmp_path)
    with pytest.raises(ContractError, match="the batch's name"):
        store.replace(TABLE, batch, content("shop", "me", 1).to_reader())
    with pytest.raises(ContractError, match="the batch's name"):
        store.read(TABLE, batch)
    assert not files_in(tmp_path)


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    store = ParquetFeatureStore(tmp_path)
    store.replace(TABLE, BATCH, content("shop", "me", 1).to_reader())
    path = Path(store.uri(TABLE, BATCH))
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(DataError, match=f"{BATCH}.parquet"):
        store.read(TABLE, BATCH)


def test_every_column_that_does_not_fit_is_named(tmp_path: Path) -> None:
    store = ParquetFeatureStore(tmp_path)
    store.replace(TABLE, BATCH, content("shop", "me", 1).to_reader())
    grown = FeatureTable(
        "shop",
        "predict",
        pa.schema([TABLE.schema.field("row_number"), ("value", pa.string()), ("weather", pa.float64())]),
    )
    with pytest.raises(DataError) as misfit:
        store.read(grown, BATCH)
    assert misfit.value.facts["column"] == "value, weather"
    assert misfit.value.facts["found"] == "value: double; weather: not there"
    assert misfit.value.facts["expected"] == "value: string; weather: double"
