"""The marts: tables and views in Greenplum, in PostgreSQL, or in the embedded PostgreSQL."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote

import pyarrow as pa
from psycopg2.extensions import cursor as Cursor  # noqa: N812 - it is a class
from psycopg2.sql import SQL, Identifier

from pipeline_assets.errors import StoreError
from pipeline_assets.settings import DatabaseSettings
from pipeline_assets.stores.load import STALE_AFTER, check_count
from pipeline_assets.stores.marts import catalog as mart_catalog
from pipeline_assets.stores.marts import sql as mart_sql
from pipeline_assets.stores.marts.database import Database
from pipeline_assets.stores.marts.definition import LOADS, MartTable, MartView, check_names
from pipeline_assets.stores.marts.loading import (
    Outgoing,
    Progress,
    check_columns,
    copy_rows,
    empty_batch,
    finish_rows,
    lock_batch,
    stored_where,
)
from pipeline_assets.stores.marts.lock_retries import with_lock_retries
from pipeline_assets.stores.marts.partitions import BatchTable, drop_batch
from pipeline_assets.stores.marts.shapes import Shapes
from pipeline_assets.stores.marts.sql import RelationState
from pipeline_assets.stores.marts.sql_types import arrow_type
from pipeline_assets.stores.marts.staged import MartLoad, begin, collect, new_name
from pipeline_assets.task.spec import ROW_ADDRESS

__all__ = ["MartStore", "MartTable", "MartView"]

_ROWS_READ_AT_ONCE = 10_000


class MartStore:
    """The marts of one schema. Constructing it connects to nothing.

    Users with the role ``<schema>_reader`` may select from everything here and do nothing else. The role is made
    if our login may make roles; if not, a warning says so, and only our login can read the marts until someone
    makes the role.

    Args:
        server: a Greenplum or PostgreSQL server, or the folder of the embedded one.
        schema: made if it is not there.
        stale_after: a load without a sign of life for so long is dead.

    Raises:
        StoreError: the schema's name does not fit the database.
    """

    def __init__(self, server: DatabaseSettings | Path, schema: str, stale_after: timedelta = STALE_AFTER) -> None:
        check_names([schema, mart_sql.reader_role(schema)])
        self._database = Database(server)
        self._schema = schema
        self._stale_after = stale_after
        self._shapes = Shapes(self._database, schema)

    def uri(self, name: str) -> str:
        """Where a table or view is: ``postgresql://host:port/database/schema.name``, without a secret."""
        return f"{self._database.uri}/{quote(self._schema)}.{quote(name)}"

    def replace(
        self,
        table: MartTable,
        where: Mapping[str, object],
        rows: pa.RecordBatchReader,
        progress: Progress = None,
    ) -> int:
        """Replaces the rows of a table that have the values in ``where`` by ``rows``, all at once or not at all.

        The table is first made or changed to fit ``table``, in a separate transaction, so that readers do not wait for
        the whole load. Then one transaction copies the rows into a table of their own and puts it in the place of the
        batch's former partition; a mart whose key has no batch has no partitions, and its former rows are deleted. A
        second load with the same ``where`` waits for the first, and replaces what it wrote.

        Args:
            table: the wanted mart.
            where: column values that all of ``rows`` have, such as ``{"batch": "2013-10"}``; ``None`` is null.
                If the batch is one of them, the load is noted: see :meth:`fingerprints`. Of a mart whose key
                begins with the batch, it is the batch alone.
            rows: with the table's columns, in order. Read in the calling thread; memory use is constant.
            progress: called with the number of rows sent so far.

        Returns:
            The number of rows written.

        Raises:
            StoreError: the rows do not fit the table or the table cannot be made to fit; a value cannot be
                stored (column and row are named); the server refuses.
            TransientError: the server does not answer, or the wait for another load or for a reader was too long.
            Exception: any error of ``rows``, unchanged. After any error the former rows are still there.
        """
        check_columns(table, rows.schema)
        self._shapes.fit(table)
        collect(self._database, self._schema, table, self._stale_after)
        doing = f"loading {self._schema}.{table.name}"
        outgoing = Outgoing(rows, where, table.key, progress)
        with self._database.cursor(doing, batch=where.get(table.batch_column)) as cursor:
            lock_batch(cursor, self._schema, table, where)
            if table.by_batch:
                apart = BatchTable.of(cursor, self._schema, table, where, new_name(table))
                stored = apart.write(cursor, doing, outgoing)
                apart.swap(cursor, stored)
            else:
                empty_batch(cursor, self._schema, table, where)
                into, columns = Identifier(self._schema, table.name), table.stored.schema.names
                stored = copy_rows(cursor, doing, into, columns, outgoing)
                finish_rows(cursor, self._schema, table, where, stored)
        return stored

    def begin(self, table: MartTable, where: Mapping[str, object], pieces: int) -> MartLoad:
        """A load of the rows that have the values in ``where``: any process writes pieces, then one commits.

        Pieces are copied in parallel. The commit is one transaction, as in :meth:`replace`. What a single piece has
        written becomes the partition; several take about as long as writing the rows once more. Pieces may come in any
        order: readers get rows by their address.

        Raises:
            StoreError: there are no pieces, the table cannot be made to fit, or the server refuses.
            TransientError: the server does not answer.
        """
        check_count(pieces)
        self._shapes.fit(table)
        collect(self._database, self._schema, table, self._stale_after)
        with self._database.cursor(f"beginning to load {self._schema}.{table.name}") as cursor:
            name = begin(cursor, self._schema, table, pieces)
        return MartLoad(self._database, self._schema, table, dict(where), pieces, name)

    def fingerprints(self, name: str, batch: str) -> Mapping[str, str] | None:
        """The fingerprints that a batch was loaded with; ``None`` if it is not there, or older code loaded it.

        Raises:
            TransientError: the server does not answer.
        """
        with self._database.cursor(f"reading {self._schema}.{LOADS.name}", batch=batch) as cursor:
            if mart_catalog.relation_state(cursor, self._schema, LOADS.name) is None:
                return None
            cursor.execute(mart_sql.noted_fingerprints(self._schema, name, batch))
            found = cursor.fetchone()
        noted: Mapping[str, str] | None = None if found is None else json.loads(found[0])
        return noted

    def batches(self, name: str) -> dict[str, int]:
        """The batches of a mart whose load was noted, the one loaded last first, with their rows.

        Raises:
            TransientError: the server does not answer.
        """
        with self._database.cursor(f"reading {self._schema}.{LOADS.name}") as cursor:
            if mart_catalog.relation_state(cursor, self._schema, LOADS.name) is None:
                return {}
            cursor.execute(mart_sql.noted_batches(self._schema, name))
            return dict(cursor.fetchall())

    def count_batch(self, table: MartTable, batch: str) -> int | None:
        """Rows of a batch; ``None`` if the mart does not have the batch. Also an empty batch is one."""
        noted = self.batches(table.name).get(batch)
        if noted is not None:
            return noted
        return self.count(table.name, stored_where(table, {table.batch_column: batch})) or None

    def forget(self, tables: Sequence[MartTable], batch: str) -> list[str]:
        """Drops a batch from marts by batch, all at once or not at all; waits for loads of it.

        Returns:
            The names of the marts that had it.

        Raises:
            StoreError: the server refuses.
            TransientError: the server does not answer, or the wait for a load or a reader was too long.
        """
        doing = f"forgetting a batch of {', '.join(f'{self._schema}.{table.name}' for table in tables)}"
        with self._database.cursor(doing, batch=batch) as cursor:
            for table in tables:
                lock_batch(cursor, self._schema, table, {table.batch_column: batch})
            return with_lock_retries(
                cursor,
                lambda: [table.name for table in tables if drop_batch(cursor, self._schema, table, batch)],
            )

    def ensure_view(self, view: MartView) -> None:
        """Makes a view, or replaces it where its definition or columns changed; makes its tables if needed.

        How a view was made is noted beside the loads. If that is the wanted definition and the view has not changed
        since, nothing is done: no statement locks the catalog.

        Raises:
            StoreError: the query is wrong, or other people's views depend on it and would have to be dropped.
            TransientError: the server does not answer.
        """
        self._shapes.fit_view(view)

    def count(self, name: str, where: Mapping[str, object]) -> int:
        """Number of rows of a table or view that have the values in ``where``; 0 if there is no such table yet.

        Raises:
            StoreError: it lacks a column of ``where``.
            TransientError: the server does not answer.
        """
        with self._database.cursor(f"counting {self._schema}.{name}") as cursor:
            state = mart_catalog.relation_state(cursor, self._schema, name)
            if state is None:
                return 0
            self._check_known(name, where, state)
            query = SQL("SELECT count(*) FROM {} WHERE {}")
            cursor.execute(query.format(Identifier(self._schema, name), mart_sql.condition(where)))
            return int(cursor.fetchall()[0][0])

    def read(
        self,
        name: str,
        where: Mapping[str, object],
        columns: Sequence[str] | None = None,
        order: Sequence[str] | None = None,
    ) -> pa.RecordBatchReader:
        """Rows of a table or view that have the values in ``where``, ordered by their address, or else by their key.

        Types are those of the database: small integers come back wider, times in microseconds, nested values as JSON
        text. Memory use is constant; the connection ends with the reader, or when the reader is deleted.

        Args:
            name: of the table or view.
            where: column values; ``None`` is null.
            columns: which ones, in order; all by default.
            order: columns to order by, where the pipeline's own ``batch`` and ``row_number`` stepped aside.

        Raises:
            StoreError: there is no such table or column.
            TransientError: the server does not answer, now or while the rows are read.
        """
        with ExitStack() as stack:
            connection = stack.enter_context(self._database.transaction(f"reading {self._schema}.{name}"))
            with connection.cursor() as cursor:
                state = mart_catalog.relation_state(cursor, self._schema, name)
            if state is None:
                raise StoreError(f"there is no {self._schema}.{name} yet", do="materialise the asset that writes it")
            wanted = list(state.types) if columns is None else list(columns)
            self._check_known(name, [*wanted, *where], state)
            if order is None:
                order = [column for column in ROW_ADDRESS if column in state.types] or sorted(state.key)
            schema = pa.schema([(column, arrow_type(state.types[column])) for column in wanted])
            rows = stack.enter_context(connection.cursor("rows"))  # a named cursor is kept on the server
            rows.execute(mart_sql.select(self._schema, name, schema, where, order))
            return pa.RecordBatchReader.from_batches(schema, _batches(stack.pop_all(), rows, schema))

    def _check_known(self, name: str, columns: Iterable[str], state: RelationState) -> None:
        for column in columns:
            if column not in state.types:
                raise StoreError(f"{self._schema}.{name} has no such column", column=column, available=state.types)


def _batches(stack: ExitStack, cursor: Cursor, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    with stack:
        while rows := cursor.fetchmany(_ROWS_READ_AT_ONCE):
            columns = zip(*rows, strict=True)
            arrays = [pa.array(values, field.type) for values, field in zip(columns, schema, strict=True)]
            yield pa.record_batch(arrays, schema=schema)
