"""Reads type names as the contract and as DuckDB spell them, nested ones included, into Arrow types."""

import difflib
import re

import pyarrow as pa

PLAIN: dict[str, tuple[pa.DataType, str]] = {
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
}
_SIZED = ("decimal(precision, scale)", "list<type>", "struct<name: type, ...>", "map<type, type>")
NAME_OF = {arrow: name for name, (arrow, _) in PLAIN.items()}
_ARROW_OF = {
    **{duckdb: arrow for arrow, duckdb in PLAIN.values()},
    # These are only in files.
    '"NULL"': pa.null(),
    "UUID": pa.uuid(),
    "JSON": pa.json_(),
}
MAX_DECIMAL_DIGITS = 38
# A quoted name, a bracket or another mark, or a word.
_TOKEN = re.compile(r'\s*("(?:[^"]|"")*"|[<>(),:\[\]]|[^\s<>(),:\[\]"]+)\s*')
WORD = re.compile(r"\w+")


class TypeNameError(ValueError):
    """A type that cannot be read; the message is the end of the sentence about it."""


class Tokens:
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
            raise TypeNameError(f": {' or '.join(wanted)} is missing before {self.next or 'its end'}")
        return self._left.pop() if self._left else ""

    def name(self) -> str:
        """The name of a struct's field, unquoted."""
        token = self.take()
        if len(token) > 2 and token.startswith('"'):  # noqa: PLR2004 - two quotation marks
            return token[1:-1].replace('""', '"')
        if not WORD.fullmatch(token):
            raise TypeNameError(f": a field's name is missing before {token or 'its end'}")
        return token

    def end(self) -> None:
        """Refuses what goes on."""
        if self._left:
            raise TypeNameError(f": it goes on with {self.next} after its end")


def contract_type(tokens: Tokens) -> pa.DataType:
    """The next type as the contract spells it.

    Raises:
        TypeNameError: there is no such type.
    """
    word = tokens.take()
    if word in PLAIN:
        return PLAIN[word][0]
    if word == "decimal" and tokens.next == "(":
        return _decimal(tokens)
    if word in ("list", "struct", "map") and tokens.next == "<":
        tokens.take()
        if word == "list":
            kind = pa.list_(contract_type(tokens))
        elif word == "map":
            key = contract_type(tokens)
            tokens.take(",")
            kind = pa.map_(key, contract_type(tokens))
        else:
            kind = _struct(tokens, colon=True)
        tokens.take(">")
        return kind
    near = difflib.get_close_matches(word, PLAIN, n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    raise TypeNameError(f"; known are {', '.join([*PLAIN, *_SIZED])}{hint}")


def duckdb_type(tokens: Tokens) -> pa.DataType:
    """The next type as DuckDB spells it.

    Raises:
        TypeNameError: it is none of those that columns of files have.
    """
    word = tokens.take()
    if word == "DECIMAL" and tokens.next == "(":
        kind = _decimal(tokens)
    elif word == "STRUCT" and tokens.next == "(":
        tokens.take()
        kind = _struct(tokens, colon=False)
        tokens.take(")")
    elif word == "MAP" and tokens.next == "(":
        tokens.take()
        key = duckdb_type(tokens)
        tokens.take(",")
        kind = pa.map_(key, duckdb_type(tokens))
        tokens.take(")")
    else:
        while WORD.fullmatch(tokens.next):
            word = f"{word} {tokens.take()}"
        if word not in _ARROW_OF:
            raise TypeNameError(f"; {word} has no name in the contract")
        kind = _ARROW_OF[word]
    while tokens.next == "[":
        tokens.take()
        if tokens.next != "]":
            tokens.take()  # the size of an array
        tokens.take("]")
        kind = pa.list_(kind)
    return kind


def _struct(tokens: Tokens, *, colon: bool) -> pa.DataType:
    fields: dict[str, pa.DataType] = {}
    while not fields or tokens.next == ",":
        if fields:
            tokens.take(",")
        name = tokens.name()
        if name.lower() in {known.lower() for known in fields}:
            raise TypeNameError(f": two of its fields are called {name}, and the case of letters is no difference")
        if colon:
            tokens.take(":")
        fields[name] = contract_type(tokens) if colon else duckdb_type(tokens)
    return pa.struct(list(fields.items()))


def _decimal(tokens: Tokens) -> pa.DataType:
    tokens.take("(")
    precision = tokens.take()
    tokens.take(",")
    scale = tokens.take()
    tokens.take(")")
    if not (precision.isdecimal() and scale.isdecimal() and 0 < int(precision) <= MAX_DECIMAL_DIGITS):
        raise TypeNameError(f": a decimal has 1 to {MAX_DECIMAL_DIGITS} digits, as in decimal(12, 2)")
    if int(scale) > int(precision):
        raise TypeNameError(": a decimal has no more digits after the point than altogether")
    return pa.decimal128(int(precision), int(scale))
