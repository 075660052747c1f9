"""Two versions on the predict batch that was loaded last: the rows and decisions are those that a run would give."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import dagster as dg
import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline_assets.assets import difference as differences
from pipeline_assets.assets.difference import Rival, Stores, Versions, latest_difference
from pipeline_assets.ml.difference import BY_RULE, Difference, Segment, Way
from tests.examples import SHOP, orders, shop
from tests.workbench import Workbench

if TYPE_CHECKING:
    import pandas as pd

RULE = {"where": "probability >= 0.5 and order_id % 2 = 0"}


@dataclass(frozen=True)
class FromPrice:
    """A model that gives probability 0.9 from a price on, and otherwise 0.1."""

    price: float
    native: Any = None
    package: str = "own"
    flavor: str = "sklearn"
    classes: tuple[str, ...] = ()
    save_options: Mapping[str, Any] = field(default_factory=dict)
    explains: bool = False

    def predict(self, frame: "pd.DataFrame") -> NDArray[np.float64]:
        return np.where(frame["price"].to_numpy() >= self.price, 0.9, 0.1)

    def contributions(self, frame: "pd.DataFrame", of: int = 0) -> NDArray[np.float64]:
        raise NotImplementedError


def prepare(place: Workbench, batch: str, count: int) -> None:
    """Runs a predict batch as far as no model is needed."""
    place.put("predict", batch, orders(count, stage="predict"))
    place.instance.add_dynamic_partitions("shop_predict_batches", [batch])
    names = ("predict_raw", "predict_features", "predict_input_mart")
    done = place.defs.resolve_job_def("shop_predict").execute_in_process(
        run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        instance=place.instance,
        partition_key=batch,
        asset_selection=[dg.AssetKey(["shop", name]) for name in names],
    )
    assert done.success


def compare(place: Workbench) -> tuple[Difference | None, list[str]]:
    """The champion goes from 11.5, the challenger from 21.5; prices are 1.5, 2.5, ... by row."""
    said: list[str] = []
    stores = place.stores
    versions = Versions(Rival(1, FromPrice(11.5), 0.5), Rival(2, FromPrice(21.5), 0.5), {"note": 9, "country": 60})
    of = Stores(stores["files"], stores["features"], stores["marts"], stores["scratch"])
    return latest_difference(of, place.task, versions, said.append), said


def test_the_batch_that_was_loaded_last_is_decided_by_the_tasks_rule(place: Workbench) -> None:
    place.use(shop(output=RULE))
    assert compare(place) == (None, [])  # nothing was predicted yet
    prepare(place, "2026-03", 6)
    prepare(place, "2026-02", 40)
    found, said = compare(place)
    assert found is not None
    assert said == []
    assert (found.batch, found.rows, found.of, found.rule) == ("2026-02", 40, 40, BY_RULE)
    # Rows 10 to 19 fall below the challenger's price; the rule, by a column of the file, keeps the even ones.
    assert (found.flipped, found.ways) == (5, (Way("true → false", 5),))
    assert [row.row_number for row in found.changed if row.flipped] == [10, 12, 14, 16, 18]
    assert found.changed[0].champion == {"probability": 0.9, "predicted_label": True, "decision": True}
    assert found.changed[0].challenger == {"probability": 0.1, "predicted_label": False, "decision": False}
    assert found.segments[0] == Segment("country", "DE", 14, 2)
    assert {each.feature for each in found.segments} == {"country", "note"}


def test_of_a_large_batch_every_nth_row_is_scored(place: Workbench, monkeypatch: pytest.MonkeyPatch) -> None:
    place.use(shop(output=None))
    prepare(place, "2026-02", 40)
    monkeypatch.setattr(differences, "MOST_ROWS", 15)
    found, _ = compare(place)
    assert found is not None
    assert (found.rows, found.of) == (14, 40)
    assert [row.row_number for row in found.changed] == [12, 15, 18]
    assert found.rule == "another predicted label"
    assert "one row in 3 of 40" in found.sentence


def test_a_batch_that_cannot_be_scored_is_passed_over_and_said(place: Workbench) -> None:
    place.use(shop(output=RULE))
    prepare(place, "2026-02", 30)
    prepare(place, "2026-03", 30)
    place.path("predict", "2026-03").unlink()
    found, said = compare(place)
    assert found is not None
    assert found.batch == "2026-02"
    assert len(said) == 1
    assert said[0].startswith("versions are not compared on batch 2026-03: ")
    place.use(shop(output=RULE, features={**SHOP["features"], "numeric": {"price": "price * 2"}}))
    found, said = compare(place)
    assert found is None
    assert "another features than the task has now" in said[0]
