"""Quotes names and values for DuckDB's SQL, and opens DuckDB connections."""

from typing import Any

import duckdb


def name(identifier: str) -> str:
    """An identifier, quoted.

    >>> name("flight date")
    '"flight date"'
    """
    return '"' + identifier.replace('"', '""') + '"'


def text(value: str) -> str:
    """A string literal.

    >>> text("it's")
    "'it''s'"
    """
    return "'" + value.replace("'", "''") + "'"


def literal(value: Any) -> str:
    """A YAML scalar (string, number, bool, date) as a DuckDB literal.

    >>> literal(True), literal(1.5), literal("AA")
    ('true', '1.5', "'AA'")
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    return text(str(value))


def connect(*, threads: int = 2, memory_limit: str = "1GB", spill: str = "") -> duckdb.DuckDBPyConnection:
    """A private in-memory database.

    The time zone is UTC and extensions are never downloaded, so that a file gives the same rows on every machine.

    Args:
        threads: of one query.
        memory_limit: how much DuckDB may hold in memory before it writes to ``spill``.
        spill: folder for data that does not fit; without it too large a query fails.
    """
    connection = duckdb.connect(
        config={
            "threads": threads,
            "memory_limit": memory_limit,
            "temp_directory": spill,
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
            "preserve_insertion_order": True,
        }
    )
    connection.execute("set TimeZone = 'UTC'")
    return connection
