"""Which parquet types DuckDB reads exactly and which it would change, and how values get their former type back."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline_assets.errors import ContractError

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
    for place in range(len(stored)):
        leaf = stored.column(place)
        if leaf.converted_type == "INTERVAL":
            bad[leaf.path] = ("a parquet INTERVAL", "months, days and milliseconds as integers, or text")
        elif leaf.physical_type == "INT96" and "." in leaf.path and leaf.path not in schema.names:
            bad[leaf.path] = ("INT96 within a list or struct", "a timestamp as INT64")
    if bad:
        raise ContractError(
            "the file has columns that cannot be read without changing their values",
            file=file,
            column=", ".join(bad),
            found=", ".join(found for found, _ in bad.values()),
            expected=", ".join(dict.fromkeys(expected for _, expected in bad.values())),
            do="write them in the expected type",
        )


def int96_columns(stored: pq.ParquetSchema) -> list[str]:
    """Columns of timestamps in the deprecated type that Spark and Impala write."""
    leaves = (stored.column(place) for place in range(len(stored)))
    return [leaf.path for leaf in leaves if leaf.physical_type == "INT96"]


def as_read(schema: pa.Schema, stored: pq.ParquetSchema) -> pa.Schema:
    """The columns in the types that we keep: an INT96 has microseconds, see :func:`check_int96`."""
    for name in int96_columns(stored):
        place = schema.get_field_index(name)
        if place >= 0:
            schema = schema.set(place, pa.field(name, pa.timestamp("us")))
    return schema


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
                    _check_int96(path.name, name, start, *(_integers(file, group, name) for file in (exact, cut)))
                start += exact.metadata.row_group(group).num_rows


def _integers(file: pq.ParquetFile, group: int, name: str) -> npt.NDArray[np.int64]:
    column = file.read_row_group(group, columns=[name]).column(0).combine_chunks()
    values: npt.NDArray[np.int64] = column.cast(pa.int64()).fill_null(0).to_numpy()
    return values


def _check_int96(
    file: str, name: str, start: int, nanoseconds: npt.NDArray[np.int64], microseconds: npt.NDArray[np.int64]
) -> None:
    # Modulo 2**64, like Arrow's nanoseconds: right for every year, though the count wraps outside 1677 to 2262.
    lost = nanoseconds.view(np.uint64) - microseconds.view(np.uint64) * np.uint64(1000)
    rows = np.flatnonzero(lost)
    if len(rows):
        raise ContractError(
            "timestamps have digits below the microsecond, which would be cut off",
            file=file,
            column=name,
            found=f"{len(rows)} such rows, the first is row {start + int(rows[0])} of the file",
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
        field.name: str(field.type) if pa.types.is_duration(field.type) else kind
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
