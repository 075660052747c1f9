"""A batch on its way into its mart: written into a table of its own, which then becomes a partition."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from psycopg2.extensions import cursor as Cursor  # noqa: N812 - it is a class
from psycopg2.sql import SQL, Identifier

from pipeline_assets.errors import StoreError
from pipeline_assets.stores.marts import catalog
from pipeline_assets.stores.marts import sql as mart_sql
from pipeline_assets.stores.marts.database import execute_all
from pipeline_assets.stores.marts.definition import MartTable
from pipeline_assets.stores.marts.loading import Outgoing, copy_rows, empty_batch, note
from pipeline_assets.stores.marts.lock_retries import wait_briefly, with_lock_retries
from pipeline_assets.stores.marts.partition_sql import PartitionSql
from pipeline_assets.stores.marts.sql import Dialect


@dataclass(frozen=True)
class BatchTable:
    """The table that a batch is written into, until it is a partition.

    Attributes:
        mart: as it was defined.
        sql: statements about the mart's partitions.
        batch: that is written.
        name: of the table.
    """

    mart: MartTable
    sql: PartitionSql
    batch: str
    name: str

    @classmethod
    def of(cls, cursor: Cursor, schema: str, table: MartTable, where: Mapping[str, object], name: str) -> Self:
        """The table of a batch, which may be there or not.

        Raises:
            StoreError: ``where`` is not the batch alone.
        """
        sql = PartitionSql(schema, table.stored, catalog.dialect(cursor))
        return cls(table, sql, batch_of(table, where), name)

    @property
    def identifier(self) -> Identifier:
        """Its name in a statement."""
        return Identifier(self.sql.schema, self.name)

    def make(self, cursor: Cursor) -> None:
        """Makes it, empty, with the columns that the mart has now."""
        types = _types(cursor, self.sql.schema, self.sql.table.name)
        execute_all(cursor, self.sql.create_apart(self.name, types, self.batch))

    def write(self, cursor: Cursor, doing: str, outgoing: Outgoing) -> int:
        """Makes it and copies rows into it: a partition but for its place in the mart; returns how many rows.

        Raises:
            StoreError: as :func:`pipeline_assets.stores.marts.loading.copy_rows`.
        """
        self.make(cursor)
        frozen = self.sql.dialect is Dialect.POSTGRESQL  # the server then has nothing to do for the rows later
        stored = copy_rows(cursor, doing, self.identifier, self.sql.table.schema.names, outgoing, frozen=frozen)
        self.finish(cursor)
        return stored

    def finish(self, cursor: Cursor) -> None:
        """Makes its key, indexes and statistics, once its rows are there."""
        execute_all(cursor, self.sql.finish_apart(self.name, self.batch, catalog.indexed(cursor, self.sql)))

    def swap(self, cursor: Cursor, rows: int) -> None:
        """Makes it the partition of its batch instead of the former one, and notes the load.

        Batches that the mart does not keep any longer are dropped. Call it last in a transaction that holds the batch:
        from here to the end, the mart is locked. A new batch of PostgreSQL excludes only other swaps, every other swap
        readers too: for milliseconds.

        Args:
            cursor: of the transaction.
            rows: of the batch, for the note.
        """

        def action() -> None:
            schema, name = self.sql.schema, self.sql.table.name
            replaces, dropped = self._outgoing(cursor)
            alone = replaces or bool(dropped) or self.sql.dialect is Dialect.GREENPLUM
            mode = "ACCESS EXCLUSIVE" if alone else "SHARE UPDATE EXCLUSIVE"
            _lock(cursor, schema, name, mode)
            replaces, dropped = self._outgoing(cursor)  # another load may have dropped some meanwhile
            wanted = _types(cursor, schema, name)
            execute_all(cursor, self.sql.align(self.name, _types(cursor, schema, self.name), wanted))
            execute_all(cursor, self.sql.swap_in(self.name, self.batch, replaces=replaces))
            note(cursor, schema, (self.mart.name, self.batch), self.mart.fingerprints, rows)
            for batch in dropped:
                for mart in (self.mart, *self.mart.beside):
                    drop_batch(cursor, schema, mart, batch)

        with_lock_retries(cursor, action)

    def _outgoing(self, cursor: Cursor) -> tuple[bool, list[str]]:
        """Whether the batch is there already, and the batches that the mart does not keep once it is loaded."""
        replaces = catalog.has_partition(cursor, self.sql, self.batch)
        if self.mart.keep is None:
            return replaces, []
        cursor.execute(mart_sql.noted_batches(self.sql.schema, self.mart.name))
        others = [name for name, _ in cursor.fetchall() if name != self.batch]
        return replaces, others[self.mart.keep - 1 :]


def drop_batch(cursor: Cursor, schema: str, mart: MartTable, batch: str) -> bool:
    """Drops a batch of a mart with its note. Needs the mart for itself for a moment: call it with lock retries.

    Returns:
        Whether there was one.
    """
    partitioned = catalog.is_partitioned(cursor, schema, mart.name)
    if partitioned is None:
        return False
    sql = PartitionSql(schema, mart.stored, catalog.dialect(cursor))
    there = True
    if not partitioned:  # as former versions made it
        empty_batch(cursor, schema, mart, {mart.batch_column: batch})
        there = cursor.rowcount > 0
    elif catalog.has_partition(cursor, sql, batch):
        _lock(cursor, schema, mart.name, "ACCESS EXCLUSIVE")
        execute_all(cursor, sql.drop(batch))
    else:
        there = False
    cursor.execute(mart_sql.forget_note(schema, mart.name, batch))
    return there


def batch_of(table: MartTable, where: Mapping[str, object]) -> str:
    """The batch of a mart by batch.

    Raises:
        StoreError: ``where`` is not the batch alone.
    """
    batch = where.get(table.batch_column)
    if len(where) != 1 or not isinstance(batch, str):
        raise StoreError(
            f"the mart {table.name} is replaced a batch at a time",
            found=", ".join(f"{name} = {value!r}" for name, value in where.items()) or "no column",
            expected=f"{table.batch_column}, and a text",
        )
    return batch


def _lock(cursor: Cursor, schema: str, name: str, mode: str) -> None:
    cursor.execute(SQL(f"LOCK TABLE ONLY {{}} IN {mode} MODE").format(Identifier(schema, name)))
    wait_briefly(cursor)


def _types(cursor: Cursor, schema: str, name: str) -> Mapping[str, str]:
    state = catalog.relation_state(cursor, schema, name)
    if state is None:
        raise StoreError(f"{schema}.{name} is gone", do="run the batch again")
    return state.types
