"""Raw batches checked and read again, over real files; hypothesis makes the rows."""

import errno
import json
import os
from collections import deque
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline_assets.engine.base import CheckedBatch
from pipeline_assets.engine.duckdb.accepted import load
from pipeline_assets.engine.duckdb.check import check
from pipeline_assets.engine.duckdb.failures import computable
from pipeline_assets.engine.record import ADDED_COLUMNS, MANIFEST_KEY, manifest_of, record_of
from pipeline_assets.errors import ContractError, DataError, StoreError
from pipeline_assets.stores.files.base import Area
from pipeline_assets.stores.files.local import LocalFiles
from pipeline_assets.task.batch import BatchRef, Manifest
from pipeline_assets.task.preparation import features_query, features_schema, input_mart_query
from tests.examples import orders, shop, with_column
from tests.fixtures.checked import checked as checked_batch
from tests.fixtures.checked import raw_rows

REF = BatchRef("shop", "train", "2026-01")


def checked(folder: Path, *parts: pa.Table) -> tuple[LocalFiles, CheckedBatch]:
    return checked_batch(folder, shop(), REF, *parts)


rows = st.lists(
    st.tuples(st.integers(0, 6), st.sampled_from([None, -1.0, 0.5, 2.0]), st.sampled_from(["DE", "FR", "US"])),
    min_size=1,
    max_size=25,
)


@settings(max_examples=40)
@given(rows, st.integers(0, 25))
def test_no_row_vanishes_and_the_first_sound_row_keeps_its_key(
    tmp_path_factory: pytest.TempPathFactory, given_rows: list[tuple[int, float | None, str]], cut: int
) -> None:
    table = orders(len(given_rows))
    table = with_column(table, "order_id", [row[0] for row in given_rows], pa.int64())
    table = with_column(table, "price", [row[1] for row in given_rows], pa.float64())
    table = with_column(table, "country", [row[2] for row in given_rows])
    folder = tmp_path_factory.mktemp("t")
    files, found = checked(folder, table.slice(0, cut), table.slice(cut))

    kept, seen = [], set()
    for number, (key, price, country) in enumerate(given_rows):
        if price is not None and price > 0 and country != "US" and key not in seen:
            kept.append(number)
            seen.add(key)
    manifest = found.manifest
    assert (manifest.rows, manifest.accepted) == (len(given_rows), len(kept))
    stored = files.read(Area.REJECTED, REF)
    assert stored is not None
    rejected = stored.batches().read_all()
    assert sorted([*kept, *rejected["row_number"].to_pylist()]) == list(range(len(given_rows)))
    assert all(rejected["reason"].to_pylist())
    assert rejected.drop_columns([*ADDED_COLUMNS]).equals(table.take(rejected["row_number"]))
    if kept:
        batch = load(files, shop(), REF, folder / "scratch")
        assert batch.stream(features_query).read_all()["row_number"].to_pylist() == kept
        assert raw_rows(batch).drop_columns(["row_number"]).equals(table.take(kept))
    else:
        with pytest.raises(DataError, match="no accepted row"):
            load(files, shop(), REF, folder / "scratch")


def test_features_and_mart_have_their_declared_columns(tmp_path: Path) -> None:
    files, _ = checked(tmp_path, orders(8))
    batch = load(files, shop(), REF, tmp_path / "scratch")
    features = batch.stream(features_query).read_all()
    wanted = features_schema(shop(), "train")
    assert [(field.name, field.type) for field in features.schema] == [(field.name, field.type) for field in wanted]
    assert features["label"].to_pylist() == [1, 0, 0, None, 0, 0, 1, None]
    assert features["note"].to_pylist() == ["gift", *["<null>"] * 4, "gift", "<null>", "<null>"]
    assert features["split_by"].to_pylist() == orders(8)["ordered_on"].to_pylist()
    mart = batch.stream(input_mart_query).read_all()
    assert mart["feature_price"].to_pylist() == mart["price"].to_pylist()
    assert set(mart["batch"].to_pylist()) == {"2026-01"}


def test_unlabelled_rows_are_counted_among_the_accepted(tmp_path: Path) -> None:
    table = with_column(orders(8), "order_id", [0, 1, 2, 3, 4, 5, 6, 3])
    _, found = checked(tmp_path, table)
    assert (found.manifest.accepted, found.manifest.unlabelled) == (7, 1)


def test_reasons_are_counted_most_first(tmp_path: Path) -> None:
    table = with_column(orders(6), "price", [-1.0, -1.0, -1.0, 1.0, 1.0, 1.0])
    table = with_column(table, "country", ["US", "DE", "DE", "US", "DE", "DE"])
    _, found = checked(tmp_path, with_column(table, "order_id", [0, 1, 2, 3, 4, 4]))
    assert list(found.manifest.reasons.items()) == [
        ("price: breaks price > 0", 3), ("country: not allowed", 2), ("key (order_id): repeats", 1)
    ]  # fmt: skip


def test_keys_of_several_columns_and_equal_hashes_are_told_apart(tmp_path: Path) -> None:
    count = 50_000
    table = with_column(orders(count), "order_id", list(np.arange(count) // 2))
    _, found = checked(tmp_path, table)
    assert found.manifest.reasons == {"key (order_id): repeats": count // 2}
    assert found.rejected.schema.names[:2] == ["row_number", "reason"]


def test_the_record_of_a_check_is_read_back(tmp_path: Path) -> None:
    files, found = checked(tmp_path, orders(3), orders(2).set_column(0, "order_id", [[10, 11]]))
    assert manifest_of(files, REF) == found.manifest
    assert Manifest.from_json(found.manifest.to_json()) == found.manifest
    assert found.manifest.rows_of_parts == (3, 2)


def test_a_batch_that_was_not_checked_says_what_to_run(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="materialise shop/train_raw"):
        load(LocalFiles(tmp_path), shop(), REF, tmp_path)


def test_a_batch_that_is_not_there_names_those_that_are(tmp_path: Path) -> None:
    files, _ = checked(tmp_path, orders(3))
    with pytest.raises(ContractError, match="2026-01"):
        check(files, shop(), BatchRef("shop", "train", "2026-02"), tmp_path / "scratch", lambda _: None)


def test_a_check_that_raises_rejects_its_row_alone(tmp_path: Path) -> None:
    checks = {"note_is_a_number": "cast(note as integer) > 0", "cheap": "1000 // (order_id - 3) > -10000"}
    table = with_column(orders(6), "note", ["5", None, "Gift", "7", "x", "8"])
    files, found = checked_batch(tmp_path, shop(checks=checks), REF, table)
    assert found.manifest.reasons == {
        "note_is_a_number: check cast(note as integer) > 0 fails": 2,
        "cheap: check 1000 // (order_id - 3) > -10000 fails": 1,
    }
    stored = files.read(Area.REJECTED, REF)
    assert stored is not None
    assert stored.batches().read_all().select(["row_number", "reason"]).to_pylist() == [
        {"row_number": 2, "reason": "note_is_a_number: check cast(note as integer) > 0 fails:"
         " could not convert string 'Gift' to INT32 when casting from source column note"},
        {"row_number": 3, "reason": "cheap: check 1000 // (order_id - 3) > -10000 fails: division by zero"},
        {"row_number": 4, "reason": "note_is_a_number: check cast(note as integer) > 0 fails:"
         " could not convert string 'x' to INT32 when casting from source column note"},
    ]  # fmt: skip
    kept = raw_rows(load(files, shop(checks=checks), REF, tmp_path / "s"))
    assert kept["order_id"].to_pylist() == [0, 1, 5]


def test_a_target_that_raises_rejects_its_row_unless_the_row_broke_a_rule_already(tmp_path: Path) -> None:
    task = shop(target={"expression": "10 // order_id > 5"})
    table = with_column(orders(5), "order_id", [0, 1, 2, 0, 4], pa.int64())
    table = with_column(table, "price", [-1.0, 1.0, 1.0, 1.0, 1.0])
    files, found = checked_batch(tmp_path, task, REF, table)
    assert found.manifest.reasons == {"price: breaks price > 0": 1, "target: 10 // order_id > 5 fails": 1}
    record = record_of(files, REF)
    assert record.stored.batches().read_all()["reason"].to_pylist() == [
        "price: -1.0 breaks price > 0",
        "target: 10 // order_id > 5 fails: division by zero",
    ]
    assert load(files, task, REF, tmp_path / "s").stream(features_query).read_all()["label"].to_pylist() == [1, 0, 0]


def test_of_many_rows_that_raise_the_first_ones_say_why(tmp_path: Path) -> None:
    task = shop(checks={"inverse": "1 // (order_id % 2) > 0"})
    files, found = checked_batch(tmp_path, task, REF, orders(3000))
    assert found.manifest.reasons == {"inverse: check 1 // (order_id % 2) > 0 fails": 1500}
    reasons = record_of(files, REF).stored.batches().read_all()["reason"].to_pylist()
    assert reasons[999].endswith("division by zero")
    assert reasons[1000].endswith("its value cannot be computed")


@pytest.mark.parametrize("group", ["numeric", "categorical"])
def test_a_feature_that_raises_is_named_with_its_expression_and_row(tmp_path: Path, group: str) -> None:
    features = {"numeric": {"price": "price"}, "categorical": {"country": "country"}}
    features[group]["inverse"] = "1000 // (order_id - 200000)"
    task = shop(features=features)
    table = orders(250_000)
    files, _ = checked_batch(tmp_path, task, REF, table.set_column(3, "price", [[-1.0] + [1.0] * 249_999]))
    with pytest.raises(DataError, match="the feature inverse cannot be computed on row 200000") as refused:
        load(files, task, REF, tmp_path / "s").stream(features_query).read_all()
    facts = refused.value.facts
    assert facts["found"] == "division by zero in 1000 // (order_id - 200000)"
    assert (facts["task"], facts["stage"], facts["batch"], facts["column"]) == ("shop", "train", "2026-01", "inverse")
    assert str(facts["file"]).endswith("2026-01/")


def test_a_batch_checked_by_another_contract_is_refused_until_it_is_checked_again(tmp_path: Path) -> None:
    files, found = checked(tmp_path, orders(5))
    assert found.manifest.fingerprints == {"contract": shop().fingerprint("contract")}
    stricter = shop(checks={"cheap": "price < 3"})
    with pytest.raises(DataError, match="checked by another contract") as refused:
        load(files, stricter, REF, tmp_path / "scratch")
    assert stricter.fingerprint("contract") in str(refused.value.facts["expected"])
    assert shop().fingerprint("contract") in str(refused.value.facts["found"])
    assert refused.value.facts["do"] == "materialise shop/train_raw for this batch again"
    load(files, shop(description="another text"), REF, tmp_path / "scratch")


def test_a_record_of_an_earlier_version_of_the_pipeline_says_what_to_run(tmp_path: Path) -> None:
    files, found = checked(tmp_path, orders(5))
    former = found.manifest.to_json()
    del former["fingerprints"]
    with files.sink(Area.REJECTED, REF, pa.schema([("row_number", pa.int64()), ("reason", pa.string())])) as sink:
        sink.metadata[MANIFEST_KEY] = json.dumps(former)
    assert manifest_of(files, REF).accepted == 5
    with pytest.raises(DataError, match="earlier version of the pipeline"):
        load(files, shop(), REF, tmp_path / "scratch")


def test_a_full_scratch_folder_is_a_clear_error(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="scratch folder has no space left") as refused, computable("it", tmp_path):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert refused.value.facts["file"] == tmp_path


def test_a_file_that_changes_while_it_is_checked_keeps_its_former_record(tmp_path: Path) -> None:
    files, first = checked(tmp_path, orders(200))
    (part,) = files.find(REF).parts
    changing = check(files, shop(checks={"cheap": "price < 1"}), REF, tmp_path, lambda _: os.utime(part.uri))
    sink = files.sink(Area.REJECTED, REF, changing.rejected.schema)
    with pytest.raises(ContractError, match="changed since it was found"), sink as rejected:
        deque(map(rejected.write, changing.rejected), maxlen=0)
    assert manifest_of(files, REF) == first.manifest


def test_a_file_that_is_damaged_in_the_middle_is_named(tmp_path: Path) -> None:
    place = tmp_path / "data" / "shop" / "train" / "2026-01.parquet"
    place.parent.mkdir(parents=True)
    pq.write_table(orders(5000), place, compression="zstd")
    content = bytearray(place.read_bytes())
    content[4:60] = bytes(56)
    place.write_bytes(content)
    with pytest.raises(ContractError, match="cannot be read as parquet") as refused:
        check(LocalFiles(tmp_path / "data"), shop(), REF, tmp_path / "scratch", lambda _: None)
    assert refused.value.facts["file"] == "2026-01.parquet"
    assert str(tmp_path) not in str(refused.value.facts["found"])


def test_a_row_whose_weight_cannot_be_used_is_rejected_with_its_reason(tmp_path: Path) -> None:
    weight = "case country when 'DE' then price else 100 // (order_id - 1) end"
    task = shop(columns=dict(shop().columns, price={"type": "float64", "nullable": True}), training={"weight": weight})
    table = with_column(orders(7), "country", ["FR", "FR", *["DE"] * 5])
    table = with_column(table, "price", [1.0, 1.0, 0.0, -2.0, float("nan"), float("inf"), None])
    files, found = checked_batch(tmp_path / "train", task, REF, table)
    stored = files.read(Area.REJECTED, REF)
    assert stored is not None
    rejected = stored.batches().read_all()
    says = "is no weight, which is a number from 0 up"
    assert rejected["row_number"].to_pylist() == [0, 1, 3, 4, 5, 6]
    assert rejected["reason"].to_pylist() == [
        f"training.weight: -100.0 {says}",
        f"training.weight: {weight} fails: division by zero",
        f"training.weight: -2.0 {says}",
        f"training.weight: nan {says}",
        f"training.weight: inf {says}",
        f"training.weight: null {says}",
    ]
    assert found.manifest.reasons == {f"training.weight: {says}": 5, f"training.weight: {weight} fails": 1}
    _, predict = checked_batch(tmp_path / "predict", task, BatchRef("shop", "predict", "b"), table)
    assert predict.manifest.rejected == 0


def test_rows_checked_under_another_weight_are_checked_again(tmp_path: Path) -> None:
    files, _ = checked_batch(tmp_path, shop(training={"weight": "price"}), REF, orders(6))
    for now in ("price * 2", "order_id"):
        with pytest.raises(DataError, match="another weight than the task has now") as refused:
            load(files, shop(training={"weight": now}), REF, tmp_path / "scratch")
        assert refused.value.facts["do"] == "materialise shop/train_raw for this batch again"


def test_a_check_between_bounds_that_raises_rejects_its_row_alone(tmp_path: Path) -> None:
    task = shop(checks={"few": "100 // (order_id - 1) between -100 and 1000"})
    _, found = checked_batch(tmp_path, task, REF, orders(6))
    assert found.manifest.reasons == {"few: check 100 // (order_id - 1) between -100 and 1000 fails": 1}
