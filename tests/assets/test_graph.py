"""The graph of the real task as Dagster has it: keys apart from everything else, so that a change of names is seen."""

from typing import Any

import dagster as dg
import pytest

from pipeline_assets.assets.definitions import task_definitions
from pipeline_assets.assets.graph import TaskGraph
from pipeline_assets.demo.truth import demo_task
from pipeline_assets.task.spec import TaskSpec
from tests.examples import orders, shop
from tests.workbench import Workbench

KEYS = {
    "flight_delays/train_raw": [],
    "flight_delays/train_features": ["flight_delays/train_raw"],
    "flight_delays/train_input_mart": ["flight_delays/train_raw"],
    "flight_delays/model": ["flight_delays/train_features"],
    "flight_delays/predict_raw": [],
    "flight_delays/predict_features": ["flight_delays/predict_raw"],
    "flight_delays/predict_input_mart": ["flight_delays/predict_raw"],
    "flight_delays/predictions": [
        "flight_delays/model", "flight_delays/predict_features", "flight_delays/predict_raw"
    ],
    "flight_delays/predict_output_mart": ["flight_delays/predict_input_mart", "flight_delays/predictions"],
    "flight_delays/truth": ["flight_delays/predict_input_mart", "flight_delays/predict_output_mart"],
    "flight_delays/drift": ["flight_delays/predict_features", "flight_delays/predictions"],
}  # fmt: skip
KINDS = {
    "raw": {"parquet", "s3"}, "features": {"tarantool"}, "mart": {"greenplum"},
    "model": {"catboost", "mlflow"}, "predictions": {"parquet", "s3"},
    "truth": {"parquet", "greenplum"},
    "drift": {"greenplum"},
}  # fmt: skip


@pytest.fixture(scope="module")
def specs() -> dict[str, dg.AssetSpec]:
    defs = task_definitions(TaskGraph(demo_task(), ""))
    assets = [asset for asset in defs.assets or () if isinstance(asset, dg.AssetsDefinition)]
    return {spec.key.to_user_string(): spec for asset in assets for spec in asset.specs}


def test_keys_and_what_they_depend_on(specs: dict[str, dg.AssetSpec]) -> None:
    assert {key: sorted(dep.asset_key.to_user_string() for dep in spec.deps) for key, spec in specs.items()} == KEYS


def test_every_asset_says_what_it_is(specs: dict[str, dg.AssetSpec]) -> None:
    for key, spec in specs.items():
        assert spec.group_name == "flight_delays"
        assert spec.kinds == KINDS[key.rsplit("_", 1)[-1].split("/")[-1]]
        assert spec.description
        assert spec.owners == ["team:demo"]
        assert spec.tags["task"] == "flight_delays"
        assert spec.code_version
        assert spec.partitions_def is not None


def test_columns_are_described_and_traced(specs: dict[str, dg.AssetSpec]) -> None:
    for key, spec in specs.items():
        if key.endswith("/model"):
            continue
        schema = spec.metadata["dagster/column_schema"]
        assert all(column.description for column in schema.columns), key
        if not key.endswith(("raw", "truth")):
            assert spec.metadata["dagster/column_lineage"].deps_by_column, key
    lineage = specs["flight_delays/train_features"].metadata["dagster/column_lineage"].deps_by_column
    assert {dep.column_name for dep in lineage["plane_age"]} == {"flight_date", "plane_year"}
    assert {dep.column_name for dep in lineage["label"]} == {"arr_delay"}


TRAIN_PREPARED = {"train_features", "train_input_mart"}
PREPARED = {*TRAIN_PREPARED, "predict_features", "predict_input_mart"}


@pytest.mark.parametrize(
    ("changes", "stale"),
    [
        ({"description": "Who sends it back?", "owners": ["team:other"], "tags": {"a": "b"}}, set()),
        ({"target": {"expression": "returned", "description": "Came back"}}, set()),
        ({"checks": {}}, {"train_raw", "predict_raw", *PREPARED}),
        (
            {"features": {"numeric": {"price": "price * 100"}, "categorical": {"country": "country"}}},
            {*PREPARED, "model", "predictions", "drift"},
        ),
        ({"target": {"expression": "not returned"}}, {*TRAIN_PREPARED, "model", "predictions", "truth"}),
        ({"training": {"seed": 1}}, {"model"}),
        ({"selection": {"policy": "latest"}}, {"predictions"}),
        ({"output": {"where": "probability > 0.9"}}, {"predictions", "predict_output_mart"}),
    ],
)
def test_an_edit_makes_stale_what_was_made_under_it_and_nothing_else(changes: dict[str, Any], stale: set[str]) -> None:
    before, after = code_versions(shop()), code_versions(shop(**changes))
    assert {asset for asset in before if before[asset] != after[asset]} == stale


def code_versions(task: TaskSpec) -> dict[str, str | None]:
    defs = task_definitions(TaskGraph(task, ""))
    assets = [asset for asset in defs.assets or () if isinstance(asset, dg.AssetsDefinition)]
    return {spec.key.path[-1]: spec.code_version for asset in assets for spec in asset.specs}


def test_every_asset_can_be_materialised_by_itself(place: Workbench) -> None:
    place.put("train", "b", orders(200))
    place.put("predict", "b", orders(20, stage="predict"))
    order = [
        "train_raw", "train_features", "train_input_mart", "model",
        "predict_raw", "predict_features", "predict_input_mart", "predictions", "predict_output_mart",
        "drift", "truth",
    ]  # fmt: skip
    quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    for stage in ("train", "predict"):
        place.instance.add_dynamic_partitions(f"shop_{stage}_batches", ["b"])
    for asset in order:
        stage = "train" if asset == "model" or asset.startswith("train") else "predict"
        job = f"shop_{'truth' if asset == 'truth' else stage}"
        result = place.defs.resolve_job_def(job).execute_in_process(
            run_config=quiet, asset_selection=[dg.AssetKey(["shop", asset])],
            instance=place.instance, partition_key="b", raise_on_error=False,
        )  # fmt: skip
        assert result.success, asset
