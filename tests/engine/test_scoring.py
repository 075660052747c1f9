"""Scoring over real files, beside the plain way: every accepted row read, scored and filtered in memory."""

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline_assets.engine import scoring as engine
from pipeline_assets.engine.duckdb.accepted import RawBatch, load
from pipeline_assets.engine.scoring import scoring
from pipeline_assets.errors import DataError
from pipeline_assets.ml.prediction import Prediction
from pipeline_assets.ml.scoring import Scorer
from pipeline_assets.stores.files.base import Area
from pipeline_assets.task.batch import BatchRef
from pipeline_assets.task.preparation import features_query
from pipeline_assets.task.spec import TaskSpec
from tests.examples import orders, shop, with_column
from tests.fixtures.checked import checked

REF = BatchRef("shop", "predict", "2026-01")
# The rules by which rows are kept, and what they say in Python.
RULES: dict[str, Callable[[dict[str, Any]], bool]] = {
    "true": lambda _: True,
    "probability >= 0.9": lambda row: row["probability"] >= 0.9,
    "probability >= 0.5": lambda row: row["probability"] >= 0.5,
    "probability > 2": lambda _: False,
    "probability >= 0.3 and price < 20": lambda row: row["probability"] >= 0.3 and row["price"] < 20,
    "note = 'Gift'": lambda row: row["note"] == "Gift",
}


def says(rows: pa.RecordBatch) -> Prediction:
    """A probability that depends on the row number alone."""
    return Prediction(rows.column("row_number").to_numpy() * 37 % 101 / 101)


def scored(
    raw: RawBatch, features: Iterable[pa.RecordBatch], task: TaskSpec | None = None
) -> tuple[list[dict[str, object]], pa.Table]:
    """Scores and output."""
    batch = raw if task is None else replace(raw, task=task)
    parts: dict[Area, list[pa.RecordBatch]] = {Area.SCORES: [], Area.OUTPUT: []}
    with scoring(batch, features, lambda contract: Scorer(contract, REF.batch, says, 7)) as found:
        for area, rows in found.rows:
            parts[area].append(rows)
        output = pa.Table.from_batches(parts[Area.OUTPUT], found.output_schema)
    return pa.Table.from_batches(parts[Area.SCORES]).to_pylist(), output


def cut(table: pa.Table, places: Sequence[int]) -> pa.RecordBatchReader:
    """The table in batches that are cut at these places."""
    ends = pairwise((0, *places, max(table.num_rows, *places, 0)))
    batches = [part for start, end in ends for part in table.slice(start, end - start).combine_chunks().to_batches()]
    return pa.RecordBatchReader.from_batches(table.schema, batches)


def wide(count: int) -> pa.Table:
    """Orders with columns that the contract does not know, of all sorts."""
    rows = orders(count, stage="predict")
    more = {
        "tags": pa.array([[f"t{row}", None] if row % 3 else None for row in range(count)]),
        "place": pa.array([{"lat": row / 7, "names": {"en": str(row)}} if row % 4 else None for row in range(count)]),
        "seen": pa.array([datetime(1950 + row, 1, 2, 3, 4, 5, row) for row in range(count)], pa.timestamp("us")),
        "Price": pa.array([f"€{row}" for row in range(count)]),
        "": pa.array([b"\x00" * row for row in range(count)]),
    }
    for name, values in more.items():
        rows = rows.append_column(name, values)
    return rows


@dataclass(frozen=True)
class Case:
    """A batch, and how it is read: which rows are rejected, where parts, features and queries are cut."""

    rule: str
    count: int
    rejected: frozenset[int]
    parts: tuple[int, ...]
    sizes: tuple[int, ...]
    together: int
    a_query: int


@st.composite
def cases(draw: st.DrawFn) -> Case:
    count = draw(st.integers(1, 70))
    cuts = st.lists(st.integers(1, count), max_size=4).map(lambda found: tuple(sorted(set(found))))
    rejected = st.frozensets(st.integers(0, count - 1), max_size=count - 1)
    few = st.integers(1, 60)
    return Case(draw(st.sampled_from(list(RULES))), count, draw(rejected), draw(cuts), draw(cuts), draw(few), draw(few))


@settings(max_examples=30, deadline=None)
@given(cases())
def test_rows_that_are_read_only_where_they_go_out_are_those_of_the_plain_way(
    tmp_path_factory: pytest.TempPathFactory, case: Case
) -> None:
    prices = [-1.0 if row in case.rejected else 1.5 + row for row in range(case.count)]
    table = with_column(wide(case.count), "price", prices, pa.float64())
    task = shop(output={"where": case.rule})
    folder = tmp_path_factory.mktemp("t")
    ends = (*case.parts, case.count)
    parts = [table.slice(start, end - start) for start, end in pairwise((0, *ends)) if end > start]
    files, _ = checked(folder, task, REF, *parts)
    raw = load(files, task, REF, folder / "scratch")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, "_ROWS_TOGETHER", case.together)
        patch.setattr(engine, "_ROWS_PER_QUERY", case.a_query)
        scores, output = scored(raw, cut(raw.stream(features_query).read_all(), case.sizes))

    numbers = [row for row in range(case.count) if row not in case.rejected]
    said = says(pa.record_batch({"row_number": pa.array(numbers, pa.int64())})).output
    assert [(row["row_number"], row["probability"]) for row in scores] == list(zip(numbers, said, strict=True))
    rows = table.take(numbers).to_pylist()
    decided = [RULES[case.rule]({**row, "probability": one}) for one, row in zip(said, rows, strict=True)]
    kept = [number for number, goes in zip(numbers, decided, strict=True) if goes]
    assert [row["decision"] for row in scores] == decided
    assert output["row_number"].to_pylist() == kept
    assert output.select(range(table.num_columns)).equals(table.take(pa.array(kept, pa.int64())))


@pytest.fixture
def raw(tmp_path: Path) -> RawBatch:
    """Twelve orders in two parts; one is rejected."""
    table = with_column(wide(12), "price", [1.0, 2.0, -1.0, *range(4, 13)], pa.float64())
    files, _ = checked(tmp_path, shop(), REF, table.slice(0, 5), table.slice(5))
    return load(files, shop(), REF, tmp_path / "scratch")


@pytest.mark.parametrize("gone", [0, 3, 10])
def test_features_of_other_rows_are_an_error(raw: RawBatch, gone: int) -> None:
    features = raw.stream(features_query).read_all()
    fewer = pa.concat_tables([features.slice(0, gone), features.slice(gone + 1)])
    rejected = with_column(features, "row_number", [0, 1, 2, *range(4, 12)], pa.int64())
    for others in (fewer, rejected, pa.concat_tables([features, features.slice(gone, 1)])):
        with pytest.raises(DataError, match="not those of the checked file"):
            scored(raw, others.to_reader())


def test_what_goes_wrong_while_features_are_read_is_raised_unchanged_and_leaves_nothing_behind(raw: RawBatch) -> None:
    features = raw.stream(features_query).read_all()
    wrong = DataError("the store went away")

    def half() -> Iterator[pa.RecordBatch]:
        yield features.slice(0, 4).to_batches()[0]
        raise wrong

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(engine, "_ROWS_TOGETHER", 2)
        with pytest.raises(DataError) as caught:
            scored(raw, half())
    assert caught.value is wrong
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("ahead")]
    assert not list(raw.spill.iterdir())


def test_whoever_stops_early_leaves_nothing_behind(raw: RawBatch) -> None:
    features = raw.stream(features_query)
    with scoring(raw, features, lambda contract: Scorer(contract, REF.batch, says, 7)) as found:
        next(found.rows)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("ahead")]


def test_an_expression_that_fails_names_its_row_of_the_file(raw: RawBatch) -> None:
    features = raw.stream(features_query).read_all()
    for output, row in (
        ({"where": "cast(note as integer) > 0"}, 0),
        ({"where": "probability > 0.2", "select": {"a": "cast(coalesce(note, '1') as integer)"}}, 5),
        ({"select": {"a": "cast(if(price > 3, '', '1') as integer)"}}, 3),
    ):
        with pytest.raises(DataError, match="fails on a row") as caught:
            scored(raw, features.to_reader(), shop(output=output))
        assert str(caught.value.facts["found"]).startswith(f"row {row}: ")


def test_timestamps_of_spark_keep_their_microseconds(tmp_path: Path) -> None:
    table = wide(9)
    files, _ = checked(tmp_path, shop(), REF, table, use_deprecated_int96_timestamps=True)
    batch = load(files, shop(), REF, tmp_path / "scratch")
    _, output = scored(batch, batch.stream(features_query))
    assert output["seen"].equals(table["seen"].take(output["row_number"]))


def test_an_output_may_show_nothing_of_the_rows_as_they_came(raw: RawBatch) -> None:
    task = shop(output={"select": {"percent": "round(probability * 100)"}, "where": "probability > 0.5"})
    _, output = scored(raw, raw.stream(features_query), task)
    assert output.column_names == ["percent", "batch", "row_number"]
    assert output["row_number"].to_pylist() == [
        number for number in (*range(2), *range(3, 12)) if number * 37 % 101 > 50
    ]
