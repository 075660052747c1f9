from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pyarrow as pa

from pipeline_assets.mart_page.language import Formats, Texts
from pipeline_assets.mart_page.views.batches.overview import Chart, Monitored, charts, monitored, overview
from pipeline_assets.monitoring.batch_status import BatchRecord, Outcome
from pipeline_assets.stores.marts.quality import quality
from pipeline_assets.task.batch import BatchRef, Manifest
from tests.examples import shop
from tests.fixtures.postgres import Marts
from tests.mart_page.filled import cursor_of
from tests.mart_page.views.drift.test_queries import put_drift

TASK, SAYS, FORMATS = shop(), Texts("en")("batches"), Formats("en")
WHEN = datetime(2026, 1, 2, 3, 4, tzinfo=UTC)


def of(batch: str, *, rejected: int = 0, written: int | None = 45, stage: str = "predict") -> BatchRecord:
    ref = BatchRef("shop", "train" if stage == "train" else "predict", batch)
    manifest = Manifest(ref, "uri", (), (100,), "sha", 100 - rejected, rejected, 0, {}, (), {}, "run", None)
    return BatchRecord(ref, "done", manifest, written, Outcome(1, WHEN, "run"))


def drawn(*records: BatchRecord, known: Monitored | None = None) -> Mapping[str, Chart]:
    return {each.name: each for each in charts(records, known or Monitored(), TASK, FORMATS)}


def test_each_question_is_a_chart_that_leads_to_its_view() -> None:
    known = Monitored({"a": 0.7, "b": 0.8, "gone": 0.1}, {"a": 0.1, "b": 0.4}, ["b"])
    found = drawn(of("b", rejected=10), of("a"), of("t", stage="train"), known=known)
    assert {name: dict(each.values) for name, each in found.items()} == {
        "rows": {"a": 100, "b": 100},
        "rejected": {"a": 0, "b": 0.1},
        "decided": {"a": 0.45, "b": 0.5},
        "quality": {"a": 0.7, "b": 0.8},
        "drift": {"a": 0.1, "b": 0.4},
    }
    views = {name: each.href.split("view=")[1].split("&")[0] for name, each in found.items()}
    assert list(views.values()) == ["input", "batches", "output", "quality", "drift"]
    html = str(overview(list(found.values()), SAYS))
    assert html.count("<svg") == 5
    assert html.count("▲") == 2, "rejected rows and a drift over its limit are marked by more than a colour"
    assert "a: 0.7; b: 0.8" in html


def test_what_is_not_known_has_no_chart() -> None:
    assert set(drawn(of("a", written=None))) == {"rows", "rejected"}
    assert drawn() == {}
    assert overview([], SAYS) is None
    assert "batch=%3Cb%3E&" in drawn(of("<b>"))["rows"].href


def test_quality_and_drift_are_read_from_their_marts(marts: Marts) -> None:
    with cursor_of(marts) as cursor:
        assert monitored(cursor, marts.schema, TASK) == Monitored()
    put(marts)
    with cursor_of(marts) as cursor:
        assert monitored(cursor, marts.schema, TASK) == Monitored({"a": 0.75}, {"a": 0.5}, ("a",), {"a": WHEN})


def put(marts: Marts) -> None:
    facts = {
        "model_version": 1, "batch": "a", "segment_value": "", "predictions": 9, "judged_rows": 9, "truth_from": "file",
        "predicted_at": WHEN, "run_id": "run", "judged_at": WHEN,
    }  # fmt: skip
    table = quality(TASK)
    rows = [
        {**facts, "segment": "", "roc_auc": 0.5, "predicted_at": WHEN - timedelta(days=1), "model_version": 2},
        {**facts, "segment": "", "roc_auc": 0.75},
        {**facts, "segment": "country", "roc_auc": 0.1},
    ]
    stream = pa.Table.from_pylist(rows, table.schema).to_reader()
    marts.store.replace(table, {"batch": "a"}, stream)
    put_drift(marts, "a", {("feature", "price"): 0.5, ("feature", "weekday"): 0.1, ("score", "probability"): 0.9})
