"""Tests of the job ``reproduce``: every kind of difference is located, and what cannot be asked says why."""

import json
import multiprocessing
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow.parquet as pq

from pipeline_assets.cli.run import failures
from pipeline_assets.monitoring.version_record import PREDICTIONS, RECORD
from pipeline_assets.stores.features.base import feature_table
from tests.examples import orders, shop, with_column
from tests.workbench import Workbench

TRAINING = {"parameters": {"iterations": 20}, "validation": {"split": "share"}}


def _kept(place: Workbench, name: str, version: int = 1) -> Path:
    """A file that is kept with a version."""
    (run_id,) = [each.run_id for each in place.stores["registry"].candidates("shop") if each.version == version]
    return place.settings.state / "mlflow" / "artifacts" / "shop" / run_id / "artifacts" / name


def _forge(place: Workbench, change: Callable[[dict[str, Any]], None]) -> None:
    path = _kept(place, RECORD)
    record = json.loads(path.read_text(encoding="utf-8"))
    change(record)
    path.write_text(json.dumps(record), encoding="utf-8")


def _first(row: dict[str, Any]) -> tuple[Any, ...]:
    return row["verdict"], row["step"], row["column_name"], row["row_number"]


def _trained(place: Workbench, **changes: Any) -> None:
    place.use(shop(**{"training": TRAINING, **changes}))
    place.put("train", "jan", orders(400))
    place.succeed("train", "jan")


def test_a_version_is_made_again_bit_by_bit(place: Workbench) -> None:
    _trained(place)
    before = place.everything()

    row = place.reproduced(1)

    assert _first(row) == ("identical", None, None, None)
    assert row["environment"] == "{}"
    assert place.everything() == before
    registry = place.stores["registry"]
    assert registry.client.get_model_version("shop", "1").tags["reproduction"] == "identical"
    kept = _kept(place, f"reproductions/{row['run_id']}.json")
    assert json.loads(kept.read_text(encoding="utf-8"))["verdict"] == "identical"


def test_what_was_forged_is_located(place: Workbench) -> None:
    _trained(place)
    original = _kept(place, RECORD).read_text(encoding="utf-8")

    # A metric.
    _forge(place, lambda record: record["metrics"].update(log_loss=record["metrics"]["log_loss"] + 0.01))
    assert _first(place.reproduced(1)) == ("different", "metrics", "log_loss", None)
    _forge(place, lambda record: record["metrics"].update(log_loss=record["metrics"]["log_loss"] - 0.01 + 1e-12))
    assert _first(place.reproduced(1)) == ("equal within tolerance", "metrics", "log_loss", None)
    _kept(place, RECORD).write_text(original, encoding="utf-8")

    # A prediction: the sixth row of those that evaluated.
    predictions = pq.read_table(_kept(place, PREDICTIONS))
    values = predictions["prediction"].to_pylist()
    pq.write_table(with_column(predictions, "prediction", [*values[:5], 0.5, *values[6:]]), _kept(place, PREDICTIONS))
    row = place.reproduced(1)
    assert _first(row)[:3] == ("different", "predictions", "prediction")
    assert (row["found"], row["expected"]) == (repr(values[5]), "0.5")
    assert row["row_number"] > 0
    pq.write_table(predictions, _kept(place, PREDICTIONS))

    # The environment and the lock alone are listed.
    def elsewhere(record: dict[str, Any]) -> None:
        record["environment"]["cpu_flags"] = ["sse2", "abacus"]
        record["environment"]["packages"]["catboost"] = "0.1"
        record["environment"]["lock_sha256"] = "ab" * 32

    _forge(place, elsewhere)
    row = place.reproduced(1)
    assert row["verdict"] == "identical"
    assert "without abacus" in row["environment"]
    assert "catboost" in row["environment"]
    assert "abab" in row["environment"]

    # With another outcome they are the reason why it cannot be asked here.
    _forge(place, lambda record: record["metrics"].update(log_loss=0.1))
    row = place.reproduced(1)
    assert _first(row) == ("cannot be asked here", "metrics", "log_loss", None)
    assert "other CPU flags here: without abacus" in row["because"]


def test_a_feature_that_is_not_that_of_the_input_is_located(place: Workbench) -> None:
    _trained(place)
    store, table = place.stores["features"], feature_table(place.task, "train")
    features = store.read(table, "jan").read_all()
    prices = features["price"].to_pylist()
    prices[123] += 0.25
    store.replace(table, "jan", with_column(features, "price", prices).cast(table.schema).to_reader())
    remade = place.make("model", "jan")
    assert remade.success, failures(remade)

    row = place.reproduced(2)

    assert _first(row) == ("different", "features", "price", 123)
    assert (row["found"], row["expected"]) == (repr(prices[123] - 0.25), repr(prices[123]))

    # Without the stored features only the block of rows is known.
    store.forget(table, "jan")
    row = place.reproduced(2)
    assert _first(row) == ("different", "features", "price", None)
    assert "among accepted rows 0 to 399" in row["because"]


def test_an_input_that_is_gone_or_changed(place: Workbench) -> None:
    _trained(place)
    path = place.path("train", "jan")
    content = path.read_bytes()
    path.unlink()
    row = place.reproduced(1)
    assert row["verdict"] == "cannot be asked here"
    assert "the input is gone: there is no such batch" in row["because"]

    place.put("train", "jan", orders(401))
    result = place.operate("reproduce", task="shop", version=1)
    assert not result.success
    said = "".join(failures(result))
    assert "not the one that version 1 learned from" in said
    assert said.count("sha256") == 2
    assert place.mart("reproductions", run_id=result.run_id) == []

    path.write_bytes(content)
    assert place.reproduced(1)["verdict"] == "identical"


def test_a_version_of_former_code_is_compared_by_its_models(place: Workbench) -> None:
    _trained(place)
    _kept(place, RECORD).unlink()
    _kept(place, PREDICTIONS).unlink()

    row = place.reproduced(1)

    assert _first(row) == ("identical", None, None, None)
    assert "former code" in json.loads(row["report"])["notes"][0]
    assert row["environment"] == "null"


def test_a_description_of_former_days_is_used_as_it_was(place: Workbench) -> None:
    _trained(place)
    place.use(shop(training={**TRAINING, "parameters": {"iterations": 3}}, checks={"none": "price > 50"}))
    assert place.reproduced(1)["verdict"] == "identical"

    _kept(place, "task.yaml").unlink()
    assert "description as it was is not kept" in place.reproduced(1)["because"]


def _die(root: Path) -> None:
    """Makes the version again in a process that is killed when the mart has the verdict and MLflow has not."""
    with dg.DagsterInstance.ephemeral() as instance:
        place = Workbench(root, shop(training=TRAINING), instance)
        registry: Any = place.stores["registry"]
        registry.log_reproduction = lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL)
        place.operate("reproduce", task="shop", version=1)


def test_a_killed_reproduction_leaves_the_stores_whole(place: Workbench) -> None:
    _trained(place)
    before = place.everything()
    registry = place.stores["registry"]
    dying = multiprocessing.get_context("spawn").Process(target=_die, args=(place.root,))
    dying.start()
    dying.join()

    assert dying.exitcode == -signal.SIGKILL
    assert [row["verdict"] for row in place.mart("reproductions")] == ["identical"]
    assert "reproduction" not in registry.client.get_model_version("shop", "1").tags
    assert registry.open_runs("shop") == {}
    assert place.everything() == before

    assert place.reproduced(1)["verdict"] == "identical"
    assert registry.client.get_model_version("shop", "1").tags["reproduction"] == "identical"
    assert len(place.mart("reproductions")) == 2
