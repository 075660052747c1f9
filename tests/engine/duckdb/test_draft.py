"""Tasks drafted from files: what is refused, and what the size of a file changes."""

import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline_assets.engine.duckdb import profile
from pipeline_assets.engine.duckdb.draft import Drafted, Source, Wish, draft_task
from pipeline_assets.errors import PipelineError
from pipeline_assets.stores.files.anywhere import FileAnywhere
from tests.task.drafting.tables import wide

RNG = np.random.Generator(np.random.PCG64(1))
LABEL = pa.array(RNG.random(500) > 0.5)
NUMBER = pa.array(RNG.normal(size=500))
SMALL = RNG.integers(0, 90, 500)


def drafted(folder: Path, table: pa.Table, target: str = "y", predict: pa.Table | None = None) -> Drafted:
    return draft_task(
        Wish("drafted", target),
        _source(folder, "train.parquet", table),
        None if predict is None else _source(folder, "predict.parquet", predict),
        folder / "spill",
    )


def said(found: Drafted) -> str:
    """The text without line breaks, which may stand anywhere in a comment."""
    return " ".join(found.text.replace("#", " ").split())


def _source(folder: Path, name: str, table: pa.Table) -> Source:
    pq.write_table(table, folder / name)
    return Source(FileAnywhere(str(folder / name), None, folder), name)


@pytest.mark.parametrize(
    ("table", "target", "said"),
    [
        (pa.table({"x": NUMBER, "y": LABEL}), "yy", "did you mean y"),
        (pa.table({"x": NUMBER, "y": LABEL}), "sum(x) > 1", "looks at other rows"),
        (pa.table({"x": NUMBER, "y": LABEL}), "1 > 0", "uses no column"),
        (pa.table({"y": LABEL}), "y", "no column is left to learn from"),
        (pa.table({"y": LABEL, "one": [1] * 500}), "y", "one: the same in every row: 1"),
        (pa.table([NUMBER, NUMBER, LABEL], names=["x", "x", "y"]), "y", "several columns under one name"),
    ],
)
def test_an_error_names_what_is_wrong(table: pa.Table, target: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(PipelineError) as refused:
        drafted(tmp_path, table, target)
    assert said in str(refused.value)
    assert "drafted" in str(refused.value)


def test_columns_that_no_contract_can_have_are_left_out_with_the_reason(tmp_path: Path) -> None:
    table = pa.table({"a\nb": NUMBER, "__index_level_0__": NUMBER, "predicted_at": NUMBER, "x": NUMBER, "y": LABEL})
    found = drafted(tmp_path, table)
    assert set(found.task().columns) == {"x", "y"}
    assert said(found).count("not in the contract: ") == 3


def test_a_target_that_raises_on_some_rows_is_drafted(tmp_path: Path) -> None:
    table = pa.table({"z": RNG.integers(0, 3, 500), "x": NUMBER})
    task = drafted(tmp_path, table, "10 // z > 5").task()
    assert task.columns["z"].stage == "train"
    assert list(task.features.numeric) == ["x"]


def test_a_wide_file_is_drafted_and_loads_in_seconds(tmp_path: Path) -> None:
    begun = time.process_time()
    task = drafted(tmp_path, wide(), "target").task()
    assert time.process_time() - begun < 20
    assert len(task.features.numeric) > 990


def test_the_sample_is_spread_over_the_file_and_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(profile, "SAMPLED_ROWS", 1_000)
    rows = 20_000
    half = np.arange(rows) < rows // 2
    # In the first half of the file x tells all of y, in the second nothing.
    y = np.where(half, np.arange(rows) % 2, RNG.integers(0, 2, rows))
    table = pa.table({"x": np.where(half, y, RNG.integers(0, 2, rows)) + 0.5, "z": RNG.normal(size=rows), "y": y == 1})
    found = drafted(tmp_path, table)
    sampled = int(said(found).partition("a sample of ")[2].split()[0].replace(",", ""))
    assert 900 <= sampled <= 1_100
    assert "x" in found.task().features.numeric  # not taken for a leak, as it would be from the head of the file


def test_a_column_of_other_types_in_both_files_gets_one_that_holds_both(tmp_path: Path) -> None:
    train = pa.table({"a": pa.array(SMALL, pa.int16()), "b": pa.array(SMALL, pa.uint32()), "y": LABEL})
    predict = pa.table({"a": NUMBER, "b": pa.array([-1] * 500, pa.int32())})
    task = drafted(tmp_path, train, predict=predict).task()
    assert {name: column.type for name, column in task.columns.items()} == {"a": "float64", "b": "int64", "y": "bool"}
    assert task.columns["y"].stage == "train"
