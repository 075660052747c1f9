"""Arrow record batches as packed Tarantool tuples, and packed tuples as Arrow record batches.

Tuples are msgpack arrays: the leading field (the generation), then one field per column. Values of types that
Tarantool 2.6 does not have are kept as text that sorts and compares as the values do: dates ``2013-09-01``, times
``06:15:00.000000``, timestamps ``2013-09-01 06:15:00.000000`` (with ``Z`` when they have a zone, always UTC).
Decimals are exact text too, but must be cast before they are compared. NaN and null stay different. Integers are
packed in their shortest form, because an index finds only that form.

Packing makes Python objects row by row, which is faster than the server can insert. Reading cannot do so: the server
sends rows ten times faster than Python makes objects of them. So numpy reads a page column by column, all rows at
once: each row has a position, and the tags and lengths of a column move all positions forward.
"""

from dataclasses import dataclass
from typing import Any

import msgpack  # type: ignore[import-untyped]  # it has no types
import numpy as np
import numpy.typing as npt
import ormsgpack
import pyarrow as pa
import pyarrow.compute as pc

from pipeline_assets.errors import DataError, StoreError

Positions = npt.NDArray[np.int64]

# Key of the rows in the body of a response; from Tarantool's binary protocol.
_IPROTO_DATA = 0x30

# First bytes of the msgpack specification: those that are values by themselves ...
_NIL, _FALSE, _TRUE, _SMALL, _NEGATIVE = 0xC0, 0xC2, 0xC3, range(0x80), range(0xE0, 0x100)
# ... those with a length in their last five bits ...
_SHORT_STRINGS, _LENGTH_BITS = range(0xA0, 0xC0), 0x1F
# ... and those that a value or a length follows, as numpy names its type.
_ARRAY16, _FLOAT64 = 0xDC, 0xCB
_INTEGERS = {
    0xCC: "u1", 0xCD: ">u2", 0xCE: ">u4", 0xCF: ">u8",
    0xD0: "i1", 0xD1: ">i2", 0xD2: ">i4", 0xD3: ">i8",
}  # fmt: skip
_STRINGS = {0xD9: "u1", 0xDA: ">u2", 0xDB: ">u4"}
_BINARIES = {0xC4: "u1", 0xC5: ">u2", 0xC6: ">u4"}

# A dictionary is faster where each value occurs at least this often on average.
_REPEATS = 2

_SECONDS_WIDTH = len("2013-09-01 06:15:00")
_FRACTION_WIDTH = {"s": 0, "ms": 4, "us": 7, "ns": 10}


def field_type(column: pa.Field) -> str:
    """The type of a Tarantool field that holds a column without loss.

    Raises:
        StoreError: there is none.
    """
    kind = column.type
    if pa.types.is_integer(kind):
        return "integer"
    if pa.types.is_floating(kind):
        return "double"
    if pa.types.is_boolean(kind):
        return "boolean"
    if pa.types.is_binary(kind):
        return "varbinary"
    if pa.types.is_string(kind) or _is_text(kind):
        return "string"
    raise StoreError(
        "Tarantool has no field for this type of column",
        column=column.name,
        found=kind,
        available=["integers", "floats", "bool", "string", "binary", "decimal", "date", "time", "timestamp"],
    )


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_temporal(kind) and not pa.types.is_duration(kind)) or bool(pa.types.is_decimal(kind))


def pack(records: pa.RecordBatch, leading: int) -> tuple[bytes, bytes]:
    """Packs rows as tuples, one after another.

    Args:
        records: columns of types that :func:`field_type` knows, or ``null`` for a field without a column.
        leading: the first field of every tuple.

    Returns:
        The tuples, and the length of each in bytes as a little-endian uint32.

    Raises:
        DataError: a date or timestamp outside of the years 0 to 9999; the column is named.
    """
    columns = [_values(column, records[column.name]) for column in records.schema]
    tuples = list(map(ormsgpack.packb, zip([leading] * records.num_rows, *columns, strict=True)))
    return b"".join(tuples), np.fromiter(map(len, tuples), "<u4", len(tuples)).tobytes()


def _values(column: pa.Field, array: pa.Array) -> list[Any]:
    """A column as Python objects. Whole arrays are converted at once: ``to_pylist`` takes seven times as long."""
    kind = array.type
    if _is_text(kind):
        array = _to_text(column, array)
    elif pa.types.is_integer(kind) or pa.types.is_floating(kind):
        values = pc.fill_null(array, 0).to_numpy().tolist()
        if array.null_count:
            for place in np.flatnonzero(array.is_null().to_numpy(zero_copy_only=False)).tolist():
                values[place] = None
        return list(values)
    elif not pa.types.is_string(kind):
        return list(array.to_pylist())
    coded = array.dictionary_encode()
    if len(coded.dictionary) * _REPEATS > len(array):
        return list(array.to_pylist())
    known = np.array([*coded.dictionary.to_pylist(), None], dtype=object)
    return list(known[pc.fill_null(coded.indices, len(known) - 1).to_numpy()])


def _to_text(column: pa.Field, array: pa.Array) -> pa.Array:
    kind = array.type
    if pa.types.is_timestamp(kind) and kind.tz is not None:
        array = array.cast(pa.timestamp(kind.unit, "UTC"))
    text = array.cast(pa.string())
    width = _width(kind)
    if width is not None:
        odd = pc.not_equal(pc.utf8_length(text), width)
        if pc.any(odd).as_py():
            raise DataError(
                "a date lies outside of the years 0 to 9999",
                column=column.name,
                found=f"{array.filter(odd)[0].value} {'days' if pa.types.is_date32(kind) else kind.unit} from 1970",
            )
    return text


def _width(kind: pa.DataType) -> int | None:
    """Characters of every value between the years 0 and 9999; ``None`` for types without a year."""
    if pa.types.is_date(kind):
        return len("2013-09-01")
    if pa.types.is_timestamp(kind):
        return _SECONDS_WIDTH + _FRACTION_WIDTH[kind.unit] + (kind.tz is not None)
    return None


def _from_text(text: pa.Array, kind: pa.DataType) -> pa.Array:
    if pa.types.is_time(kind):
        # Arrow cannot parse times, but it parses timestamps.
        text = pc.binary_join_element_wise("1970-01-01", text, " ")
        return text.cast(pa.timestamp(kind.unit)).cast(kind)
    if pa.types.is_timestamp(kind) and kind.tz is not None:
        return text.cast(pa.timestamp(kind.unit, "UTC")).cast(kind)
    return text.cast(kind)


@dataclass(frozen=True)
class PackedRows:
    """The tuples of one response, still packed.

    Attributes:
        data: the response.
        bounds: where each tuple starts in ``data``, and where the last one ends: one more than there are tuples.
    """

    data: bytes
    bounds: Positions

    def __len__(self) -> int:
        return len(self.bounds) - 1

    def last(self) -> list[Any]:
        """The fields of the last tuple."""
        return list(ormsgpack.unpackb(self.data[self.bounds[-2] : self.bounds[-1]]))


class RowsUnpacker:
    """Reads a response and leaves its rows packed; a connection uses it in place of ``msgpack.Unpacker``."""

    def __init__(self) -> None:
        self._unpacker = msgpack.Unpacker(strict_map_key=False, max_buffer_size=0)
        self._data = b""
        self._header_read = False

    def feed(self, data: bytes) -> None:
        """Takes the whole response."""
        self._data = data
        self._unpacker.feed(data)

    def unpack(self) -> dict[int, Any]:
        """The header first, then the body, whose rows are one :class:`PackedRows` in a list.

        Raises:
            msgpack.OutOfData: there is no body.
        """
        if not self._header_read:
            self._header_read = True
            return dict(self._unpacker.unpack())
        body = {}
        for _ in range(self._unpacker.read_map_header()):
            key = self._unpacker.unpack()
            body[key] = [self._rows()] if key == _IPROTO_DATA else self._unpacker.unpack()
        return body

    def _rows(self) -> PackedRows:
        count = self._unpacker.read_array_header()
        tell, skip = self._unpacker.tell, self._unpacker.skip
        bounds = np.empty(count + 1, np.int64)
        bounds[0] = tell()
        for row in range(1, count + 1):
            skip()
            bounds[row] = tell()
        return PackedRows(self._data, bounds)


def unpack(rows: PackedRows, leading: int, schema: pa.Schema) -> pa.RecordBatch:
    """Tuples as Arrow, the inverse of :func:`pack`.

    Args:
        rows: at least one.
        leading: the first field that every tuple must have.
        schema: of the fields after it.

    Raises:
        DataError: the tuples are not what the schema says; the first column that differs is named.
    """
    cells = _Cells(rows)
    generations = cells.column(pa.field("generation", pa.int64()))
    columns = [cells.column(column) for column in schema]
    if not cells.at_end() or pc.any(pc.not_equal(generations, leading)).as_py():
        raise DataError("stored rows are not what was written", expected=", ".join(schema.names))
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _among(*tags: int) -> npt.NDArray[np.bool_]:
    """For every byte value: whether it is one of these tags, or nil."""
    there = np.zeros(1 << 8, np.bool_)
    there[[_NIL, *tags]] = True
    return there


_NIL_TAGS = _among()
_BOOLEAN_TAGS = _among(_FALSE, _TRUE)
_INTEGER_TAGS = _among(*_SMALL, *_NEGATIVE, *_INTEGERS)
_FLOAT_TAGS = _among(_FLOAT64)
_STRING_TAGS = _among(*_SHORT_STRINGS, *_STRINGS)
_BINARY_TAGS = _among(*_BINARIES)


class _Cells:
    """Reads one cell of every tuple at a time. It keeps one position per tuple; each column read moves them forward."""

    def __init__(self, rows: PackedRows) -> None:
        self._data = rows.data
        self._bytes = np.frombuffer(rows.data, np.uint8)
        self._ends = rows.bounds[1:]
        # The header of an array is one byte up to 15 fields.
        self._at = rows.bounds[:-1] + np.where(self._bytes[rows.bounds[:-1]] == _ARRAY16, 3, 1)

    def at_end(self) -> bool:
        """Whether every tuple has been read to its end."""
        return np.array_equal(self._at, self._ends)

    def column(self, column: pa.Field) -> pa.Array:
        """The next cell of every tuple.

        Raises:
            DataError: a tuple has no such cell there.
        """
        kind = column.type
        if pa.types.is_null(kind):
            self._tags(column, _NIL_TAGS)
            self._at = self._at + 1
            return pa.nulls(len(self._at))
        if _is_text(kind):
            return _from_text(self._strings(column, pa.string()), kind)
        if pa.types.is_integer(kind):
            return self._integers(column)
        if pa.types.is_floating(kind):
            return self._floats(column)
        if pa.types.is_boolean(kind):
            return self._booleans(column)
        return self._strings(column, kind)

    def _tags(self, column: pa.Field, allowed: npt.NDArray[np.bool_]) -> npt.NDArray[np.uint8]:
        inside = self._at < self._ends
        tags = self._bytes[np.where(inside, self._at, 0)]
        if not (inside & allowed[tags]).all():
            raise DataError("stored rows are not what was written", column=column.name, expected=column.type)
        return tags

    def _integers(self, column: pa.Field) -> pa.Array:
        tags = self._tags(column, _INTEGER_TAGS)
        values = tags.astype(np.int64)
        values[tags >= _NEGATIVE.start] -= 1 << 8
        sizes = np.ones(len(tags), np.int64)
        for tag, stored in _INTEGERS.items():
            there = tags == tag
            if there.any():
                values[there] = self._read(stored, self._at[there] + 1)
                sizes[there] += np.dtype(stored).itemsize
        self._at = self._at + sizes
        return _array(column, tags == _NIL, values.astype(column.type.to_pandas_dtype()))

    def _floats(self, column: pa.Field) -> pa.Array:
        null = self._tags(column, _FLOAT_TAGS) == _NIL
        # A null may be the last byte of the response; the value read in its place is never used.
        values = self._read(">f8", np.where(null, 0, self._at + 1))
        self._at = self._at + np.where(null, 1, 9)
        return _array(column, null, values.astype(column.type.to_pandas_dtype()))

    def _booleans(self, column: pa.Field) -> pa.Array:
        tags = self._tags(column, _BOOLEAN_TAGS)
        self._at = self._at + 1
        return _array(column, tags == _NIL, np.packbits(tags == _TRUE, bitorder="little"))

    def _strings(self, column: pa.Field, kind: pa.DataType) -> pa.Array:
        long, allowed = (_BINARIES, _BINARY_TAGS) if pa.types.is_binary(kind) else (_STRINGS, _STRING_TAGS)
        tags = self._tags(column, allowed)
        lengths = np.where(tags == _NIL, 0, tags & _LENGTH_BITS).astype(np.int64)
        starts = self._at + 1
        for tag, stored in long.items():
            there = tags == tag
            if there.any():
                lengths[there] = self._read(stored, starts[there])
                starts[there] += np.dtype(stored).itemsize
        self._at = starts + lengths
        offsets = np.zeros(len(tags) + 1, np.int32)
        np.cumsum(lengths, out=offsets[1:])
        # For every byte of the array: its position in the response.
        places = np.repeat(starts - offsets[:-1], lengths) + np.arange(offsets[-1])
        return _array(pa.field(column.name, kind), tags == _NIL, offsets, self._bytes[places])

    def _read(self, stored: str, places: Positions) -> npt.NDArray[Any]:
        """Reads values of one type at any positions: the response is viewed as one value starting at every byte."""
        dtype = np.dtype(stored)
        return np.ndarray((len(self._data) - dtype.itemsize + 1,), dtype, self._data, strides=(1,))[places]


def _array(column: pa.Field, null: npt.NDArray[np.bool_], *buffers: npt.NDArray[Any]) -> pa.Array:
    there = pa.py_buffer(np.packbits(~null, bitorder="little")) if null.any() else None
    return pa.Array.from_buffers(column.type, len(null), [there, *map(pa.py_buffer, buffers)])
