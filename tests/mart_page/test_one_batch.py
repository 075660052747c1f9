"""What concerns one batch reads the partition of that batch alone, as the server's own plans say."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from psycopg2.extensions import cursor as Cursor  # noqa: N812 - it is a class
from psycopg2.sql import SQL, Identifier

from pipeline_assets.mart_page import catalog
from pipeline_assets.mart_page.catalog import Mart, Which
from pipeline_assets.mart_page.route import Route
from pipeline_assets.mart_page.sampled import sample
from pipeline_assets.mart_page.views.batches.queries import truth
from pipeline_assets.mart_page.views.drift.queries import drift
from pipeline_assets.mart_page.views.marts import distribution, queries
from pipeline_assets.mart_page.views.marts.queries import Asked, Beside
from pipeline_assets.mart_page.views.marts.request import asked_of
from pipeline_assets.mart_page.views.passport.queries import mart_rows
from pipeline_assets.stores.marts.tables import lineage
from pipeline_assets.task.batch import BatchRef
from tests.examples import orders, shop
from tests.fixtures.postgres import Marts
from tests.mart_page.filled import choice, put_choices, put_input, put_output

TASK = shop(key=["order_id", "country"])
BATCHES = ("a", "b'; --", "c \\")
BATCH = BATCHES[1]
_SCANNED = re.compile(r"(?:Seq|Index|Index Only|Bitmap Heap) Scan (?:Backward )?(?:using \S+ )?on (\S+)")


class Recording(Cursor):
    """Keeps the statements that were executed."""

    def execute(self, query: Any, values: Any = None) -> None:
        super().execute(query, values)
        self.__dict__.setdefault("statements", []).append(self.query)


Question = Callable[[Cursor, "Filled"], object]


class Filled:
    """Marts of three batches, and what the page asks of them."""

    def __init__(self, cursor: Cursor, marts: Marts) -> None:
        self.schema = marts.schema
        self._marts: dict[Which, Mart] = {}
        names: tuple[Which, ...] = ("train_input", "predict_input", "predict_output")
        for which in names:
            found = catalog.mart(cursor, marts.schema, TASK, which)
            assert found is not None
            self._marts[which] = found

    def __getitem__(self, which: Which) -> Mart:
        return self._marts[which]

    def asked(self, **more: str) -> Asked:
        asked, wrong = asked_of(Route(batch=BATCH, more=more), self["predict_input"], "en")
        assert not wrong
        return asked

    def page(self, cursor: Cursor, number: int = 1, **more: str) -> None:
        output = self["predict_output"]
        columns = tuple(self["predict_input"].columns)
        queries.page(cursor, self.asked(**more), columns, number, Beside(output, output.named("score")))


QUESTIONS: dict[str, Question] = {
    "first page": lambda cursor, there: there.page(cursor),
    "second page": lambda cursor, there: there.page(cursor, 2),
    "from the end": lambda cursor, there: there.page(cursor, sort="row_number", down="1"),
    "by a column": lambda cursor, there: there.page(cursor, sort="price"),
    "by a key": lambda cursor, there: there.page(cursor, sort="order_id"),
    "key filter": lambda cursor, there: there.page(cursor, w1c="country", w1o="is", w1v="FR"),
    "filter": lambda cursor, there: there.page(cursor, w1c="price", w1o="at_least", w1v="3"),
    "words of a key": lambda cursor, there: there.page(cursor, w1c="country", w1o="contains", w1v="r"),
    "count": lambda cursor, there: queries.count(cursor, there.asked(w1c="price", w1o="at_least", w1v="3")),
    "values": lambda cursor, there: distribution.distribution(
        cursor, there.asked(), there["predict_input"].columns["price"]
    ),
    "sample": lambda cursor, there: sample(cursor, there["predict_input"], BATCH, [], 10),
    "drift": lambda cursor, there: drift(cursor, there["train_input"], there["predict_input"], BATCH, BATCH),
    "passport": lambda cursor, there: mart_rows(cursor, there.schema, TASK, BatchRef(TASK.name, "predict", BATCH), 3),
    "label": lambda cursor, there: mart_rows(cursor, there.schema, TASK, BatchRef(TASK.name, "train", BATCH), 3),
    "lineage": lambda cursor, there: cursor.execute(
        SQL("SELECT * FROM {} WHERE batch = %s").format(Identifier(there.schema, f"{TASK.name}_lineage")), [BATCH]
    ),
}


@pytest.fixture
def filled(marts: Marts) -> Marts:
    for batch in BATCHES:
        put_input(marts, TASK, "train", batch, orders(60))
        put_input(marts, TASK, "predict", batch, orders(60, stage="predict"))
        put_output(marts, TASK, batch, [row / 60 for row in range(60)], run="r", day=1)
    put_choices(marts, TASK, [choice("r", "predict", 1, day=1, batch=BATCH)])
    marts.store.ensure_view(lineage(TASK))
    return marts


def test_it_reads_its_partition_alone(filled: Marts) -> None:
    with recording(filled) as cursor:
        there = Filled(cursor, filled)
        of_batch = partitions(cursor, there, [BATCH])
        others = partitions(cursor, there, BATCHES) - of_batch
        assert len(of_batch) == 3
        assert len(others) == 6
        for name, question in QUESTIONS.items():
            scanned = scanned_by(cursor, lambda cursor, question=question: question(cursor, there))  # type: ignore[misc]
            assert scanned & of_batch, name
            assert not scanned & others, name


def test_the_truth_of_a_batch_reads_other_batches_only_for_their_labels(filled: Marts) -> None:
    with recording(filled) as cursor:
        there = Filled(cursor, filled)
        outputs, inputs, trains = there["predict_output"], there["predict_input"], there["train_input"]
        scanned = scanned_by(cursor, lambda cursor: truth(cursor, BATCH, output=outputs, inputs=inputs, trains=trains))
        labels = {name for batch in BATCHES for name in of_mart(cursor, trains, batch)}
        assert scanned & (partitions(cursor, there, BATCHES) - labels) == partitions(cursor, there, [BATCH]) - labels


@contextmanager
def recording(marts: Marts) -> Iterator[Recording]:
    connection = marts.connect()
    with connection, connection.cursor(cursor_factory=Recording) as cursor:
        yield cursor
    connection.close()


def partitions(cursor: Cursor, there: Filled, batches: Any) -> set[str]:
    names: tuple[Which, ...] = ("train_input", "predict_input", "predict_output")
    return {name for which in names for batch in batches for name in of_mart(cursor, there[which], batch)}


def of_mart(cursor: Cursor, mart: Mart, batch: str) -> set[str]:
    cursor.execute(SQL("SELECT DISTINCT tableoid FROM {} WHERE batch = %s").format(mart.sql), [batch])
    cursor.execute("SELECT relname FROM pg_class WHERE oid = ANY (%s::oid[])", [[oid for (oid,) in cursor.fetchall()]])
    return {name for (name,) in cursor.fetchall()}


def scanned_by(cursor: Recording, question: Callable[[Cursor], object]) -> set[str]:
    """The tables in the plans of a question's statements."""
    cursor.__dict__["statements"] = []
    question(cursor)
    scanned: set[str] = set()
    for statement in cursor.__dict__["statements"]:
        if statement.startswith((b"SELECT", b"WITH")):
            cursor.execute(b"EXPLAIN " + statement)
            scanned |= {name for (line,) in cursor.fetchall() for name in _SCANNED.findall(line)}
    return scanned
