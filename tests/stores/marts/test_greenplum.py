import itertools
import logging
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar

import psycopg2
import psycopg2.errors
import psycopg2.extensions
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg2.sql import SQL, Composable, Identifier

from pipeline_assets.errors import StoreError, TransientError
from pipeline_assets.settings import DatabaseSettings
from pipeline_assets.stores.load import Piece
from pipeline_assets.stores.marts import database, embedded_postgres, loading
from pipeline_assets.stores.marts.greenplum import MartStore, MartTable, MartView
from tests.fixtures import mart_writers
from tests.fixtures.mart_writers import ROWS_PER_STEP, Writer
from tests.fixtures.postgres import Marts, drop, make_login

ADDRESS = [("batch", pa.string()), ("row_number", pa.int64())]
KEY = ("batch", "row_number")
OF_SCHEMA = "FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE nspname = %s"


def mart(*columns: tuple[str, pa.DataType], name: str = "flights", **changes: Any) -> MartTable:
    table = MartTable(name, pa.schema([*ADDRESS, *columns]), "Flights", {}, KEY)
    return replace(table, **changes)


def rows_of(table: MartTable, batch: str, *values: list[Any] | pa.Array) -> pa.RecordBatchReader:
    """Columns after the address; the rows count from 0."""
    count = len(values[0])
    kinds = [field.type for field in table.schema]
    arrays = [
        column if isinstance(column, pa.Array) else pa.array(column, kind)
        for column, kind in zip([[batch] * count, range(count), *values], kinds, strict=True)
    ]
    return pa.RecordBatchReader.from_batches(table.schema, [pa.record_batch(arrays, schema=table.schema)])


def endless(table: MartTable, batch: str, value: Any, first: int = 0) -> pa.RecordBatchReader:
    def rows() -> Iterator[pa.RecordBatch]:
        for start in itertools.count(first, 1000):
            columns = [[batch] * 1000, range(start, start + 1000), [value] * 1000]
            arrays = [pa.array(column, field.type) for column, field in zip(columns, table.schema, strict=True)]
            yield pa.record_batch(arrays, schema=table.schema)

    return pa.RecordBatchReader.from_batches(table.schema, rows())


def there(marts: Marts, table: MartTable, batch: str) -> list[list[Any]]:
    """The columns after the address, as lists."""
    read = marts.store.read(table.name, {"batch": batch}).read_all()
    return [column.to_pylist() for column in read.columns[2:]]


# What goes in, and what comes back in the type that the database has.


D = Decimal
TRICKY = ["", None, "NULL", "\\N", "\\.", 'say "so"', "a,b", "two\nlines\r\nmore", "\t", "Ёлка, ж/д", "🛫", " x "]
MOMENTS = [datetime(1, 1, 1), None, datetime(2013, 2, 28, 23, 59, 59, 999999), datetime(9999, 12, 31, 23, 59, 59)]
INSTANTS = [None if moment is None else moment.replace(tzinfo=UTC) for moment in MOMENTS]
CASES: list[tuple[pa.Array, pa.DataType]] = [
    (pa.array([True, None, False]), pa.bool_()),
    (pa.array([-128, None, 127], pa.int8()), pa.int16()),
    (pa.array([-(2**15), None, 2**15 - 1], pa.int16()), pa.int16()),
    (pa.array([-(2**31), None, 2**31 - 1], pa.int32()), pa.int32()),
    (pa.array([-(2**63), None, 2**63 - 1], pa.int64()), pa.int64()),
    (pa.array([0, None, 255], pa.uint8()), pa.int16()),
    (pa.array([0, None, 2**16 - 1], pa.uint16()), pa.int32()),
    (pa.array([0, None, 2**32 - 1], pa.uint32()), pa.int64()),
    (pa.array([0, None, 2**64 - 1], pa.uint64()), pa.decimal128(20, 0)),
    (pa.array([1.5, None, -0.0], pa.float16()), pa.float32()),
    (pa.array([0.1, None, 7.038531e-26, 3.4e38, 1e-45], pa.float32()), pa.float32()),
    (pa.array([0.1, None, 5e-324, 1.7976931348623157e308, float("inf"), float("-inf"), -0.0]), pa.float64()),
    (pa.array([D("-9.99"), None, D("0.01")], pa.decimal32(3, 2)), pa.decimal128(3, 2)),
    (pa.array([D("-" + "9" * 38), None, D(0)], pa.decimal128(38, 0)), pa.decimal128(38, 0)),
    (pa.array([D("1.2E+5"), None], pa.decimal128(3, -3)), pa.decimal128(6, 0)),
    (pa.array([D("1" * 60 + ".25"), None], pa.decimal256(70, 2)), pa.decimal256(70, 2)),
    (pa.array(TRICKY), pa.string()),
    (pa.array(TRICKY, pa.large_string()), pa.string()),
    (pa.array(TRICKY, pa.string_view()), pa.string()),
    (pa.array(["UA", None, "UA", ""]).dictionary_encode(), pa.string()),
    (pa.array([b"", None, b"\x00\xff", b"\\x00", b'"\n']), pa.binary()),
    (pa.array([b"", None, b"\x00\xff"], pa.binary_view()), pa.binary()),
    (pa.array([b"\x00\xff", None], pa.binary(2)), pa.binary()),
    (pa.array([date(1, 1, 1), None, date(9999, 12, 31)]), pa.date32()),
    (pa.array([date(1, 1, 1), None, date(9999, 12, 31)], pa.date64()), pa.date32()),
    (pa.array([time(0), None, time(23, 59, 59)], pa.time32("s")), pa.time64("us")),
    (pa.array([time(0), None, time(23, 59, 59, 999999)], pa.time64("us")), pa.time64("us")),
    (pa.array(MOMENTS, pa.timestamp("us")), pa.timestamp("us")),
    (pa.array([0, None], pa.timestamp("s")), pa.timestamp("us")),
    (pa.array(INSTANTS, pa.timestamp("us", "UTC")), pa.timestamp("us", "UTC")),
    (pa.array([0, None], pa.timestamp("ms", "Europe/Moscow")), pa.timestamp("us", "UTC")),
    (pa.array([None, None], pa.null()), pa.string()),
    (pa.ExtensionArray.from_storage(pa.uuid(), pa.array([b"0123456789abcdef", None], pa.binary(16))), pa.binary()),
    (pa.RunEndEncodedArray.from_arrays([2, 3], [7, None]), pa.int64()),
]


@pytest.mark.parametrize(("column", "kind"), CASES, ids=lambda value: str(getattr(value, "type", value)))
def test_a_value_of_any_type_comes_back_as_it_was(marts: Marts, column: pa.Array, kind: pa.DataType) -> None:
    table = mart(("value", column.type))
    assert marts.store.replace(table, {"batch": "b"}, rows_of(table, "b", column)) == len(column)
    read = marts.store.read(table.name, {"batch": "b"}, ["value"]).read_all()["value"].combine_chunks()
    plain = column.storage if isinstance(column.type, pa.BaseExtensionType) else column
    assert read.type == kind
    assert repr(read.to_pylist()) == repr(pa.array(plain.to_pylist(), kind).to_pylist())


def test_not_a_number_comes_back_as_one(marts: Marts) -> None:
    table = mart(("value", pa.float64()), ("small", pa.float32()))
    marts.store.replace(table, {"batch": "b"}, rows_of(table, "b", [float("nan")], [float("nan")]))
    assert repr(there(marts, table, "b")) == "[[nan], [nan]]"


@pytest.mark.parametrize(
    ("column", "texts"),
    [
        (pa.array([1_001, None], pa.time64("ns")), ["00:00:00.000001001", None]),
        (pa.array([1_001, None], pa.timestamp("ns")), ["1970-01-01 00:00:00.000001001", None]),
        (pa.array([1_001], pa.timestamp("ns", "Asia/Tokyo")), ["1970-01-01 00:00:00.000001001Z"]),
        (pa.array([[1, None], [], None], pa.list_(pa.int8())), ["[1,null]", "[]", None]),
        (pa.array([[0.5, float("nan")], [float("-inf")]]), ['[0.5,"NaN"]', '["-Infinity"]']),
        (pa.array([{"где": 'Нью-"Йорк"\n', "b": True}]), ['{"где":"Нью-\\"Йорк\\"\\n","b":true}']),
        (pa.array([[D("1.10"), D(100)]], pa.list_(pa.decimal128(5, 2))), ["[1.10,100.00]"]),
        (pa.array([[b"\x00\xff"]]), ['["\\\\x00ff"]']),
        (pa.array([[date(2013, 1, 1)]]), ['["2013-01-01"]']),
        (pa.array([[("a", 1)]], pa.map_(pa.string(), pa.int8())), ['{"a":1}']),
        (pa.array([[1, 2]], pa.list_(pa.int8(), 2)), ["[1,2]"]),
    ],
    ids=lambda value: str(getattr(value, "type", "")),
)
def test_nested_values_come_back_as_json_and_nanoseconds_as_text(
    marts: Marts, column: pa.Array, texts: list[str | None]
) -> None:
    table = mart(("value", column.type))
    marts.store.replace(table, {"batch": "b"}, rows_of(table, "b", column))
    assert there(marts, table, "b") == [texts]
    columns = (
        "SELECT DISTINCT data_type FROM information_schema.columns WHERE table_schema = %s AND column_name = 'value'"
    )
    assert marts.query(columns, marts.schema) == [("text",)]


OPTIONAL: dict[str, tuple[pa.DataType, st.SearchStrategy[Any]]] = {
    "text": (pa.string(), st.text(st.characters(codec="utf-8", exclude_characters="\0"))),
    "number": (pa.float64(), st.floats(allow_nan=False)),
    "small": (pa.float32(), st.floats(allow_nan=False, width=32)),
    "count": (pa.int64(), st.integers(-(2**63), 2**63 - 1)),
    "price": (pa.decimal128(20, 4), st.decimals(D("-1e15"), D("1e15"), places=4)),
    "raw": (pa.binary(), st.binary()),
    "day": (pa.date32(), st.dates()),
    "clock": (pa.time64("us"), st.times()),
    "moment": (pa.timestamp("us"), st.datetimes()),
    "instant": (pa.timestamp("us", "UTC"), st.datetimes(timezones=st.just(UTC))),
}
ANYTHING = mart(*((name, kind) for name, (kind, _) in OPTIONAL.items()), name="anything")


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(st.tuples(*(st.none() | values for _, values in OPTIONAL.values())), min_size=1, max_size=20))
def test_whatever_the_rows_are_they_come_back(marts: Marts, rows: list[tuple[Any, ...]]) -> None:
    columns = [list(column) for column in zip(*rows, strict=True)]
    marts.store.replace(ANYTHING, {"batch": "b"}, rows_of(ANYTHING, "b", *columns))
    read = marts.store.read("anything", {"batch": "b"}).read_all()
    assert read.schema.equals(ANYTHING.schema)
    # Their text tells 0.0 from -0.0, which are equal.
    assert str(read.to_pydict()) == str(rows_of(ANYTHING, "b", *columns).read_all().to_pydict())


# Batches.


def test_a_batch_run_again_is_replaced_and_the_others_stay(marts: Marts) -> None:
    table = mart(("n", pa.int32()))
    for batch, values in [("one", [1, 2, 3]), ("two", [4]), ("one", [5, 6]), ("one", [5, 6])]:
        assert marts.store.replace(table, {"batch": batch}, rows_of(table, batch, values)) == len(values)
    assert there(marts, table, "one") == [[5, 6]]
    assert there(marts, table, "two") == [[4]]
    assert marts.store.count("flights", {"batch": "one"}) == 2
    assert marts.store.count("flights", {}) == 3


def test_an_empty_stream_empties_the_batch(marts: Marts) -> None:
    table = mart(("n", pa.int32()))
    marts.store.replace(table, {"batch": "one"}, rows_of(table, "one", [1]))
    assert marts.store.replace(table, {"batch": "one"}, pa.RecordBatchReader.from_batches(table.schema, [])) == 0
    assert marts.store.count("flights", {}) == 0


def test_rows_are_found_by_several_values_and_by_null(marts: Marts) -> None:
    table = mart(("n", pa.int32()))
    marts.store.replace(table, {"batch": "one"}, rows_of(table, "one", [1, None, 1]))
    assert marts.store.count("flights", {"batch": "one", "n": 1}) == 2
    assert marts.store.count("flights", {"batch": "one", "n": None}) == 1
    assert marts.store.read("flights", {"n": None}, ["row_number"]).read_all().to_pylist() == [{"row_number": 1}]


def test_rows_are_read_in_the_order_of_their_address_a_batch_at_a_time(marts: Marts) -> None:
    table = mart(("n", pa.int32()))
    backwards = pa.table({"batch": ["one"] * 25_000, "row_number": range(24_999, -1, -1), "n": range(25_000)})
    marts.store.replace(table, {"batch": "one"}, backwards.cast(table.schema).to_reader())
    batches = list(marts.store.read("flights", {"batch": "one"}, ["row_number"]))
    assert len(batches) > 1
    assert [n for batch in batches for n in batch.column(0).to_pylist()] == list(range(25_000))


def test_a_reader_that_is_dropped_half_way_ends_its_connection(marts: Marts) -> None:
    table = mart(("n", pa.int32()))
    marts.store.replace(table, {"batch": "one"}, rows_of(table, "one", [0] * 50_000))
    reader = marts.store.read("flights", {})
    reader.read_next_batch()
    open_ones = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'FETCH%%' AND application_name = %s"
    assert marts.query(open_ones, "pipeline_assets") == [(1,)]
    del reader
    until(lambda: marts.query(open_ones, "pipeline_assets") == [(0,)])


def until(condition: Callable[[], bool]) -> None:
    """Asks the server again and again, for it may be a moment behind; each asking is a round trip."""
    assert any(condition() for _ in range(2000))


def test_what_is_not_there_yet_counts_nothing_and_cannot_be_read(marts: Marts) -> None:
    assert marts.store.count("flights", {"batch": "one"}) == 0
    with pytest.raises(StoreError, match=r"there is no .*flights yet"):
        marts.store.read("flights", {})


def test_an_unknown_column_is_named_with_those_there_are(marts: Marts) -> None:
    table = mart(("distance", pa.int32()))
    marts.store.replace(table, {"batch": "one"}, rows_of(table, "one", [1]))
    with pytest.raises(StoreError, match="did you mean: distance"):
        marts.store.read("flights", {}, ["distanse"])
    with pytest.raises(StoreError, match="available: batch, row_number, distance"):
        marts.store.count("flights", {"month": 1})


# What is noted of a load.


def test_a_batch_says_what_it_was_made_under(marts: Marts) -> None:
    table = mart(("n", pa.int32()))
    assert marts.store.fingerprints("flights", "one") is None
    for contract in ("a", "b"):
        made = replace(table, fingerprints={"contract": contract})
        marts.store.replace(made, {"batch": "one"}, rows_of(table, "one", [1, 2]))
        assert marts.store.fingerprints("flights", "one") == {"contract": contract}
    assert marts.store.fingerprints("flights", "two") is None
    noted = marts.query("SELECT table_name, batch, fingerprints, rows FROM {schema}.pipeline_loads")
    assert noted == [("flights", "one", '{"contract": "b"}', 2)]
    reads = "SELECT has_table_privilege(%s, c.oid, 'SELECT') " + OF_SCHEMA + " AND relname = 'pipeline_loads'"
    assert marts.query(reads, f"{marts.schema}_reader", marts.schema) == [(True,)]


def test_a_load_that_fails_notes_nothing(marts: Marts) -> None:
    table = mart(("n", pa.int32()), fingerprints={"contract": "a"})
    marts.store.replace(table, {"batch": "one"}, rows_of(table, "one", [1]))
    with pytest.raises(StoreError):
        marts.store.replace(
            replace(table, fingerprints={"contract": "b"}), {"batch": "one"}, rows_of(table, "two", [1])
        )
    assert marts.store.fingerprints("flights", "one") == {"contract": "a"}


# Whatever goes wrong, the former rows are there.


def test_an_error_half_way_in_the_stream_leaves_the_former_batch_and_is_raised_as_it_is(marts: Marts) -> None:
    table = mart(("n", pa.int32()))
    marts.store.replace(table, {"batch": "one"}, rows_of(table, "one", [1, 2]))

    def broken(error: Exception) -> pa.RecordBatchReader:
        def rows() -> Iterator[pa.RecordBatch]:
            yield from itertools.islice(endless(table, "one", 7), 30)
            raise error

        return pa.RecordBatchReader.from_batches(table.schema, rows())

    errors: list[Exception] = [BrokenPipeError("the stream's own"), KeyError("column"), StoreError("upstream")]
    for error in errors:
        with pytest.raises(type(error)) as raised:
            marts.store.replace(table, {"batch": "one"}, broken(error))
        assert raised.value is error
        assert there(marts, table, "one") == [[1, 2]]


def test_a_load_that_the_server_refuses_ends_however_much_is_still_to_come(
    marts: Marts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "_ROWS_OF_A_COPY", 50_000)
    table = mart(("n", pa.int32()))
    marts.store.replace(table, {"batch": "one"}, rows_of(table, "one", [1, 2]))
    rows = (batch.set_column(1, "row_number", pa.nulls(1000, pa.int64())) for batch in endless(table, "one", 7))
    with pytest.raises(StoreError, match=r"(?s)loading .*refused.*row_number.*null"):
        marts.store.replace(table, {"batch": "one"}, pa.RecordBatchReader.from_batches(table.schema, rows))
    assert there(marts, table, "one") == [[1, 2]]


def test_a_load_of_several_copies_is_one(marts: Marts, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "_ROWS_OF_A_COPY", 5_000)
    table = mart(("n", pa.int32()))
    told: list[int] = []
    numbers = list(range(10_000))
    assert marts.store.replace(table, {"batch": "one"}, rows_of(table, "one", numbers), told.append) == 10_000
    assert told == [4_096, 8_192, 10_000]
    assert there(marts, table, "one") == [numbers]


def test_a_connection_that_ends_in_mid_load_is_a_passing_fault(marts: Marts) -> None:
    table = mart(("n", pa.int32()))
    marts.store.replace(table, {"batch": "one"}, rows_of(table, "one", [1, 2]))

    def cut() -> Iterator[pa.RecordBatch]:
        for number, batch in enumerate(endless(table, "one", 7)):
            if number == 30:
                marts.query(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE application_name = 'pipeline_assets' AND pid <> pg_backend_pid()"
                )
            yield batch

    with pytest.raises(TransientError, match="did not answer"):
        marts.store.replace(table, {"batch": "one"}, pa.RecordBatchReader.from_batches(table.schema, cut()))
    assert there(marts, table, "one") == [[1, 2]]


@pytest.mark.parametrize(
    ("kind", "value", "said"),
    [
        (pa.string(), "a\0b", "NUL"),
        (pa.list_(pa.string()), ["a\0b"], "NUL"),
        (pa.timestamp("us"), 10**18, "1000000000000000000 of timestamp"),
        (pa.date32(), 10_000_000, "10000000 of date32"),
    ],
)
def test_a_value_that_the_database_cannot_hold_is_named(marts: Marts, kind: pa.DataType, value: Any, said: str) -> None:
    table = mart(("value", kind))
    with pytest.raises(StoreError) as raised:
        marts.store.replace(table, {"batch": "b"}, rows_of(table, "b", pa.array([None, value], kind)))
    assert said in str(raised.value)
    assert "column:    value" in str(raised.value)
    assert "batch = b and row_number = 1" in str(raised.value)
    assert marts.store.count("flights", {}) == 0


def test_text_that_is_no_utf8_is_refused_with_column_and_line(marts: Marts) -> None:
    table = mart(("value", pa.string()))
    bad = pa.StringArray.from_buffers(2, pa.array([0, 1, 2], pa.int32()).buffers()[1], pa.py_buffer(b"a\xff"))
    with pytest.raises(StoreError, match=r"(?s)0xff.*COPY \S+, line 2"):
        marts.store.replace(table, {"batch": "b"}, rows_of(table, "b", bad))


def test_a_row_of_another_batch_is_refused(marts: Marts) -> None:
    table = mart(("n", pa.int32()))
    with pytest.raises(StoreError, match=r"(?s)not one of those being replaced.*found: +two.*expected: +one"):
        marts.store.replace(table, {"batch": "one"}, rows_of(table, "two", [1]))


def test_rows_of_other_columns_or_types_are_refused(marts: Marts) -> None:
    table, other = mart(("n", pa.int32())), mart(("m", pa.int32()))
    with pytest.raises(StoreError, match="not those of the mart"):
        marts.store.replace(table, {"batch": "one"}, rows_of(other, "one", [1]))
    with pytest.raises(StoreError, match=r"(?s)not those of the mart.*column: +n"):
        marts.store.replace(table, {"batch": "one"}, rows_of(mart(("n", pa.int64())), "one", [1]))


def test_a_key_that_comes_twice_is_refused(marts: Marts) -> None:
    if is_greenplum(marts):
        pytest.skip("append-optimised tables have no keys")
    table = mart(("n", pa.int32()))
    twice = pa.Table.from_batches([*rows_of(table, "one", [1]), *rows_of(table, "one", [2])])
    with pytest.raises(StoreError, match=r"(?s)refused.*is duplicated"):
        marts.store.replace(table, {"batch": "one"}, twice.to_reader())


def is_greenplum(marts: Marts) -> bool:
    return "Greenplum" in str(marts.query("SELECT version()"))


# Killed, and at once.


@pytest.mark.parametrize("stop_at", [0, 1, 3, 4])
def test_a_writer_killed_anywhere_leaves_the_former_batch_and_running_again_heals(marts: Marts, stop_at: int) -> None:
    load(marts, "former", steps=1)
    killed = Writer(marts.server, marts.schema, "b", "killed", steps=3)
    for _ in range(stop_at):
        killed.go()
        killed.wait()
    killed.kill()
    assert writers(marts) == {"former": ROWS_PER_STEP}
    load(marts, "again", steps=3)
    assert writers(marts) == {"again": 3 * ROWS_PER_STEP}


def test_a_writer_killed_while_it_commits_leaves_one_batch_whole(marts: Marts) -> None:
    load(marts, "former", steps=1)
    killed = Writer(marts.server, marts.schema, "b", "killed", steps=2)
    for _ in range(3):
        killed.go()
        killed.wait()
    killed.go()
    killed.kill()
    assert writers(marts) in ({"former": ROWS_PER_STEP}, {"killed": 2 * ROWS_PER_STEP})


def load(marts: Marts, writer: str, steps: int) -> None:
    rows = (mart_writers.step("b", writer, number) for number in range(steps))
    reader = pa.RecordBatchReader.from_batches(mart_writers.TABLE.schema, rows)
    assert marts.store.replace(mart_writers.TABLE, {"batch": "b"}, reader) == steps * ROWS_PER_STEP


def writers(marts: Marts) -> dict[str, int]:
    """Rows by the process that wrote them, once the server has done with the processes that are gone."""
    table = SQL("{}.loads").format(Identifier(marts.schema))
    marts.query(SQL("LOCK TABLE {} IN EXCLUSIVE MODE").format(table))
    return dict(marts.query(SQL("SELECT writer, count(*) FROM {} GROUP BY writer").format(table)))


def test_two_runs_of_one_batch_at_once_end_as_one_of_them(marts: Marts) -> None:
    first = Writer(marts.server, marts.schema, "b", "first", steps=2)
    second = Writer(marts.server, marts.schema, "b", "second", steps=1)
    first.go()
    first.wait()  # it has the batch now
    second.go()
    until(lambda: waiting_for_a_lock(marts) == 1)
    for _ in range(2):
        first.go()
        first.wait()
    first.go()
    assert first.finish() == 2 * ROWS_PER_STEP
    second.wait()
    second.go()
    second.wait()
    second.go()
    assert second.finish() == ROWS_PER_STEP
    assert writers(marts) == {"second": ROWS_PER_STEP}


def waiting_for_a_lock(marts: Marts) -> int:
    return int(marts.query("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")[0][0])


def test_two_batches_at_once_both_land(marts: Marts) -> None:
    one, two = (Writer(marts.server, marts.schema, batch, batch, steps=2) for batch in ("one", "two"))
    one.go()
    one.wait()  # in the middle of its rows
    assert two.load() == 2 * ROWS_PER_STEP
    for _ in range(3):
        one.go()
    for _ in range(2):
        one.wait()
    assert one.finish() == 2 * ROWS_PER_STEP
    assert writers(marts) == {"one": 2 * ROWS_PER_STEP, "two": 2 * ROWS_PER_STEP}


def test_processes_that_make_everything_at_once_all_succeed(marts: Marts) -> None:
    crowd = [Writer(marts.server, marts.schema, f"b{number}", "crowd", steps=1) for number in range(4)]
    for writer in crowd:
        for _ in range(3):
            writer.go()
    for writer in crowd:
        writer.wait()
        writer.wait()
        assert writer.finish() == ROWS_PER_STEP
    assert writers(marts) == {"crowd": 4 * ROWS_PER_STEP}


def test_a_wait_for_a_lock_that_is_too_long_is_a_passing_fault(marts: Marts, monkeypatch: pytest.MonkeyPatch) -> None:
    table = mart(("n", pa.int32()))
    marts.store.replace(table, {"batch": "one"}, rows_of(table, "one", [1]))
    monkeypatch.setattr(database, "_SESSION", "SET LOCAL lock_timeout = '10ms'")

    def rows() -> Iterator[pa.RecordBatch]:
        with pytest.raises(TransientError, match="lock timeout"):
            marts.store.replace(table, {"batch": "one"}, rows_of(table, "one", [3]))
        yield from rows_of(table, "one", [2])

    marts.store.replace(table, {"batch": "one"}, pa.RecordBatchReader.from_batches(table.schema, rows()))
    assert there(marts, table, "one") == [[2]]


# Columns come, go and change.


def test_a_new_column_is_null_in_old_rows_and_a_dropped_one_in_new_rows(marts: Marts) -> None:
    old, new = mart(("n", pa.int32())), mart(("m", pa.string()), ("k", pa.float64()))
    marts.store.replace(old, {"batch": "old"}, rows_of(old, "old", [1]))
    marts.store.replace(new, {"batch": "new"}, rows_of(new, "new", ["x"], [0.5]))
    assert marts.store.read("flights", {}, ["batch", "n", "m", "k"]).read_all().to_pylist() == [
        {"batch": "new", "n": None, "m": "x", "k": 0.5},
        {"batch": "old", "n": 1, "m": None, "k": None},
    ]


@pytest.mark.parametrize(
    ("old", "new", "values", "kept"),
    [
        (pa.int8(), pa.int32(), [1, 2**31 - 1], pa.int32()),
        (pa.int32(), pa.int64(), [1, 2**63 - 1], pa.int64()),
        (pa.int64(), pa.int8(), [2**62, 1], pa.int64()),
        (pa.int64(), pa.uint64(), [-1, 2**64 - 1], pa.decimal128(20, 0)),
        (pa.float32(), pa.float64(), [0.5, 1e300], pa.float64()),
        (pa.int32(), pa.float64(), [2**31 - 1, 0.1], pa.float64()),
        (pa.int32(), pa.decimal128(4, 2), [2**31 - 1, D("0.25")], pa.decimal128(12, 2)),
        (pa.int32(), pa.string(), [17, "17A"], pa.string()),
        (pa.null(), pa.int32(), [None, 1], pa.int32()),
        (pa.int32(), pa.null(), [1, None], pa.int32()),
        (pa.string(), pa.int32(), [None, 1], pa.int32()),
        (pa.string(), pa.list_(pa.int32()), [None, [1]], pa.string()),
    ],
)
def test_a_type_that_grows_takes_the_old_values_along(
    marts: Marts, old: pa.DataType, new: pa.DataType, values: list[Any], kept: pa.DataType
) -> None:
    for batch, kind, value in zip(["1", "2"], [old, new], values, strict=True):
        table = mart(("value", kind))
        marts.store.replace(table, {"batch": batch}, rows_of(table, batch, [value]))
    read = marts.store.read("flights", {}, ["value"]).read_all()["value"]
    assert read.type == kept
    assert read.to_pylist() == [str(v) if v is not None and kept == pa.string() else v for v in values]


NARROWER: list[tuple[pa.Array, pa.DataType]] = [
    (pa.array([-7, None, 2**15 - 1], pa.int16()), pa.int32()),
    (pa.array([-7, None, 255], pa.int16()), pa.int64()),
    (pa.array([-(2**31), None, 7], pa.int32()), pa.int64()),
    (pa.array([-7, None, 127], pa.int8()), pa.float32()),
    (pa.array([-7, None, 2**31 - 1], pa.int32()), pa.float64()),
    (pa.array([0.1, None, float("inf")], pa.float32()), pa.float64()),
    (pa.array([-(2**63), None, 7], pa.int64()), pa.decimal128(20, 0)),
    (pa.array([-7, None, 20_000], pa.int16()), pa.decimal128(38, 3)),
    (pa.array([D("-1.20"), None, D("999.99")], pa.decimal128(5, 2)), pa.decimal128(38, 3)),
    (pa.array([D("-1.20"), None, D("999.99")], pa.decimal128(5, 2)), pa.decimal256(70, 20)),
    (pa.nulls(2), pa.timestamp("us", "UTC")),
    (pa.nulls(2), pa.binary()),
]


@pytest.mark.parametrize(("rows", "kept"), NARROWER, ids=lambda value: str(getattr(value, "type", value)))
def test_rows_of_a_narrower_type_than_the_table_has_keep_their_values(
    marts: Marts, rows: pa.Array, kept: pa.DataType
) -> None:
    before, after = mart(("value", kept)), mart(("value", rows.type))
    marts.store.replace(before, {"batch": "1"}, rows_of(before, "1", pa.nulls(1, kept)))
    marts.store.replace(after, {"batch": "2"}, rows_of(after, "2", rows))
    read = marts.store.read("flights", {"batch": "2"}, ["value"]).read_all()["value"]
    assert read.type == kept
    assert read.to_pylist() == pa.array(rows.to_pylist(), rows.type).cast(kept).to_pylist()


@pytest.mark.parametrize(
    ("old", "new", "value", "next_value"),
    [
        (pa.string(), pa.int32(), "17", 17),
        (pa.int64(), pa.float64(), 2**60, 0.5),
        (pa.float64(), pa.int64(), 0.5, 1),
        (pa.timestamp("us"), pa.timestamp("us", "UTC"), 0, 0),
        (pa.binary(), pa.string(), b"x", "x"),
    ],
)
def test_a_change_of_type_that_loses_values_is_refused_with_the_way_out(
    marts: Marts, old: pa.DataType, new: pa.DataType, value: Any, next_value: Any
) -> None:
    before, after = mart(("value", old)), mart(("value", new))
    marts.store.replace(before, {"batch": "1"}, rows_of(before, "1", [value]))
    with pytest.raises(StoreError, match=r"(?s)column: +value.*expected:.*do:.*DROP COLUMN") as raised:
        marts.store.replace(after, {"batch": "2"}, rows_of(after, "2", [next_value]))
    assert marts.store.count("flights", {}) == 1
    way_out = str(raised.value).split("old values go: ")[1].split(", and run")[0]
    marts.query(SQL(way_out))
    marts.store.replace(after, {"batch": "2"}, rows_of(after, "2", [next_value]))
    assert marts.store.count("flights", {}) == 2


def test_another_key_is_refused(marts: Marts) -> None:
    if is_greenplum(marts):
        pytest.skip("append-optimised tables have no keys")
    table = mart(("n", pa.int32()))
    marts.store.replace(table, {"batch": "1"}, rows_of(table, "1", [1]))
    with pytest.raises(StoreError, match=r"(?s)another key.*found: +batch, row_number.*expected: +n"):
        marts.store.replace(replace(table, key=("n",)), {"batch": "1"}, rows_of(table, "1", [1]))


def test_a_mart_that_fits_is_left_alone(marts: Marts) -> None:
    table = mart(("n", pa.int32()), column_descriptions={"n": "Number"}, indexes=(("n",),))
    marts.store.replace(table, {"batch": "1"}, rows_of(table, "1", [1]))
    changes = f"SELECT c.xmin::text, relname {OF_SCHEMA} AND relname !~ '^_batch|_1_prt_|^pipeline_loads'"
    before = marts.query(changes, marts.schema)
    marts.store.replace(table, {"batch": "1"}, rows_of(table, "1", [1]))
    assert marts.query(changes, marts.schema) == before


def test_tables_have_key_and_indexes_on_postgresql(marts: Marts) -> None:
    if is_greenplum(marts):
        pytest.skip("append-optimised tables have none")
    table = mart(("n", pa.int32()), ("m", pa.int32()), indexes=(("n", "m"),))
    marts.store.replace(table, {"batch": "1"}, rows_of(table, "1", [1], [1]))
    more = replace(table, indexes=(("n", "m"), ("m",)))
    marts.store.replace(more, {"batch": "1"}, rows_of(more, "1", [1], [1]))
    named = "SELECT indexname FROM pg_indexes WHERE schemaname = %s AND tablename = 'flights' ORDER BY 1"
    assert marts.query(named, marts.schema) == [("flights_m_idx",), ("flights_n_m_idx",), ("flights_pkey",)]
    # The partition's belong to the mart's.
    kept = "SELECT DISTINCT indexdef FROM pg_indexes WHERE schemaname = %s AND left(tablename, 6) = '_batch'"
    assert len(marts.query(kept, marts.schema)) == 3


@pytest.mark.parametrize(
    "table",
    [mart(("n", pa.int32()), name="t" * 64), mart(("", pa.int32()))],
    ids=["table", "empty"],
)
def test_names_that_the_database_would_cut_are_refused(mart_store: MartStore, table: MartTable) -> None:
    with pytest.raises(StoreError, match=r"(?s)a name does not fit.*1 to 63 bytes"):
        mart_store.replace(table, {"batch": "b"}, rows_of(table, "b", [1]))


def test_a_schema_whose_readers_could_have_no_role_is_refused() -> None:
    MartStore(Path("nowhere"), "s" * 56)
    with pytest.raises(StoreError, match="a name does not fit"):
        MartStore(Path("nowhere"), "s" * 57)


def test_a_type_that_no_mart_holds_is_refused(mart_store: MartStore) -> None:
    table = mart(("how_long", pa.duration("s")))
    with pytest.raises(StoreError, match=r"(?s)column: +how_long.*found: +duration.*do: +cast it"):
        mart_store.replace(table, {"batch": "b"}, rows_of(table, "b", [timedelta(1)]))


def test_names_of_columns_may_be_anything_that_fits(marts: Marts) -> None:
    names = [
        'say "so"',
        "Расстояние, км",
        "%s",
        "{n}",
        "Ставка, %",
        "select",
        "a\nb",
        "ю" * 31,
        "ю" * 50,
        "ctid",
        "A",
        "a",
    ]
    table = mart(*((name, pa.int32()) for name in names), column_descriptions={name: name for name in names})
    marts.store.replace(table, {"batch": "b"}, rows_of(table, "b", *([n] for n in range(len(names)))))
    load = marts.store.begin(table, {"batch": "c"}, 1)
    for first in (70, 80):
        load.write(Piece(0, 1), rows_of(table, "c", *([n] for n in range(first, first + len(names)))))
    load.commit()
    stored = [table.stored_names[name] for name in names]
    for first in (0, 80):
        found = marts.store.read("flights", {"%s": first + 2}, stored).read_all().to_pylist()
        assert found == [{name: first + number for number, name in enumerate(stored)}]


# Descriptions and readers.


def test_descriptions_are_comments_and_follow_the_task(marts: Marts) -> None:
    table = mart(("n", pa.int32()), ("m", pa.int32()), column_descriptions={"n": "It's a number", "m": "Другое"})
    later = replace(table, description="Рейсы", column_descriptions={"n": "Number"})
    view = MartView("seen", (table,), "SELECT n FROM {flights}", "Seen", {"n": "Number seen"})
    marts.store.replace(table, {"batch": "b"}, rows_of(table, "b", [1], [1]))
    marts.store.ensure_view(view)
    assert comments(marts, "flights") == {None: "Flights", "n": "It's a number", "m": "Другое"}
    assert comments(marts, "seen") == {None: "Seen", "n": "Number seen"}
    marts.store.replace(later, {"batch": "b"}, rows_of(later, "b", [1], [1]))
    marts.store.ensure_view(replace(view, tables=(later,), description="", column_descriptions={"n": "N"}))
    assert comments(marts, "flights") == {None: "Рейсы", "n": "Number"}
    assert comments(marts, "seen") == {"n": "N"}


def comments(marts: Marts, relation: str) -> dict[str | None, str]:
    return dict(
        marts.query(
            "SELECT a.attname, d.description FROM pg_description d"
            " JOIN pg_class c ON c.oid = d.objoid JOIN pg_namespace n ON n.oid = c.relnamespace"
            " LEFT JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = d.objsubid AND d.objsubid > 0"
            " WHERE n.nspname = %s AND c.relname = %s",
            marts.schema,
            relation,
        )
    )


def test_readers_may_select_from_tables_and_views_and_do_nothing_else(marts: Marts) -> None:
    table = mart(("n", pa.int32()))
    marts.store.replace(table, {"batch": "b"}, rows_of(table, "b", [1]))
    marts.store.ensure_view(MartView("seen", (table,), "SELECT * FROM {flights}", "", {}))
    reader = Identifier(f"{marts.schema}_reader")
    (((login, superuser),),) = [marts.query("SELECT current_user, rolsuper FROM pg_roles WHERE rolname = current_user")]
    if not superuser:
        marts.query(SQL("GRANT {} TO {}").format(reader, Identifier(login)))
    connection = marts.connect()
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute(SQL("SET ROLE {}").format(reader))
        for relation in ("flights", "seen"):
            cursor.execute(SQL("SELECT n FROM {}").format(Identifier(marts.schema, relation)))
            assert cursor.fetchall() == [(1,)]
        for forbidden in (
            "INSERT INTO {schema}.flights VALUES ('b', 1, 1)",
            "UPDATE {schema}.flights SET n = 2",
            "SELECT * FROM {schema}.flights FOR UPDATE",
            "ALTER TABLE {schema}.flights ADD COLUMN mine int",
            "COMMENT ON TABLE {schema}.flights IS 'mine'",
            "CREATE INDEX mine ON {schema}.flights (n)",
            "DROP VIEW {schema}.seen",
            "DROP SCHEMA {schema} CASCADE",
            "DELETE FROM {schema}.flights",
            "TRUNCATE {schema}.flights",
            "DROP TABLE {schema}.flights",
            "CREATE TABLE {schema}.mine (n int)",
        ):
            with pytest.raises(psycopg2.errors.InsufficientPrivilege):
                cursor.execute(SQL(forbidden).format(schema=Identifier(marts.schema)))
    connection.close()


def test_a_login_that_may_not_make_roles_goes_on_without_readers_until_there_are_some(
    own_tcp_server: DatabaseSettings, caplog: pytest.LogCaptureFixture
) -> None:
    marts = Marts(make_login(own_tcp_server, "plain", create=True), "plain marts")
    table = mart(("n", pa.int32()))
    with caplog.at_level(logging.WARNING):
        for batch in ("1", "2"):
            marts.store.replace(table, {"batch": batch}, rows_of(table, batch, [1]))
    assert len(caplog.messages) == 1
    assert "plain marts_reader" in caplog.messages[0]
    admin = Marts(own_tcp_server, "plain marts")
    admin.query('CREATE ROLE "plain marts_reader"')
    marts.store.replace(table, {"batch": "1"}, rows_of(table, "1", [1]))
    assert marts.query("SELECT has_table_privilege('plain marts_reader', '{schema}.flights', 'SELECT')") == [(True,)]
    drop(admin)


# Views.


def test_a_view_reads_marts_that_need_not_be_there_yet(marts: Marts) -> None:
    table = mart(("n", pa.int32()))
    marts.store.ensure_view(MartView("seen", (table,), "SELECT row_number, n + 1 AS m FROM {flights}", "", {}))
    assert marts.store.count("seen", {}) == 0
    marts.store.replace(table, {"batch": "b"}, rows_of(table, "b", [1, 2]))
    assert marts.store.count("seen", {"m": 3}) == 1
    assert marts.store.read("seen", {}).read_all()["m"].to_pylist() == [2, 3]


def test_a_view_is_made_anew_only_where_it_changed(marts: Marts) -> None:
    table = mart(("n", pa.int32()), ("m", pa.int32()))
    oid = f"SELECT c.oid {OF_SCHEMA} AND relname = 'seen'"
    oids = []
    for sql in ("SELECT n, m FROM {flights}", "select n,  m from {flights}", "SELECT m FROM {flights}"):
        marts.store.ensure_view(MartView("seen", (table,), sql, "", {}))
        oids.append(marts.query(oid, marts.schema))
    assert oids[0] == oids[1] != oids[2]
    assert marts.store.read("seen", {}).schema.names == ["m"]


def test_a_view_that_is_as_it_was_made_costs_no_change_of_the_catalog(
    marts: Marts, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = mart(("n", pa.int32()))
    view = MartView("seen", (table,), "SELECT n FROM {flights}", "Seen", {"n": "Number"})
    marts.store.ensure_view(view)
    connect = psycopg2.connect
    with monkeypatch.context() as patch:
        patch.setattr(psycopg2, "connect", lambda **options: connect(**options, cursor_factory=Recording))
        patch.setattr(Recording, "sent", [])
        marts.store.ensure_view(view)
        assert {text.split()[0] for text in Recording.sent} == {"SET", "SELECT"}
    # Whatever someone else made of it since is not what was made.
    marts.query("DROP VIEW {schema}.seen")
    marts.query("CREATE VIEW {schema}.seen AS SELECT 7 AS n")
    marts.store.ensure_view(view)
    assert marts.store.count("seen", {}) == 0


def test_a_view_of_all_columns_grows_with_its_table(marts: Marts) -> None:
    for columns in ([("n", pa.int32())], [("n", pa.int32()), ("m", pa.int32())]):
        table = mart(*columns)
        marts.store.ensure_view(MartView("seen", (table,), "SELECT * FROM {flights}", "", {}))
        assert marts.store.read("seen", {}).schema.names == table.schema.names


def test_a_view_survives_that_a_column_under_it_grows(marts: Marts) -> None:
    narrow, wide = mart(("n", pa.int32())), mart(("n", pa.int64()))
    marts.store.ensure_view(MartView("seen", (narrow,), "SELECT batch, n FROM {flights}", "Seen", {"n": "N"}))
    marts.store.replace(wide, {"batch": "b"}, rows_of(wide, "b", [2**40]))
    assert marts.store.read("seen", {}, ["n"]).read_all().to_pylist() == [{"n": 2**40}]
    assert comments(marts, "seen") == {None: "Seen", "n": "N"}
    readers = f"SELECT has_table_privilege(%s, c.oid, 'SELECT') {OF_SCHEMA} AND relname = 'seen'"
    assert marts.query(readers, f"{marts.schema}_reader", marts.schema) == [(True,)]


def test_a_view_of_other_people_in_the_way_is_named(marts: Marts) -> None:
    table = mart(("n", pa.int32()))
    marts.store.ensure_view(MartView("seen", (table,), "SELECT n FROM {flights}", "", {}))
    marts.query("CREATE VIEW {schema}.theirs AS SELECT * FROM {schema}.seen")
    with pytest.raises(StoreError, match=r"(?s)making the view .*refused.*theirs"):
        marts.store.ensure_view(MartView("seen", (table,), "SELECT n + 1 AS n FROM {flights}", "", {}))
    assert marts.store.count("theirs", {}) == 0


def test_a_wrong_query_is_refused_and_leaves_the_view(marts: Marts) -> None:
    table = mart(("n", pa.int32()))
    view = MartView("seen", (table,), "SELECT n FROM {flights} WHERE '{x}' = '{x}'", "", {})
    marts.store.ensure_view(view)
    with pytest.raises(StoreError, match=r"(?s)refused.*distanse"):
        marts.store.ensure_view(replace(view, sql="SELECT distanse FROM {flights}"))
    assert marts.store.count("seen", {}) == 0


# Addresses and servers that are not there.


def test_the_address_holds_no_secret(own_tcp_server: DatabaseSettings, tmp_path: Path) -> None:
    port = own_tcp_server.port
    assert MartStore(own_tcp_server, "marts").uri("t") == f"postgresql://127.0.0.1:{port}/postgres/marts.t"
    embedded = MartStore(tmp_path / "server", "marts").uri("t")
    assert embedded == f"postgresql://{str(tmp_path).replace('/', '%2F')}%2Fserver%2Fdata/postgres/marts.t"
    assert not list(tmp_path.iterdir())


def test_a_wrong_password_is_final_and_not_told(own_tcp_server: DatabaseSettings) -> None:
    store = MartStore(replace(own_tcp_server, password="hunter2"), "marts")
    with pytest.raises(StoreError, match=r"(?s)refused.*authentication failed") as raised:
        store.count("t", {})
    assert not isinstance(raised.value, TransientError)
    assert "hunter2" not in str(raised.value)


def test_a_server_that_does_not_listen_is_a_passing_fault(own_tcp_server: DatabaseSettings) -> None:
    with pytest.raises(TransientError, match="did not answer"):
        MartStore(replace(own_tcp_server, port=1), "marts").count("t", {})


def test_a_stopped_embedded_server_is_started_again_with_what_it_had(tmp_path: Path) -> None:
    table = mart(("n", pa.int32()))
    store = MartStore(tmp_path, "marts")
    store.replace(table, {"batch": "b"}, rows_of(table, "b", [1]))
    reader = store.read("flights", {})
    embedded_postgres.stop(tmp_path)
    with pytest.raises(TransientError):
        reader.read_all()
    assert store.count("flights", {}) == 1
    embedded_postgres.stop(tmp_path)


# What a Greenplum is sent.


class Recording(psycopg2.extensions.cursor):
    """Keeps each statement as it is sent."""

    sent: ClassVar[list[str]] = []

    def execute(self, query: Any, vars: Any = None) -> None:  # noqa: A002 - psycopg2's own name
        text = query.as_string(self) if isinstance(query, Composable) else query
        self.sent.append(" ".join(text.split()))
        super().execute(query, vars)

    def copy_expert(self, sql: Any, file: Any, size: int = 8192) -> None:
        self.sent.append(sql.as_string(self))
        super().copy_expert(sql, file, size)


# Newer than PostgreSQL 9.4, or unknown to Greenplum's append-optimised tables.
LATER = re.compile(
    r"ON CONFLICT|INDEX|IF NOT EXISTS|IF EXISTS|IDENTITY|GENERATED|PRIMARY KEY|UNIQUE|OR REPLACE|CONCURRENTLY"
    r"|LATERAL|PROCEDURE|\bCALL\b|MERGE|TABLESAMPLE|\bWHERE\b.*\bCURRENT OF|SKIP LOCKED|TRIGGER|ON DELETE|TO_REG"
    r"|RETURNING|\bCOPY\b.*\bWHERE\b|FREEZE|FORCE_NULL|pg_index_|SKIP_LOCKED|ATTACH|DETACH",
    re.IGNORECASE,
)
# What is sent to PostgreSQL alone; the tests of the statements about partitions say what Greenplum gets instead.
POSTGRESQL = re.compile(
    r"ATTACH PARTITION|PRIMARY KEY|CREATE INDEX|PARTITION BY LIST|DROP CONSTRAINT|FREEZE|relkind = 'p'|pg_inherits"
    r"|indnatts|maintenance_work"
)


def test_whatever_is_sent_to_both_servers_is_sql_of_postgresql_9_4(
    marts: Marts, monkeypatch: pytest.MonkeyPatch
) -> None:
    if is_greenplum(marts):
        pytest.skip("there all tests are this one")
    connect = psycopg2.connect
    monkeypatch.setattr(psycopg2, "connect", lambda **options: connect(**options, cursor_factory=Recording))
    monkeypatch.setattr(Recording, "sent", [])
    old = mart(("n", pa.int32()), ("m", pa.string()), indexes=(("n",),), column_descriptions={"n": "Number"})
    new = mart(("n", pa.int64()), ("m", pa.int32()), ("k", pa.list_(pa.int8())), indexes=(("n",),))
    view = MartView("seen", (old,), "SELECT batch, n FROM {flights}", "Seen", {"n": "Number seen"})
    marts.store.ensure_view(view)
    marts.store.replace(old, {"batch": "b"}, rows_of(old, "b", [1], [None]))
    for pieces in (2, 1):
        staged_load = marts.store.begin(new, {"batch": "b"}, pieces)
        for number in (1, 2**40):
            staged_load.write(Piece(0, pieces), rows_of(new, "b", [number], [1], [[1]]))
        if pieces > 1:
            staged_load.write(Piece(1, pieces), rows_of(new, "b", [], [], []))
        assert staged_load.commit() == 1
    marts.store.begin(new, {"batch": "b"}, 1).abandon()
    aged = MartStore(marts.server, marts.schema, timedelta(0))
    for _ in range(2):
        aged.begin(new, {"batch": "b"}, 1)
    marts.store.ensure_view(replace(view, tables=(new,), sql="SELECT n, k FROM {flights}"))
    assert marts.store.count("flights", {"batch": "b"}) == 1
    assert marts.store.read("seen", {}).read_all().to_pylist() == [{"n": 2**40, "k": "[1]"}]
    both = [text for text in Recording.sent if not POSTGRESQL.search(text)]
    # Queries of the catalog name pg_index only to find that there is no key.
    assert [text for text in both if LATER.search(text.replace("pg_index", "").replace("indexrelid", ""))] == []
