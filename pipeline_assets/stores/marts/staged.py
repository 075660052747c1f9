"""Loads of several pieces into a mart: any process copies pieces into a staging table; one transaction moves them."""

import hashlib
import secrets
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property

import pyarrow as pa
from psycopg2.errors import LockNotAvailable, UndefinedTable
from psycopg2.extensions import cursor as Cursor  # noqa: N812 - it is a class
from psycopg2.sql import SQL, Identifier, Literal

from pipeline_assets.errors import StoreError
from pipeline_assets.stores.load import Piece, check_complete, check_piece, not_open
from pipeline_assets.stores.marts import catalog
from pipeline_assets.stores.marts import sql as mart_sql
from pipeline_assets.stores.marts.database import Database
from pipeline_assets.stores.marts.definition import MartTable
from pipeline_assets.stores.marts.loading import (
    Outgoing,
    check_columns,
    copy_rows,
    empty_batch,
    finish_rows,
    lock_batch,
)
from pipeline_assets.stores.marts.partitions import BatchTable
from pipeline_assets.task.names import own_name

# Columns of a staging table beside the mart's. A mart's row names its piece and the attempt that wrote it. A marker
# row (one for the beginning, one for each successful attempt) has only these columns: how many rows, and when.
_MARKS = {
    "load_piece": "integer",
    "load_attempt": "bigint",
    "load_rows": "bigint",
    "load_at": "timestamp with time zone",
}
_BEGUN = -1
_ATTEMPT_BITS = 62


@dataclass(frozen=True)
class MartLoad:
    """A load of a batch, see :class:`pipeline_assets.stores.load.Load`.

    The rows of an attempt become visible in the staging table together with its marker; of several attempts at a
    piece the last to end counts. A writer holds a lock on the table, so that nobody collects it. Where one piece is the
    whole batch, each attempt writes a table of its own, complete with indexes; the staging table then has the markers
    alone, and the commit makes the table of the last attempt the batch's partition.

    Attributes:
        database: of the mart.
        schema: of mart and staging table.
        table: the mart.
        where: column values that all rows have.
        name: of the staging table.
    """

    database: Database
    schema: str
    table: MartTable
    where: Mapping[str, object] = field(hash=False)
    pieces: int
    name: str

    def write(self, piece: Piece, rows: pa.RecordBatchReader, progress: Callable[[int], None] | None = None) -> int:
        """Writes in one transaction: COPY and a marker."""
        check_piece(piece, self.pieces)
        check_columns(self.table, rows.schema)
        attempt = secrets.randbits(_ATTEMPT_BITS)
        with self._open("ROW EXCLUSIVE") as cursor:
            if self._whole:
                outgoing = Outgoing(rows, self.where, self.table.key, progress)
                stored = self._attempt(cursor, attempt).write(cursor, self._doing, outgoing)
            else:
                marked = self._marked(rows, piece, attempt)
                outgoing = Outgoing(marked, self.where, self.table.key, progress)
                at, by, *_ = self._marks
                columns = [*self.table.stored.schema.names, at, by]
                stored = copy_rows(cursor, self._doing, self._staging, columns, outgoing)
            marker = SQL(", ").join(map(Literal, [piece.number, attempt, stored]))
            add = SQL("INSERT INTO {} ({}) VALUES ({}, clock_timestamp())")
            cursor.execute(add.format(self._staging, mart_sql.names_of(self._marks), marker))
        return stored

    def commit(self) -> int:
        """Makes the rows the batch in one transaction, which waits for the writers of unfinished pieces."""
        with self._open("ACCESS EXCLUSIVE") as cursor:
            at, by, count, when = map(Identifier, self._marks)
            ended = SQL("SELECT {}, {}, {} FROM {} WHERE {} >= 0 AND {} IS NOT NULL ORDER BY {}")
            cursor.execute(ended.format(at, by, count, self._staging, at, count, when))
            markers = cursor.fetchall()
            counted = {piece: (attempt, rows) for piece, attempt, rows in markers}
            check_complete(counted, self.pieces, f"the load of {self.schema}.{self.table.name}")
            expected: int = sum(rows for _, rows in counted.values())
            former = {attempt for _, attempt, _ in markers} - {attempt for attempt, _ in counted.values()}
            lock_batch(cursor, self.schema, self.table, self.where)
            if self._whole:
                apart = self._attempt(cursor, counted[0][0])
                for attempt in former:
                    cursor.execute(SQL("DROP TABLE {}").format(self._attempt(cursor, attempt).identifier))
            elif self.table.by_batch:
                apart = BatchTable.of(cursor, self.schema, self.table, self.where, new_name(self.table))
                apart.make(cursor)
                self._move(cursor, apart.identifier, former, expected)
                apart.finish(cursor)
            else:
                apart = None
                empty_batch(cursor, self.schema, self.table, self.where)
                self._move(cursor, Identifier(self.schema, self.table.name), former, expected)
            cursor.execute(SQL("DROP TABLE {}").format(self._staging))
            if apart is None:
                finish_rows(cursor, self.schema, self.table, self.where, expected)
            else:
                apart.swap(cursor, expected)
        return expected

    def abandon(self) -> None:
        """Drops the staging table and what attempts have written, if it is still there."""
        try:
            with self._open("ACCESS EXCLUSIVE") as cursor:
                _drop(cursor, self.schema, self.name)
        except StoreError as error:
            if not isinstance(error.__cause__, UndefinedTable):
                raise

    @property
    def _whole(self) -> bool:
        """Whether one piece is the whole batch of a mart by batch."""
        return self.pieces == 1 and self.table.by_batch

    def _attempt(self, cursor: Cursor, attempt: int) -> BatchTable:
        """What an attempt at the only piece has written."""
        return BatchTable.of(cursor, self.schema, self.table, self.where, f"{self.name}_{attempt:016x}")

    def _marked(self, rows: pa.RecordBatchReader, piece: Piece, attempt: int) -> pa.RecordBatchReader:
        """The rows of one piece of several, each with its piece and attempt."""
        at, by, *_ = self._marks
        schema = rows.schema.append(pa.field(at, pa.int32())).append(pa.field(by, pa.int64()))

        def marked() -> Iterator[pa.RecordBatch]:
            for batch in rows:
                said = [
                    pa.repeat(pa.scalar(value, schema.field(name).type), batch.num_rows)
                    for name, value in ((at, piece.number), (by, attempt))
                ]
                yield pa.RecordBatch.from_arrays([*batch.columns, *said], schema=schema)

        return pa.RecordBatchReader.from_batches(schema, marked())

    def _move(self, cursor: Cursor, into: Identifier, former: Collection[int], expected: int) -> None:
        """Copies the staged rows into a table, but for those of attempts that were repeated."""
        _, by, count, _ = map(Identifier, self._marks)
        columns = mart_sql.names_of(self.table.stored.schema.names)
        move = SQL("INSERT INTO {} ({}) SELECT {} FROM {} WHERE {} IS NULL")
        statement = move.format(into, columns, columns, self._staging, count)
        if former:
            statement += SQL(" AND NOT {} = ANY ({})").format(by, Literal(sorted(former)))
        cursor.execute(statement)
        if cursor.rowcount != expected:
            raise StoreError(f"{self._doing}: staged rows are gone", found=cursor.rowcount, expected=expected)

    @cached_property
    def _marks(self) -> list[str]:
        return marks(self.table)

    @property
    def _doing(self) -> str:
        return f"loading {self.schema}.{self.table.name}"

    @property
    def _staging(self) -> Identifier:
        return Identifier(self.schema, self.name)

    @contextmanager
    def _open(self, mode: str) -> Iterator[Cursor]:
        """A transaction that holds the staging table."""
        facts = {"batch": self.where.get(self.table.batch_column)}
        try:
            with self.database.cursor(self._doing, **facts) as cursor:
                cursor.execute(SQL(f"LOCK TABLE {{}} IN {mode} MODE").format(self._staging))
                yield cursor
        except StoreError as error:
            if isinstance(error.__cause__, UndefinedTable) and self.name in str(error.__cause__):
                raise not_open(f"{self.schema}.{self.table.name}").located(facts) from error.__cause__
            raise


def marks(table: MartTable) -> list[str]:
    """Names of the staging table's own columns: piece, attempt, rows, time."""
    taken = [*table.schema.names, *table.stored.schema.names]
    return [own_name(name, taken) for name in _MARKS]


def begin(cursor: Cursor, schema: str, table: MartTable, pieces: int) -> str:
    """Makes the staging table of a new load; returns its name."""
    name = new_name(table)
    own = dict(zip(marks(table), _MARKS.values(), strict=True))
    rows = pieces > 1 or not table.by_batch  # those of a single piece go into tables of their own
    dialect = catalog.dialect(cursor)
    cursor.execute(mart_sql.create_staging(schema, name, table.stored, own, dialect, rows=rows))
    at, _, count, when = own
    add = SQL("INSERT INTO {} ({}) VALUES ({}, 0, now())")
    cursor.execute(add.format(Identifier(schema, name), mart_sql.names_of([at, count, when]), Literal(_BEGUN)))
    return name


def collect(database: Database, schema: str, table: MartTable, stale_after: timedelta) -> None:
    """Drops the staging tables of a mart's dead loads: no writer, and no sign of life for ``stale_after``."""
    with database.cursor(f"looking for loads of {schema}.{table.name}") as cursor:
        names = catalog.tables_named(cursor, schema, _prefix(table))
    for name in (name for name in names if len(name) == len(new_name(table))):
        staging, when = Identifier(schema, name), Identifier(marks(table)[-1])
        try:
            with database.cursor(f"collecting {schema}.{name}") as cursor:
                alive = SQL("SELECT max({}) > now() - {} FROM {}")
                cursor.execute(alive.format(when, Literal(stale_after), staging))
                if not cursor.fetchall()[0][0]:
                    cursor.execute(SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE NOWAIT").format(staging))
                    _drop(cursor, schema, name)
        except StoreError as error:
            # A writer has locked it, or another collector has dropped it first.
            if not isinstance(error.__cause__, LockNotAvailable | UndefinedTable):
                raise


def new_name(table: MartTable) -> str:
    """A name for a table with rows on their way into a mart."""
    return f"{_prefix(table)}{secrets.token_hex(8)}"


def _drop(cursor: Cursor, schema: str, name: str) -> None:
    """Drops a staging table, which the caller has locked, and what attempts at an only piece have written."""
    for each in [*catalog.tables_named(cursor, schema, f"{name}_"), name]:
        cursor.execute(SQL("DROP TABLE {}").format(Identifier(schema, each)))


def _prefix(table: MartTable) -> str:
    return f"_load_{hashlib.sha256(table.name.encode()).hexdigest()[:16]}_"
