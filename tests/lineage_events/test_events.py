from datetime import UTC, datetime
from typing import Any

import pytest
from openlineage.client.serde import Serde

from pipeline_assets.lineage_events.events import EventMaker
from pipeline_assets.lineage_events.facts import Assertion, Column, Dataset, DatasetName, Origin, Run, Step
from tests.lineage_events.standard import problems

AT = datetime(2026, 1, 1, tzinfo=UTC)
RUN = Run("shop_predict", "0b0d2c1e-6c5c-4b53-9d0c-0b8a9d1d1f00", {"task": "shop", "batch": "b1"})
RAW, MODEL = DatasetName("s3://lake", "shop/predict/b1.parquet"), DatasetName("mlflow://ml:5000", "shop")
STEP = Step(
    "shop_predict.predictions",
    "shop__predictions",
    AT,
    AT,
    inputs=(
        Dataset(RAW, "FILE", "abc", (Column("price", "double", "In euros"),), 10, 2000, 1, {}, ()),
        Dataset(MODEL, "MODEL", "3", assertions=(Assertion("rows_add_up", True, "All there", True),)),
    ),
    outputs=(
        Dataset(DatasetName("file", "/out/b1.parquet"), "FILE", rows=9, origins={"price": (Origin(RAW, "price"),)}),
    ),
    description="Scores a batch",
    owners=("team:shop",),
)


@pytest.fixture(scope="module")
def maker() -> EventMaker:
    return EventMaker("prod", "0.1.0", "1.13")


def sent(event: Any) -> dict[str, Any]:
    data: dict[str, Any] = Serde.to_dict(event)
    return data


def test_every_event_keeps_the_standard(maker: EventMaker) -> None:
    failed = Step("shop_train.model", "shop__model", AT, AT, error="no label\n  do:        add one")
    events = [
        maker.run_started(RUN, AT),
        *maker.step(RUN, STEP),
        *maker.step(RUN, failed),
        maker.run_ended(RUN, "COMPLETE", AT, None),
        maker.run_ended(RUN, "FAIL", AT, "failed: shop__model"),
        maker.run_ended(RUN, "ABORT", AT, None),
    ]
    assert [problems(sent(event)) for event in events] == [[]] * len(events)


def test_what_breaks_the_standard_is_seen(maker: EventMaker) -> None:
    event = sent(maker.step(RUN, STEP)[1])
    del event["inputs"][0]["namespace"]
    event["eventType"] = "DONE"
    event["outputs"][0]["facets"]["columnLineage"]["fields"]["price"] = {"inputFields": "price"}
    event["outputs"][0]["facets"]["outputStatistics"] = event["outputs"][0]["outputFacets"].pop("outputStatistics")
    said = "\n".join(problems(event))
    assert "'namespace' is a required property" in said
    assert "'DONE' is not one of" in said
    assert "'price' is not of type 'array'" in said
    assert "outputStatistics: no facet of dataset" in said


def test_a_step_says_what_it_read_and_wrote_and_whose_it_is(maker: EventMaker) -> None:
    started, ended = (sent(event) for event in maker.step(RUN, STEP))
    assert (started["eventType"], ended["eventType"]) == ("START", "COMPLETE")
    assert started["run"]["runId"] == ended["run"]["runId"] == sent(maker.step(RUN, STEP)[1])["run"]["runId"]
    parent = ended["run"]["facets"]["parent"]
    assert parent["run"]["runId"] == RUN.run_id
    assert (parent["job"]["namespace"], parent["job"]["name"]) == ("prod", "shop_predict")
    raw, model = ended["inputs"]
    assert raw["inputFacets"]["inputStatistics"]["rowCount"] == 10
    assert raw["facets"]["schema"]["fields"][0]["type"] == "double"
    assert model["facets"]["version"]["datasetVersion"] == "3"
    (check,) = model["inputFacets"]["dataQualityAssertions"]["assertions"]
    assert (check["assertion"], check["success"], check["severity"]) == ("rows_add_up", True, "error")
    (output,) = ended["outputs"]
    assert output["outputFacets"]["outputStatistics"]["rowCount"] == 9
    (field,) = output["facets"]["columnLineage"]["fields"]["price"]["inputFields"]
    assert (field["namespace"], field["name"], field["field"]) == ("s3://lake", "shop/predict/b1.parquet", "price")
