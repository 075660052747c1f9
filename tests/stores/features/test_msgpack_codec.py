import datetime as dt
import math
from typing import Any

import msgpack  # type: ignore[import-untyped]  # it has no types
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline_assets.errors import DataError, StoreError
from pipeline_assets.stores.features.msgpack_codec import PackedRows, RowsUnpacker, field_type, pack, unpack

HEADER = msgpack.packb({0x00: 0, 0x01: 7, 0x05: 80})

VALUES: dict[pa.DataType, st.SearchStrategy[Any]] = {
    pa.int8(): st.integers(-(2**7), 2**7 - 1),
    pa.int16(): st.integers(-(2**15), 2**15 - 1),
    pa.int32(): st.integers(-(2**31), 2**31 - 1),
    pa.int64(): st.integers(-(2**63), 2**63 - 1) | st.integers(-200, 70_000),
    pa.uint8(): st.integers(0, 2**8 - 1),
    pa.uint16(): st.integers(0, 2**16 - 1),
    pa.uint32(): st.integers(0, 2**32 - 1),
    pa.uint64(): st.integers(0, 2**64 - 1),
    pa.float32(): st.floats(width=32),
    pa.float64(): st.floats(),
    pa.bool_(): st.booleans(),
    pa.string(): st.text(max_size=300) | st.sampled_from(["", "\0", "ж\0я", "'\"\\N\n", "x" * 70_000]),
    pa.binary(): st.binary(max_size=300) | st.just(b"\0" * 70_000),
    pa.date32(): st.dates(),
    pa.time64("us"): st.times(),
    pa.timestamp("s"): st.datetimes().map(lambda at: at.replace(microsecond=0)),
    pa.timestamp("us"): st.datetimes(),
    pa.time64("ns"): st.integers(0, 24 * 3600 * 10**9 - 1),
    pa.timestamp("ns"): st.integers(-(2**62), 2**62),
    pa.timestamp("ns", "UTC"): st.integers(-(2**62), 2**62),
    pa.timestamp("us", "UTC"): st.datetimes(timezones=st.just(dt.UTC)),
    pa.timestamp("us", "Europe/Moscow"): st.integers(-(10**15), 10**15),  # microseconds from 1970
    pa.decimal128(38, 10): st.decimals(-(10**20), 10**20, places=10),
    pa.null(): st.none(),
}


@st.composite
def records(draw: st.DrawFn) -> pa.RecordBatch:
    kinds = draw(st.lists(st.sampled_from(list(VALUES)), min_size=1, max_size=18))
    count = draw(st.integers(1, 20))
    columns = [
        pa.array(draw(st.lists(st.none() | VALUES[kind], min_size=count, max_size=count)), kind) for kind in kinds
    ]
    return pa.RecordBatch.from_arrays(columns, [f"c{place}" for place in range(len(kinds))])


def response(tuples: bytes, count: int) -> PackedRows:
    """The tuples as a server would hand them out."""
    unpacker = RowsUnpacker()
    unpacker.feed(HEADER + b"\x81\x30" + msgpack.Packer().pack_array_header(count) + tuples)
    assert unpacker.unpack() == {0x00: 0, 0x01: 7, 0x05: 80}
    (rows,) = unpacker.unpack()[0x30]
    assert isinstance(rows, PackedRows)
    return rows


def there_and_back(given_rows: pa.RecordBatch, generation: int = 3) -> pa.RecordBatch:
    tuples, _ = pack(given_rows, generation)
    return unpack(response(tuples, given_rows.num_rows), generation, given_rows.schema)


@given(records(), st.integers(0, 2**40))
def test_every_value_comes_back_as_it_was(given_rows: pa.RecordBatch, generation: int) -> None:
    back = there_and_back(given_rows, generation)
    back.validate(full=True)
    assert back.schema == given_rows.schema
    for came, went in zip(back.columns, given_rows.columns, strict=True):
        assert came.is_null().equals(went.is_null())
        assert came.equals(went) or repr(came.to_pylist()) == repr(went.to_pylist())  # NaN equals nothing


@given(records())
def test_tuples_are_canonical_and_their_lengths_add_up(given_rows: pa.RecordBatch) -> None:
    tuples, lengths = pack(given_rows, 200)
    unpacked = list(_split(tuples, np.frombuffer(lengths, np.uint32)))
    assert len(unpacked) == given_rows.num_rows
    for packed in unpacked:
        fields = msgpack.unpackb(packed)
        assert fields[0] == 200
        assert packed == msgpack.packb(fields)


def _split(tuples: bytes, lengths: Any) -> list[bytes]:
    ends = np.cumsum(lengths).tolist()
    assert ends[-1] == len(tuples)
    return [tuples[end - length : end] for end, length in zip(ends, lengths.tolist(), strict=True)]


def test_a_slice_is_packed_and_not_what_it_was_cut_from() -> None:
    whole = pa.RecordBatch.from_pydict(
        {"n": [1.5, None, 2.5, None], "s": ["a", None, "b", "c"], "b": [True, None, False, True]}
    )
    assert there_and_back(whole.slice(1, 2)).to_pylist() == whole.slice(1, 2).to_pylist()


def test_nan_null_and_signed_zero_stay_apart() -> None:
    rows = pa.RecordBatch.from_pydict({"x": pa.array([math.nan, None, -0.0, math.inf, -math.inf])})
    nan, null, zero, inf, minus_inf = there_and_back(rows)["x"].to_pylist()
    assert math.isnan(nan)
    assert null is None
    assert math.copysign(1, zero) == -1
    assert (inf, minus_inf) == (math.inf, -math.inf)


def test_dates_and_times_are_text_that_sorts_as_they_do() -> None:
    texts = ["2013-09-01", "0001-01-01", "9999-12-31 23:59:59.999999"]
    moments = [dt.datetime.fromisoformat(text) for text in texts]
    rows = pa.RecordBatch.from_pydict(
        {
            "day": pa.array(moments, pa.date32()),
            "at": pa.array(moments, pa.timestamp("us")),
            "instant": pa.array(moments, pa.timestamp("us", "UTC")),
            "time": pa.array([moment.time() for moment in moments], pa.time64("us")),
        }
    )
    tuples, lengths = pack(rows, 1)
    fields = [msgpack.unpackb(packed)[1:] for packed in _split(tuples, np.frombuffer(lengths, np.uint32))]
    assert fields[0] == [
        "2013-09-01", "2013-09-01 00:00:00.000000", "2013-09-01 00:00:00.000000Z", "00:00:00.000000"
    ]  # fmt: skip
    for column in zip(*fields, strict=True):
        assert (
            sorted(column) == [column[place] for place in np.argsort(np.array(moments, "M8[us]"))]
            or column[0][2] == ":"
        )


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (pa.date32(), 2_932_897),
        (pa.date32(), -800_000),
        (pa.timestamp("s"), 253_402_300_800),
        (pa.timestamp("us", "UTC"), 2**63 - 1),
    ],
)
def test_a_year_beyond_four_digits_is_refused_with_its_column(kind: pa.DataType, value: int) -> None:
    count = pa.array([None, 0, value], pa.int32() if pa.types.is_date(kind) else pa.int64())
    rows = pa.RecordBatch.from_arrays([count.cast(kind)], ["flown"])
    with pytest.raises(DataError, match="flown") as error:
        pack(rows, 1)
    assert str(value) in str(error.value)


def test_rows_of_another_generation_are_not_taken_for_these() -> None:
    rows = pa.RecordBatch.from_pydict({"x": [1.0, 2.0]})
    tuples, _ = pack(rows, 4)
    with pytest.raises(DataError, match="not what was written"):
        unpack(response(tuples, 2), 5, rows.schema)


@pytest.mark.parametrize(
    "stored",
    [{"x": [1.0]}, {"x": [1.0], "s": ["a"], "more": [1]}, {"x": ["text"], "s": ["a"]}, {"x": [True], "s": ["a"]}],
)
def test_rows_of_another_shape_are_not_read_as_these(stored: dict[str, list[Any]]) -> None:
    tuples, _ = pack(pa.RecordBatch.from_pydict(stored), 1)
    with pytest.raises(DataError, match="not what was written"):
        unpack(response(tuples, 1), 1, pa.schema([("x", pa.float64()), ("s", pa.string())]))


def test_the_last_tuple_says_where_a_page_ended() -> None:
    tuples, _ = pack(pa.RecordBatch.from_pydict({"row_number": [5, 70_000]}), 1)
    assert response(tuples, 2).last() == [1, 70_000]


def test_a_response_without_a_body_or_with_an_error_is_read_too() -> None:
    unpacker = RowsUnpacker()
    unpacker.feed(HEADER)
    unpacker.unpack()
    with pytest.raises(msgpack.OutOfData):
        unpacker.unpack()
    unpacker = RowsUnpacker()
    unpacker.feed(HEADER + msgpack.packb({0x31: "Read access denied"}))
    unpacker.unpack()
    assert unpacker.unpack() == {0x31: "Read access denied"}


def test_types_without_a_field_are_refused_by_name() -> None:
    with pytest.raises(StoreError, match="took") as error:
        field_type(pa.field("took", pa.duration("s")))
    assert "duration[s]" in str(error.value)
    assert {field_type(pa.field("c", kind)) for kind in VALUES if kind != pa.null()} == {
        "integer", "double", "boolean", "string", "varbinary"
    }  # fmt: skip
