"""The contract's type names and their types in Arrow and DuckDB, both ways, nested ones included."""

import difflib
import re
from collections.abc import Iterator
from functools import lru_cache

import pyarrow as pa
import pyarrow.types as pat

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
    "time_ns": (pa.time64("ns"), "TIME_NS"),
    "timestamp": (pa.timestamp("us"), "TIMESTAMP"),
    "timestamp_ns": (pa.timestamp("ns"), "TIMESTAMP_NS"),
    "timestamptz": (pa.timestamp("us", tz="UTC"), "TIMESTAMP WITH TIME ZONE"),
    "timestamptz_ns": (pa.timestamp("ns", tz="UTC"), "TIMESTAMPTZ_NS"),
    "binary": (pa.binary(), "BLOB"),
    "map<string, float64>": (pa.map_(pa.string(), pa.float64()), "MAP(VARCHAR, DOUBLE)"),
}
_SIZED = ("decimal(precision, scale)", "list<type>", "struct<name: type, ...>", "map<type, type>")
_NAME_OF = {arrow: name for name, (arrow, _) in _PLAIN.items()}
_ARROW_OF = {
    **{duckdb: arrow for arrow, duckdb in _PLAIN.values()},
    # These are only in files.
    '"NULL"': pa.null(),
    "UUID": pa.uuid(),
    "JSON": pa.json_(),
}
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
_MAX_DECIMAL_DIGITS = 38
# A quoted name, a bracket or another mark, or a word.
_TOKEN = re.compile(r'\s*("(?:[^"]|"")*"|[<>(),:\[\]]|[^\s<>(),:\[\]"]+)\s*')
_WORD = re.compile(r"\w+")
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
    tokens = _Tokens(name)
    try:
        kind = _contract_type(tokens)
        tokens.end()
    except _TypeNameError as error:
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
    return kind in _NAME_OF or pat.is_decimal(kind)


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
    tokens = _Tokens(name)
    try:
        kind = _type_of_duckdb(tokens)
        tokens.end()
    except _TypeNameError:
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
        if kind.precision > _MAX_DECIMAL_DIGITS or not 0 <= kind.scale <= kind.precision:
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
    return held if held in _NAME_OF else None


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
    return _NAME_OF[kind]


def _duckdb_type(kind: pa.DataType) -> str:
    if pat.is_decimal(kind):
        return f"DECIMAL({kind.precision},{kind.scale})"
    if pat.is_map(kind):
        return f"MAP({_duckdb_type(kind.key_type)}, {_duckdb_type(kind.item_type)})"
    if pat.is_struct(kind):
        return f"STRUCT({', '.join(f'{_quoted(field.name)} {_duckdb_type(field.type)}' for field in _fields(kind))})"
    if pat.is_list(kind):
        return f"{_duckdb_type(kind.value_type)}[]"
    return _PLAIN[_NAME_OF[kind]][1]


def _fields(kind: pa.DataType) -> Iterator[pa.Field]:
    return (kind.field(place) for place in range(kind.num_fields))


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _written(name: str) -> str:
    return name if _WORD.fullmatch(name) else _quoted(name)


class _TypeNameError(ValueError):
    """A type that cannot be read; the message is the end of the sentence about it."""


class _Tokens:
    """The words and marks of a type, read one after the other."""

    def __init__(self, text: str) -> None:
        self._left: list[str] = []
        at = 0
        while at < len(text):
            found = _TOKEN.match(text, at)
            if found is None:
                # What cannot be read is given as one word, which no type is called.
                self._left.append(text[at:])
                break
            self._left.append(found[1])
            at = found.end()
        self._left.reverse()

    @property
    def next(self) -> str:
        """The next one, which stays; empty at the end."""
        return self._left[-1] if self._left else ""

    def take(self, *wanted: str) -> str:
        """The next one, which must be one of ``wanted`` where any are given."""
        if wanted and self.next not in wanted:
            raise _TypeNameError(f": {' or '.join(wanted)} is missing before {self.next or 'its end'}")
        return self._left.pop() if self._left else ""

    def name(self) -> str:
        """The name of a struct's field, unquoted."""
        token = self.take()
        if len(token) > 2 and token.startswith('"'):  # noqa: PLR2004 - two quotation marks
            return token[1:-1].replace('""', '"')
        if not _WORD.fullmatch(token):
            raise _TypeNameError(f": a field's name is missing before {token or 'its end'}")
        return token

    def end(self) -> None:
        """Refuses what goes on."""
        if self._left:
            raise _TypeNameError(f": it goes on with {self.next} after its end")


def _contract_type(tokens: _Tokens) -> pa.DataType:
    word = tokens.take()
    if word in _PLAIN:
        return _PLAIN[word][0]
    if word == "decimal" and tokens.next == "(":
        return _decimal(tokens)
    if word in ("list", "struct", "map") and tokens.next == "<":
        tokens.take()
        if word == "list":
            kind = pa.list_(_contract_type(tokens))
        elif word == "map":
            key = _contract_type(tokens)
            tokens.take(",")
            kind = pa.map_(key, _contract_type(tokens))
        else:
            kind = _struct(tokens, colon=True)
        tokens.take(">")
        return kind
    near = difflib.get_close_matches(word, _PLAIN, n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    raise _TypeNameError(f"; known are {', '.join([*_PLAIN, *_SIZED])}{hint}")


def _type_of_duckdb(tokens: _Tokens) -> pa.DataType:
    word = tokens.take()
    if word == "DECIMAL" and tokens.next == "(":
        kind = _decimal(tokens)
    elif word == "STRUCT" and tokens.next == "(":
        tokens.take()
        kind = _struct(tokens, colon=False)
        tokens.take(")")
    elif word == "MAP" and tokens.next == "(":
        tokens.take()
        key = _type_of_duckdb(tokens)
        tokens.take(",")
        kind = pa.map_(key, _type_of_duckdb(tokens))
        tokens.take(")")
    else:
        while _WORD.fullmatch(tokens.next):
            word = f"{word} {tokens.take()}"
        if word not in _ARROW_OF:
            raise _TypeNameError(f"; {word} has no name in the contract")
        kind = _ARROW_OF[word]
    while tokens.next == "[":
        tokens.take()
        if tokens.next != "]":
            tokens.take()  # the size of an array
        tokens.take("]")
        kind = pa.list_(kind)
    return kind


def _struct(tokens: _Tokens, *, colon: bool) -> pa.DataType:
    fields: dict[str, pa.DataType] = {}
    while not fields or tokens.next == ",":
        if fields:
            tokens.take(",")
        name = tokens.name()
        if name.lower() in {known.lower() for known in fields}:
            raise _TypeNameError(f": two of its fields are called {name}, and the case of letters is no difference")
        if colon:
            tokens.take(":")
        fields[name] = _contract_type(tokens) if colon else _type_of_duckdb(tokens)
    return pa.struct(list(fields.items()))


def _decimal(tokens: _Tokens) -> pa.DataType:
    tokens.take("(")
    precision = tokens.take()
    tokens.take(",")
    scale = tokens.take()
    tokens.take(")")
    if not (precision.isdecimal() and scale.isdecimal() and 0 < int(precision) <= _MAX_DECIMAL_DIGITS):
        raise _TypeNameError(f": a decimal has 1 to {_MAX_DECIMAL_DIGITS} digits, as in decimal(12, 2)")
    if int(scale) > int(precision):
        raise _TypeNameError(": a decimal has no more digits after the point than altogether")
    return pa.decimal128(int(precision), int(scale))
