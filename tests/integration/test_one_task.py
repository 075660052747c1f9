"""The example task from file to mart, through Dagster, over embedded stores."""

import json
from datetime import date

import dagster as dg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline_assets.cli.run import failures, outcome
from pipeline_assets.engine.record import ADDED_COLUMNS
from pipeline_assets.errors import DataError
from pipeline_assets.stores.features.base import feature_table
from pipeline_assets.stores.registry.registry import Registry
from pipeline_assets.task.fingerprints import task_fingerprints
from tests.examples import SHOP, orders, shop, with_column
from tests.workbench import Workbench


def test_a_batch_goes_from_file_to_mart(place: Workbench) -> None:
    file = place.put("train", "2026-01", orders(400))
    trained = place.metadata(place.succeed("train", "2026-01"), "model")
    assert trained["unlabelled_rows"] == 100
    assert trained["training_rows"] + trained["stopping_rows"] + trained["validation_rows"] == 300
    place.put("predict", "2026-02", orders(60, stage="predict"))
    result = place.succeed("predict", "2026-02")

    output = place.output("2026-02")
    own = orders(1, stage="predict").column_names
    assert output.column_names == [*own, "batch", "row_number"]
    inputs = orders(60, stage="predict").to_pylist()
    assert [inputs[row["row_number"]] for row in output.to_pylist()] == output.select(own).to_pylist()

    scored = place.mart("predict_output", batch="2026-02")
    assert [row["row_number"] for row in scored] == list(range(60))
    assert [row["decision"] for row in scored] == [row["probability"] >= 0.5 for row in scored]
    assert [row["row_number"] for row in scored if row["decision"]] == output["row_number"].to_pylist()
    assert {(row["model_version"], row["run_id"]) for row in scored} == {(1, result.run_id)}

    lineage = place.mart("lineage", batch="2026-02")
    assert [row["order_id"] for row in lineage] == [row["order_id"] for row in inputs]
    assert {row["choice_reason"] for row in lineage} == {"version 1 is champion"}
    assert [row["feature_weekday"] for row in lineage] == [row["ordered_on"].isoweekday() for row in inputs]
    assert {row["feature_note"] for row in lineage} == {"gift", "<null>"}

    metadata = pq.read_metadata(place.root / "data/shop/predictions/2026-02.parquet").metadata
    assert metadata[b"pipeline_assets.model_version"] == b"1"
    assert metadata[b"pipeline_assets.run_id"] == result.run_id.encode()
    assert len(metadata[b"pipeline_assets.input_sha256"]) == 64
    assert file.exists()

    said = [line.split() for line in outcome(result)]
    assert [line[:3] for line in said] == [
        ["shop/predict_raw", "60", "rows"],
        ["shop/predict_features", "60", "rows"],
        ["shop/predict_input_mart", "60", "rows"],
        ["shop/predictions", str(output.num_rows), "rows"],
        ["shop/drift", "6", "rows"],
        ["shop/predict_output_mart", "60", "rows"],
    ]
    assert str(place.root / "data/shop/predictions/2026-02.parquet") == said[3][3]


def test_a_batch_run_again_is_replaced_by_the_same(place: Workbench) -> None:
    place.put("train", "2026-01", orders(200))
    place.put("predict", "2026-02", orders(30, stage="predict"))
    place.succeed("train", "2026-01")
    place.succeed("predict", "2026-02")
    before = place.mart("lineage")
    place.succeed("train", "2026-01")
    place.succeed("predict", "2026-02")
    after = place.mart("lineage")
    changing = {"run_id", "predicted_at"}
    assert [{k: v for k, v in row.items() if k not in changing} for row in after] == [
        {k: v for k, v in row.items() if k not in changing} for row in before
    ]
    choices = sorted(place.mart("model_choices"), key=lambda row: row["chosen_at"])
    assert [(row["stage"], row["model_version"]) for row in choices] == [
        ("train", 1), ("predict", 1), ("train", 1), ("predict", 1)
    ]  # fmt: skip
    assert "stays champion: version 2 is no better" in choices[2]["reason"]
    assert [each["version"] for each in json.loads(choices[2]["candidates"])] == [1, 2]


def test_rejected_rows_are_set_aside_with_their_reasons(place: Workbench) -> None:
    table = with_column(orders(100), "price", [-1.0, *orders(100)["price"].to_pylist()[1:]])
    table = with_column(table, "order_id", [*range(99), 5])
    place.put("train", "2026-01", table)
    raw = place.metadata(place.succeed("train", "2026-01"), "train_raw")
    assert (raw["raw_rows"], raw["accepted_rows"], raw["rejected_rows"]) == (100, 98, 2)
    rejected = place.rejected("train", "2026-01")
    assert rejected.drop_columns([*ADDED_COLUMNS]).equals(table.take([0, 99]))
    assert rejected.select(["row_number", "reason"]).to_pylist() == [
        {"row_number": 0, "reason": "price: -1.0 breaks price > 0"},
        {"row_number": 99, "reason": "key (order_id): repeats row 5"},
    ]
    assert [row["row_number"] for row in place.mart("train_input")] == list(range(1, 99))


def test_a_folder_of_parts_is_one_batch(place: Workbench) -> None:
    folder = place.path("train", "2026-01").with_suffix("")
    folder.mkdir()
    for part in range(4):
        pq.write_table(orders(200).slice(part * 50, 50), folder / f"part-{part:05}.parquet")
    (folder / "_SUCCESS").touch()
    place.succeed("train", "2026-01")
    assert [row["order_id"] for row in place.mart("train_input")] == list(range(200))


def test_a_file_with_unexpected_columns_passes_with_a_warning_and_keeps_them(place: Workbench) -> None:
    place.put("train", "2026-01", orders(200))
    place.succeed("train", "2026-01")
    place.put("predict", "2026-02", with_column(orders(9, stage="predict"), "colour", ["red"] * 9))
    result = place.succeed("predict", "2026-02")
    (check,) = [each for each in result.get_asset_check_evaluations() if each.check_name == "columns_expected"]
    assert not check.passed
    assert check.severity == dg.AssetCheckSeverity.WARN
    assert "colour" in place.output("2026-02").column_names


BROKEN_FILES = {
    "missing column": (orders(5).drop_columns(["price"]), "price float64"),
    "no rows": (orders(0), "holds no rows"),
    "every row broken": (with_column(orders(5), "price", [-1.0] * 5), "all 5 rows break the contract"),
    "a list where a number belongs": (with_column(orders(2), "price", [[1.0], [2.0]]), "list<float64>"),
    "0 bytes": (b"", "0 bytes"),
    "text": (b"order_id;price\n", "cannot be read as parquet"),
    "truncated": (None, "cannot be read as parquet"),
}


@pytest.mark.parametrize("case", BROKEN_FILES)
def test_a_broken_file_is_named_and_changes_nothing(place: Workbench, case: str) -> None:
    path = place.put("train", "2026-01", orders(200))
    place.succeed("train", "2026-01")
    before = place.everything()
    content, message = BROKEN_FILES[case]
    if isinstance(content, pa.Table):
        pq.write_table(content, path)
    else:
        path.write_bytes(content if content is not None else path.read_bytes()[:-50])
    said = place.fail("train", "2026-01")
    assert message in said
    for fact in ("task:      shop", "stage:     train", "batch:     2026-01"):
        assert fact in said
    assert place.everything() == before


def test_too_many_rejected_rows_hold_the_rest_back(place: Workbench) -> None:
    path = place.put("train", "2026-01", orders(100))
    place.succeed("train", "2026-01")
    before = place.everything()
    pq.write_table(with_column(orders(100), "price", [-1.0] * 20 + [1.0] * 80), path)
    result = place.run("train", "2026-01")
    assert not result.success
    assert any("20 of 100 rows rejected (20.00%)" in text for text in failures(result))
    assert place.everything() == before


def test_text_where_a_number_belongs_rejects_its_row_alone(place: Workbench) -> None:
    prices = [str(price) for price in orders(100)["price"].to_pylist()]
    prices[7] = "much"
    place.put("train", "2026-01", with_column(orders(100), "price", prices))
    place.succeed("train", "2026-01")
    assert place.rejected("train", "2026-01")["reason"].to_pylist() == ["price: much is no float64"]
    assert place.mart("train_input")[0]["price"] == 1.5


def test_a_file_changed_after_its_check_is_noticed(place: Workbench) -> None:
    place.put("predict", "2026-02", orders(10, stage="predict"))
    place.put("train", "2026-01", orders(200))
    place.succeed("train", "2026-01")
    place.succeed("predict", "2026-02")
    place.put("predict", "2026-02", orders(12, stage="predict"))
    key = dg.AssetKey(["shop", "predict_features"])
    result = place.defs.resolve_job_def("shop_predict").execute_in_process(
        asset_selection=[key], instance=place.instance, partition_key="2026-02", raise_on_error=False
    )
    assert not result.success
    assert any("changed since" in text and "predict_raw" in text for text in failures(result))


def test_without_a_model_predict_says_what_to_run(place: Workbench) -> None:
    place.put("predict", "2026-02", orders(10, stage="predict"))
    said = place.fail("predict", "2026-02")
    assert "no model version of shop can predict" in said
    assert "shop_train" in said


def test_a_version_that_does_not_fit_the_task_any_more_is_no_candidate(place: Workbench) -> None:
    place.put("train", "2026-01", orders(200))
    place.put("predict", "2026-02", orders(10, stage="predict"))
    place.succeed("train", "2026-01")
    place.use(
        shop(features={"numeric": {"price": "price", "day": "day(ordered_on)"}, "categorical": {"country": "country"}})
    )
    assert "version 1" in place.fail("predict", "2026-02")
    place.succeed("train", "2026-01")
    place.succeed("predict", "2026-02")
    assert {row["model_version"] for row in place.mart("predict_output")} == {2}
    assert {"feature_weekday", "feature_day"} <= set(place.mart("train_input")[0])


def test_a_batch_says_what_it_was_made_under_and_is_not_read_under_another(place: Workbench) -> None:
    place.put("train", "2026-01", orders(200))
    place.succeed("train", "2026-01")
    made_under = task_fingerprints(place.task, "train")
    assert set(made_under) == {"contract", "features", "target"}
    assert place.stores["marts"].fingerprints("shop_train_input", "2026-01") == made_under
    assert place.stores["features"].read(feature_table(place.task, "train"), "2026-01").read_all().num_rows == 200
    # Only the value of a feature is another one: no column, no type tells.
    features = SHOP["features"]
    place.use(shop(features={**features, "numeric": {**features["numeric"], "price": "price * 100"}}))
    again = "materialise shop/train_features for this batch again"
    with pytest.raises(DataError, match=rf"(?s)another features than the task has now.*{again}"):
        place.stores["features"].read(feature_table(place.task, "train"), "2026-01")
    place.use(shop(description="Another text", target={"expression": "returned", "description": "Came back"}))
    assert place.stores["features"].read(feature_table(place.task, "train"), "2026-01").read_all().num_rows == 200


def statuses(registry: Registry, task: str) -> list[str]:
    experiment = registry.client.get_experiment_by_name(task)
    assert experiment is not None
    runs = registry.client.search_runs([experiment.experiment_id], order_by=["attributes.start_time"])
    return [run.info.status for run in runs]


def test_the_mlflow_run_ends_as_the_dagster_run_does(place: Workbench) -> None:
    place.put("train", "2026-01", orders(200))
    place.succeed("train", "2026-01")
    place.put("train", "2026-02", with_column(orders(50), "returned", [True] * 50))
    assert "the labelled rows do not have the labels" in place.fail("train", "2026-02")
    assert statuses(place.stores["registry"], "shop") == ["FINISHED", "FAILED"]


def test_data_version_is_the_files_fingerprint(place: Workbench) -> None:
    import hashlib

    path = place.put("train", "2026-01", orders(200))
    result = place.succeed("train", "2026-01")
    (event,) = [
        e for e in result.get_asset_materialization_events() if e.asset_key == dg.AssetKey(["shop", "train_raw"])
    ]
    tags = event.step_materialization_data.materialization.tags or {}
    assert tags["dagster/data_version"] == hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_quote_in_a_batchs_name_breaks_nothing(place: Workbench) -> None:
    name = "a'; drop table x; -- Заказы"
    place.put("train", "2026-01", orders(200))
    place.succeed("train", "2026-01")
    place.put("predict", name, orders(5, stage="predict"))
    place.succeed("predict", name)
    assert {row["batch"] for row in place.mart("lineage")} == {name}
    assert place.mart("lineage")[0]["ordered_on"] == date(2026, 1, 1)
