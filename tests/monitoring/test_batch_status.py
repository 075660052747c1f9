from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from pipeline_assets.engine.duckdb.check import check
from pipeline_assets.engine.record import to_metadata
from pipeline_assets.monitoring.batch_status import (
    BatchRecord,
    MadeFrom,
    Outcome,
    batch_records,
    differences,
    predictions_made_from,
)
from pipeline_assets.stores.files.base import Area
from pipeline_assets.stores.files.local import LocalFiles
from pipeline_assets.task.batch import BatchRef, Manifest
from tests.examples import orders, shop, with_column

TASK = shop()
MOMENT = datetime(2026, 1, 2, tzinfo=UTC)
OUTCOME = Outcome(1, MOMENT, "run")


class Orders:
    """Files of orders, checked or not, predicted or not."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.files = LocalFiles(root / "data")

    def put(self, stage: str, batch: str, prices: list[float]) -> Path:
        path = self.root / "data" / "shop" / stage / f"{batch}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(with_column(orders(len(prices), stage=stage), "price", prices), path)
        return path

    def check(self, ref: BatchRef) -> Manifest:
        checked = check(self.files, TASK, ref, self.root / "scratch", lambda _: None)
        with self.files.sink(Area.REJECTED, ref, checked.rejected.schema) as sink:
            sink.metadata.update(to_metadata(checked.manifest))
            for batch in checked.rejected:
                sink.write(batch)
        return checked.manifest

    def predict(self, ref: BatchRef, **provenance: str) -> None:
        """Writes an output file that says what it was made from."""
        rows = orders(2, stage="predict")
        with self.files.sink(Area.OUTPUT, ref, rows.schema) as sink:
            sink.metadata.update({f"pipeline_assets.{name}": value for name, value in provenance.items()})
            for batch in rows.to_batches():
                sink.write(batch)

    def records(self, outcomes: dict[BatchRef, Outcome]) -> dict[str, BatchRecord]:
        return {one.ref.batch: one for one in batch_records(self.files, TASK, outcomes)}


def predict(batch: str) -> BatchRef:
    return BatchRef("shop", "predict", batch)


def test_what_state_a_batch_is_in(tmp_path: Path) -> None:
    shop_files = Orders(tmp_path)
    for batch in ("done", "changed", "unfinished", "without_file"):
        shop_files.put("predict", batch, [1.0, -1.0, 2.0])
        manifest = shop_files.check(predict(batch))
        if batch in ("done", "changed"):
            shop_files.predict(predict(batch), input_sha256=manifest.sha256, run_id="run")
    shop_files.put("predict", "changed", [1.0, 2.0])
    shop_files.put("predict", "waiting", [1.0])
    shop_files.put("train", "t", [1.0, 2.0])
    trained = BatchRef("shop", "train", "t")
    made_from = MadeFrom(shop_files.check(trained).sha256)
    outcomes = {
        **{predict(batch): OUTCOME for batch in ("done", "changed", "gone", "without_file")},
        trained: replace(OUTCOME, version=2, metric=0.7, made_from=made_from),
    }
    found = shop_files.records(outcomes)
    assert {batch: one.state for batch, one in found.items()} == {
        "t": "done", "waiting": "waiting", "unfinished": "unfinished", "gone": "gone", "done": "done",
        "changed": "changed", "without_file": "unfinished",
    }  # fmt: skip
    done = found["done"]
    assert done.manifest is not None
    assert (done.manifest.rows, done.manifest.rejected, done.manifest.reasons) == (3, 1, {"price: breaks price > 0": 1})
    assert (done.current, done.written) == (OUTCOME, 2)
    assert found["without_file"].current is None


def test_predictions_of_other_content_are_not_the_batchs_outcome(tmp_path: Path) -> None:
    """A file is replaced and checked again, and its predictions are still those of the former content."""
    shop_files = Orders(tmp_path)
    ref = predict("p")
    shop_files.put("predict", "p", [1.0, 2.0])
    shop_files.predict(ref, input_sha256=shop_files.check(ref).sha256, run_id="run")
    assert shop_files.records({ref: OUTCOME})["p"].state == "done"
    shop_files.put("predict", "p", [3.0, 4.0])
    shop_files.check(ref)
    found = shop_files.records({ref: OUTCOME})["p"]
    assert (found.state, found.differences, found.current) == ("outdated", ("content",), None)


def test_a_version_of_other_content_is_not_the_batchs_outcome(tmp_path: Path) -> None:
    shop_files = Orders(tmp_path)
    ref = BatchRef("shop", "train", "t")
    shop_files.put("train", "t", [1.0, 2.0])
    shop_files.check(ref)
    found = shop_files.records({ref: replace(OUTCOME, made_from=MadeFrom("ab" * 32))})["t"]
    assert (found.state, found.differences) == ("outdated", ("content",))
    assert shop_files.records({ref: OUTCOME})["t"].state == "unverified"


@pytest.mark.parametrize("which", ["contract", "features", "target", "output"])
def test_a_fingerprint_that_is_no_longer_the_tasks_makes_an_outcome_outdated(tmp_path: Path, which: str) -> None:
    shop_files = Orders(tmp_path)
    shop_files.put("predict", "p", [1.0])
    manifest = shop_files.check(predict("p"))
    own = {name: TASK.fingerprint(name) for name in ("contract", "features", "target", "output", "training")}
    current = MadeFrom(manifest.sha256, own)
    assert differences(TASK, manifest, OUTCOME, current) == ()
    assert differences(TASK, manifest, OUTCOME, replace(current, fingerprints={**own, "training": "else"})) == ()
    other = replace(current, fingerprints={**own, which: "else"})
    assert differences(TASK, manifest, OUTCOME, other) == (which,)


def test_a_check_under_another_contract_is_outdated(tmp_path: Path) -> None:
    shop_files = Orders(tmp_path)
    shop_files.put("predict", "p", [1.0])
    manifest = replace(shop_files.check(predict("p")), fingerprints={"contract": "else"})
    assert Manifest.from_json(manifest.to_json()) == manifest
    assert differences(TASK, manifest, OUTCOME, MadeFrom(manifest.sha256)) == ("contract",)


def test_a_file_and_a_mart_of_different_runs_are_not_one_outcome(tmp_path: Path) -> None:
    shop_files = Orders(tmp_path)
    ref = predict("p")
    shop_files.put("predict", "p", [1.0])
    shop_files.predict(ref, input_sha256=shop_files.check(ref).sha256, run_id="a later run")
    assert shop_files.records({ref: OUTCOME})["p"].differences == ("run",)


def test_footers_say_what_predictions_were_made_from() -> None:
    assert predictions_made_from({"other": "x"}) is None
    found = predictions_made_from(
        {
            "pipeline_assets.input_sha256": "ab",
            "pipeline_assets.run_id": "r",
            "pipeline_assets.output_fingerprint": "cd",
            "pipeline_assets.something_new_fingerprint": "ef",
        }
    )
    assert found == MadeFrom("ab", {"output": "cd"}, "r")


def test_a_record_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    shop_files = Orders(tmp_path)
    shop_files.put("predict", "p", [1.0])
    shop_files.check(predict("p"))
    (tmp_path / "data" / "shop" / "rejected" / "predict" / "p.parquet").write_bytes(b"no parquet")
    found = shop_files.records({})["p"]
    assert found.state == "damaged"
    assert "p.parquet" in (found.problem or "")


def test_without_files_there_is_no_batch(tmp_path: Path) -> None:
    assert Orders(tmp_path).records({}) == {}
