"""Raw batches checked and read again, over real files; hypothesis makes the rows."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline_assets.engine.duckdb.raw_batch import CheckedBatch, check, load, manifest_of
from pipeline_assets.errors import ContractError, DataError
from pipeline_assets.stores.files.base import Area
from pipeline_assets.stores.files.local import LocalFiles
from pipeline_assets.task.batch import BatchRef, Manifest
from pipeline_assets.task.preparation import features_query, features_schema, input_mart_query, raw_query
from tests.examples import orders, shop, with_column
from tests.fixtures.checked import checked as checked_batch

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
    assert rejected.drop_columns(["row_number", "reason"]).equals(table.take(rejected["row_number"]))
    if kept:
        batch = load(files, shop(), REF, folder / "scratch")
        assert batch.stream(features_query).read_all()["row_number"].to_pylist() == kept
        assert batch.stream(raw_query).read_all().drop_columns(["row_number"]).equals(table.take(kept))
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


def test_an_expression_that_fails_on_a_value_is_the_datas_error(tmp_path: Path) -> None:
    checks = {"note_is_a_number": "cast(note as integer) > 0"}
    place = tmp_path / "data" / "shop" / "train"
    place.mkdir(parents=True)
    pq.write_table(orders(3), place / "2026-01.parquet")
    with pytest.raises(DataError, match="a check of the task failed on a row") as refused:
        check(LocalFiles(tmp_path / "data"), shop(checks=checks), REF, tmp_path / "scratch", lambda _: None)
    assert refused.value.facts["batch"] == "2026-01"
    assert "Gift" in str(refused.value.facts["found"])
