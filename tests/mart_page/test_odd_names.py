"""Names that people give to columns, through every query of the page: none may be read as SQL or as a format."""

from datetime import timedelta
from typing import Any

import pyarrow as pa
import pytest
from psycopg2.sql import SQL, Identifier

from pipeline_assets.mart_page import catalog
from pipeline_assets.mart_page.catalog import Column, Mart
from pipeline_assets.mart_page.database import ReadOnlyDatabase
from pipeline_assets.mart_page.predicted import Predicted
from pipeline_assets.mart_page.route import Route
from pipeline_assets.mart_page.sampled import sample
from pipeline_assets.mart_page.scored import scores
from pipeline_assets.mart_page.views.batches.queries import truth
from pipeline_assets.mart_page.views.drift import queries as drift
from pipeline_assets.mart_page.views.marts import distribution, queries
from pipeline_assets.mart_page.views.marts.queries import Beside
from pipeline_assets.mart_page.views.marts.request import asked_of, columns_of
from pipeline_assets.mart_page.views.passport.queries import mart_rows
from pipeline_assets.task.batch import BatchRef
from pipeline_assets.task.spec import TaskSpec
from tests.examples import shop
from tests.fixtures.postgres import Marts
from tests.mart_page.filled import START, cursor_of, put_input, put_output

NAMES = (
    "Ставка, %",
    "%s",
    "%(batch)s",
    "100%% sure",
    'he said "hi"',
    "it's; --",
    "{braces} {0}",
    "back\\slash",
    "a, b",
    "ставка клиента по договору",  # 50 bytes
)
ROWS = 40


def task_of(name: str) -> TaskSpec:
    """A task whose key and one feature are columns of the name."""
    quoted = '"' + name.replace('"', '""') + '"'
    return shop(
        key=[name],
        columns={
            name: {"type": "string", "description": "100 % {odd}"},
            "price": {"type": "float64"},
            "returned": {"type": "bool", "nullable": True, "stage": "train"},
        },
        checks=None,
        features={"numeric": {"price": "price"}, "categorical": {"odd": quoted}},
        training={"parameters": {"iterations": 5}},
    )


def rows(name: str, *, label: bool) -> pa.Table:
    values: dict[str, Any] = {
        name: [f"v{row % 4} 100%" for row in range(ROWS)],
        "price": [float(row) for row in range(ROWS)],
        "feature_price": [float(row) for row in range(ROWS)],
        "feature_odd": ["x"] * ROWS,
    }
    return pa.table({**values, **({"label": pa.array([row % 2 for row in range(ROWS)], pa.int8())} if label else {})})


def mart(marts: Marts, task: TaskSpec, which: catalog.Which) -> Mart:
    with cursor_of(marts) as cursor:
        found = catalog.mart(cursor, marts.schema, task, which)
    assert found is not None
    return found


@pytest.mark.parametrize("name", NAMES)
def test_every_query_takes_the_name(marts: Marts, name: str) -> None:
    task = task_of(name)
    put_input(marts, task, "train", "50%", rows(name, label=True))
    put_input(marts, task, "predict", "50%", rows(name, label=False))
    put_output(marts, task, "50%", [row / ROWS for row in range(ROWS)], run="r", day=1)
    train, inputs, output = (mart(marts, task, which) for which in ("train_input", "predict_input", "predict_output"))
    assert inputs.columns[name].key

    with cursor_of(marts) as cursor:
        compared = drift.drift(cursor, train, inputs, "50%", "50%")
        (found,) = scores(cursor, task, output, [Predicted("50%", 1, "r", START)])
    assert compared is not None
    assert name in {shift.column.name for shift in compared.columns}
    assert found.rows == ROWS

    filters = {"w1c": name, "w1o": "contains", "w1v": "1 100%", "sort": name, "about": name}
    asked, wrong = asked_of(Route("input", task.name, "50%", None, filters), inputs, "en")
    assert not wrong
    with cursor_of(marts) as cursor:
        page = queries.page(cursor, asked, columns_of(Route(), inputs), 1, Beside(output, output.named("score")))
        counted = queries.count(cursor, asked)
        seen = distribution.distribution(cursor, asked, inputs.columns[name])
        batches = queries.batches(cursor, inputs)
    assert [row[page.columns.index(name)] for row in page.rows] == ["v1 100%"] * 10
    assert (counted, seen.values, batches) == (10, ("v1 100%",), ["50%"])

    database = ReadOnlyDatabase(marts.server, marts.schema)
    with database.reading(stream=True) as cursor:
        streamed = queries.stream(cursor, asked, [name, "price"]).read_all()
    database.close()
    assert streamed.column_names == [name, "price"]
    assert streamed.num_rows == 10

    with cursor_of(marts) as cursor:
        known = truth(cursor, "50%", output=output, inputs=inputs, trains=train)
        row = mart_rows(cursor, marts.schema, task, BatchRef(task.name, "train", "50%"), 3)
    assert known is not None
    assert len(known.labels) == ROWS
    assert row.label == 1


def test_a_name_that_the_database_cannot_have_stays_key_and_feature(marts: Marts) -> None:
    long = "о" * 40
    task = shop(
        key=["xmin", long],
        columns={
            "xmin": {"type": "int64"},
            long: {"type": "string"},
            "returned": {"type": "bool", "nullable": True, "stage": "train"},
        },
        checks=None,
        features={"numeric": {"x": "xmin"}, "categorical": {long: f'"{long}"'}},
        training=None,
    )
    values = {"xmin": list(range(ROWS)), long: ["x"] * ROWS, "feature_x": [1.0] * ROWS, f"feature_{long}": ["x"] * ROWS}
    labels = {"label": pa.array([row % 2 for row in range(ROWS)], pa.int8())}
    put_input(marts, task, "train", "b", pa.table(values | labels))
    put_input(marts, task, "predict", "b", pa.table(values))
    put_output(marts, task, "b", [row / ROWS for row in range(ROWS)], run="r", day=1)
    train, inputs, output = (mart(marts, task, which) for which in ("train_input", "predict_input", "predict_output"))
    assert len(inputs.named("feature")) == 2
    assert [name for name, column in inputs.columns.items() if column.key][2:] == [*inputs.task_key]
    with cursor_of(marts) as cursor:
        known = truth(cursor, "b", output=output, inputs=inputs, trains=train)
    assert known is not None
    assert len(known.labels) == ROWS


def test_the_pipelines_own_columns_may_have_stepped_aside(marts: Marts) -> None:
    """A user's columns ``batch`` and ``label`` keep their names; the address is found beside them."""
    table = Identifier(marts.schema, "m")
    marts.query(SQL("CREATE SCHEMA IF NOT EXISTS {}").format(Identifier(marts.schema)))
    marts.query(SQL("CREATE TABLE {} (pipeline_batch text, row_number bigint, batch text, price float8)").format(table))
    marts.query(SQL("INSERT INTO {} SELECT 'b', n, 'users ' || n, n FROM generate_series(0, 9) n").format(table))
    kinds = {"pipeline_batch": "text", "row_number": "bigint", "batch": "text", "price": "double precision"}
    columns = {
        name: Column(name, kind, "", "address" if name in ("pipeline_batch", "row_number") else "raw", key=False)
        for name, kind in kinds.items()
    }
    found = Mart(marts.schema, "m", "", columns, ("pipeline_batch", "row_number"))
    asked, _ = asked_of(Route("input", "t", "b", None, {"w1c": "batch", "w1o": "is", "w1v": "users 3"}), found, "en")
    with cursor_of(marts) as cursor:
        page = queries.page(cursor, asked, columns_of(Route(), found), 1)
        names = queries.batches(cursor, found)
        taken = sample(cursor, found, "b", [columns["batch"]], 5)
    assert page.rows == [("b", 3, "users 3", 3.0)]
    assert names == ["b"]
    assert taken is not None
    assert taken.rows == 5


def test_marts_without_a_decision_are_read(marts: Marts) -> None:
    """Tasks without a rule have no decision; their predictions have a label instead."""
    task = shop(output=None)
    table = Identifier(marts.schema, "shop_predict_output")
    marts.query(SQL("CREATE SCHEMA IF NOT EXISTS {}").format(Identifier(marts.schema)))
    marts.query(
        SQL(
            "CREATE TABLE {} (batch text, row_number bigint, probability float8, predicted_label bool,"
            " model_version bigint, run_id text, predicted_at timestamptz)"
        ).format(table)
    )
    marts.query(
        SQL("INSERT INTO {} SELECT 'b', n, n / 10.0, n >= 5, 1, 'r', %s FROM generate_series(0, 9) n").format(table),
        START + timedelta(days=1),
    )
    output = mart(marts, task, "predict_output")
    assert output.named("score") == ("probability", "predicted_label")
    with cursor_of(marts) as cursor:
        (found,) = scores(cursor, task, output, [Predicted("b", 1, "r", START)])
        row = mart_rows(cursor, marts.schema, task, BatchRef("shop", "predict", "b"), 7)
    assert (found.rows, found.decided) == (10, None)
    assert row.prediction is not None
    assert (row.prediction.scores["predicted_label"], row.prediction.decision) == (True, None)
