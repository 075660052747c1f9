"""Arrow record batches as the binary format of ``COPY ... FROM STDIN WITH (FORMAT binary)``, exact or refused.

A row is the number of its fields, then each field's length and bytes; a null is the length -1. All parts of a row are
made as whole columns: numpy turns the numbers of neighbouring columns into bytes, texts stay as Arrow has them, and
Arrow joins the parts row by row. Neither holds the interpreter while it works.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pat

from pipeline_assets.errors import StoreError
from pipeline_assets.stores.marts.json_text import ends_and_content
from pipeline_assets.stores.marts.sql_types import common_type, sql_types
from pipeline_assets.stores.marts.storable import Refuse, storable

# What a COPY begins and ends with.
HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
TRAILER = b"\xff\xff"

_NULL = np.int32(-1).tobytes()
_DAYS_TO_2000 = 10_957
_MICROSECONDS_TO_2000 = _DAYS_TO_2000 * 86_400_000_000
# PostgreSQL's numeric has digits of base 10,000.
_DECIMAL_DIGITS, _BASE = 4, 10_000
_NEGATIVE = 0x4000
_DIGITS_OF_INTEGERS = 20
_BITS = 32

_Part = tuple[str, npt.NDArray[Any] | int]  # type of the bytes, value of each row or of all


@dataclass(frozen=True)
class _Number:
    """How a type of one number is sent.

    Attributes:
        kind: of the Arrow column whose numbers are sent.
        sent: their type in numpy.
        zero: what PostgreSQL counts from.
    """

    kind: pa.DataType
    sent: str
    zero: int = 0


_NUMBERS = {
    "boolean": _Number(pa.uint8(), ">u1"),
    "smallint": _Number(pa.int16(), ">i2"),
    "integer": _Number(pa.int32(), ">i4"),
    "bigint": _Number(pa.int64(), ">i8"),
    "real": _Number(pa.float32(), ">f4"),
    "double precision": _Number(pa.float64(), ">f8"),
    "date": _Number(pa.date32(), ">i4", _DAYS_TO_2000),
    "time without time zone": _Number(pa.time64("us"), ">i8"),
    "timestamp without time zone": _Number(pa.timestamp("us"), ">i8", _MICROSECONDS_TO_2000),
    "timestamp with time zone": _Number(pa.timestamp("us", "UTC"), ">i8", _MICROSECONDS_TO_2000),
}


def check_types(rows: pa.Schema, types: Sequence[str]) -> None:
    """Refuses rows that a table's columns cannot hold: the server would read their bytes as other values.

    Args:
        rows: their columns, in the order of the table's.
        types: SQL type of each of the table's columns, which may be wider than the rows need.

    Raises:
        StoreError: names the column.
    """
    for (name, found), there in zip(sql_types(rows).items(), types, strict=True):
        if found is not None and common_type(there, found) != there:
            raise StoreError("a table's column cannot hold the rows", column=name, found=there, expected=found)


def encoded(
    batch: pa.RecordBatch, types: Sequence[str], key: Sequence[str] = (), first_row: int = 0
) -> memoryview | bytes:
    """The rows of a batch, between :data:`HEADER` and :data:`TRAILER`.

    Args:
        batch: rows that :func:`check_types` has found fit.
        types: SQL type of the table's column for each column of the batch.
        key: columns that name a row in an error.
        first_row: number of the batch's first row in its stream.

    Raises:
        StoreError: a value that PostgreSQL cannot hold, see :func:`pipeline_assets.stores.marts.storable.storable`.
    """
    if batch.num_rows == 0:
        return b""
    rows = _Rows(batch.num_rows)
    rows.add(">i2", len(types))
    for (column, refuse), kind in zip(storable(batch, key, first_row), types, strict=True):
        if column.null_count == len(column):
            rows.add(">i4", -1)
        elif kind in _NUMBERS:
            rows.add_field([_number(column, _NUMBERS[kind])], column)
        elif kind.startswith("numeric"):
            rows.add_field(_numeric(column, refuse), column)
        else:
            rows.add_texts(column.cast(pa.large_binary()))
    return rows.joined()


class _Rows:
    """The parts of rows, in order: columns of binary, null where all of a field is the length -1."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._parts: list[pa.Array] = []
        self._open: list[_Part] = []  # of the same number of bytes in every row, so far

    def add(self, sent: str, values: npt.NDArray[Any] | int) -> None:
        """Numbers of a column, or one for all rows."""
        self._open.append((sent, values))

    def add_field(self, numbers: Sequence[_Part], column: pa.Array) -> None:
        """A field of so many numbers, null where the column is."""
        size: list[_Part] = [(">i4", sum(np.dtype(sent).itemsize for sent, _ in numbers))]
        if column.null_count == 0:
            self._open += [*size, *numbers]
            return
        self._close()
        self._open = [*size, *numbers]
        self._close(_validity(column))

    def add_texts(self, column: pa.Array) -> None:
        """A column of large binary as fields."""
        sizes = np.diff(ends_and_content(column)[0])
        if column.null_count == 0:
            self.add(">i4", sizes)
            self._close()
        else:
            self._close()
            # The text's own null says -1, so a null has no size before it.
            there = _there(column)
            ends = np.concatenate([np.zeros(1, np.int64), np.cumsum(there * 4)])
            self._parts.append(_binary(sizes[there].astype(">i4"), ends))
        self._parts.append(column)

    def joined(self) -> memoryview:
        """All rows."""
        self._close()
        nothing = pa.scalar(b"", pa.large_binary())
        rows = pc.binary_join_element_wise(*self._parts, nothing, null_handling="replace", null_replacement=_NULL)
        _, ends, data = rows.buffers()
        return memoryview(data)[: np.frombuffer(ends, np.int64)[self._count]]

    def _close(self, valid: pa.Buffer | None = None) -> None:
        if not self._open:
            return
        names = [str(place) for place in range(len(self._open))]
        table = np.empty(self._count, list(zip(names, (sent for sent, _ in self._open), strict=True)))
        for name, (_, values) in zip(names, self._open, strict=True):
            table[name] = values
        self._parts.append(_binary(table, np.arange(self._count + 1, dtype=np.int64) * table.itemsize, valid))
        self._open = []


def _binary(data: npt.NDArray[Any], ends: npt.NDArray[np.int64], valid: pa.Buffer | None = None) -> pa.Array:
    """Bytes, cut into values that end where it is said; the first of the ends is 0."""
    buffers = [valid, pa.py_buffer(ends), pa.py_buffer(data)]
    return pa.Array.from_buffers(pa.large_binary(), len(ends) - 1, buffers)


def _validity(column: pa.Array) -> pa.Buffer:
    """The bits that say which values of a column with nulls are there."""
    if column.offset % 8:
        column = pa.concat_arrays([column])  # copied, so that the bits begin at a byte
    return column.buffers()[0].slice(column.offset // 8)


def _there(column: pa.Array) -> npt.NDArray[np.bool_]:
    there: npt.NDArray[np.bool_] = column.is_valid().to_numpy(zero_copy_only=False)
    return there


def _number(column: pa.Array, number: _Number) -> _Part:
    column = column.cast(number.kind)
    own = np.dtype(number.sent).newbyteorder("=")
    values = np.frombuffer(column.buffers()[1], own, len(column), column.offset * own.itemsize)
    return number.sent, values - own.type(number.zero) if number.zero else values


def _numeric(column: pa.Array, refuse: Refuse) -> list[_Part]:
    """Number of digits, place of the first, sign, digits after the point, and the digits: as many for every row."""
    if pat.is_integer(column.type):
        column = column.cast(pa.decimal128(_DIGITS_OF_INTEGERS, 0))
    precision, scale = column.type.precision, column.type.scale
    if not pat.is_decimal256(column.type):
        column = column.cast(pa.decimal128(precision, scale))
    sign = np.where(_words(column)[-1] >> (_BITS - 1), _NEGATIVE, 0)
    words = _words(pc.abs(column))
    # The point is between two digits of base 10,000, so the last of them may begin with fewer decimal digits.
    fewer = scale % _DECIMAL_DIGITS
    digits = [_divided(words, 10**fewer) * 10 ** (_DECIMAL_DIGITS - fewer)] if fewer else []
    digits += [_divided(words, _BASE) for _ in range(max(math.ceil((precision - fewer) / _DECIMAL_DIGITS), 1))]
    over = np.logical_or.reduce(words) & _there(column)
    if over.any():
        refuse(int(over.argmax()), f"a number of more digits than its type, {column.type}, has", f"at most {precision}")
    first = len(digits) - 1 - math.ceil(scale / _DECIMAL_DIGITS)
    shape: list[_Part] = [(">i2", len(digits)), (">i2", first), (">i2", sign), (">i2", max(scale, 0))]
    return [*shape, *((">i2", digit) for digit in reversed(digits))]


def _words(column: pa.Array) -> list[npt.NDArray[np.uint64]]:
    """Decimals as words of 32 bits, the lowest first; those of a negative one are its two's complement."""
    count = column.type.bit_width // _BITS
    values = np.frombuffer(column.buffers()[1], "<u4", len(column) * count, column.offset * count * 4)
    return [values[place::count].astype(np.uint64) for place in range(count)]


def _divided(words: list[npt.NDArray[np.uint64]], by: int) -> npt.NDArray[np.uint64]:
    """Divides the words in their place; returns the rest."""
    rest = np.zeros_like(words[0])
    for place in reversed(range(len(words))):
        whole = (rest << np.uint64(_BITS)) | words[place]
        words[place] = whole // np.uint64(by)
        rest = whole - words[place] * np.uint64(by)
    return rest
