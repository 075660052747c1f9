"""The drafts of many tables, compared word by word with those that were read and found good.

To renew them after a change: ``RENEW_DRAFTS=1 pytest tests/task/drafting/test_snapshots.py``, then read the diff.
"""

import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline_assets.engine.duckdb.draft import Drafted, Source, Wish, draft_task
from pipeline_assets.stores.files.anywhere import FileAnywhere
from tests.task.drafting.tables import EXAMPLES

SNAPSHOTS = Path(__file__).parent / "snapshots"


def source(table: pa.Table, path: Path) -> Source:
    pq.write_table(table, path)
    return Source(FileAnywhere(str(path), None, path.parent), path.name)


def drafted(name: str, folder: Path) -> Drafted:
    example = EXAMPLES[name]()
    wish = Wish(name, example.target, example.kind, f"pipeline-assets task new {name} --target '{example.target}'")
    train = source(example.table, folder / f"{name}.parquet")
    other = None if example.predict is None else source(example.predict, folder / "later.parquet")
    return draft_task(wish, train, other, folder / "spill")


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_draft_is_the_one_that_was_found_good(name: str, tmp_path: Path) -> None:
    found = drafted(name, tmp_path)
    text = found.text
    snapshot = SNAPSHOTS / f"{name}.yaml"
    if os.environ.get("RENEW_DRAFTS") == "1":
        SNAPSHOTS.mkdir(exist_ok=True)
        snapshot.write_text(text, encoding="utf-8")
    assert text == snapshot.read_text(encoding="utf-8")
    assert found.task().name == name  # it holds, and fits the files


def test_every_snapshot_has_its_table() -> None:
    assert {path.stem for path in SNAPSHOTS.glob("*.yaml")} == set(EXAMPLES)
