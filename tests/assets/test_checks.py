"""Each check that rows add up, keys are unique and limits hold fails where they do not: over real stores."""

from collections.abc import Callable
from typing import Any

import dagster as dg
import pyarrow as pa
import pytest

from pipeline_assets.cli.run import failures
from pipeline_assets.io_managers.raw import RawIOManager
from pipeline_assets.stores.features.base import feature_table
from pipeline_assets.stores.files.base import Area
from pipeline_assets.stores.marts.tables import input_mart, output_mart
from pipeline_assets.task.spec import Stage
from tests.examples import orders, shop, with_column
from tests.fixtures import runs
from tests.workbench import Workbench

BATCH = "2026-02"


def lose_rejected(place: Workbench, stage: Stage) -> None:
    _shorten(place, Area.REJECTED, stage)


def lose_features(place: Workbench, stage: Stage) -> None:
    store, table = place.stores["features"], feature_table(place.task, stage)
    store.replace(table, BATCH, store.read(table, BATCH).read_all().slice(1).to_reader())


def lose_mart_row(place: Workbench, stage: Stage) -> None:
    _lose_row(place, input_mart(place.task, stage))


def lose_output(place: Workbench, stage: Stage) -> None:
    _shorten(place, Area.OUTPUT, stage)


def lose_output_mart_row(place: Workbench, _stage: Stage) -> None:
    _lose_row(place, output_mart(place.task))


def _lose_row(place: Workbench, table: Any) -> None:
    marts, where = place.stores["marts"], {"batch": BATCH}
    rows = marts.read(table.name, where).read_all().select(table.schema.names)
    marts.replace(table, where, rows.slice(1).cast(table.schema).to_reader())


def _shorten(place: Workbench, area: Area, stage: Stage) -> None:
    files, ref = place.stores["files"], place.ref(stage, BATCH)
    stored = files.read(area, ref)
    assert stored is not None
    rows = stored.batches().read_all()
    with files.sink(area, ref, rows.schema) as sink:
        sink.metadata.update(stored.metadata)
        for batch in rows.slice(1).to_batches():
            sink.write(batch)


TAMPERED: list[tuple[Stage, str, Callable[[Workbench, Stage], None]]] = [
    ("train", "train_raw", lose_rejected),
    ("train", "train_features", lose_features),
    ("train", "train_input_mart", lose_mart_row),
    ("predict", "predict_raw", lose_rejected),
    ("predict", "predict_features", lose_features),
    ("predict", "predict_input_mart", lose_mart_row),
    ("predict", "predictions", lose_output),
    ("predict", "predict_output_mart", lose_output_mart_row),
]


def rows_of(stage: Stage) -> pa.Table:
    """Orders of which one is rejected."""
    table = orders(60, stage=stage)
    return with_column(table, "price", [-1.0, *table["price"].to_pylist()[1:]])


def failed_checks(result: dg.ExecuteInProcessResult) -> set[tuple[str, str]]:
    return {
        (found.asset_key.path[-1], found.check_name)
        for found in result.get_asset_check_evaluations()
        if not found.passed
    }


def test_a_row_lost_anywhere_fails_the_check_of_the_asset_that_lost_it(
    place: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.use(shop(monitoring={"drift": {"warn": None}}))  # the batch is smaller than the one that was learned from
    place.put("train", "2026-01", orders(200))
    place.succeed("train", "2026-01")
    for stage in ("train", "predict"):
        place.put(stage, BATCH, rows_of(stage))

    for stage, asset, tamper in TAMPERED:

        def change(name: str, obj: Any, write: Callable[[Any], None], at: Any = (stage, asset, tamper)) -> None:
            write(obj)
            if name == at[1]:
                at[2](place, at[0])

        with monkeypatch.context() as patch:
            for manager, handle_output in runs.each_output(change, RawIOManager):
                patch.setattr(manager, "handle_output", handle_output)
            result = place.run(stage, BATCH)
        assert failed_checks(result) == {(asset, "rows_add_up")}, (asset, failures(result))
        assert not result.success
    assert failed_checks(place.succeed("predict", BATCH)) == set()


def test_a_repeated_key_warns_and_names_how_many_rows(place: Workbench) -> None:
    place.put("train", BATCH, with_column(orders(200), "order_id", [*range(198), 5, 5]))
    result = place.succeed("train", BATCH)
    assert failed_checks(result) == {("train_raw", "key_unique")}
    (found,) = [each for each in result.get_asset_check_evaluations() if each.check_name == "key_unique"]
    assert found.severity == dg.AssetCheckSeverity.WARN
    assert found.metadata["repeated"].value == 2


def test_a_version_below_the_limit_fails_metric_floor(place: Workbench) -> None:
    place.use(shop(limits={"metric": 0.9}))
    table = orders(200)
    place.put("train", "2026-01", with_column(table, "returned", [price > 100 for price in table["price"].to_pylist()]))
    place.put("train", BATCH, with_column(table, "returned", [row * 7919 % 13 % 2 == 0 for row in range(200)]))
    place.succeed("train", "2026-01")
    result = place.run("train", BATCH)
    assert failed_checks(result) == {("model", "metric_floor")}, failures(result)
    assert "version 2 has roc_auc" in failures(result)[0]


def test_too_many_rejected_rows_say_which_rules_by_which_rows_and_where_they_are(place: Workbench) -> None:
    table = with_column(orders(100), "price", [*[1.0] * 7, *[-1.0] * 20, *[1.0] * 73])
    table = with_column(table, "country", ["US", "US", *["DE"] * 98])
    place.put("train", BATCH, table)
    said = failures(place.run("train", BATCH))
    uri = str(place.root / "data/shop/rejected/train" / f"{BATCH}.parquet")
    assert any("Traceback" in text or "Stack Trace" in text for text in said) is False
    for text in said:
        assert "22 of 100 rows rejected (22.00%); the limit is 10.00%" in text
        assert "20 rows: price: breaks price > 0; row 7: price: -1.0 breaks price > 0" in text
        assert "2 rows: country: not allowed; row 0: country: US is not one of DE, FR, RU" in text
        assert uri in text
