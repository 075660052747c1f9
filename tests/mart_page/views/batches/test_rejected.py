from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from pipeline_assets.mart_page.views.batches.rejected import RejectedOf, rejected_of
from pipeline_assets.stores.marts.rejections import rejection_rows, rejections_mart
from pipeline_assets.task.batch import BatchRef, Manifest
from pipeline_assets.task.spec import Stage
from tests.examples import shop
from tests.fixtures.postgres import Marts
from tests.mart_page.filled import cursor_of

TASK, START = shop(), datetime(2026, 1, 1, tzinfo=UTC)


def put(marts: Marts, stage: Stage, batch: str, run: str, day: int, **reasons: int) -> None:
    rejected, when = max(reasons.values(), default=0), (START + timedelta(days=day)).isoformat()
    ref = BatchRef("shop", stage, batch)
    made = Manifest(ref, "uri", (), (10,), "sha", 10 - rejected, rejected, 0, reasons, ())
    manifest = replace(made, fingerprints={"contract": "c"}, run_id=run, checked_at=when)
    marts.store.replace(rejections_mart(TASK), *rejection_rows(TASK, manifest, run))


def found(marts: Marts, stage: Stage) -> list[RejectedOf]:
    with cursor_of(marts) as cursor:
        return rejected_of(cursor, marts.schema, TASK, stage)


def test_of_each_batch_the_last_check_counts(marts: Marts) -> None:
    assert found(marts, "predict") == []
    put(marts, "predict", "b", "r1", 1, price=4, country=2)
    put(marts, "predict", "a", "r2", 2)
    put(marts, "predict", "b", "r3", 3, price=1)
    put(marts, "train", "b", "r3", 4, note=1)
    first = RejectedOf("a", 10, 0, START + timedelta(days=2))
    second: Any = RejectedOf("b", 10, 1, START + timedelta(days=3), {"price": 1})
    assert found(marts, "predict") == [first, second]
    # A step that is tried again in its run replaces what it wrote.
    put(marts, "predict", "b", "r3", 3, price=2, country=3)
    assert found(marts, "predict")[1] == replace(second, rejected=3, rules={"country": 3, "price": 2})
