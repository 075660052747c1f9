"""Drift of predict batches: the numbers are those of the rows, limits warn and fail, old versions do not."""

import json
from typing import Any

import dagster as dg
import numpy as np
import pyarrow as pa
import pytest

from pipeline_assets.monitoring.batch_drift import DRIFT_REFERENCE
from pipeline_assets.stores.registry.registry import Registry
from pipeline_assets.task.spec import TaskSpec
from tests.examples import orders, shop, with_column
from tests.workbench import Workbench

TRAIN, SAME, DEAR = "2026-01", "2026-02", "2026-03"
BY_SHARE = {"parameters": {"iterations": 20}, "validation": {"split": "share", "fraction": 0.4}}


def priced(count: int, factor: float = 1.0, *, stage: str = "train", seed: int = 0) -> pa.Table:
    """Orders whose price, and with it the return, is drawn."""
    table = orders(count, stage=stage)
    prices = np.round(factor * np.exp(np.random.default_rng(seed).normal(3, 1, count)), 2) + 0.01
    table = with_column(table, "price", prices.tolist())
    return with_column(table, "returned", (prices > 20).tolist()) if stage == "train" else table


def watched(**drift: Any) -> TaskSpec:
    return shop(training=BY_SHARE, monitoring={"drift": drift})


def checks(result: dg.ExecuteInProcessResult) -> dict[str, Any]:
    return {
        each.check_name: each for each in result.get_asset_check_evaluations() if each.asset_key.path[-1] == "drift"
    }


@pytest.fixture
def trained(place: Workbench) -> Workbench:
    place.use(watched())
    place.put("train", TRAIN, priced(1_000))
    place.put("predict", SAME, priced(600, stage="predict", seed=1))
    place.put("predict", DEAR, priced(600, 3.0, stage="predict", seed=2))
    place.succeed("train", TRAIN)
    return place


def test_every_column_of_all_rows_is_compared_and_a_batch_that_moved_warns(trained: Workbench) -> None:
    result = trained.succeed("predict", SAME)
    assert [each.description for each in checks(result).values() if not each.passed] == []
    metadata = trained.metadata(result, "drift")
    assert metadata["distance of feature price"] < 0.1
    assert metadata["compared_rows"] == 600

    result = trained.succeed("predict", DEAR)
    found = checks(result)["features"]
    assert (found.passed, found.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert found.description.startswith("1 of 4 columns are far from those of the rows that evaluated version 1: price")
    assert not checks(result)["scores"].passed
    metadata = trained.metadata(result, "drift")
    assert metadata["worst_feature"] == "price"
    assert metadata["worst_feature_distance"] == metadata["distance of feature price"] > 0.3

    rows = {(row["batch"], row["role"], row["column_name"]): row for row in trained.mart("drift")}
    columns = [("feature", name) for name in trained.task.features.names]
    columns += [("score", "probability"), ("score", "predicted_label")]
    assert set(rows) == {(batch, *column) for batch in (SAME, DEAR) for column in columns}
    row = rows[DEAR, "feature", "price"]
    assert (row["row_count"], row["verdict"], row["warn_from"], row["fail_from"]) == (600, "warn", 0.2, None)
    bins = json.loads(row["bins"])
    prices = priced(600, 3.0, stage="predict", seed=2)["price"].to_numpy()
    assert bins[0]["batch"] == pytest.approx(np.mean(prices <= bins[0]["high"]))
    assert sum(each["reference"] for each in bins) == pytest.approx(1)
    label = json.loads(rows[SAME, "score", "predicted_label"]["bins"])
    assert {each["value"] for each in label if each["kind"] == "value"} == {True, False}


def test_a_batch_that_is_run_again_replaces_its_rows(trained: Workbench) -> None:
    trained.succeed("predict", DEAR)
    trained.put("predict", DEAR, priced(500, stage="predict", seed=3))
    trained.succeed("predict", DEAR)
    rows = trained.mart("drift")
    assert {row["row_count"] for row in rows} == {500}
    assert len(rows) == len({(row["role"], row["column_name"]) for row in rows})


def test_the_reference_is_the_rows_that_evaluated_the_version(trained: Workbench) -> None:
    registry = trained.stores["registry"]
    (version,) = registry.candidates("shop")
    reference = json.loads(registry.read_text(version.run_id, DRIFT_REFERENCE) or "")
    validation = trained.metadata(trained.run("train", TRAIN), "model")["validation_rows"]
    assert {sum(counts) for group in reference.values() for each in group.values() for counts in each["counts"]} == {
        validation
    }
    assert 300 < validation < 500


def test_a_limit_of_the_task_fails_the_run_and_names_the_column(trained: Workbench) -> None:
    trained.use(watched(features={"price": {"fail": 0.25}}, scores={"probability": {"warn": None}}))
    said = trained.fail("predict", DEAR)
    assert "check features of shop/drift: 1 of 4 columns are far" in said
    assert "price (distance 0." in said
    assert "fails from 0.25 on" in said
    assert len(trained.mart("predict_output", batch=DEAR)) == 600  # nothing else is held up
    trained.use(watched(features={"price": {"warn": None}}, scores={"probability": {"warn": None}}))
    found = checks(trained.succeed("predict", DEAR))
    assert found["features"].passed


def test_a_version_of_former_code_is_no_failure_and_says_what_is_missing(
    trained: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained.succeed("predict", DEAR)
    with monkeypatch.context() as patch:
        patch.setattr(Registry, "read_text", lambda *_: None)
        result = trained.succeed("predict", DEAR)
    assert "version 1 has no reference for drift" in trained.metadata(result, "drift")["reference"]
    assert all(each.passed and "nothing was compared" in each.description for each in checks(result).values())
    assert trained.mart("drift") == []


def test_scores_of_other_features_are_refused(trained: Workbench) -> None:
    trained.succeed("predict", SAME)
    trained.use(shop(training=BY_SHARE, features={"numeric": {"price": "price * 2"}, "categorical": {"note": "note"}}))
    job = trained.defs.resolve_job_def("shop_predict")
    result = job.execute_in_process(
        asset_selection=[dg.AssetKey(["shop", asset]) for asset in ("predict_raw", "predict_features", "drift")],
        instance=trained.instance, partition_key=SAME, raise_on_error=False,
    )  # fmt: skip
    assert not result.success
    (failed,) = [event for event in result.all_node_events if event.is_step_failure]
    assert "scored with other features" in str(failed.step_failure_data.user_failure_data)
