"""Which parquet types DuckDB reads exactly and which it would change, and how values get their former type back."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline_assets.errors import ContractError
from pipeline_assets.task.expressions import folded

# DuckDB's limit; it reads decimals with more digits as DOUBLE.
_DECIMAL_DIGITS = 38
_UUID_BYTES = 16


def check_columns(file: str, schema: pa.Schema, stored: pq.ParquetSchema) -> None:
    """Refuses columns that DuckDB would widen, narrow or read as another type.

    Args:
        file: its name, for the error.
        schema: its columns in Arrow types.
        stored: its columns in parquet types.

    Raises:
        ContractError: names each such column, its type, and a type that can be read.
    """
    bad: dict[str, tuple[str, str]] = {}
    for field in schema:
        for kind in _kinds(field.type):
            if pa.types.is_decimal(kind) and kind.precision > _DECIMAL_DIGITS:
                bad[field.name] = (str(field.type), f"a decimal of at most {_DECIMAL_DIGITS} digits, or text")
            elif pa.types.is_struct(kind) and not _tells_apart([within.name for within in kind]):
                bad[field.name] = (str(field.type), "structs whose fields have names that differ, whatever the case")
    for place in range(len(stored)):
        leaf = stored.column(place)
        if leaf.converted_type == "INTERVAL":
            bad[leaf.path] = ("a parquet INTERVAL", "months, days and milliseconds as integers, or text")
    if bad:
        raise ContractError(
            "the file has columns that cannot be read without changing their values",
            file=file,
            column=", ".join(bad),
            found=", ".join(found for found, _ in bad.values()),
            expected=", ".join(dict.fromkeys(expected for _, expected in bad.values())),
            do="write them in the expected type",
        )


def _tells_apart(names: Sequence[str]) -> bool:
    """Whether DuckDB reads all fields of a struct: it gives null for a second one of a name, and for one without."""
    return "" not in names and len({folded(name) for name in names}) == len(names)


def int96_columns(stored: pq.ParquetSchema) -> list[str]:
    """Paths of timestamps in the deprecated type that Spark and Impala write; also those within lists and structs."""
    leaves = (stored.column(place) for place in range(len(stored)))
    return [leaf.path for leaf in leaves if leaf.physical_type == "INT96"]


def as_read(schema: pa.Schema, stored: pq.ParquetSchema) -> pa.Schema:
    """The columns in the types that we keep: an INT96 has microseconds, see :func:`check_int96`."""
    paths = int96_columns(stored)
    for place, field in enumerate(schema):
        if any(path == field.name or path.startswith(f"{field.name}.") for path in paths):
            schema = schema.set(place, field.with_type(_in_microseconds(field.type)))
    return schema


def _in_microseconds(kind: pa.DataType) -> pa.DataType:
    """The type with microseconds in place of nanoseconds."""
    if pa.types.is_map(kind):
        return pa.map_(_in_microseconds(kind.key_type), _in_microseconds(kind.item_type))
    if pa.types.is_struct(kind):
        return pa.struct([field.with_type(_in_microseconds(field.type)) for field in kind])
    if pa.types.is_list(kind):
        return pa.list_(kind.value_field.with_type(_in_microseconds(kind.value_type)))
    return pa.timestamp("us", kind.tz) if pa.types.is_timestamp(kind) and kind.unit == "ns" else kind


def check_int96(paths: Sequence[Path]) -> None:
    """Refuses timestamps of INT96 that have digits below the microsecond: DuckDB would cut them off.

    Raises:
        ContractError: names the first such row.
    """
    for path in paths:
        with pq.ParquetFile(path) as exact, pq.ParquetFile(path, coerce_int96_timestamp_unit="us") as cut:
            names = int96_columns(exact.schema)
            start = 0
            for group in range(exact.num_row_groups if names else 0):
                for name in names:
                    lost = _lost(*(_leaf(file, group, name) for file in (exact, cut)))
                    if len(lost):
                        plain = name in exact.schema_arrow.names
                        where = f"in row {start + int(lost[0])}" if plain else f"in row {start} or later"
                        raise _digits_lost(path.name, name, f"{len(lost)} such values, the first {where} of the file")
                start += exact.metadata.row_group(group).num_rows


def _leaf(file: pq.ParquetFile, group: int, path: str) -> pa.Array:
    """The timestamps of one leaf of a row group; of a plain column one a row."""
    column = file.read_row_group(group, columns=[path])
    # A column called "a.b" and the field b of a column a have the same path.
    values = column.column(path if path in column.schema.names else 0).combine_chunks()
    while pa.types.is_nested(values.type):
        values = _within(values, path)
    return values


def _within(values: pa.Array, path: str) -> pa.Array:
    if pa.types.is_map(values.type):
        entry = pa.struct(
            [pa.field("key", values.type.key_type, nullable=False), pa.field("value", values.type.item_type)]
        )
        entries = values.cast(pa.list_(entry)).flatten()
        return entries.flatten()[0 if path.endswith(".key") else 1]
    return values.flatten()[0] if pa.types.is_struct(values.type) else values.flatten()


def _lost(exact: pa.Array, cut: pa.Array) -> npt.NDArray[np.int64]:
    """Places of the values that differ between nanoseconds and microseconds."""
    nanoseconds, microseconds = (each.cast(pa.int64()).fill_null(0).to_numpy() for each in (exact, cut))
    # Modulo 2**64, like Arrow's nanoseconds: right for every year, though the count wraps outside 1677 to 2262.
    return np.flatnonzero(nanoseconds.view(np.uint64) - microseconds.view(np.uint64) * np.uint64(1000))


def _digits_lost(file: str, column: str, found: str) -> ContractError:
    return ContractError(
        "timestamps have digits below the microsecond, which would be cut off",
        file=file,
        column=column,
        found=found,
        expected="whole microseconds",
        do="write them as INT64 nanoseconds, or in whole microseconds",
    )


def found_types(schema: pa.Schema, described: Sequence[str]) -> dict[str, str]:
    """A file's columns with the DuckDB types of their values.

    Args:
        schema: in Arrow types.
        described: DuckDB's names of the types, in order; it reads a duration as a plain integer.
    """
    return {
        field.name: str(field.type) if any(map(pa.types.is_duration, _kinds(field.type))) else kind
        for field, kind in zip(schema, described, strict=True)
    }


def kept_type(came: pa.DataType, given: pa.DataType) -> pa.DataType:
    """The type in which a column is written: its type in the file if DuckDB can read that back, else DuckDB's type.

    Args:
        came: the type in the file.
        given: the type that DuckDB gives, with the same values.

    >>> kept_type(pa.time32("ms"), pa.time64("us")), kept_type(pa.float16(), pa.float32())
    (Time32Type(time32[ms]), DataType(float))
    """
    if any(_only_in_files(kind) for kind in _kinds(came)):
        return given
    nested = pa.types.is_nested(came)
    if nested and any(isinstance(kind, pa.BaseExtensionType) for kind in _kinds(came)):
        return given
    return came


def restored(column: pa.Array, kind: pa.DataType) -> pa.Array:
    """The values, converted to their type in the file."""
    if column.type == kind:
        return column
    if isinstance(kind, pa.UuidType):
        return pa.ExtensionArray.from_storage(kind, _uuid_bytes(column))
    if isinstance(kind, pa.BaseExtensionType):
        return pa.ExtensionArray.from_storage(kind, column.cast(kind.storage_type))
    return column.cast(kind)


def _uuid_bytes(column: pa.Array) -> pa.Array:
    digits = "".join((value or "0" * 2 * _UUID_BYTES).replace("-", "") for value in column.to_pylist())
    values = pa.py_buffer(bytes.fromhex(digits))
    valid = pa.array(column.is_valid().to_numpy(zero_copy_only=False))
    plain = pa.Array.from_buffers(pa.binary(_UUID_BYTES), len(column), [None, values])
    return pa.array(plain.to_pylist(), plain.type, mask=~np.asarray(valid)) if column.null_count else plain


def _only_in_files(kind: pa.DataType) -> bool:
    """Types that DuckDB reads from parquet but not from Arrow, or that Arrow cannot filter. Exact substitutes exist.

    Lists of a fixed size too: Arrow cannot read a file back that has a null among them.
    """
    views = pa.types.is_string_view(kind) or pa.types.is_binary_view(kind)
    numbers = pa.types.is_float16(kind) or pa.types.is_decimal256(kind)
    return bool(views or numbers or pa.types.is_fixed_size_list(kind))


def _kinds(kind: pa.DataType) -> Iterator[pa.DataType]:
    """A type and those within it."""
    yield kind
    for place in range(kind.num_fields):
        yield from _kinds(kind.field(place).type)
    if pa.types.is_dictionary(kind):
        yield from _kinds(kind.value_type)
