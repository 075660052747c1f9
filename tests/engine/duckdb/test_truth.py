"""Truth and predictions met by key, beside the same reckoned in plain Python."""

from collections import defaultdict
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline_assets.engine.duckdb.truth import Met, Predictions, Unreadable, met_by_file, met_by_train
from pipeline_assets.errors import ContractError, PipelineError
from pipeline_assets.task.spec import TaskSpec
from tests.examples import shop
from tests.mart_page.kinds_of_orders import tasks

Row = tuple[int | None, bool | None]


def predictions(keys: list[Any]) -> Predictions:
    rows = pa.record_batch(
        {
            "order_id": keys,
            "row_number": pa.array(range(len(keys)), pa.int64()),
            "probability": [key / 100 for key in range(len(keys))],
            "country": ["DE" if key % 2 else "FR" for key in range(len(keys))],
        }
    )
    half = len(keys) // 2
    return Predictions([rows.slice(0, half), rows.slice(half)], {})


def met(task: TaskSpec, table: pa.Table, keys: list[Any], folder: Path) -> Met:
    path = folder / "2026-02.parquet"
    pq.write_table(table, path)
    return met_by_file(task, [path], predictions(keys), folder / "spill")


@settings(max_examples=40)
@given(
    came=st.lists(st.tuples(st.none() | st.integers(0, 12), st.none() | st.booleans()), min_size=1, max_size=25),
    keys=st.lists(st.integers(0, 12), unique=True, min_size=1),
)
def test_every_row_is_counted_once_and_labels_are_those_of_their_keys(came: list[Row], keys: list[int]) -> None:
    table = pa.table(
        {
            "order_id": pa.array([key for key, _ in came], pa.int64()),
            "returned": pa.array([label for _, label in came], pa.bool_()),
        }
    )
    with TemporaryDirectory() as folder:
        found = met(shop(), table, keys, Path(folder))
    labels: dict[int, set[bool]] = defaultdict(set)
    for key, label in came:
        if key is not None:
            labels[key] |= set() if label is None else {label}
    wanted = [int(next(iter(labels[key]))) if len(labels.get(key, ())) == 1 else None for key in keys]
    assert found.labels.to_pylist() == wanted
    assert found.rows["row_number"].to_pylist() == list(range(len(keys)))
    counts = found.matching
    assert (counts.predictions, counts.judged) == (len(keys), sum(label is not None for label in wanted))
    assert counts.unusable == sum(key is None for key, _ in came)
    assert counts.truth_rows == len(came) == counts.unusable + counts.repeated + counts.keys
    assert counts.keys == len(labels)
    assert counts.contradicting == sum(len(each) == 2 for each in labels.values())
    assert counts.unlabelled == sum(not each for each in labels.values())
    assert counts.unpredicted == len(labels.keys() - set(keys))


def test_a_column_label_holds_the_label_itself(tmp_path: Path) -> None:
    table = pa.table({"label": ["1", "0", "2", "yes", None], "order_id": [1, 2, 3, 4, 5], "more": range(5)})
    found = met(shop(), table, [1, 2, 3, 4, 5], tmp_path)
    assert found.labels.to_pylist() == [1, 0, None, None, None]
    assert (found.matching.unusable, found.matching.first_unusable, found.matching.unlabelled) == (2, 2, 1)


def test_where_no_label_can_be_read_they_are_counted_and_shown(tmp_path: Path) -> None:
    words = pa.table({"order_id": ["2", "1", "1.5", "9"], "label": ["maybe", "да", "x", "y"]})
    assert met(shop(), words, [1, 2], tmp_path).unreadable == Unreadable(2, {"label": "maybe"}, {"label": "int8"})
    own = pa.table({"order_id": [1, 2], "returned": [None, "maybe"]})
    found = met(shop(), own, [1, 2], tmp_path).unreadable
    assert found == Unreadable(1, {"returned": "maybe"}, {"returned": "bool"})
    assert met(shop(), pa.table({"order_id": [9], "label": ["maybe"]}), [1, 2], tmp_path).unreadable is None


def test_labels_of_each_kind(tmp_path: Path) -> None:
    fates = pa.table({"order_id": [1, 2], "label": ["kept", "never seen"]})
    assert met(tasks()["fates"], fates, [1, 2], tmp_path).labels.to_pylist() == ["kept", "never seen"]
    refunds = pa.table({"order_id": [1, 2, 3, 4], "refund": [1.5, float("nan"), float("inf"), -2.0]})
    found = met(tasks()["refunds"], refunds, [1, 2, 3, 4], tmp_path)
    assert found.labels.to_pylist() == [1.5, None, None, None]  # a number that is none; no logarithm
    assert (found.matching.unusable, found.matching.unlabelled) == (2, 1)


def test_a_key_of_several_columns_is_met_whatever_type_the_mart_and_the_file_have(tmp_path: Path) -> None:
    task = shop(key=["order_id", "ordered_on"])
    path = tmp_path / "b.parquet"
    pq.write_table(
        pa.table(
            {
                "order_id": pa.array([1, 2], pa.int16()),
                "ordered_on": ["2026-01-01", "2026-01-02"],
                "returned": [True, True],
            }
        ),
        path,
    )
    rows = pa.record_batch(
        {"a": pa.array([1, 2], pa.int64()), "b": [date(2026, 1, 1)] * 2, "row_number": pa.array([0, 1], pa.int64())}
    )
    assert met_by_file(task, [path], Predictions([rows], {}), tmp_path / "spill").labels.to_pylist() == [1, None]


def test_a_task_without_a_key_is_met_by_the_number_of_the_row(tmp_path: Path) -> None:
    found = met(shop(key=None), pa.table({"row_number": [1, 0], "returned": [True, None]}), [0, 1], tmp_path)
    assert found.labels.to_pylist() == [None, 1]


@pytest.mark.parametrize(
    ("table", "facts"),
    [
        ({"order_id": [1]}, {"column": "label", "expected": "order_id, and either returned of the target, or label"}),
        ({"order": [1], "label": [1]}, {"column": "order_id", "available": ["order", "label"]}),
        ({"order_id": [date(2026, 1, 1)], "label": [1]}, {"column": "order_id", "found": "date", "expected": "int64"}),
        ({"order_id": [1], "label": [[1]]}, {"column": "label", "found": "list<int64>", "expected": "int8"}),
    ],
)
def test_a_file_that_cannot_be_a_truth_is_refused(table: Any, facts: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(ContractError) as refused:
        met(shop(), pa.table(table), [1], tmp_path)
    assert {name: refused.value.facts[name] for name in facts} == facts


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "b.parquet"
    path.write_bytes(b"no parquet")
    with pytest.raises(PipelineError, match=r"b\.parquet"):
        met_by_file(shop(), [path], predictions([1]), tmp_path / "spill")


def test_of_train_batches_the_last_that_knows_a_label_counts(tmp_path: Path) -> None:
    rows = [
        (1, 1, "2026-01"),
        (1, 0, "2026-03"),
        (2, 1, "2026-01"),
        (2, None, "2026-03"),
        (3, None, "2026-02"),
        (9, 1, "2026-04"),
    ]
    keys, labels, batches = zip(*rows, strict=True)
    labelled = pa.record_batch({"k": keys, "l": pa.array(labels, pa.int16()), "b": batches})
    found, used = met_by_train(shop(), [labelled], predictions([1, 2, 3, 4]), tmp_path / "spill")
    assert found.labels.to_pylist() == [0, 1, None, None]
    assert used == ("2026-01", "2026-03")
    assert (found.matching.judged, found.matching.truth_rows, found.matching.unpredicted) == (2, 5, 0)
