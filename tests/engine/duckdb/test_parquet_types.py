"""Files of every type: each value leaves as it came, or the file is refused with what to do."""

from collections.abc import Callable, Mapping
from datetime import date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline_assets.engine.base import CheckedBatch
from pipeline_assets.engine.duckdb.accepted import load
from pipeline_assets.engine.duckdb.check import check
from pipeline_assets.engine.record import record_of, to_metadata
from pipeline_assets.errors import ContractError
from pipeline_assets.stores.files.base import Area
from pipeline_assets.stores.files.local import LocalFiles
from pipeline_assets.task.batch import BatchRef
from pipeline_assets.task.preparation import input_mart_query
from pipeline_assets.task.spec import TaskSpec
from tests.examples import shop
from tests.fixtures.checked import raw_rows

REF = BatchRef("shop", "train", "b")
WHOLE_DIGITS = Decimal("12345678901234567890123456789012345678.90")


def kept(column: str, kind: str) -> TaskSpec:
    """A task over ``id`` and one nullable column; everything else of a file is unexpected."""
    return shop(
        key=None,
        checks=None,
        training=None,
        output=None,
        columns={"id": {"type": "int64"}, column: {"type": kind, "nullable": True}},
        target={"expression": "id > 1"},
        features={"numeric": {"id": "id"}},
    )


ANY = kept("other", "int64")


def checked(folder: Path, table: pa.Table, task: TaskSpec = ANY, **how: Any) -> tuple[LocalFiles, CheckedBatch]:
    """The table as a batch that was checked; ``other`` is added where the table lacks it."""
    if task is ANY:
        table = table.append_column("other", pa.nulls(table.num_rows, pa.int64()))
    place = folder / "data" / "shop" / "train" / "b.parquet"
    place.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, place, **how)
    files = LocalFiles(folder / "data")
    found = check(files, task, REF, folder / "scratch", lambda _: None)
    with files.sink(Area.REJECTED, REF, found.rejected.schema) as sink:
        sink.metadata.update(to_metadata(found.manifest))
        for batch in found.rejected:
            sink.write(batch)
    return files, found


def came(folder: Path, table: pa.Table, task: TaskSpec = ANY, **how: Any) -> pa.Table:
    """The table's rows as the output file gets them, and as the rejected file gets them: they are the same."""
    files, _ = checked(folder, table, task, **how)
    accepted = raw_rows(load(files, task, REF, folder / "scratch"))
    with_null = pa.concat_tables([table, table.set_column(0, "id", pa.nulls(table.num_rows, pa.int64()))])
    checked(folder, with_null, task, **how)
    rejected = record_of(files, REF).stored.batches().read_all()
    names = table.column_names[1:]
    # As scoring works with them.
    assert pa.RecordBatch.from_pylist([], schema=accepted.schema).schema == accepted.schema
    assert accepted.filter(pa.array([True] * table.num_rows)).num_rows == table.num_rows
    assert rejected.select(names).equals(accepted.select(names))
    return accepted.select(names)


def numbered(**columns: pa.Array) -> pa.Table:
    (length,) = {len(column) for column in columns.values()}
    return pa.table({"id": np.arange(length), **columns})


UNTOUCHED: Mapping[str, pa.Array] = {
    "timestamp[ns]": pa.array([1_234_567_890_123_456_789, None], pa.timestamp("ns")),
    "timestamp[ns] with a zone": pa.array([1_234_567_890_123_456_789, None], pa.timestamp("ns", "Europe/Berlin")),
    "timestamp[us] with a zone": pa.array([1_234_567_890_123_456, None], pa.timestamp("us", "Europe/Berlin")),
    "timestamp[ms]": pa.array([1_234_567_890_123, None], pa.timestamp("ms")),
    "time64[ns]": pa.array([1_234_567_890_123, None], pa.time64("ns")),
    "time64[us]": pa.array([1_234_567_890, None], pa.time64("us")),
    "time32[ms]": pa.array([1_234_567, None], pa.time32("ms")),
    "float32": pa.array([0.1, None], pa.float32()),
    "uint64": pa.array([2**64 - 1, None], pa.uint64()),
    "uint8": pa.array([255, None], pa.uint8()),
    "large_string": pa.array(["a", None], pa.large_string()),
    "large_binary": pa.array([b"\xff", None], pa.large_binary()),
    "fixed binary": pa.array([b"\xff\0\1\2", None], pa.binary(4)),
    "dictionary": pa.array(["a", None]).dictionary_encode(),
    "decimal128(38, 2)": pa.array([Decimal("123456789012345678901234567890123456.78"), None], pa.decimal128(38, 2)),
    "decimal32": pa.array([Decimal("1.50"), None], pa.decimal32(5, 2)),
    "decimal64": pa.array([Decimal("1.50"), None], pa.decimal64(15, 2)),
    "duration": pa.array([5, None], pa.duration("us")),
    "null": pa.nulls(2),
    "list": pa.array([[1, None], None], pa.list_(pa.int64())),
    "list of text": pa.array([["a"], []], pa.list_(pa.large_string())),
    "struct": pa.array([{"a": 1, "b": None}, None], pa.struct([("a", pa.int32()), ("b", pa.string())])),
    "struct of nothing": pa.array([{"a": None}, None], pa.struct([("a", pa.null())])),
    "map": pa.array([[("k", 1)], None], pa.map_(pa.string(), pa.int64())),
    "uuid": pa.array([UUID(int=7).bytes, None], pa.binary(16)).cast(pa.uuid()),
    "json": pa.array(['{"a": 1}', None]).cast(pa.json_()),
    "text with NUL": pa.array(["a\0b", None]),
    "bool": pa.array([True, None]),
    "date32": pa.array([date(1900, 1, 1), None]),
    "far away": pa.array([datetime(9999, 12, 31), datetime(1, 1, 1)], pa.timestamp("us")),
}


@pytest.mark.parametrize("kind", UNTOUCHED)
def test_an_unexpected_column_leaves_as_it_came(tmp_path: Path, kind: str) -> None:
    table = numbered(x=UNTOUCHED[kind])
    stored = table.select(["x"])
    found = came(tmp_path, table)
    assert found.schema == stored.schema
    assert found.equals(stored)


def test_types_that_cannot_be_worked_with_leave_in_one_of_the_same_values(tmp_path: Path) -> None:
    half, whole = pa.array(np.array([1.5, 0.1], np.float16)), pa.array([Decimal("1.5"), None], pa.decimal256(38, 10))
    views, lists = pa.array(["a", None], pa.string_view()), pa.array([[1, 2], None], pa.list_(pa.int64(), 2))
    found = came(tmp_path, numbered(half=half, whole=whole, view=views, lists=lists))
    assert (found["lists"].type, found["lists"].to_pylist()) == (pa.list_(pa.int64()), [[1, 2], None])
    assert (found["view"].type, found["view"].to_pylist()) == (pa.string(), ["a", None])
    assert found["half"].to_pylist() == [float(value) for value in np.array([1.5, 0.1], np.float16)]
    assert (found["whole"].type, found["whole"].to_pylist()) == (pa.decimal128(38, 10), [Decimal("1.5"), None])


def test_decimals_stored_as_integers_and_spark_timestamps_keep_their_values(tmp_path: Path) -> None:
    moment = pa.array([1_234_567_890_123_456_000, None], pa.timestamp("ns"))
    found = came(
        tmp_path,
        numbered(d=pa.array([Decimal("1.50"), None], pa.decimal128(9, 2)), t=moment),
        use_deprecated_int96_timestamps=True,
        store_decimal_as_integer=True,
    )
    assert found["d"].to_pylist() == [Decimal("1.50"), None]
    assert found["t"].to_pylist() == [datetime(2009, 2, 13, 23, 31, 30, 123456), None]


BIG = pa.array([WHOLE_DIGITS, None], pa.decimal256(50, 10))
REFUSED = {
    "decimal256": (BIG, "decimal256(50, 10)", "at most 38 digits"),
    "list of decimal256": (pa.array([[WHOLE_DIGITS], None], pa.list_(BIG.type)), "decimal256(50, 10)", "38 digits"),
    "struct of decimal256": (
        pa.array([{"a": WHOLE_DIGITS}, None], pa.struct([("a", BIG.type)])), "decimal256(50, 10)", "38 digits",
    ),
    "fields that differ by case": (
        pa.array([{"a": 1, "A": 2}]), "struct<a: int64, A: int64>", "names that differ, whatever the case",
    ),
    "field without a name": (pa.array([[{"": 1}]]), "struct<: int64>", "names that differ"),
}  # fmt: skip


@pytest.mark.parametrize("kind", REFUSED)
@pytest.mark.parametrize("task", [ANY, kept("x", "decimal(38, 10)"), kept("x", "float64")], ids=["any", "dec", "float"])
def test_a_type_that_would_be_rounded_is_refused_declared_or_not(tmp_path: Path, kind: str, task: TaskSpec) -> None:
    values, found, expected = REFUSED[kind]
    with pytest.raises(ContractError, match="cannot be read without changing their values") as refused:
        checked(tmp_path, numbered(x=values), task)
    facts = refused.value.facts
    assert (facts["file"], facts["column"]) == ("b.parquet", "x")
    assert found in str(facts["found"])
    assert expected in str(facts["expected"])
    assert facts["do"]


def test_an_interval_is_refused(tmp_path: Path) -> None:
    import duckdb

    place = tmp_path / "data" / "shop" / "train" / "b.parquet"
    place.parent.mkdir(parents=True)
    query = "select 1::bigint as id, null::bigint as other, interval '1 month 2 days' as x"
    duckdb.execute(f"copy ({query}) to '{place}' (format parquet)")
    with pytest.raises(ContractError, match="without changing") as refused:
        check(LocalFiles(tmp_path / "data"), ANY, REF, tmp_path / "scratch", lambda _: None)
    assert (refused.value.facts["column"], refused.value.facts["found"]) == ("x", "a parquet INTERVAL")


def test_spark_timestamps_with_nanoseconds_are_refused_with_the_row(tmp_path: Path) -> None:
    year_9999 = 253_402_300_799
    moments = pa.array([year_9999 * 1_000_000, 1_000_000], pa.timestamp("us"))
    checked(tmp_path, numbered(x=moments), use_deprecated_int96_timestamps=True)
    moments = pa.array([1_000, 1_234_567_890_123_456_789], pa.timestamp("ns"))
    with pytest.raises(ContractError, match="below the microsecond") as refused:
        checked(tmp_path, numbered(x=moments), use_deprecated_int96_timestamps=True)
    assert refused.value.facts["column"] == "x"
    assert "row 1" in str(refused.value.facts["found"])


NESTED_MOMENTS: Mapping[str, tuple[pa.DataType, Callable[[Any], Any], str]] = {
    "list": (pa.list_(pa.timestamp("ns")), lambda moment: [None, moment], "x.list.element"),
    "struct": (pa.struct([("t.x", pa.timestamp("ns"))]), lambda moment: {"t.x": moment}, "x.t.x"),
    "map": (pa.map_(pa.string(), pa.timestamp("ns")), lambda moment: [("a", moment)], "x.key_value.value"),
}  # fmt: skip


@pytest.mark.parametrize("shape", NESTED_MOMENTS)
def test_spark_timestamps_within_lists_and_structs_keep_their_values(tmp_path: Path, shape: str) -> None:
    kind, around, path = NESTED_MOMENTS[shape]
    whole = pa.array([around(1_234_567_890_123_456_000), None], kind)
    found = came(tmp_path, numbered(x=whole), use_deprecated_int96_timestamps=True)["x"].to_pylist()
    assert found == [around(datetime(2009, 2, 13, 23, 31, 30, 123456)), None]
    bad = pa.array([None, around(1_234_567_890_123_456_789)], kind)
    with pytest.raises(ContractError, match="below the microsecond") as refused:
        checked(tmp_path, numbered(x=bad), use_deprecated_int96_timestamps=True)
    assert (refused.value.facts["file"], refused.value.facts["column"]) == ("b.parquet", path)


def test_moments_too_far_for_microseconds_are_refused_with_the_row(tmp_path: Path) -> None:
    with pytest.raises(ContractError, match="too far away") as refused:
        came(tmp_path, numbered(x=pa.array([None, 2**62], pa.timestamp("ms"))))
    facts = refused.value.facts
    assert (facts["file"], facts["column"]) == ("b.parquet", "x")
    assert facts["found"] == "row 1 of the file: 4611686018427387904 ms from 1970"


@pytest.mark.parametrize(
    ("kind", "values", "reasons"),
    [
        ("time_ns", pa.array([1_234_567_890_123, 86_400_000_000_000], pa.time64("ns")),
         ["x: 24:00:00 is no time of day"]),
        ("time", pa.array([86_399_999_999, 86_400_000_000], pa.time64("us")), ["x: 24:00:00 is no time of day"]),
        ("timestamp_ns", pa.array([1_001, None], pa.timestamp("ns")), []),
        ("timestamptz_ns", pa.array([1_001, None], pa.timestamp("ns", "Asia/Tokyo")), []),
        ("date", pa.array([-719_163, 2_932_896], pa.date32()),
         ["x: 0001-12-31 (BC) is outside of the years 1 to 9999"]),
        ("timestamp", pa.array([datetime(9999, 12, 31, 23), None]), []),
        ("timestamp", pa.array([2**63 - 1, 0], pa.timestamp("us")),
         ["x: infinity is outside of the years 1 to 9999"]),
        ("timestamptz", pa.array([2**62, 0], pa.timestamp("us", "UTC")),
         ["x: 148108-07-06 14:00:27.387904+00 is outside of the years 1 to 9999"]),
        ("int64", pa.nulls(2), []),
        ("string", pa.nulls(2), []),
        ("date", pa.nulls(2), []),
        ("decimal(5, 2)", pa.nulls(2), []),
        ("time", pa.array([1_234_567_890_000, 1_234_567_890_123], pa.time64("ns")),
         ["x: 00:20:34.567890123 is no time"]),
        ("timestamp", pa.array([1_000, 1_001], pa.timestamp("ns")),
         ["x: 1970-01-01 00:00:00.000001001 is no timestamp"]),
        ("string", pa.array(['{"a": 1}', None]).cast(pa.json_()), []),
        ("string", pa.array(["a\0b", "c"]), ["x: holds a NUL character"]),
        ("decimal(38, 10)", pa.array([Decimal("1.5"), None], pa.decimal256(38, 10)), []),
    ],
)  # fmt: skip
def test_a_declared_column_is_accepted_row_by_row(
    tmp_path: Path, kind: str, values: pa.Array, reasons: list[str]
) -> None:
    task = kept("x", kind)
    files, found = checked(tmp_path, numbered(x=values), task)
    assert record_of(files, REF).stored.batches().read_all()["reason"].to_pylist() == reasons
    assert found.manifest.accepted == 2 - len(reasons)
    mart = load(files, task, REF, tmp_path / "scratch").stream(input_mart_query).read_all()
    if pa.types.is_null(values.type) and kind in ("int64", "date"):
        assert mart["x"].to_pylist() == [None, None]


def test_nothing_but_nulls_is_rejected_where_the_contract_wants_values(tmp_path: Path) -> None:
    task = shop(
        key=None, checks=None, training=None, output=None,
        columns={"id": {"type": "int64"}, "x": {"type": "string"}},
        target={"expression": "id > 1"}, features={"numeric": {"id": "id"}},
    )  # fmt: skip
    _, found = checked(tmp_path, numbered(x=pa.nulls(2)), task)
    assert found.manifest.reasons == {"x: null": 2}


def test_a_duration_is_no_number(tmp_path: Path) -> None:
    with pytest.raises(ContractError, match="cannot have its contract type") as refused:
        checked(tmp_path, numbered(x=pa.array([5, None], pa.duration("us"))), kept("x", "int64"))
    assert refused.value.facts["found"] == "duration[us]"


@pytest.mark.parametrize("kind", ["int64", "list<int64>"])
def test_durations_in_lists_are_no_numbers_either(tmp_path: Path, kind: str) -> None:
    values = pa.array([[5], None], pa.list_(pa.duration("us")))
    with pytest.raises(ContractError, match="cannot have its contract type") as refused:
        checked(tmp_path, numbered(x=values), kept("x", kind))
    assert "duration[us]" in str(refused.value.facts["found"])


def test_text_in_a_list_that_is_no_utf8_is_named_with_file_column_and_row(tmp_path: Path) -> None:
    offsets = pa.array([0, 1, 2], pa.int32())
    bad = pa.Array.from_buffers(pa.string(), 2, [None, offsets.buffers()[1], pa.py_buffer(b"a\xff")])
    with pytest.raises(ContractError, match="not UTF-8") as refused:
        came(tmp_path, numbered(x=pa.ListArray.from_arrays(offsets, bad)))
    assert (refused.value.facts["column"], refused.value.facts["found"]) == ("x", "row 1 of the file: a text within it")


@pytest.mark.parametrize("task", [ANY, kept("x", "string")], ids=["unexpected", "declared"])
def test_text_that_is_no_utf8_is_named_with_file_column_and_row(tmp_path: Path, task: TaskSpec) -> None:
    offsets = pa.array([0, 1, 2, 3], pa.int32()).buffers()[1]
    bad = pa.Array.from_buffers(pa.string(), 3, [None, offsets, pa.py_buffer(b"a\xffb")])
    with pytest.raises(ContractError, match="not UTF-8") as refused:
        came(tmp_path, numbered(x=bad), task)
    facts = refused.value.facts
    assert (facts["file"], facts["column"], facts["found"]) == ("b.parquet", "x", r"row 1 of the file: b'\xff'")


NAMES = [
    "A",
    "a",
    "",
    "ROW_NUMBER",
    "Row_number",
    "reason",
    "batch",
    "label",
    "probability",
    "with space",
    'a"b',
    "цена",
]


def test_names_are_kept_exactly(tmp_path: Path) -> None:
    columns = {name: pa.array([place, place]) for place, name in enumerate(NAMES)}
    table = pa.table({"id": [0, 1], **columns})
    assert came(tmp_path, table).equals(table.select(NAMES))
    files, _ = checked(tmp_path, table)
    found = record_of(files, REF).stored.schema.names
    assert found[:2] == ["pipeline_row_number", "pipeline_reason"]


@pytest.mark.parametrize("name", ["file_index", "FILE_ROW_NUMBER"])
def test_names_that_the_reader_needs_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ContractError, match="its reader needs") as refused:
        checked(tmp_path, numbered(**{name: pa.array([1, 2])}))
    assert refused.value.facts["column"] == name


def test_two_columns_under_one_name_are_refused(tmp_path: Path) -> None:
    table = pa.Table.from_arrays([pa.array([1]), pa.array([2]), pa.array([3])], names=["id", "x", "x"])
    with pytest.raises(ContractError, match="several columns under one name") as refused:
        checked(tmp_path, table)
    assert refused.value.facts["column"] == "'x'"


def test_a_time_keeps_its_microseconds_in_the_mart(tmp_path: Path) -> None:
    task = kept("x", "time")
    files, _ = checked(tmp_path, numbered(x=pa.array([1_234_567_890_000, None], pa.time64("ns"))), task)
    mart = load(files, task, REF, tmp_path / "scratch").stream(input_mart_query).read_all()
    assert mart["x"].to_pylist() == [time(0, 20, 34, 567890), None]
