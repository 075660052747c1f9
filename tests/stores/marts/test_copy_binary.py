import re
import struct
from fractions import Fraction
from itertools import pairwise
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline_assets.errors import StoreError
from pipeline_assets.stores.marts.copy_binary import check_types, encoded
from pipeline_assets.stores.marts.sql_types import sql_types
from tests.stores.marts.test_greenplum import CASES, OPTIONAL


def sent(batch: pa.RecordBatch, *types: str) -> bytes:
    own = [kind or "text" for kind in sql_types(batch.schema).values()]
    return bytes(encoded(batch, types or own))


def fields(data: bytes) -> list[list[bytes | None]]:
    """The fields of each row."""
    rows, place = [], 0
    while place < len(data):
        (count,) = struct.unpack_from(">h", data, place)
        place += 2
        row: list[bytes | None] = []
        for _ in range(count):
            (size,) = struct.unpack_from(">i", data, place)
            place += 4
            row.append(None if size < 0 else data[place : place + size])
            place += max(size, 0)
        rows.append(row)
    return rows


def number(field: bytes | None) -> Fraction | None:
    """A ``numeric``, as PostgreSQL's documentation of the format describes it."""
    if field is None:
        return None
    count, first, sign, _, *digits = struct.unpack(f">4h{len(field) // 2 - 4}h", field)
    assert count == len(digits)
    whole: int = sum(digit * 10_000 ** (count - 1 - place) for place, digit in enumerate(digits))
    last: Fraction = Fraction(10_000) ** (first - count + 1)
    return (-whole if sign else whole) * last


def test_each_field_has_its_length_and_bytes() -> None:
    columns: dict[str, pa.Array] = {
        "a": pa.array([1, None], pa.int32()),
        "b": pa.array(["ю", None]),
        "c": pa.nulls(2),
        "d": pa.array([True, False]),
        "e": pa.array([0, 10_957], pa.date32()),
        "f": pa.array(["", "x"]),
    }
    assert fields(sent(pa.record_batch(columns))) == [
        [b"\0\0\0\1", "ю".encode(), None, b"\1", struct.pack(">i", -10_957), b""],
        [None, None, None, b"\0", bytes(4), b"x"],
    ]


def test_rows_come_out_the_same_however_they_are_cut() -> None:
    # Columns of every type side by side, with nulls and without.
    cases = [column for column, _ in CASES if not pa.types.is_run_end_encoded(column.type)]
    columns = [pa.concat_arrays([column] * 20)[:20] for column in cases]
    columns += [pa.concat_arrays([column[:1]] * 20) for column in cases if column[0].is_valid]
    whole = pa.record_batch(columns, names=[str(place) for place in range(len(columns))])
    parts = [whole.slice(start, end - start) for start, end in pairwise([0, 0, 1, 9, 10, 19, 20])]
    assert b"".join(map(sent, parts)) == sent(whole)
    assert [len(row) for row in fields(sent(whole))] == [len(columns)] * 20


@given(st.data())
def test_a_decimal_of_any_size_keeps_all_digits(data: st.DataObject) -> None:
    precision = data.draw(st.integers(1, 76))
    scale = data.draw(st.integers(-9, 76))
    limit = 10**precision - 1
    whole = data.draw(st.lists(st.none() | st.integers(-limit, limit), min_size=1, max_size=5))
    small = precision <= 38
    kind = pa.decimal128(precision, scale) if small else pa.decimal256(precision, scale)
    size = kind.bit_width // 8
    # Not all can be said as Python's decimals.
    content = b"".join((one or 0).to_bytes(size, "little", signed=True) for one in whole)
    there = pa.array([one is not None for one in whole]).buffers()[1]
    column = pa.Array.from_buffers(kind, len(whole), [there, pa.py_buffer(content)])
    found = [number(field) for (field,) in fields(sent(pa.record_batch([column], names=["value"])))]
    assert found == [None if one is None else one * Fraction(10) ** -scale for one in whole]


@given(st.lists(st.none() | st.integers(0, 2**64 - 1), min_size=1), st.integers(0, 3))
def test_integers_fit_a_numeric(values: list[int | None], start: int) -> None:
    column = pa.array(values, pa.uint64())[start:]
    found = [number(field) for (field,) in fields(sent(pa.record_batch([column], names=["value"])))]
    assert found == values[start:]


def test_a_decimal_with_more_digits_than_its_type_is_refused() -> None:
    column = pa.array([1, 12_345], pa.decimal128(38, 0)).view(pa.decimal128(4, 0))
    with pytest.raises(StoreError, match=r"(?s)column: +value.*more digits than its type.*in the row 1.*at most 4"):
        sent(pa.record_batch([column], names=["value"]))


@given(rows=st.lists(st.tuples(*(st.none() | values for _, values in OPTIONAL.values())), min_size=1, max_size=9))
def test_nulls_are_where_they_were(rows: list[tuple[Any, ...]]) -> None:
    columns = [
        pa.array(list(column), kind)
        for column, (kind, _) in zip(zip(*rows, strict=True), OPTIONAL.values(), strict=True)
    ]
    found = fields(sent(pa.record_batch(columns, names=list(OPTIONAL))))
    assert [[field is None for field in row] for row in found] == [[value is None for value in row] for row in rows]


def test_no_rows_are_no_bytes() -> None:
    assert sent(pa.record_batch({"n": pa.array([], pa.int32()), "t": pa.array([], pa.string())})) == b""


@pytest.mark.parametrize(
    ("kind", "there"),
    [
        (pa.int64(), "integer"),
        (pa.int32(), "text"),
        (pa.int64(), "double precision"),
        (pa.timestamp("us"), "date"),
        (pa.timestamp("us"), "timestamp with time zone"),
        (pa.decimal128(5, 2), "numeric(5,1)"),
        (pa.decimal128(5, 2), "numeric"),
        (pa.string(), "bytea"),
        (pa.string(), "no such column"),
    ],
)
def test_a_column_that_cannot_hold_the_rows_is_named(kind: pa.DataType, there: str) -> None:
    check_types(pa.schema([("n", pa.null())]), [there])
    with pytest.raises(StoreError, match=rf"(?s)column: +n.*found: +{re.escape(there)}"):
        check_types(pa.schema([("n", kind)]), [there])
