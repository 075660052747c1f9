"""Two versions on the predict batch that was loaded last: the rows and decisions are those that a run would give."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Any

import dagster as dg
import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from pipeline_assets.assets import difference as differences
from pipeline_assets.assets.difference import Rival, Stores, Versions, latest_difference
from pipeline_assets.ml.difference import BY_RULE, Difference, Segment, Way
from pipeline_assets.ml.trainers.base import FittedModel
from tests import trainable
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
    prepare_rows(place, batch, orders(count, stage="predict"))


def prepare_rows(place: Workbench, batch: str, rows: pa.Table) -> None:
    name = place.task.name
    place.put("predict", batch, rows)
    place.instance.add_dynamic_partitions(f"{name}_predict_batches", [batch])
    names = ("predict_raw", "predict_features", "predict_input_mart")
    done = place.defs.resolve_job_def(f"{name}_predict").execute_in_process(
        run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        instance=place.instance,
        partition_key=batch,
        asset_selection=[dg.AssetKey([name, asset]) for asset in names],
    )
    assert done.success


def compare(place: Workbench) -> tuple[Difference | None, list[str]]:
    """The champion goes from 11.5, the challenger from 21.5; prices are 1.5, 2.5, ... by row."""
    return compare_models(place, FromPrice(11.5), FromPrice(21.5))


def compare_models(
    place: Workbench, champion: FittedModel, challenger: FittedModel
) -> tuple[Difference | None, list[str]]:
    said: list[str] = []
    stores = place.stores
    versions = Versions(Rival(1, champion, 0.5), Rival(2, challenger, 0.5), {"note": 9, "country": 60})
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


@dataclass(frozen=True)
class Says(FromPrice):
    """A model that gives each row the same output: a number, or a probability of each class."""

    output: tuple[float, ...] = ()

    def predict(self, frame: "pd.DataFrame") -> NDArray[np.float64]:
        rows = np.tile(np.array(self.output), (len(frame), 1))
        return rows if self.classes else rows[:, 0] + np.arange(len(frame))


def test_classes_and_numbers_are_compared_as_their_kinds_say(place: Workbench) -> None:
    rows = pa.table(
        {
            "day": pa.array([date(2026, 1, 1)] * 20, pa.date32()),
            "hour": pa.array([1.0] * 20),
            "distance": pa.array([float(row) for row in range(20)]),
            "carrier": pa.array(["AA", "UA"] * 10),
        }
    )
    names = ("late", "on time")
    cases: dict[str, tuple[Says, Says, str]] = {
        "multiclass": (
            Says(0, classes=names, output=(0.9, 0.1)),
            Says(0, classes=names, output=(0.2, 0.8)),
            "late → on time",
        ),
        "regression": (Says(0, output=(0.0,)), Says(0, output=(2.5,)), "up"),
    }
    for kind, (champion, challenger, way) in cases.items():
        place.use(trainable.task(kind, kind))
        prepare_rows(place, "2026-02", rows)
        found, said = compare_models(place, champion, challenger)
        assert found is not None, said
        assert found.ways == (Way(way, 20),)
        assert found.segments == (Segment("carrier", "AA", 10, 10), Segment("carrier", "UA", 10, 10))
        assert found.changed[0].champion != found.changed[0].challenger
        assert compare_models(place, champion, champion)[0] is not None


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
