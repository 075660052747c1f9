"""Reads a task's SQL expressions before any data is read: which columns they use, and that they work row by row.

DuckDB itself reads them: its parser gives the syntax tree and its binder the type, so accepted expressions run there.
"""

import json
import re
import string
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import duckdb

from pipeline_assets.task import sql
from pipeline_assets.task.names import did_you_mean, listed

# Expressions per DuckDB statement: one statement costs more than one expression, but a very long statement costs more
# than its expressions one by one.
_CHUNK = 100
_CACHED = 100_000  # expressions; then the cache is emptied
_ASCII_LOWER = str.maketrans(string.ascii_uppercase, string.ascii_lowercase)


class ExpressionError(ValueError):
    """An expression that cannot be used; the message tells its author why."""


@dataclass(frozen=True)
class Expression:
    """An expression that was read.

    Attributes:
        columns: the columns it uses, in the contract's spelling, in the order of first use.
        type: the DuckDB type of its value.
    """

    columns: tuple[str, ...]
    type: str


@dataclass(frozen=True)
class _Parsed:
    """An expression that was parsed without knowledge of the columns.

    Attributes:
        names: the columns it names, in its spelling, in the order of first use.
        problem: why it is wrong whatever the columns are; ``None`` if it may be right.
    """

    names: tuple[str, ...] = ()
    problem: str | None = None


@dataclass(frozen=True)
class _Bound:
    """DuckDB's answer for an expression over typed columns: its type, or why it has none."""

    type: str = ""
    problem: str | None = None


# An expression with the columns it uses and their types: its own type depends on nothing else.
_Use = tuple[str, tuple[tuple[str, str], ...]]


@dataclass
class _Cache:
    """A cache: one task is read several times, for checks, descriptions, lineage, fingerprints and runs."""

    parsed: dict[str, _Parsed] = field(default_factory=dict)
    bound: dict[_Use, _Bound] = field(default_factory=dict)

    def add(self, parsed: Mapping[str, _Parsed], bound: Mapping[_Use, _Bound]) -> None:
        """Adds results. The cache is limited, because a process may run for months and read many edits of a task."""
        if len(self.parsed) + len(self.bound) > _CACHED:
            self.parsed.clear()
            self.bound.clear()
        self.parsed.update(parsed)
        self.bound.update(bound)


_cache = _Cache()


@cache
def _connection() -> duckdb.DuckDBPyConnection:
    connection = sql.connect(threads=1)
    connection.execute("set enable_external_access = false")
    return connection


def cursor() -> duckdb.DuckDBPyConnection:
    """A connection for expressions over given rows, in UTC; several cost hardly more than one."""
    connection = _connection().cursor()
    connection.execute("set TimeZone = 'UTC'")
    return connection


def _ask(statement: str, parameters: Sequence[object] = ()) -> list[tuple[Any, ...]]:
    """The rows of one statement. Each call has its own cursor, because threads may call at the same time."""
    return _connection().cursor().execute(statement, parameters).fetchall()


@cache
def _functions() -> dict[str, tuple[frozenset[str], bool]]:
    """Each function's kinds (scalar, aggregate, ...), and whether equal arguments always give an equal result."""
    rows = _ask(
        "select lower(function_name), function_type, stability = 'CONSISTENT' from duckdb_functions()"
        " where function_type in ('scalar', 'aggregate', 'window', 'macro')"
    )
    known: dict[str, tuple[frozenset[str], bool]] = {}
    for function, kind, consistent in rows:
        kinds, same = known.get(function, (frozenset(), True))
        known[function] = (kinds | {kind}, same and consistent is not False)
    return known


def read(expression: str, columns: Mapping[str, str]) -> Expression:
    """Parses and binds one expression.

    Args:
        expression: DuckDB SQL over one row.
        columns: the columns it may use, with their DuckDB types.

    Returns:
        The columns it uses and its type.

    Raises:
        ExpressionError: it does not parse, names something unknown, has a type error, or does not work row by row
            without state (aggregates, windows, subqueries, functions whose result changes from call to call).

    >>> read("dep // 100", {"dep": "BIGINT", "arr": "BIGINT"})
    Expression(columns=('dep',), type='BIGINT')
    """
    (found,) = read_all([expression], columns)
    if isinstance(found, ExpressionError):
        raise found
    return found


def read_all(expressions: Sequence[str], columns: Mapping[str, str]) -> list[Expression | ExpressionError]:
    """Parses and binds many expressions over the same columns, in time linear in their number.

    Args:
        expressions: DuckDB SQL over one row each.
        columns: the columns they may use, with their DuckDB types.

    Returns:
        For each expression the result of :func:`read`, or the error that it would raise.
    """
    known = _parse(expressions)
    spelling = {folded(column): column for column in columns}
    found: list[Expression | ExpressionError | _Use] = []
    for expression in expressions:
        parsed = known[expression]
        unknown = next((name for name in parsed.names if folded(name) not in spelling), None)
        if parsed.problem is not None:
            found.append(ExpressionError(f"{parsed.problem}{_how_to_quote(expression, columns)}"))
        elif unknown is not None:
            hint = _how_to_quote(expression, columns) or did_you_mean(unknown, columns)
            found.append(ExpressionError(f"no column {unknown}; there are {listed(columns)}{hint}"))
        else:
            used = dict.fromkeys(spelling[folded(name)] for name in parsed.names)
            found.append((expression, tuple((name, columns[name]) for name in used)))
    bound = _bind([use for use in found if isinstance(use, tuple)])
    _cache.add(known, bound)
    return [_answer(one, bound[one], columns) if isinstance(one, tuple) else one for one in found]


def read_named(expressions: Mapping[str, str], columns: Mapping[str, str]) -> dict[str, Expression]:
    """Parses and binds many expressions by name, as :func:`read_all`.

    Raises:
        ExpressionError: as :func:`read`, for the first that cannot be used.
    """
    found: dict[str, Expression] = {}
    for name, one in zip(expressions, read_all(list(expressions.values()), columns), strict=True):
        if isinstance(one, ExpressionError):
            raise one
        found[name] = one
    return found


def _answer(use: _Use, bound: _Bound, columns: Mapping[str, str]) -> Expression | ExpressionError:
    if bound.problem is not None:
        return ExpressionError(f"{bound.problem}{_how_to_quote(use[0], columns)}")
    return Expression(tuple(name for name, _ in use[1]), bound.type)


def folded(name: str) -> str:
    """A name as DuckDB compares it: only the case of ASCII letters is ignored."""
    return name.translate(_ASCII_LOWER)


@cache
def _words() -> frozenset[str]:
    """SQL keywords, which must be quoted to be a column's name."""
    rows = _ask(
        "select keyword_name from duckdb_keywords() where keyword_category in ('reserved', 'type_function')",
    )
    return frozenset(name for (name,) in rows)


def _how_to_quote(expression: str, columns: Mapping[str, str]) -> str:
    """The end of a sentence about a failed expression: that a column must be quoted; empty if that is not the cause."""
    unquoted = re.sub(r"""'[^']*'|"[^"]*\"""", " ", expression)
    for column in columns:
        plain = re.fullmatch(r"[^\W\d]\w*", column) and folded(column) not in _words()
        if not plain and re.search(rf"(?<!\w){re.escape(column)}(?!\w|\s*[(])", unquoted, re.IGNORECASE):
            return f"; write {sql.name(column)}, in double quotes: without them SQL does not read {column} as a name"
    return ""


def casts(literal: str, kind: str) -> bool:
    """Whether a literal is a value of a DuckDB type.

    >>> casts("'2026-02-28'", "DATE"), casts("'x'", "BIGINT")
    (True, False)
    """
    ((value,),) = _ask(f"select try_cast({literal} as {kind}) is not null")
    return bool(value)


def _parse(expressions: Sequence[str]) -> dict[str, _Parsed]:
    """Parses each expression; calls DuckDB only for those that are not cached."""
    known = {one: found for one in expressions if (found := _cache.parsed.get(one)) is not None}
    new = [one for one in dict.fromkeys(expressions) if one not in known]
    for start in range(0, len(new), _CHUNK):
        chunk = new[start : start + _CHUNK]
        # The line break ends a comment at the end of the expression.
        asked = [f"select (\n{expression}\n)" for expression in chunk]
        answers = _ask("select json_serialize_sql(one) from (select unnest(?) as one)", [asked])
        for expression, (answer,) in zip(chunk, answers, strict=True):
            known[expression] = _parsed(expression, answer)
    return known


def _parsed(expression: str, answer: str) -> _Parsed:
    if not expression.strip():
        return _Parsed(problem="it is empty")
    names: dict[str, None] = {}
    try:
        for node in _nodes(_tree(json.loads(answer))):
            _refuse_state(node)
            if node.get("class") == "COLUMN_REF":
                names[node["column_names"][0]] = None
    except ExpressionError as error:
        return _Parsed(problem=str(error))
    return _Parsed(tuple(names))


def _tree(tree: Mapping[str, Any]) -> dict[str, Any]:
    """The one value in the answer of DuckDB's parser."""
    if tree["error"]:
        raise ExpressionError(tree["error_message"].splitlines()[0])
    statements = tree["statements"]
    node = statements[0]["node"]
    only_one_value = (
        len(statements) == 1
        and node["type"] == "SELECT_NODE"
        and len(node["select_list"]) == 1
        and node["from_table"]["type"] == "EMPTY"
        and not any(node[part] for part in ("where_clause", "group_expressions", "having", "qualify", "modifiers"))
    )
    if not only_one_value:
        raise ExpressionError("not one expression: it goes on after its value has ended")
    tree_of_value: dict[str, Any] = node["select_list"][0]
    return tree_of_value


def _nodes(tree: Any, bound: frozenset[str] = frozenset()) -> Iterator[dict[str, Any]]:
    """Every node of the tree, without the parameters of lambdas."""
    if isinstance(tree, list):
        for item in tree:
            yield from _nodes(item, bound)
    elif isinstance(tree, dict):
        if tree.get("class") == "LAMBDA":
            names = {
                node["column_names"][0].lower() for node in _nodes(tree["lhs"]) if node.get("class") == "COLUMN_REF"
            }
            yield from _nodes(tree["expr"], bound | names)
            return
        if tree.get("class") == "COLUMN_REF" and tree["column_names"][0].lower() in bound:
            return
        if "class" in tree:
            yield tree
        for value in tree.values():
            if isinstance(value, dict | list):
                yield from _nodes(value, bound)


def _refuse_state(node: Mapping[str, Any]) -> None:
    match node.get("class"):
        case "SUBQUERY":
            raise ExpressionError("subqueries look beyond the row; expressions see one row at a time")
        case "WINDOW":
            raise ExpressionError("window functions look at other rows; expressions see one row at a time")
        case "STAR":
            raise ExpressionError("* stands for many columns; name the one that is meant")
        case "PARAMETER":
            raise ExpressionError("parameters (?, $1) have no value here")
        case "FUNCTION":
            function = node["function_name"].lower()
            if function == "age" and len(node["arguments"]) == 1:
                raise ExpressionError("age() of one moment counts from today; give it two")
            kinds, consistent = _functions().get(function, (frozenset({"scalar"}), True))
            if kinds & {"aggregate", "window"} and not kinds & {"scalar", "macro"}:
                raise ExpressionError(f"{function}() looks at other rows; expressions see one row at a time")
            if not consistent:
                raise ExpressionError(f"{function}() gives another answer each time; the same row must give the same")


def _bind(uses: Sequence[_Use]) -> dict[_Use, _Bound]:
    """Binds each use; calls DuckDB only for those that are not cached."""
    known = {use: found for use in uses if (found := _cache.bound.get(use)) is not None}
    new = [use for use in dict.fromkeys(uses) if use not in known]
    for start in range(0, len(new), _CHUNK):
        chunk = new[start : start + _CHUNK]
        try:
            known.update(zip(chunk, _types(chunk), strict=True))
        except duckdb.Error:
            # One of them fails, and the message does not say which.
            known.update((use, _bound_alone(use)) for use in chunk)
    return known


def _bound_alone(use: _Use) -> _Bound:
    try:
        return _types([use])[0]
    except duckdb.Error as error:
        return _Bound(problem=str(error).splitlines()[0])


def _types(uses: Sequence[_Use]) -> list[_Bound]:
    """Binds expressions of one task in one statement, over only the columns that they use."""
    columns = {name: kind for _, used in uses for name, kind in used}
    row = ", ".join(f"null::{kind} as {sql.name(name)}" for name, kind in columns.items()) or "null as nothing"
    values = ", ".join(f"(\n{expression}\n)" for expression, _ in uses)
    return [_Bound(str(kind)) for _, kind, *_ in _ask(f"describe select {values} from (select {row})")]
