"""Reads a task's SQL expressions before any data does: what they use, and that they work row by row.

The reader is DuckDB's own: its parser gives the syntax tree and its binder the type, so what passes here runs there.
"""

import difflib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import duckdb

from pipeline_assets.task import sql


class ExpressionError(ValueError):
    """An expression that cannot be used; the message says why, in words for its author."""


@dataclass(frozen=True)
class Expression:
    """An expression that was read.

    Attributes:
        columns: the columns it uses, in the spelling of the contract, first use first.
        type: the DuckDB type of its value.
    """

    columns: tuple[str, ...]
    type: str


@cache
def _connection() -> duckdb.DuckDBPyConnection:
    connection = sql.connect(threads=1)
    connection.execute("set enable_external_access = false")
    return connection


@cache
def _functions() -> dict[str, tuple[frozenset[str], bool]]:
    """Each function's kinds (scalar, aggregate, ...) and whether it always gives the same for the same."""
    rows = _connection().execute(
        "select lower(function_name), function_type, stability = 'CONSISTENT' from duckdb_functions()"
        " where function_type in ('scalar', 'aggregate', 'window', 'macro')"
    )
    known: dict[str, tuple[frozenset[str], bool]] = {}
    for function, kind, consistent in rows.fetchall():
        kinds, same = known.get(function, (frozenset(), True))
        known[function] = (kinds | {kind}, same and consistent is not False)
    return known


def read(expression: str, columns: Mapping[str, str]) -> Expression:
    """Parses and binds one expression.

    Args:
        expression: DuckDB SQL over one row.
        columns: the columns it may use, with their DuckDB types.

    Returns:
        What it uses and the type it gives.

    Raises:
        ExpressionError: it does not parse, names what is not there, has a type error, or does not work row by
            row and without memory (aggregates, windows, subqueries, functions that give another answer each time).

    >>> read("dep // 100", {"dep": "BIGINT", "arr": "BIGINT"})
    Expression(columns=('dep',), type='BIGINT')
    """
    spelling = {column.lower(): column for column in columns}
    used: dict[str, None] = {}
    for node in _nodes(_tree(expression)):
        _refuse_state(node)
        if node.get("class") == "COLUMN_REF":
            column = node["column_names"][0]
            if column.lower() not in spelling:
                raise ExpressionError(
                    f"no column {column}; there are {', '.join(columns) or 'none'}{_near(column, columns)}"
                )
            used[spelling[column.lower()]] = None
    return Expression(tuple(used), _bind(expression, columns))


def casts(literal: str, kind: str) -> bool:
    """Whether a literal is a value of a DuckDB type.

    >>> casts("'2026-02-28'", "DATE"), casts("'x'", "BIGINT")
    (True, False)
    """
    row = _connection().cursor().execute(f"select try_cast({literal} as {kind}) is not null").fetchone()
    return row is not None and bool(row[0])


def _near(column: str, columns: Mapping[str, str]) -> str:
    near = difflib.get_close_matches(column, columns, n=1)
    return f"; did you mean {near[0]}?" if near else ""


def _tree(expression: str) -> dict[str, Any]:
    # The line break ends a comment that the expression may close with.
    if not expression.strip():
        raise ExpressionError("it is empty")
    asked = f"select (\n{expression}\n)"
    answer = _connection().cursor().execute("select json_serialize_sql(?)", [asked]).fetchone()
    if answer is None:
        raise ExpressionError("it has no value")
    tree: dict[str, Any] = json.loads(answer[0])
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
    """Every node of the tree but the parameters of lambdas."""
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


def _bind(expression: str, columns: Mapping[str, str]) -> str:
    row = ", ".join(f"null::{kind} as {sql.name(column)}" for column, kind in columns.items()) or "null as nothing"
    try:
        described = (
            _connection()
            .cursor()
            .execute(f"describe select (\n{expression}\n) as value from (select {row})")
            .fetchone()
        )
    except duckdb.Error as error:
        raise ExpressionError(str(error).splitlines()[0]) from None
    if described is None:
        raise ExpressionError("it has no value")
    return str(described[1])
