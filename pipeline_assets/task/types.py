"""The contract's type names and their types in Arrow and DuckDB."""

import difflib
import re

import pyarrow as pa

_PLAIN: dict[str, tuple[pa.DataType, str]] = {
    "string": (pa.string(), "VARCHAR"),
    "bool": (pa.bool_(), "BOOLEAN"),
    "int8": (pa.int8(), "TINYINT"),
    "int16": (pa.int16(), "SMALLINT"),
    "int32": (pa.int32(), "INTEGER"),
    "int64": (pa.int64(), "BIGINT"),
    "uint8": (pa.uint8(), "UTINYINT"),
    "uint16": (pa.uint16(), "USMALLINT"),
    "uint32": (pa.uint32(), "UINTEGER"),
    "uint64": (pa.uint64(), "UBIGINT"),
    "float32": (pa.float32(), "FLOAT"),
    "float64": (pa.float64(), "DOUBLE"),
    "date": (pa.date32(), "DATE"),
    "time": (pa.time64("us"), "TIME"),
    "timestamp": (pa.timestamp("us"), "TIMESTAMP"),
    "timestamptz": (pa.timestamp("us", tz="UTC"), "TIMESTAMP WITH TIME ZONE"),
    "binary": (pa.binary(), "BLOB"),
    "map<string, float64>": (pa.map_(pa.string(), pa.float64()), "MAP(VARCHAR, DOUBLE)"),
}
_DECIMAL = re.compile(r"decimal\(\s*(\d+)\s*,\s*(\d+)\s*\)")
_MAX_DECIMAL_DIGITS = 38

INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")


def _look_up(name: str) -> tuple[pa.DataType, str]:
    if name in _PLAIN:
        return _PLAIN[name]
    decimal = _DECIMAL.fullmatch(name)
    if decimal and int(decimal[2]) <= int(decimal[1]) <= _MAX_DECIMAL_DIGITS and int(decimal[1]) > 0:
        precision, scale = int(decimal[1]), int(decimal[2])
        return pa.decimal128(precision, scale), f"DECIMAL({precision},{scale})"
    near = difflib.get_close_matches(name, _PLAIN, n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    raise ValueError(f"no type {name!r}; known are {', '.join(_PLAIN)}, decimal(precision, scale){hint}")


def arrow_type(name: str) -> pa.DataType:
    """The Arrow type of a contract type such as ``int64`` or ``decimal(12, 2)``.

    Raises:
        ValueError: there is no such type; the message lists the existing ones.

    >>> arrow_type("decimal(12, 2)")
    Decimal128Type(decimal128(12, 2))
    """
    return _look_up(name)[0]


def duckdb_type(name: str) -> str:
    """The DuckDB type of a contract type.

    >>> duckdb_type("timestamptz")
    'TIMESTAMP WITH TIME ZONE'
    """
    return _look_up(name)[1]


def contract_name(duckdb_name: str) -> str:
    """The contract's name of a DuckDB type, or DuckDB's own name where the contract has none.

    >>> contract_name("BIGINT"), contract_name("INTEGER[]")
    ('int64', 'INTEGER[]')
    """
    names = {duckdb: name for name, (_, duckdb) in _PLAIN.items()}
    return names.get(duckdb_name, duckdb_name.lower() if duckdb_name.startswith("DECIMAL") else duckdb_name)
