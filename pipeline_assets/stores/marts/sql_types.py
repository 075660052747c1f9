"""Which SQL type holds an Arrow type without loss, and which SQL type holds the values of two SQL types.

Types are spelled as the catalog spells them (``format_type``), so that they compare as text.
"""

import re

import pyarrow as pa
import pyarrow.types as pat

from pipeline_assets.errors import StoreError

_SIMPLE: dict[pa.DataType, str] = {
    pa.bool_(): "boolean",
    pa.int8(): "smallint",
    pa.int16(): "smallint",
    pa.int32(): "integer",
    pa.int64(): "bigint",
    pa.uint8(): "smallint",
    pa.uint16(): "integer",
    pa.uint32(): "bigint",
    pa.uint64(): "numeric(20,0)",
    pa.float16(): "real",
    pa.float32(): "real",
    pa.float64(): "double precision",
    pa.string(): "text",
    pa.large_string(): "text",
    pa.string_view(): "text",
    pa.binary(): "bytea",
    pa.large_binary(): "bytea",
    pa.binary_view(): "bytea",
    pa.date32(): "date",
    pa.date64(): "date",
    pa.time32("s"): "time without time zone",
    pa.time32("ms"): "time without time zone",
    pa.time64("us"): "time without time zone",
    pa.time64("ns"): "text",
}
_INTEGER_DIGITS = {"smallint": 5, "integer": 10, "bigint": 19}
_FLOATS = ("real", "double precision")
# The integers that a float holds exactly: 24 bits of mantissa, and 53.
_EXACT_IN = {"real": ("smallint",), "double precision": ("smallint", "integer")}
_NUMERIC = re.compile(r"numeric\((\d+),(\d+)\)")
# Their text is exact in every session. The text of floats, bytea and instants depends on settings, and Greenplum
# does not even pass one of them (extra_float_digits) to its segments.
_SAID_BY_TEXT = (
    *_INTEGER_DIGITS,
    "boolean",
    "date",
    "time without time zone",
    "timestamp without time zone",
    "json",
)
_ARROW: dict[str, pa.DataType] = {
    "boolean": pa.bool_(),
    "smallint": pa.int16(),
    "integer": pa.int32(),
    "bigint": pa.int64(),
    "real": pa.float32(),
    "double precision": pa.float64(),
    "bytea": pa.binary(),
    "date": pa.date32(),
    "time without time zone": pa.time64("us"),
    "timestamp without time zone": pa.timestamp("us"),
    "timestamp with time zone": pa.timestamp("us", "UTC"),
}
_DECIMAL128_DIGITS, _DECIMAL256_DIGITS = 38, 76


def is_nested(kind: pa.DataType) -> bool:
    """Whether a type is stored as JSON: lists of every sort, structs, maps."""
    return bool(
        pat.is_list(kind)
        or pat.is_large_list(kind)
        or pat.is_fixed_size_list(kind)
        or pat.is_list_view(kind)
        or pat.is_large_list_view(kind)
        or pat.is_struct(kind)
        or pat.is_map(kind)
    )


def plain_type(kind: pa.DataType) -> pa.DataType:
    """The type of the values themselves, without dictionary, run-end encoding or extension around it."""
    if isinstance(kind, pa.BaseExtensionType):
        return plain_type(kind.storage_type)
    if pat.is_dictionary(kind) or pat.is_run_end_encoded(kind):
        return plain_type(kind.value_type)
    return kind


def sql_type(kind: pa.DataType) -> str | None:
    """The SQL type that holds every value of an Arrow type.

    Unsigned integers take the next wider signed type, 64 bits of them ``numeric(20,0)``. Times of nanoseconds, which
    PostgreSQL has none of, are text that sorts as they do. An instant (a timestamp with a zone) stays the instant;
    which zone it was written in is not kept. Nested values are JSON text: a ``json`` column cannot be compared, ordered
    or grouped by.

    Returns:
        ``None`` for Arrow's null type, which any column holds.

    Raises:
        ValueError: no SQL type holds it.

    >>> sql_type(pa.uint32()), sql_type(pa.decimal128(12, 2)), sql_type(pa.list_(pa.int8()))
    ('bigint', 'numeric(12,2)', 'text')
    """
    kind = plain_type(kind)
    if kind in _SIMPLE:
        return _SIMPLE[kind]
    if pat.is_null(kind):
        return None
    if pat.is_fixed_size_binary(kind):
        return "bytea"
    if pat.is_timestamp(kind):
        return "text" if kind.unit == "ns" else f"timestamp {'with' if kind.tz else 'without'} time zone"
    if pat.is_decimal(kind):
        # Before PostgreSQL 15, a scale is between 0 and the precision.
        scale = max(kind.scale, 0)
        return f"numeric({max(kind.precision - min(kind.scale, 0), scale)},{scale})"
    if is_nested(kind):
        return "text"
    raise ValueError(f"no SQL type holds {kind}")


def sql_types(schema: pa.Schema) -> dict[str, str | None]:
    """The SQL type of each column; ``None`` for a column of nulls alone, which fits any type.

    Raises:
        StoreError: a column's type has none.
    """
    types = {}
    for field in schema:
        try:
            types[field.name] = sql_type(field.type)
        except ValueError as error:
            raise StoreError(
                "a mart cannot hold a column's type",
                column=field.name,
                found=field.type,
                expected="numbers, bool, text, binary, date, time, timestamp, lists, structs or maps",
                do="cast it where the column is made, such as a duration to its seconds",
            ) from error
    return types


def common_type(kept: str, new: str) -> str | None:
    """The SQL type that holds every value of two types, so that a column may change from one to the other.

    Numbers may become wider numbers, and a type with exact text may become text. The reverse, text that becomes a
    number, changes the meaning and has no common type.

    Args:
        kept: the type that the column has.
        new: the type of the rows to be written.

    Returns:
        ``kept`` where nothing needs to change, ``None`` where values would be lost.

    >>> common_type("integer", "bigint"), common_type("bigint", "smallint"), common_type("bigint", "real")
    ('bigint', 'bigint', None)
    """
    if kept == new:
        return kept
    if new == "text" and (kept in _SAID_BY_TEXT or _NUMERIC.fullmatch(kept)):
        return new
    if kept in _FLOATS or new in _FLOATS:
        return _common_float(kept, new)
    if kept in _INTEGER_DIGITS and new in _INTEGER_DIGITS:
        return max(kept, new, key=lambda name: _INTEGER_DIGITS[name])
    digits = [pair for name in (kept, new) if (pair := _digits(name))]
    if len(digits) < 2:  # noqa: PLR2004 - one of the two is no number
        return None
    before, after = (max(counts) for counts in zip(*digits, strict=True))
    return f"numeric({before + after},{after})"


def _common_float(kept: str, new: str) -> str | None:
    def holds(wide: str, other: str) -> bool:
        return other in (*_FLOATS[: _FLOATS.index(wide) + 1], *_EXACT_IN[wide])

    return next((wide for wide in _FLOATS if holds(wide, kept) and holds(wide, new)), None)


def _digits(name: str) -> tuple[int, int] | None:
    """Digits before and after the point of an exact number's type."""
    if name in _INTEGER_DIGITS:
        return _INTEGER_DIGITS[name], 0
    numeric = _NUMERIC.fullmatch(name)
    return (int(numeric[1]) - int(numeric[2]), int(numeric[2])) if numeric else None


def arrow_type(name: str) -> pa.DataType:
    """The Arrow type that a column of an SQL type is read as.

    Returns:
        String for all types without a closer Arrow type: text, JSON, numbers without declared precision.

    >>> arrow_type("numeric(12,2)"), arrow_type("json")
    (Decimal128Type(decimal128(12, 2)), DataType(string))
    """
    numeric = _NUMERIC.fullmatch(name)
    if numeric and int(numeric[1]) <= _DECIMAL256_DIGITS:
        sized = pa.decimal128 if int(numeric[1]) <= _DECIMAL128_DIGITS else pa.decimal256
        return sized(int(numeric[1]), int(numeric[2]))
    return _ARROW.get(name, pa.string())
