import io
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline_assets.errors import StoreError
from pipeline_assets.stores.marts import copy_csv
from pipeline_assets.stores.marts.copy_csv import sql_types, write_rows


def written(column: pa.Array, **how: Any) -> str:
    sink = io.BytesIO()
    write_rows(pa.record_batch([column], names=["value"]), sink, **how)
    return sink.getvalue().decode()


@pytest.mark.parametrize(
    ("column", "lines"),
    [
        (
            pa.array(["", None, "a", 'say "so"', "\\N", "\\.", "две\nлинии"]),
            '""\n\n"a"\n"say ""so"""\n"\\N"\n"\\."\n"две\nлинии"\n',
        ),
        (pa.array(["a", None], pa.string_view()), '"a"\n\n'),
        (pa.array(["b", None, "b"]).dictionary_encode(), '"b"\n\n"b"\n'),
        (pa.array([1, None], pa.int8()), "1\n\n"),
        (pa.array([2**64 - 1], pa.uint64()), "18446744073709551615\n"),
        (pa.array([0.1, float("nan"), float("-inf"), -0.0]), "0.1\nnan\n-inf\n-0\n"),
        # All digits of the double, so that nothing depends on who reads them: 0.1 alone is another double.
        (pa.array([0.1, 7.038531e-26], pa.float32()), "0.10000000149011612\n7.038531308148791e-26\n"),
        (pa.array([Decimal("1.20")], pa.decimal128(5, 2)), "1.20\n"),
        (pa.array([b"\x00\xff", None, b""]), '"\\x00ff"\n\n"\\x"\n'),
        (pa.array([b"ab"], pa.binary(2)), '"\\x6162"\n'),
        (pa.array([True, None]), "true\n\n"),
        (pa.array([0], pa.date64()), "1970-01-01\n"),
        (pa.array([1], pa.time32("s")), "00:00:01.000000\n"),
        (pa.array([1_001, None], pa.timestamp("ns")), '"1970-01-01 00:00:00.000001001"\n\n'),
        (pa.array([1], pa.timestamp("ns", "Europe/Moscow")), '"1970-01-01 00:00:00.000000001Z"\n'),
        (pa.array([1], pa.time64("ns")), '"00:00:00.000000001"\n'),
        (pa.array([0], pa.timestamp("s", "Europe/Moscow")), "1970-01-01 00:00:00.000000Z\n"),
        (pa.array([None, None], pa.null()), "\n\n"),
        (pa.array([[1, None], None]), '"[1,null]"\n\n'),
        (pa.array([], pa.binary()), ""),
    ],
    ids=lambda value: str(getattr(value, "type", "")),
)
def test_a_column_is_written_as_postgresql_reads_it(column: pa.Array, lines: str) -> None:
    assert written(column) == lines


@given(st.lists(st.none() | st.binary()), st.integers(0, 5), st.sampled_from([pa.binary(), pa.large_binary()]))
def test_binary_is_hexadecimal_wherever_the_slice_begins(
    values: list[bytes | None], start: int, kind: pa.DataType
) -> None:
    lines = ["" if value is None else f'"\\x{value.hex()}"' for value in values[start:]]
    assert written(pa.array(values, kind)[start:]) == "".join(f"{line}\n" for line in lines)


@pytest.mark.parametrize(
    ("column", "found"),
    [
        (pa.array(["a", "b\0", "c"]), "the character NUL"),
        (pa.array(["a", "b\0"]).dictionary_encode(), "the character NUL"),
        (pa.array([["a"], ["b\0"]]), "the character NUL"),
        (pa.array([0, 2**60], pa.timestamp("s")), "1152921504606846976 of timestamp"),
        (pa.array([0, -1], pa.time64("us")), "-1 of time64"),
        (pa.array([0, 86_400], pa.time32("s")), "86400 of time32"),
        (pa.array([0, 2_932_897], pa.date32()), "2932897 of date32"),  # 10000-01-01
        (pa.array([0, -719_163], pa.date32()), "-719163 of date32"),  # the day before 0001-01-01
        (pa.array([0, -(10**17)], pa.timestamp("us", "UTC")), "-100000000000000000 of timestamp"),
        (pa.array([[0], [2**62]], pa.list_(pa.timestamp("s"))), "too large"),
    ],
    ids=lambda value: str(getattr(value, "type", "")),
)
def test_a_value_that_cannot_be_stored_is_named_by_column_and_row(column: pa.Array, found: str) -> None:
    with pytest.raises(StoreError) as raised:
        written(column, first_row=100)
    assert found in str(raised.value)
    assert "in the row 101" in str(raised.value)
    assert raised.value.facts["column"] == "value"


def test_the_row_is_named_by_its_key_where_there_is_one() -> None:
    batch = pa.record_batch({"batch": ["2013-10"] * 2, "row_number": [7, 8], "name": ["", "\0"]})
    with pytest.raises(StoreError, match="in the row batch = 2013-10 and row_number = 8"):
        write_rows(batch, io.BytesIO(), ("batch", "row_number"))


@pytest.mark.parametrize("kind", [pa.string(), pa.binary()])
def test_a_value_longer_than_a_gigabyte_is_refused(kind: pa.DataType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copy_csv, "MAX_VALUE_BYTES", 10)
    limit = 10 if kind == pa.string() else 4  # two digits a byte
    written(pa.array(["x" * limit] * 3, kind))
    with pytest.raises(StoreError, match=rf"(?s)column: +value.*{limit + 1} bytes, in the row 1.*at most {limit}"):
        written(pa.array(["x", "x" * (limit + 1)], kind))


def test_what_the_sink_raises_comes_through() -> None:
    class Full(io.RawIOBase):
        def writable(self) -> bool:
            return True

        def write(self, data: Any, /) -> int:
            raise BrokenPipeError(data)

    with pytest.raises(BrokenPipeError):
        write_rows(pa.record_batch({"n": [1]}), Full())


def test_a_column_whose_type_no_mart_holds_is_named() -> None:
    assert sql_types(pa.schema([("n", pa.int8()), ("nothing", pa.null())])) == {"n": "smallint", "nothing": None}
    with pytest.raises(StoreError, match=r"(?s)column: +how_long.*found: +duration.*do: +cast"):
        sql_types(pa.schema([("how_long", pa.duration("s"))]))
