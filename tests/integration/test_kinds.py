"""Tasks of the kinds multiclass and regression from file to mart, through Dagster, over embedded stores."""

import json
from datetime import date, timedelta
from typing import Any

import dagster as dg
import numpy as np
import pyarrow as pa
import pytest

from pipeline_assets.engine.record import current_record
from pipeline_assets.errors import DataError
from pipeline_assets.ml.explanation import explain
from pipeline_assets.stores.features.base import feature_table
from pipeline_assets.task.spec import TaskSpec
from pipeline_assets.task.validation import CheckedTask
from tests import trainable
from tests.workbench import Workbench

BASE: dict[str, Any] = {
    "name": "stones",
    "key": ["id"],
    "columns": {
        "id": {"type": "int64"},
        "sold_on": {"type": "date"},
        "carat": {"type": "float64"},
        "colour": {"type": "string"},
        "cut": {"type": "string", "nullable": True, "stage": "train"},
        "price": {"type": "float64", "nullable": True, "stage": "train"},
    },
    "features": {"numeric": {"carat": "carat"}, "categorical": {"colour": "colour"}},
    "training": {"parameters": {"iterations": 40, "depth": 3, "learning_rate": 0.3}},
}
CUTS = ("fair", "good", "прекрасный")


def task(target: dict[str, Any], **parts: Any) -> TaskSpec:
    return CheckedTask.model_validate({**BASE, "target": target, **parts})


def stones(count: int, *, stage: str = "train", seed: int = 0) -> pa.Table:
    """Colour and weight decide the cut and the price; every tenth stone has no label."""
    rng = np.random.default_rng(seed)
    carat, colour = rng.uniform(0.2, 3, count), rng.integers(0, 3, count)
    cut = np.clip(colour + (carat > 2) - (rng.random(count) < 0.1), 0, 2)
    price = np.expm1(2 * carat + 0.3 * colour + rng.normal(0, 0.2, count))
    unknown = np.arange(count) % 10 == 9
    columns: dict[str, pa.Array] = {
        "id": pa.array(range(count), pa.int64()),
        "sold_on": pa.array([date(2026, 1, 1) + timedelta(days=row % 30) for row in range(count)]),
        "carat": pa.array(carat),
        "colour": pa.array([("D", "E", "F")[code] for code in colour]),
    }
    if stage == "train":
        columns["cut"] = pa.array([CUTS[code] for code in cut], mask=unknown)
        columns["price"] = pa.array(price, mask=unknown)
    return pa.table(columns)


def by_name(rows: list[dict[str, Any]]) -> list[dict[str, float]]:
    """The probabilities of a mart's rows, which are JSON there."""
    return [json.loads(row["probabilities"]) for row in rows]


def test_classes_go_from_file_to_mart(place: Workbench) -> None:
    """With a class of two rows, which the model knows and its metrics do not."""
    place.use(task({"expression": "cut", "kind": "multiclass"}, output={"where": "probabilities['fair'] > 0.5"}))
    table = stones(600)
    cuts = table["cut"].to_pylist()
    cuts[:2] = ["rare", "rare"]
    place.put("train", "b1", table.set_column(4, "cut", pa.array(cuts)))
    shown = place.metadata(place.succeed("train", "b1"), "model")
    assert shown["unlabelled_rows"] == 60
    assert shown["training_classes"] == 4
    assert "1 of 4 classes (rare) have no validation row" in shown["notes"]
    assert shown["log_loss"] < 0.6 * shown["log_loss_of_constant_baseline"]
    stored = place.mart("train_input", batch="b1")
    assert [row["label"] for row in stored] == cuts
    assert place.reproduced(1)["verdict"] == "identical"

    place.put("predict", "b2", stones(50, stage="predict", seed=1))
    place.succeed("predict", "b2")
    scored = place.mart("predict_output", batch="b2")
    assert {row["predicted_label"] for row in scored} >= set(CUTS)
    for row, chances in zip(scored, by_name(scored), strict=True):
        assert set(chances) == {*CUTS, "rare"}
        assert sum(chances.values()) == pytest.approx(1)
        assert chances[row["predicted_label"]] == max(chances.values()) == pytest.approx(row["probability"])
        assert row["decision"] == (chances["fair"] > 0.5)
    kept = [row["row_number"] for row in scored if row["decision"]]
    assert kept
    assert place.output("b2")["row_number"].to_pylist() == kept
    assert {row["choice_reason"] for row in place.mart("lineage")} == {"version 1 is champion"}


def test_probabilities_stay_a_map_in_the_output_file(place: Workbench) -> None:
    """A second version of the same file is compared with the first on the rows that neither has learned from."""
    place.use(task({"expression": "cut", "kind": "multiclass"}))
    place.put("train", "b1", stones(400))
    place.succeed("train", "b1")
    said = place.metadata(place.succeed("train", "b1"), "model")["reason"]
    assert "version 1 stays champion: version 2 is no better" in said
    assert "none of them learned by either" in said
    place.put("predict", "b2", stones(20, stage="predict", seed=1))
    place.succeed("predict", "b2")
    output = place.output("b2")
    assert output.schema.field("probabilities").type == pa.map_(pa.string(), pa.float64())
    own = ["predicted_label", "probability", "probabilities", "batch", "row_number"]
    assert output.column_names == ["id", "sold_on", "carat", "colour", *own]
    for row in output.to_pylist():
        assert dict(row["probabilities"])[row["predicted_label"]] == row["probability"]


def test_numbers_go_from_file_to_mart_in_their_own_unit(place: Workbench) -> None:
    """The model learns logarithms; a price without one is a rejected row with its reason."""
    target = {"expression": "price", "kind": "regression", "transform": "log1p"}
    by_time = {**BASE["training"], "metric": "mae", "validation": {"split": "time", "column": "sold_on"}}
    output = {"where": "prediction > 100", "append": ["prediction"]}
    place.use(task(target, training=by_time, output=output, limits={"metric": 40.0}))
    table = stones(600)
    prices = table["price"].to_pylist()
    prices[:3] = [-1.0, float("inf"), float("nan")]
    place.put("train", "b1", table.set_column(5, "price", pa.array(prices)))
    result = place.succeed("train", "b1")
    raw, shown = place.metadata(result, "train_raw"), place.metadata(result, "model")
    assert (raw["rejected_rows"], raw["unlabelled_rows"]) == (2, 61)
    reasons = place.rejected("train", "b1")["reason"].to_pylist()
    assert "-1.0 is no label: transform log1p needs more than -1" in reasons[0]
    assert "inf is no label: it is infinite" in reasons[1]
    assert shown["mae"] < 0.3 * shown["mae_of_constant_baseline"]
    known = [price for price in prices[3:] if price is not None]
    assert shown["training_label_max"] <= max(known)
    assert place.reproduced(1)["verdict"] == "identical"

    place.put("predict", "b2", stones(50, stage="predict", seed=1))
    place.succeed("predict", "b2")
    scored = place.mart("predict_output", batch="b2")
    assert [row["decision"] for row in scored] == [row["prediction"] > 100 for row in scored]
    assert 50 < np.mean([row["prediction"] for row in scored]) < 200
    assert place.output("b2")["prediction"].to_pylist() == [r["prediction"] for r in scored if r["decision"]]

    features = place.stores["features"].read(feature_table(place.task, "predict"), "b2").read_next_batch().slice(0, 1)
    found = explain(place.task, 1, place.stores["registry"].load("stones", 1), features)
    assert found.unit == "log_target"
    assert np.expm1(found.score) == pytest.approx(scored[0]["prediction"])


def test_labels_of_any_type_are_binary_with_their_positive_value(place: Workbench) -> None:
    """Under another target the rows are to be checked again; without a row of the value there is nothing to learn."""
    place.use(task({"expression": "cut", "positive": "fair"}))
    place.put("train", "b1", stones(400))
    result = place.succeed("train", "b1")
    assert place.metadata(result, "model")["unlabelled_rows"] == 40
    stored = place.mart("train_input")
    assert [row["label"] for row in stored] == [None if row["cut"] is None else row["cut"] == "fair" for row in stored]
    place.use(task({"expression": "cut", "positive": "none such"}))
    with pytest.raises(DataError, match="checked by another target than the task has now"):
        current_record(place.stores["files"], place.task, place.ref("train", "b1"))
    assert "360 of label 0" in place.fail("train", "b1")


def test_a_class_that_comes_later_is_known_to_the_next_version(place: Workbench) -> None:
    """By time, the evaluated model has not seen the last days' class; the registered one has learned it."""
    by_time = {**BASE["training"], "validation": {"split": "time", "column": "sold_on"}}
    place.use(task({"expression": "cut", "kind": "multiclass"}, training=by_time))
    table = stones(600)
    late = [
        "late" if day >= date(2026, 1, 28) and cut == "good" else cut
        for day, cut in zip(table["sold_on"].to_pylist(), table["cut"].to_pylist(), strict=True)
    ]
    place.put("train", "b1", table.set_column(4, "cut", pa.array(late)))
    result = place.succeed("train", "b1")
    assert "1 of 4 classes (late) have validation rows but no training row" in place.metadata(result, "model")["notes"]
    registry = place.stores["registry"]
    assert registry.load("stones", 1).classes == ("fair", "good", "late", "прекрасный")
    assert trainable.single(registry.load_evaluated("stones", 1)).classes == ("fair", "good", "прекрасный")
    checks = {each.check_name: each.passed for each in result.get_asset_check_evaluations()}
    assert checks["metric_floor"]
    keys = [event.asset_key for event in result.get_asset_materialization_events()]
    assert dg.AssetKey(["stones", "model"]) in keys
