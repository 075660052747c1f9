"""What the mart page waits for: the first rows of a large mart, and any filter on a column of its key.

The questions are the page's own, asked as it asks them; each answer is the rows of the first page, and then how many
there are. The server has not vacuumed since the load, which is when people look.
"""

import statistics
import time
from collections.abc import Iterator, Mapping
from typing import Any

from psycopg2.sql import SQL

from benchmarks import report
from benchmarks.mart_load import SCHEMA, connect
from benchmarks.workspace import BATCH, Workspace, parquet
from pipeline_assets.mart_page import catalog
from pipeline_assets.mart_page.catalog import Mart
from pipeline_assets.mart_page.database import ReadOnlyDatabase
from pipeline_assets.mart_page.route import Route
from pipeline_assets.mart_page.views.marts import queries as marts
from pipeline_assets.mart_page.views.marts.filters import filters_of
from pipeline_assets.mart_page.views.marts.queries import Asked
from pipeline_assets.stores.marts.greenplum import MartStore
from pipeline_assets.stores.marts.tables import input_mart

STEP = "mart page"
WITHIN = 2.0  # seconds
_ROUNDS = 3


def measure(workspace: Workspace) -> dict[str, Any]:
    """Loads the training input mart and asks; the numbers as the report keeps them."""
    table = input_mart(workspace.task, "train")
    began = time.perf_counter()
    rows = MartStore(workspace.postgres, SCHEMA).replace(table, {"batch": BATCH}, parquet(workspace.mart("train")))
    loaded = time.perf_counter() - began
    database = ReadOnlyDatabase(workspace.postgres, SCHEMA, seconds=600)
    with database.reading() as cursor:
        mart = catalog.mart(cursor, SCHEMA, workspace.task, "train_input")
    if mart is None:
        raise RuntimeError("the mart was loaded and is not there")
    answers = {what: _answer(database, asked) for what, asked in _questions(workspace, mart)}
    database.close()
    connection = connect(workspace)
    with connection, connection.cursor() as cursor:
        cursor.execute(SQL("TRUNCATE {}").format(mart.sql))
    connection.close()
    return {
        "step": STEP,
        "machine": report.machine(),
        "rows": rows,
        "load_seconds": round(loaded, 1),
        "within_seconds": WITHIN,
        "answers": answers,
        "missed": [what for what, one in answers.items() if one["first_seconds"] + one["count_seconds"] > WITHIN],
    }


def table(told: Mapping[str, Any]) -> str:
    """For people."""
    head = f"mart page, {told['rows']:,} rows: seconds until the rows, until the count; wanted {told['within_seconds']}"
    lines = [
        f"  {what:<44}{one['first_seconds']:>8.3f}{one['count_seconds']:>8.3f}"
        + ("  MISSED" if what in told["missed"] else "")
        for what, one in told["answers"].items()
    ]
    return "\n".join([head, *lines])


def _questions(workspace: Workspace, mart: Mart) -> Iterator[tuple[str, Asked]]:
    yield "first view", _asked(mart)
    yield "first view of the batch", _asked(mart, batch=BATCH)
    last, common, rare = _values(workspace, mart)
    for column in workspace.task.key:
        text = mart.columns[column].kind == "text"
        yield f"{column} is the most frequent value", _asked(mart, (column, "is", common[column]))
        yield f"{column} is the rarest value", _asked(mart, (column, "is", rare[column]))
        yield f"{column} is at least the last value", _asked(mart, (column, "at_least", last[column]))
        yield f"{column} is at most the last value", _asked(mart, (column, "at_most", last[column]))
        if mart.columns[column].kind != "date":
            yield f"{column} is a value that no row has", _asked(mart, (column, "is", f"{last[column]}9"))
        if text:
            yield f"{column} contains no such word", _asked(mart, (column, "contains", "no such word"))
            yield f"{column} contains a letter", _asked(mart, (column, "contains", "a"))
        yield f"ordered by {column}, largest first", _asked(mart, sort=column, down=True)
    yield "row_number is at least 0.9 of all", _asked(mart, ("row_number", "at_least", str(workspace.rows * 9 // 10)))


def _values(workspace: Workspace, mart: Mart) -> tuple[dict[str, str], ...]:
    """Last, most frequent and rarest value of each column of the key."""
    found: tuple[dict[str, str], ...] = ({}, {}, {})
    connection = connect(workspace)
    with connection, connection.cursor() as cursor:
        for column in workspace.task.key:
            query = SQL("SELECT {}::text, count(*) FROM {} GROUP BY 1 ORDER BY 2").format(
                mart.columns[column].sql, mart.sql
            )
            cursor.execute(query)
            counted = [value for value, _ in cursor.fetchall()]
            ordered = sorted(counted, key=int if mart.columns[column].numeric else str)
            values = (ordered[-1], counted[-1], counted[0])
            for place, value in enumerate(values):
                found[place][column] = value
    connection.close()
    return found


def _asked(
    mart: Mart, *filters: tuple[str, str, str], batch: str | None = None, sort: str | None = None, down: bool = False
) -> Asked:
    more = {
        f"w{slot}{part}": text for slot, one in enumerate(filters, 1) for part, text in zip("cov", one, strict=True)
    }
    found, wrong = filters_of(Route(more=more), mart, "en")
    if wrong:
        raise ValueError(wrong)
    return Asked(mart, batch, tuple(found), marts.order_of(mart, found, sort, down=down))


def _answer(database: ReadOnlyDatabase, asked: Asked) -> dict[str, float]:
    columns = [name for name, column in asked.mart.columns.items() if column.role != "feature"]
    pages, counts = [], []
    for _ in range(_ROUNDS):
        with database.reading() as cursor:
            began = time.perf_counter()
            marts.page(cursor, asked, columns, 1)
            pages.append(time.perf_counter() - began)
            began = time.perf_counter()
            marts.count(cursor, asked)
            counts.append(time.perf_counter() - began)
    return {
        "first_seconds": round(pages[0], 3),
        "median_seconds": round(statistics.median(pages), 3),
        "count_seconds": round(counts[0], 3),
    }
