"""Tests of the check ``prepared_as_in_training``: true features pass, altered ones fail, notes say why not asked."""

from typing import Any

import dagster as dg

from pipeline_assets.stores.features.base import feature_table
from tests.examples import orders, shop, with_column
from tests.workbench import Workbench

TRAINING = {"parameters": {"iterations": 5}, "validation": {"split": "share"}}
ROWS = 300


def _asked(result: dg.ExecuteInProcessResult) -> tuple[bool, str, dg.AssetCheckSeverity, dict[str, Any]]:
    (found,) = [each for each in result.get_asset_check_evaluations() if each.check_name == "prepared_as_in_training"]
    metadata = {name: value.value for name, value in found.metadata.items()}
    return found.passed, str(found.description), found.severity, metadata


def _alter(place: Workbench, column: str, change: Any) -> None:
    """Changes every value of a stored training feature."""
    store, table = place.stores["features"], feature_table(place.task, "train")
    rows = store.read(table, "jan").read_all()
    kind = table.schema.field(column).type
    altered = with_column(rows, column, [change(value) for value in rows[column].to_pylist()], kind)
    store.replace(table, "jan", altered.cast(table.schema).to_reader())


def _train(place: Workbench) -> None:
    place.use(shop(training=TRAINING))
    place.put("train", "jan", orders(ROWS))
    place.put("predict", "feb", orders(20, stage="predict"))
    place.succeed("train", "jan")


def test_training_rows_take_the_path_of_predict(place: Workbench) -> None:
    _train(place)
    passed, said, _, metadata = _asked(place.succeed("predict", "feb"))

    assert passed
    assert metadata["asked"]
    assert 60 < metadata["rows"] <= 256
    assert "have the same features by the path of predict" in said

    _alter(place, "price", lambda price: price + 1e-12 if price > 100 else price)
    _alter(place, "note", lambda note: note if note != "gift" else "Gift")
    passed, said, severity, metadata = _asked(place.run("predict", "feb"))

    assert not passed
    assert severity == dg.AssetCheckSeverity.ERROR
    assert "training row " in said
    assert set(metadata["features"].split(", ")) == {"price", "note"}
    assert place.output("feb").num_rows > 0


def test_what_cannot_be_asked_passes_with_a_note(place: Workbench) -> None:
    _train(place)
    # Another file in the place of the one that was checked: a person should look.
    place.put("train", "jan", orders(ROWS).slice(1))
    passed, said, severity, metadata = _asked(place.succeed("predict", "feb"))
    assert passed
    assert "not asked, because the file changed since it was found (batch jan of train)" in said
    assert (severity, metadata["look"]) == (dg.AssetCheckSeverity.WARN, True)

    for asset in ("train_raw", "train_features"):
        assert place.make(asset, "jan").success
    passed, said, _, metadata = _asked(place.succeed("predict", "feb"))
    assert passed
    assert "batch jan has been replaced since the version learned from it" in said
    assert metadata["look"]

    # Features that were forgotten are nobody's fault.
    place.put("train", "jan", orders(ROWS))
    assert place.make("train_raw", "jan").success
    place.stores["features"].forget(feature_table(place.task, "train"), "jan")
    passed, said, _, metadata = _asked(place.succeed("predict", "feb"))
    assert passed
    assert "not asked, because the features of this batch are not there" in said
    assert not metadata["look"]
