from datetime import UTC, datetime
from pathlib import Path

import pyarrow.parquet as pq

from pipeline_assets.engine.duckdb.check import check
from pipeline_assets.engine.record import to_metadata
from pipeline_assets.mart_page.predicted import Predicted
from pipeline_assets.mart_page.views.batches.status import BatchRecord, batch_records
from pipeline_assets.mart_page.views.models.queries import Record
from pipeline_assets.mart_page.views.passport.queries import ChoiceMade, Looked
from pipeline_assets.stores.files.base import Area
from pipeline_assets.stores.files.local import LocalFiles
from pipeline_assets.task.batch import BatchRef
from tests.examples import orders, shop, with_column

TASK = shop()
MOMENT = datetime(2026, 1, 2, tzinfo=UTC)


class Orders:
    """Files of orders, checked or not."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.files = LocalFiles(root / "data")

    def put(self, stage: str, batch: str, prices: list[float]) -> Path:
        path = self.root / "data" / "shop" / stage / f"{batch}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(with_column(orders(len(prices), stage=stage), "price", prices), path)
        return path

    def check(self, ref: BatchRef) -> None:
        checked = check(self.files, TASK, ref, self.root / "scratch", lambda _: None)
        with self.files.sink(Area.REJECTED, ref, checked.rejected.schema) as sink:
            sink.metadata.update(to_metadata(checked.manifest))
            for batch in checked.rejected:
                sink.write(batch)

    def records(self, record: Record) -> dict[str, BatchRecord]:
        return {one.ref.batch: one for one in batch_records(self.files, TASK, record)}


def trained(batch: str) -> ChoiceMade:
    looked = (Looked(1, {"roc_auc": 0.6}, None, None), Looked(2, {"roc_auc": 0.7}, None, None))
    return ChoiceMade("run-of-training", "train", batch, "champion", 1, 1, "1 stays", "roc_auc", None, looked, MOMENT)


def test_what_state_a_batch_is_in(tmp_path: Path) -> None:
    shop_files = Orders(tmp_path)
    for batch in ("done", "changed", "unfinished"):
        shop_files.put("predict", batch, [1.0, -1.0, 2.0])
        shop_files.check(BatchRef("shop", "predict", batch))
    shop_files.put("predict", "changed", [1.0, 2.0])
    shop_files.put("predict", "waiting", [1.0])
    shop_files.put("train", "t", [1.0, 2.0])
    shop_files.check(BatchRef("shop", "train", "t"))
    predicted = tuple(Predicted(batch, 1, f"run-of-{batch}", MOMENT) for batch in ("done", "changed", "gone"))
    found = shop_files.records(Record((trained("t"),), predicted))
    assert {batch: one.state for batch, one in found.items()} == {
        "t": "done", "waiting": "waiting", "unfinished": "unfinished", "gone": "gone", "done": "done",
        "changed": "changed",
    }  # fmt: skip
    done = found["done"]
    assert done.manifest is not None
    assert (done.manifest.rows, done.manifest.rejected, done.manifest.reasons) == (3, 1, {"price: breaks price > 0": 1})
    assert (done.version, done.finished, done.run_id) == (1, MOMENT, "run-of-done")
    # The version trained from a batch is the newest that its choice looked at, whichever won.
    assert (found["t"].version, found["t"].metric) == (2, 0.7)


def test_a_record_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    shop_files = Orders(tmp_path)
    shop_files.put("predict", "p", [1.0])
    shop_files.check(BatchRef("shop", "predict", "p"))
    (tmp_path / "data" / "shop" / "rejected" / "predict" / "p.parquet").write_bytes(b"no parquet")
    found = shop_files.records(Record())["p"]
    assert found.state == "damaged"
    assert "p.parquet" in (found.problem or "")


def test_without_files_there_is_no_batch(tmp_path: Path) -> None:
    assert Orders(tmp_path).records(Record()) == {}
