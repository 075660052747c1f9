"""Features and input mart of a batch: one pass over the file for both, or for the one that is asked for."""

import threading
from collections import Counter
from typing import Any, NoReturn

import dagster as dg
import pyarrow as pa
import pytest

from pipeline_assets.cli.run import failures
from pipeline_assets.errors import StoreError
from pipeline_assets.stores.features.base import feature_table
from pipeline_assets.stores.features.parquet import ParquetFeatureStore
from pipeline_assets.stores.files.local import LocalFiles
from pipeline_assets.stores.marts import loading
from pipeline_assets.stores.marts.copy_binary import encoded
from tests.examples import orders, shop, with_column
from tests.workbench import Workbench

BATCH = "2026-01"


def alone(place: Workbench, *assets: str) -> dg.ExecuteInProcessResult:
    """Materialises some assets of the train job."""
    quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    return place.defs.resolve_job_def("shop_train").execute_in_process(
        run_config=quiet,
        asset_selection=[dg.AssetKey(["shop", asset]) for asset in assets],
        instance=place.instance,
        partition_key=BATCH,
        raise_on_error=False,
    )


def test_a_file_is_read_once_for_the_check_and_once_for_features_and_mart(
    place: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads = Counter[str]()
    real = LocalFiles.open

    def counted(self: LocalFiles, found: object) -> object:
        reads["open"] += 1
        return real(self, found)  # type: ignore[arg-type]  # passed on as it came

    monkeypatch.setattr(LocalFiles, "open", counted)
    place.put("train", BATCH, orders(200))
    place.succeed("train", BATCH)
    assert reads["open"] == 2
    features = place.stores["features"].read(feature_table(shop(), "train"), BATCH).read_all().to_pylist()
    mart = place.mart("train_input", batch=BATCH)
    assert [row["feature_weekday"] for row in mart] == [row["weekday"] for row in features]
    for name in ("row_number", "label"):
        assert [row[name] for row in mart] == [row[name] for row in features]
    assert [row["split_by"] for row in features] == [row["ordered_on"] for row in mart]


def test_either_is_made_alone(place: Workbench) -> None:
    place.put("train", BATCH, orders(200))
    place.instance.add_dynamic_partitions("shop_train_batches", [BATCH])
    table, marts = feature_table(shop(), "train"), place.stores["marts"]
    assert alone(place, "train_raw", "train_features").success
    assert place.stores["features"].count(table, BATCH) == 200
    assert not marts.count("shop_train_input", {"batch": BATCH})
    place.put("train", BATCH, orders(150))
    assert alone(place, "train_raw", "train_input_mart").success
    assert place.stores["features"].count(table, BATCH) == 200
    assert marts.count("shop_train_input", {"batch": BATCH}) == 150


def test_features_are_not_taken_from_a_batch_that_was_checked_by_another_contract(place: Workbench) -> None:
    place.put("train", BATCH, with_column(orders(200), "price", [5000.0, *[1.0] * 199]))
    place.succeed("train", BATCH)
    place.use(shop(checks={"cheap": "price < 1000"}))
    said = "\n".join(failures(alone(place, "train_features")))
    assert "checked by another contract" in said
    assert "materialise shop/train_raw for this batch again" in said
    assert "Stack Trace" not in said
    assert alone(place, "train_raw").success
    assert alone(place, "train_features").success
    assert place.stores["features"].count(feature_table(place.task, "train"), BATCH) == 199


def test_a_feature_that_raises_leaves_both_stores_as_they_were_and_is_named(place: Workbench) -> None:
    place.put("train", BATCH, orders(200))
    place.succeed("train", BATCH)
    before = place.everything()
    features = {"numeric": {"price": "price", "inverse": "100 // (order_id - 150)"}, "categorical": {"note": "note"}}
    place.use(shop(features=features))
    said = place.fail("train", BATCH)
    assert "the feature inverse cannot be computed on row 150" in said
    assert "division by zero in 100 // (order_id - 150)" in said
    place.use(shop())
    assert place.everything() == before


def test_a_mart_that_fails_leaves_the_features_whole_and_the_former_mart(
    place: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.put("train", BATCH, orders(200))
    place.succeed("train", BATCH)
    place.put("train", BATCH, orders(150))
    monkeypatch.setattr(loading, "encoded", _refuse_features)
    said = place.fail("train", BATCH)
    assert "the mart is full" in said
    assert "the mart is full" not in said.split("the mart is full", 1)[1]
    monkeypatch.undo()
    assert place.stores["features"].count(feature_table(shop(), "train"), BATCH) == 150
    assert place.stores["marts"].count("shop_train_input", {"batch": BATCH}) == 200


@pytest.mark.parametrize("when", ["while it takes the rows", "when it has all rows", "after it has written"])
def test_features_that_fail_leave_the_former_mart_and_no_thread(
    place: Workbench, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    place.put("train", BATCH, orders(200))
    place.succeed("train", BATCH)
    place.put("train", BATCH, orders(150))
    real = ParquetFeatureStore.replace

    def replace(self: ParquetFeatureStore, table: Any, batch: str, rows: pa.RecordBatchReader, progress: Any) -> int:
        if when == "while it takes the rows":
            rows.read_next_batch()
        else:
            count = real(self, table, batch, rows, progress)
            if when == "after it has written":
                return count
        raise StoreError("the folder is full")

    monkeypatch.setattr(ParquetFeatureStore, "replace", replace)
    if when == "after it has written":
        monkeypatch.setattr(ParquetFeatureStore, "uri", _refuse)
    assert "is full" in place.fail("train", BATCH)
    assert place.stores["marts"].count("shop_train_input", {"batch": BATCH}) == 200
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("alongside")]


def _refuse(*_: object, **__: object) -> NoReturn:
    raise StoreError("the mart is full")


def _refuse_features(batch: pa.RecordBatch, *rest: Any, **more: Any) -> Any:
    """Of the marts only the input mart is full: the one of rejected rows is written before."""
    if "feature_price" in batch.schema.names:
        _refuse()
    return encoded(batch, *rest, **more)
