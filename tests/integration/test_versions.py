"""Versions against the task that they predict for, and against the rows that evaluate them, through Dagster."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline_assets.cli.run import failures
from pipeline_assets.errors import TransientError
from pipeline_assets.io_managers.predictions import MADE_UNDER
from pipeline_assets.monitoring.batch_status import predictions_made_from
from pipeline_assets.stores.features.base import feature_table
from pipeline_assets.stores.marts.greenplum import MartStore, MartTable
from pipeline_assets.stores.registry.registry import Registry
from tests import trainable
from tests.engine.duckdb.test_own_columns import PREPARE, written
from tests.examples import SHOP, orders, shop, with_column
from tests.workbench import Workbench

CHANGED = {
    "a feature": (
        {"features": {**SHOP["features"], "numeric": {"price": "price * 100", "weekday": "isodow(ordered_on)"}}},
        "features",
    ),
    "the target": ({"target": {"expression": "not returned"}}, "target"),
}


@pytest.mark.parametrize("case", CHANGED)
def test_a_version_made_under_another_description_does_not_predict(place: Workbench, case: str) -> None:
    place.put("train", "2026-01", orders(400))
    place.put("predict", "2026-02", orders(10, stage="predict"))
    place.succeed("train", "2026-01")
    before = shop()
    changes, which = CHANGED[case]
    place.use(shop(**changes))
    said = place.fail("predict", "2026-02")
    assert f"version 1: it was made under other {which}" in said
    assert before.fingerprint("features" if which == "features" else "target") in said
    assert place.task.fingerprint("features" if which == "features" else "target") in said
    assert "run the job shop_train" in said


def test_another_word_of_a_description_leaves_the_version_as_it_is(place: Workbench) -> None:
    place.put("train", "2026-01", orders(400))
    place.put("predict", "2026-02", orders(10, stage="predict"))
    place.succeed("train", "2026-01")
    place.use(shop(description="Another text", output={"where": "probability > 0.2"}))
    place.succeed("predict", "2026-02")


def test_a_task_without_a_rule_gives_scores_and_decides_nothing(place: Workbench) -> None:
    place.use(shop(output=None))
    place.put("train", "2026-01", orders(400))
    place.put("predict", "2026-02", orders(30, stage="predict"))
    place.succeed("train", "2026-01")
    place.succeed("predict", "2026-02")
    own = orders(1, stage="predict").column_names
    output = place.output("2026-02")
    assert output.column_names == [*own, "probability", "predicted_label", "batch", "row_number"]
    assert output.num_rows == 30
    (first, *_) = place.mart("predict_output")
    assert "decision" not in first
    assert first["predicted_label"] == (first["probability"] >= 0.5)
    assert place.mart("lineage")[0]["probability"] == first["probability"]
    footer = pq.read_metadata(place.root / "data/shop/predictions/2026-02.parquet").metadata
    made_from = predictions_made_from({name.decode(): value.decode() for name, value in footer.items()})
    assert made_from is not None
    assert made_from.fingerprints == {which: place.task.fingerprint(which) for which in MADE_UNDER}


def test_scores_of_another_rule_do_not_reach_the_output_mart(place: Workbench) -> None:
    place.put("train", "2026-01", orders(400))
    place.put("predict", "2026-02", orders(30, stage="predict"))
    place.succeed("train", "2026-01")
    place.succeed("predict", "2026-02")
    before = place.mart("predict_output")
    place.use(shop(output={"where": "probability > 0.9"}))
    result = place.defs.resolve_job_def("shop_predict").execute_in_process(
        instance=place.instance,
        partition_key="2026-02",
        asset_selection=[dg.AssetKey(["shop", "predict_output_mart"])],
        raise_on_error=False,
    )
    said = "\n".join(failures(result))
    assert "scored under another output" in said
    assert f"fingerprint of output: {shop().fingerprint('output')}" in said
    assert place.task.fingerprint("output") in said
    assert "materialise shop/predictions for this batch again" in said
    assert place.mart("predict_output") == before


def test_champion_and_challenger_are_compared_on_rows_that_neither_learned(place: Workbench) -> None:
    share = {"validation": {"split": "share"}, "parameters": {"iterations": 20}}
    place.use(shop(training=share))
    place.put("train", "2026-01", orders(900))
    place.succeed("train", "2026-01")
    place.put("train", "2026-02", orders(1500))
    place.succeed("train", "2026-02")
    second = place.mart("model_choices", batch="2026-02")[0]
    judged_on = json.loads(second["judged_on"])
    assert judged_on["rows"] > 100
    assert judged_on["learned"] == 0
    assert judged_on["sentence"] in second["reason"]
    assert second["reason_code"] in ("better", "no_better")
    candidates = place.stores["registry"].candidates("shop")
    assert [each.split.batch for each in candidates if each.split] == ["2026-01", "2026-02"]


def test_the_registered_model_is_the_refit_and_its_metrics_are_of_the_fit_before(place: Workbench) -> None:
    place.put("train", "2026-01", orders(400))
    shown = place.metadata(place.succeed("train", "2026-01"), "model")
    assert shown["refitted_on_rows"] == 300
    registry: Registry = place.stores["registry"]
    registered, evaluated = registry.load("shop", 1), trainable.single(registry.load_evaluated("shop", 1))
    assert registered.native.tree_count_ == evaluated.native.tree_count_ == shown["best_iteration"] + 1
    text = registry.client.get_model_version("shop", "1").description or ""
    assert "the metrics are those of the fit before" in text
    assert place.reproduced(1)["verdict"] == "identical"


class _Failing:
    """A mart store whose first record of choice does not get through."""

    def __init__(self, real: MartStore) -> None:
        self._real, self.failed = real, False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def replace(self, table: MartTable, where: Mapping[str, object], rows: pa.RecordBatchReader, *more: Any) -> int:
        if table.name.endswith("_model_choices") and not self.failed:
            self.failed = True
            raise TransientError("the database was restarted")
        return self._real.replace(table, where, rows, *more)


def test_a_mart_that_fails_does_not_repeat_the_training(place: Workbench) -> None:
    place.put("train", "2026-01", orders(400))
    failing = _Failing(place.stores["marts"])
    place.defs = dg.Definitions(
        assets=place.defs.assets,
        asset_checks=place.defs.asset_checks,
        jobs=place.defs.jobs,
        sensors=place.defs.sensors,
        resources={**(place.defs.resources or {}), "marts": failing},
        executor=dg.in_process_executor,
    )
    shown = place.metadata(place.succeed("train", "2026-01"), "model")
    assert failing.failed
    assert [each.version for each in place.stores["registry"].candidates("shop")] == [1]
    assert shown["model_version"] == 1
    assert place.stores["registry"].champion("shop") == 1
    assert place.mart("model_choices")[0]["model_version"] == 1


def test_the_floor_is_asked_of_the_version_of_this_run(place: Workbench) -> None:
    place.use(shop(limits={"metric": 0.9}))
    place.put("train", "2026-01", with_column(orders(400), "returned", [row % 7 in (1, 5) for row in range(400)]))
    place.succeed("train", "2026-01")
    chance = np.random.default_rng(0).integers(0, 2, 400).astype(bool).tolist()
    place.put("train", "2026-02", with_column(orders(400), "returned", chance))
    result = place.run("train", "2026-02")
    assert result.success
    (check,) = [each for each in result.get_asset_check_evaluations() if each.check_name == "metric_floor"]
    assert not check.passed
    assert check.metadata["model_version"].value == 2
    assert place.stores["registry"].champion("shop") == 1


def test_weights_and_the_versions_threshold_go_from_the_file_to_the_output(place: Workbench) -> None:
    training = {
        "parameters": {"iterations": 20},
        "validation": {"split": "time", "column": "ordered_on"},
        "weight": "price / 2",
        "class_weights": "balanced",
        "threshold": {"recall": 0.5},
    }
    output = {"where": "probability >= threshold", "append": ["probability", "threshold"]}
    place.use(shop(training=training, output=output))
    place.put("train", "2026-01", orders(400))
    place.put("predict", "2026-02", orders(60, stage="predict"))
    shown = place.metadata(place.succeed("train", "2026-01"), "model")
    assert "the highest precision with recall at least 0.5" in shown["threshold_reason"]
    stored = place.stores["features"].read(feature_table(place.task, "train"), "2026-01").read_all()
    assert stored["weight"].to_pylist() == [price / 2 for price in orders(400)["price"].to_pylist()]
    registry: Registry = place.stores["registry"]
    assert [each.threshold for each in registry.candidates("shop")] == [shown["threshold"]]
    assert shown["threshold"] != 0.5
    text = registry.client.get_model_version("shop", "1").description or ""
    assert f"Threshold {shown['threshold']:.4f}, chosen on" in text
    # A task that asks for another threshold now goes on with the version's own until it trains again.
    place.use(shop(training={**training, "threshold": 0.99}, output=output))
    place.succeed("predict", "2026-02")
    scores = place.mart("predict_output")
    assert len(scores) == 60
    assert all(row["predicted_label"] == row["decision"] for row in scores)
    assert all(row["decision"] == (row["probability"] >= shown["threshold"]) for row in scores)
    assert set(place.output("2026-02")["threshold"].to_pylist()) <= {shown["threshold"]}
    assert place.reproduced(1)["verdict"] == "identical"


def test_versions_judged_by_folds_are_compared_on_rows_that_neither_learned(place: Workbench) -> None:
    folds = {"parameters": {"iterations": 20}, "validation": {"split": "folds", "folds": 3}}
    place.use(shop(training=folds))
    for batch in ("2026-01", "2026-02"):
        place.put("train", batch, orders(400))
        shown = place.metadata(place.succeed("train", batch), "model")
    assert shown["validation_rows"] == shown["refitted_on_rows"] == 300
    assert shown["choice"]["judged_on"]["learned"] == 0
    assert shown["choice"]["judged_on"]["rows"] == 300
    assert place.reproduced(1)["verdict"] == "identical"


def test_a_tasks_own_function_prepares_both_stages_and_its_source_is_part_of_the_version(
    place: Workbench, tmp_path: Path
) -> None:
    place.use(written(tmp_path / "tasks" / "shop"))
    place.put("train", "2026-01", orders(400))
    place.put("predict", "2026-02", orders(30, stage="predict"))
    place.succeed("train", "2026-01")
    place.succeed("predict", "2026-02")
    words = [len((note or "").split()) + 1.0 for note in orders(30, stage="predict")["note"].to_pylist()]
    assert [row["feature_words"] for row in place.mart("predict_input")] == words
    place.use(written(tmp_path / "edited" / "shop", PREPARE.replace("split()", "split(',')")))
    assert "version 1: it was made under other features" in place.fail("predict", "2026-02")
    # The function as it was is kept with the version.
    assert place.reproduced(1)["verdict"] == "identical"
