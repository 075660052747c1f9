"""The contract's type names and their types in Arrow and DuckDB, both ways, nested ones included."""

from collections.abc import Iterator
from functools import lru_cache

import pyarrow as pa
import pyarrow.types as pat

from pipeline_assets.task import type_names
from pipeline_assets.task.type_names import MAX_DECIMAL_DIGITS, NAME_OF, PLAIN, WORD, Tokens, TypeNameError

# Types without a name in the contract, by the type of the same values that has one.
_HELD_BY: dict[pa.DataType, pa.DataType] = {
    pa.null(): pa.string(),
    pa.large_string(): pa.string(),
    pa.string_view(): pa.string(),
    pa.large_binary(): pa.binary(),
    pa.binary_view(): pa.binary(),
    pa.float16(): pa.float32(),
    pa.date64(): pa.date32(),
    pa.time32("s"): pa.time64("us"),
    pa.time32("ms"): pa.time64("us"),
}
_CACHED = 10_000  # types

INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")


@lru_cache(_CACHED)
def arrow_type(name: str) -> pa.DataType:
    """The Arrow type of a contract type such as ``int64``, ``decimal(12, 2)`` or ``list<struct<a: int64>>``.

    Raises:
        ValueError: there is no such type; the message lists the existing ones.

    >>> arrow_type("decimal(12, 2)")
    Decimal128Type(decimal128(12, 2))
    """
    tokens = Tokens(name)
    try:
        kind = type_names.contract_type(tokens)
        tokens.end()
    except TypeNameError as error:
        raise ValueError(f"no type {name!r}{error}") from None
    return kind


def duckdb_type(name: str) -> str:
    """The DuckDB type of a contract type.

    >>> duckdb_type("timestamptz"), duckdb_type('struct<a: list<int64>, "b c": string>')
    ('TIMESTAMP WITH TIME ZONE', 'STRUCT("a" BIGINT[], "b c" VARCHAR)')
    """
    return _duckdb_type(arrow_type(name))


def contract_name(duckdb_name: str) -> str:
    """The contract's name of a DuckDB type, or DuckDB's own name where the contract has none.

    >>> contract_name("BIGINT"), contract_name("INTEGER[]"), contract_name("HUGEINT")
    ('int64', 'list<int32>', 'HUGEINT')
    """
    kind = type_of_duckdb(duckdb_name)
    return duckdb_name if kind is None or not all(map(_has_name, leaves(kind))) else _name(kind)


def leaves(kind: pa.DataType) -> Iterator[pa.DataType]:
    """The types of the plain values within a type; the type itself if it is not nested."""
    if not pat.is_nested(kind):
        yield kind
    for field in _fields(kind):
        yield from leaves(field.type)


def _has_name(kind: pa.DataType) -> bool:
    return kind in NAME_OF or pat.is_decimal(kind)


def contract_type_of(kind: pa.DataType, *, nanoseconds: bool = False) -> str:
    """The contract's type that holds the values of a parquet column, by the column's Arrow type.

    A column of nulls alone is ``string``; float16 is ``float32``, which holds its values exactly; a UUID is text.

    Args:
        kind: of the column.
        nanoseconds: whether times of nanoseconds have digits below the microsecond. What pandas writes has none, and
            types of microseconds are real moments in marts and take more functions in expressions.

    Raises:
        ValueError: the contract has no such type; the message says which type it is and what to write instead.

    >>> contract_type_of(pa.dictionary(pa.int8(), pa.large_string())), contract_type_of(pa.time32("ms"))
    ('string', 'time')
    >>> contract_type_of(pa.map_(pa.string(), pa.float16()))
    'map<string, float32>'
    """
    return _name(_held(kind, "ns" if nanoseconds else "us"))


@lru_cache(_CACHED)
def type_of_duckdb(name: str) -> pa.DataType | None:
    """The Arrow type of a DuckDB type; ``None`` where it is none of those that columns of files have.

    >>> type_of_duckdb("STRUCT(a BIGINT[])"), type_of_duckdb("INTERVAL")
    (StructType(struct<a: list<item: int64>>), None)
    """
    tokens = Tokens(name)
    try:
        kind = type_names.duckdb_type(tokens)
        tokens.end()
    except TypeNameError:
        return None
    return kind


def is_nested(duckdb_name: str) -> bool:
    """Whether a DuckDB type is a list, a struct or a map.

    >>> is_nested("DOUBLE[]"), is_nested("DOUBLE")
    (True, False)
    """
    return duckdb_name.endswith("]") or duckdb_name.startswith(("STRUCT(", "MAP("))


def _held(kind: pa.DataType, finest: str) -> pa.DataType:
    """The Arrow type of the contract type that holds a parquet column's values.

    Args:
        kind: of the column.
        finest: the unit of the times of nanoseconds, ``us`` or ``ns``.
    """
    if isinstance(kind, pa.UuidType):
        return pa.string()
    if isinstance(kind, pa.BaseExtensionType):
        return _held(kind.storage_type, finest)
    if pat.is_dictionary(kind) or pat.is_run_end_encoded(kind):
        return _held(kind.value_type, finest)
    if pat.is_decimal(kind):
        if kind.precision > MAX_DECIMAL_DIGITS or not 0 <= kind.scale <= kind.precision:
            raise ValueError(f"{kind} has more digits than a decimal(38, scale); write it as text")
        return pa.decimal128(kind.precision, kind.scale)
    if pat.is_nested(kind):
        return _held_nested(kind, finest)
    held = _held_plain(kind, finest)
    if held is None:
        instead = "a number of its unit" if pat.is_duration(kind) or pat.is_interval(kind) else "text"
        raise ValueError(f"the contract has no type for {kind}; write it as {instead}")
    return held


def _held_nested(kind: pa.DataType, finest: str) -> pa.DataType:
    if pat.is_map(kind):
        return pa.map_(_held(kind.key_type, finest), _held(kind.item_type, finest))
    if pat.is_struct(kind):
        names = [kind.field(place).name for place in range(kind.num_fields)]
        if not names or len({name.lower() for name in names}) < len(names) or "" in names:
            raise ValueError(f"{kind}: the fields of a struct need names that differ, whatever the case")
        return pa.struct([pa.field(name, _held(kind.field(place).type, finest)) for place, name in enumerate(names)])
    if pat.is_union(kind):
        raise ValueError(f"the contract has no type for {kind}; write it as a struct")
    return pa.list_(_held(kind.value_type, finest))


def _held_plain(kind: pa.DataType, finest: str) -> pa.DataType | None:
    if pat.is_timestamp(kind):
        return pa.timestamp(finest if kind.unit == "ns" else "us", "UTC" if kind.tz else None)
    if kind == pa.time64("ns"):
        return pa.time64(finest)
    held = pa.binary() if pat.is_fixed_size_binary(kind) else _HELD_BY.get(kind, kind)
    return held if held in NAME_OF else None


def _name(kind: pa.DataType) -> str:
    """The contract's name of an Arrow type that :func:`arrow_type` gives."""
    if pat.is_decimal(kind):
        return f"decimal({kind.precision}, {kind.scale})"
    if pat.is_map(kind):
        return f"map<{_name(kind.key_type)}, {_name(kind.item_type)}>"
    if pat.is_struct(kind):
        return f"struct<{', '.join(f'{_written(field.name)}: {_name(field.type)}' for field in _fields(kind))}>"
    if pat.is_list(kind):
        return f"list<{_name(kind.value_type)}>"
    return NAME_OF[kind]


def _duckdb_type(kind: pa.DataType) -> str:
    if pat.is_decimal(kind):
        return f"DECIMAL({kind.precision},{kind.scale})"
    if pat.is_map(kind):
        return f"MAP({_duckdb_type(kind.key_type)}, {_duckdb_type(kind.item_type)})"
    if pat.is_struct(kind):
        return f"STRUCT({', '.join(f'{_quoted(field.name)} {_duckdb_type(field.type)}' for field in _fields(kind))})"
    if pat.is_list(kind):
        return f"{_duckdb_type(kind.value_type)}[]"
    return PLAIN[NAME_OF[kind]][1]


def _fields(kind: pa.DataType) -> Iterator[pa.Field]:
    return (kind.field(place) for place in range(kind.num_fields))


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _written(name: str) -> str:
    return name if WORD.fullmatch(name) else _quoted(name)
