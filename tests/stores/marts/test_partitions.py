"""A batch is a partition: what a swap leaves, a swap that is killed or waits for readers, a former version's mart."""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar

import psycopg2
import psycopg2.extensions
import pyarrow as pa
import pytest
from psycopg2.sql import SQL, Identifier

from pipeline_assets.errors import StoreError, TransientError
from pipeline_assets.settings import DatabaseSettings
from pipeline_assets.stores.load import pieces_of
from pipeline_assets.stores.marts import embedded_postgres, lock_retries
from pipeline_assets.stores.marts.greenplum import MartStore, MartTable, MartView
from tests.fixtures.postgres import Marts

TABLE = MartTable(
    name="loads",
    schema=pa.schema([("batch", pa.string()), ("row_number", pa.int64()), ("writer", pa.string())]),
    description="Who wrote what",
    column_descriptions={"writer": "Name of the writer"},
    key=("batch", "row_number"),
    indexes=(("writer", "batch", "row_number"),),
)
VIEW = MartView("seen", (TABLE,), "SELECT batch, writer FROM {loads}", "Seen", {"writer": "Who"})


def stream(batch: str, writer: str, rows: int, table: MartTable = TABLE) -> pa.RecordBatchReader:
    columns: dict[str, list[Any]] = {"batch": [batch] * rows, "row_number": [*range(rows)], "writer": [writer] * rows}
    return pa.table({name: columns.get(name, [None] * rows) for name in table.schema.names}, table.schema).to_reader()


def load(marts: Marts, batch: str, writer: str, rows: int = 3, table: MartTable = TABLE) -> None:
    assert marts.store.replace(table, {"batch": batch}, stream(batch, writer, rows, table)) == rows


def there(marts: Marts) -> dict[tuple[str, str], int]:
    rows = marts.query("SELECT batch, writer, count(*) FROM {schema}.loads GROUP BY 1, 2")
    return {(batch, writer): count for batch, writer, count in rows}


def tables(marts: Marts) -> list[str]:
    """Every table of the schema but the mart, its partitions and the notes."""
    rows = marts.query(
        "SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
        " WHERE n.nspname = %s AND c.relkind = 'r' AND c.relname NOT IN ('loads', 'pipeline_loads')"
        " AND NOT EXISTS (SELECT 1 FROM pg_inherits i WHERE i.inhrelid = c.oid)",
        marts.schema,
    )
    return [name for (name,) in rows]


def size(marts: Marts) -> int:
    """Bytes of the mart with its indexes."""
    rows = marts.query(
        "SELECT sum(pg_total_relation_size(c.oid)) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
        " WHERE n.nspname = %s AND c.relkind = 'r' AND c.relname <> 'pipeline_loads'",
        marts.schema,
    )
    return int(rows[0][0])


def until(condition: Callable[[], bool]) -> None:
    """Asks the server again and again, for it may be a moment behind; each asking is a round trip."""
    assert any(condition() for _ in range(2000))


def greenplum(marts: Marts) -> bool:
    return "Greenplum" in str(marts.query("SELECT version()"))


def test_ten_replacements_take_no_more_room_than_one(marts: Marts) -> None:
    load(marts, "one", "first", 2_000)
    load(marts, "other", "first", 10)
    once = size(marts)
    for number in range(10):
        load(marts, "one", f"{number:>5}", 2_000)
    assert size(marts) == once
    assert there(marts) == {("one", "    9"): 2_000, ("other", "first"): 10}
    assert tables(marts) == []
    if not greenplum(marts):
        # Rows are kept as old ones are, but for a page: nothing is left for VACUUM to do, now or in years.
        kept = "SELECT relpages - relallvisible <= 1 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
        kept += " WHERE nspname = %s AND left(relname, 6) = '_batch' AND relkind = 'r'"
        assert marts.query(kept, marts.schema) == [(True,), (True,)]


@pytest.mark.parametrize("batch", ["", " ", "it's", 'say "so"', "a\\b", "Январь", "x" * 200, "NULL", "{}", "%s"])
def test_a_batch_may_have_any_name(marts: Marts, batch: str) -> None:
    for writer in ("first", "second"):
        load(marts, batch, writer)
    load(marts, "other", "first")
    assert there(marts) == {(batch, "second"): 3, ("other", "first"): 3}
    assert marts.store.count("loads", {"batch": batch}) == 3


@pytest.mark.parametrize("where", [{}, {"batch": None}, {"writer": "me"}, {"batch": "one", "writer": "me"}])
def test_anything_but_a_batch_is_refused(marts: Marts, where: dict[str, object]) -> None:
    with pytest.raises(StoreError, match=r"(?s)a batch at a time.*expected: +batch"):
        marts.store.replace(TABLE, where, stream("one", "me", 1))


def test_batches_beyond_those_that_are_kept_go_with_those_beside_them(marts: Marts) -> None:
    output = replace(TABLE, name="output")
    kept = replace(TABLE, keep=2, beside=(output,))
    for batch in ("b", "a", "c"):
        load(marts, batch, "first", 3, kept)
        load(marts, batch, "first", 3, output)
        load(marts, batch, "again", 3, kept)  # a batch that is replaced is none more
    assert list(marts.store.batches("loads")) == ["c", "a"]
    assert list(marts.store.batches("output")) == ["c", "a"]
    assert there(marts) == {("a", "again"): 3, ("c", "again"): 3}
    assert marts.store.count("output", {}) == 6
    assert marts.store.fingerprints("loads", "b") is None


def test_a_batch_is_forgotten_by_all_marts_at_once(marts: Marts) -> None:
    output = replace(TABLE, name="output")
    for batch in ("one", "two"):
        load(marts, batch, "first")
    load(marts, "one", "first", 3, output)
    assert marts.store.forget([TABLE, output, replace(TABLE, name="never made")], "one") == ["loads", "output"]
    assert marts.store.forget([TABLE, output], "one") == []
    assert there(marts) == {("two", "first"): 3}
    assert marts.store.count("output", {}) == 0
    assert marts.store.count_batch(TABLE, "one") is None
    assert marts.store.count_batch(TABLE, "two") == 3


# Killed at every statement.


class Killing(psycopg2.extensions.cursor):
    """Ends its own session before a statement of some number."""

    left: ClassVar[int | None] = None
    end: ClassVar[Callable[[int], object]] = print

    def execute(self, query: Any, vars: Any = None) -> None:  # noqa: A002 - psycopg2's own name
        self._count()
        super().execute(query, vars)

    def copy_expert(self, sql: Any, file: Any, size: int = 8192) -> None:
        self._count()
        super().copy_expert(sql, file, size)

    def _count(self) -> None:
        if Killing.left is not None:
            Killing.left -= 1
            if Killing.left < 0:
                Killing.left = None
                Killing.end(self.connection.get_backend_pid())


Attempts = Callable[[Callable[[], object]], Iterator[int]]


@pytest.fixture
def killed(marts: Marts, monkeypatch: pytest.MonkeyPatch) -> Attempts:
    """Does something again and again, each time killed one statement later, until it is done."""
    connect = psycopg2.connect

    def end(process: int) -> None:
        with monkeypatch.context() as patch:
            patch.setattr(psycopg2, "connect", connect)
            marts.query("SELECT pg_terminate_backend(%s)", process)

    def attempts(action: Callable[[], object]) -> Iterator[int]:
        done = False
        for number in range(500):
            with monkeypatch.context() as patch, suppress(TransientError):
                patch.setattr(psycopg2, "connect", lambda **options: connect(**options, cursor_factory=Killing))
                patch.setattr(Killing, "end", staticmethod(end))
                patch.setattr(Killing, "left", number)
                action()
                done = Killing.left is not None
            yield number
            if done:
                return

    return attempts


def test_a_load_killed_at_any_statement_leaves_the_former_batch_and_the_next_heals(
    marts: Marts, killed: Attempts
) -> None:
    load(marts, "other", "first")
    load(marts, "one", "former", 5)
    more = replace(TABLE, schema=TABLE.schema.append(pa.field("n", pa.int32())))
    outcomes = []
    for number in killed(lambda: load(marts, "one", "killed", 4, more)):
        outcomes.append(there(marts))
        assert tables(marts) == [], number
    former, new = {("other", "first"): 3, ("one", "former"): 5}, {("other", "first"): 3, ("one", "killed"): 4}
    assert outcomes == [former] * (len(outcomes) - 1) + [new]
    assert len(outcomes) > 20
    load(marts, "one", "again", 2)
    assert there(marts) == {("other", "first"): 3, ("one", "again"): 2}


@pytest.mark.parametrize("pieces", [1, 2])
def test_a_load_of_pieces_killed_at_any_statement_leaves_the_former_batch(
    marts: Marts, killed: Attempts, pieces: int
) -> None:
    load(marts, "one", "former", 5)
    store = MartStore(marts.server, marts.schema, stale_after=timedelta(0))

    def staged() -> None:
        begun = store.begin(TABLE, {"batch": "one"}, pieces)
        for piece in pieces_of(pieces):
            rows = stream("one", "killed", 2).read_all()
            rows = rows.set_column(1, "row_number", pa.array([2 * piece.number, 2 * piece.number + 1]))
            begun.write(piece, rows.to_reader())
        begun.commit()

    outcomes = [there(marts) for _ in killed(staged)]
    former, new = {("one", "former"): 5}, {("one", "killed"): 2 * pieces}
    assert outcomes == [former] * (len(outcomes) - 1) + [new]
    store.replace(TABLE, {"batch": "one"}, stream("one", "again", 3))
    assert there(marts) == {("one", "again"): 3}
    assert tables(marts) == []


def test_what_a_load_of_one_piece_has_written_outlives_the_server(tmp_path: Path) -> None:
    marts = Marts(tmp_path, "marts")
    load(marts, "one", "former")
    begun = marts.store.begin(TABLE, {"batch": "one"}, 1)
    begun.write(pieces_of(1)[0], stream("one", "new", 1_000))
    os.kill(int((tmp_path / "data" / "postmaster.pid").read_text().split()[0]), signal.SIGKILL)

    def committed() -> bool:  # once the server is back
        try:
            return begun.commit() == 1_000
        except TransientError:
            return False

    until(committed)
    assert there(marts) == {("one", "new"): 1_000}
    embedded_postgres.stop(tmp_path)


# Marts of the former version.


def make_former(marts: Marts) -> None:
    """What the former version made: one table, loaded with three batches, and a view over it."""
    load(marts, "one", "first", 1)  # for schema, notes and role
    marts.store.ensure_view(VIEW)
    marts.query("DROP VIEW {schema}.seen")
    marts.query("DROP TABLE {schema}.loads")
    columns = "CREATE TABLE {schema}.loads (batch text NOT NULL, row_number bigint NOT NULL, writer text"
    if greenplum(marts):
        how = ") WITH (appendonly=true, orientation=column, compresstype=zstd) DISTRIBUTED BY (batch, row_number)"
        marts.query(columns + how)
    else:
        marts.query(columns + ", PRIMARY KEY (batch, row_number))")
        marts.query('CREATE INDEX "loads_writer_batch_row_number_idx" ON {schema}.loads (writer, batch, row_number)')
    for batch in ("one", "it's", "three"):
        marts.query("INSERT INTO {schema}.loads SELECT %s, generate_series(0, 9), 'former'", batch)
    marts.query("CREATE VIEW {schema}.seen AS SELECT batch, writer FROM {schema}.loads")
    marts.query("COMMENT ON VIEW {schema}.seen IS 'Seen'")
    for relation in ("loads", "seen"):  # as an administrator does for colleagues
        marts.query(SQL("GRANT SELECT ON {}.{} TO PUBLIC").format(Identifier(marts.schema), Identifier(relation)))


FORMER = {("one", "former"): 10, ("it's", "former"): 10, ("three", "former"): 10}
MOVED = {("one", "former"): 10, ("it's", "former"): 10, ("three", "new"): 4}


def test_a_mart_of_the_former_version_is_moved_over_by_the_first_run_wherever_that_is_killed(
    marts: Marts, killed: Attempts
) -> None:
    make_former(marts)
    for number in killed(lambda: load(marts, "three", "new", 4)):
        found = there(marts)
        assert found in (FORMER, MOVED), number
        assert marts.store.count("seen", {"batch": "one"}) == 10
        assert tables(marts) == []
    assert there(marts) == MOVED
    marts.store.ensure_view(VIEW)
    assert marts.store.count("seen", {"batch": "three"}) == 4
    load(marts, "it's", "new", 4)
    assert there(marts) == {("one", "former"): 10, ("it's", "new"): 4, ("three", "new"): 4}
    reads = "SELECT has_table_privilege(%s, c.oid, 'SELECT') FROM pg_class c JOIN pg_namespace n"
    reads += " ON n.oid = c.relnamespace WHERE nspname = %s AND relname IN ('loads', 'seen')"
    for role in (f"{marts.schema}_reader", "public"):
        assert marts.query(reads, role, marts.schema) == [(True,), (True,)]
    if not greenplum(marts):
        indexes = "SELECT indexname FROM pg_indexes WHERE schemaname = %s AND tablename = 'loads' ORDER BY 1"
        assert marts.query(indexes, marts.schema) == [("loads_pkey",), ("loads_writer_batch_row_number_idx",)]


def test_an_index_of_another_order_of_columns_replaces_the_former_one(marts: Marts) -> None:
    load(marts, "one", "first")
    if greenplum(marts):
        pytest.skip("Greenplum's marts have no indexes")
    load(marts, "two", "second", 4, replace(TABLE, indexes=(("writer", "row_number", "batch"),)))
    assert there(marts) == {("one", "first"): 3, ("two", "second"): 4}
    indexes = "SELECT DISTINCT split_part(indexdef, ' btree ', 2) FROM pg_indexes WHERE schemaname = %s"
    found = {columns for (columns,) in marts.query(indexes + " AND tablename <> 'pipeline_loads'", marts.schema)}
    assert found == {"(batch, row_number)", "(writer, row_number, batch)"}


# Readers.


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock_retries, "_SHORTEST_MS", 30)
    monkeypatch.setattr(lock_retries, "_LONGEST_MS", 60)


class Reader:
    """Reads a mart in a transaction that stays open."""

    def __init__(self, marts: Marts, name: str = "loads") -> None:
        self.connection = marts.connect()
        self.rows = self.read(marts, name)

    def read(self, marts: Marts, name: str = "loads") -> int:
        with self.connection.cursor() as cursor:
            cursor.execute(SQL("SELECT count(*) FROM {}").format(Identifier(marts.schema, name)))
            return int(cursor.fetchall()[0][0])

    def close(self) -> None:
        self.connection.rollback()
        self.connection.close()


@pytest.mark.usefixtures("impatient")
def test_who_reads_for_long_delays_the_swap_and_nobody_else(marts: Marts) -> None:
    load(marts, "one", "former")
    reader = Reader(marts)
    swap = threading.Thread(target=load, args=(marts, "one", "new", 5))
    swap.start()
    try:
        waiting = "SELECT count(*) FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND NOT granted"
        until(lambda: marts.query(waiting) != [(0,)])
        for _ in range(5):  # each stands in the queue for one try of the swap at most
            other = Reader(marts)
            assert other.rows == 3
            other.close()
        assert reader.read(marts) == 3
        assert swap.is_alive()
    finally:
        reader.close()
        swap.join()
    assert there(marts) == {("one", "new"): 5}


def test_who_reads_two_marts_is_not_ended_by_a_load_that_drops_a_batch_from_both(marts: Marts) -> None:
    output = replace(TABLE, name="output")
    kept = replace(TABLE, keep=1, beside=(output,))
    load(marts, "one", "first", 3, kept)
    load(marts, "one", "first", 3, output)
    reader = Reader(marts, "output")
    swap = threading.Thread(target=load, args=(marts, "two", "new", 5, kept))
    swap.start()
    try:
        waiting = "SELECT count(*) FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND NOT granted"
        until(lambda: marts.query(waiting) != [(0,)])
        assert reader.read(marts) == 3  # of the mart that the load has for itself while it waits for the other
    finally:
        reader.close()
        swap.join()
    assert there(marts) == {("two", "new"): 5}
    assert marts.store.count("output", {}) == 0


def test_a_new_batch_waits_for_no_reader(marts: Marts) -> None:
    if greenplum(marts):
        pytest.skip("there a new partition excludes readers, as every swap does")
    load(marts, "one", "first")
    reader = Reader(marts)
    load(marts, "two", "first")
    assert reader.read(marts) == 6
    reader.close()


@pytest.mark.usefixtures("impatient")
def test_a_reader_that_never_ends_is_a_passing_fault(marts: Marts, monkeypatch: pytest.MonkeyPatch) -> None:
    load(marts, "one", "former")
    monkeypatch.setattr("pipeline_assets.stores.marts.database._SESSION", "SET LOCAL lock_timeout = '200ms'")
    reader = Reader(marts)
    with pytest.raises(TransientError, match="lock timeout"):
        load(marts, "one", "new")
    reader.close()
    assert there(marts) == {("one", "former"): 3}


def test_a_mart_that_got_a_column_during_a_load_takes_its_rows(marts: Marts) -> None:
    load(marts, "one", "former")
    begun = marts.store.begin(TABLE, {"batch": "one"}, 1)
    begun.write(pieces_of(1)[0], stream("one", "staged", 2))
    more = replace(TABLE, schema=TABLE.schema.append(pa.field("n", pa.int32())))
    load(marts, "two", "wider", 1, more)
    assert begun.commit() == 2
    assert there(marts) == {("one", "staged"): 2, ("two", "wider"): 1}


def test_a_batch_has_every_index_of_its_mart_before_the_swap(marts: Marts) -> None:
    if greenplum(marts):
        pytest.skip("there are none")
    load(marts, "one", "former")
    other = replace(TABLE, indexes=(("row_number", "writer"),))
    begun = marts.store.begin(other, {"batch": "one"}, 1)
    begun.write(pieces_of(1)[0], stream("one", "staged", 2))
    apart = "SELECT indexdef FROM pg_indexes WHERE schemaname = %s AND left(tablename, 6) = '_load_'"
    found = {definition.rpartition(" USING btree ")[2] for (definition,) in marts.query(apart, marts.schema)}
    assert found == {"(batch, row_number)", "(writer, batch, row_number)", "(row_number, writer)"}
    begun.commit()
    assert there(marts) == {("one", "staged"): 2}


def test_an_old_postgresql_is_refused(own_tcp_server: DatabaseSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline_assets.stores.marts.shapes._POSTGRESQL", 99)
    with pytest.raises(StoreError, match=r"(?s)too old.*found: +PostgreSQL \d\d.*expected: +PostgreSQL 99"):
        MartStore(own_tcp_server, "old").replace(TABLE, {"batch": "one"}, stream("one", "me", 1))
