"""The marts: tables and views in Greenplum, in PostgreSQL, or in the embedded PostgreSQL."""

import hashlib
import json
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote

import pyarrow as pa
from psycopg2.errors import DuplicateObject, DuplicateSchema, DuplicateTable, UniqueViolation
from psycopg2.extensions import cursor as Cursor  # noqa: N812 - it is a class
from psycopg2.sql import SQL, Composed, Identifier

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
    finish_batch,
    note,
)
from pipeline_assets.stores.marts.sql import RelationState
from pipeline_assets.stores.marts.sql_types import arrow_type
from pipeline_assets.stores.marts.staged import MartLoad, begin, collect
from pipeline_assets.task.spec import ROW_ADDRESS

__all__ = ["MartStore", "MartTable", "MartView"]

_log = logging.getLogger(__name__)

_ROWS_READ_AT_ONCE = 10_000
_CANDIDATE = "_view_candidate"
# Another process has made the same object between our look at the catalog and our statement.
_MADE_MEANWHILE = (UniqueViolation, DuplicateObject, DuplicateSchema, DuplicateTable)


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
        self._said_no_readers = False

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
        the whole load. Then one transaction deletes the former rows and copies the new ones. A second load with the
        same ``where`` waits for the first, and replaces what it wrote.

        Args:
            table: the wanted mart.
            where: column values that all of ``rows`` have, such as ``{"batch": "2013-10"}``; ``None`` is null.
                If the batch is one of them, the load is noted: see :meth:`fingerprints`.
            rows: with the table's columns, in order. Read in the calling thread; memory use is constant.
            progress: called with the number of rows sent so far.

        Returns:
            The number of rows written.

        Raises:
            StoreError: the rows do not fit the table or the table cannot be made to fit; a value cannot be
                stored (column and row are named); the server refuses.
            TransientError: the server does not answer, or the wait for another load was too long.
            Exception: any error of ``rows``, unchanged. After any error the former rows are still there.
        """
        check_columns(table, rows.schema)
        self._fit(table)
        collect(self._database, self._schema, table, self._stale_after)
        doing = f"loading {self._schema}.{table.name}"
        outgoing = Outgoing(rows, where, table.key, progress)
        with self._database.cursor(doing, batch=where.get(table.batch_column)) as cursor:
            empty_batch(cursor, self._schema, table, where)
            qualified = Identifier(self._schema, table.name)
            stored = copy_rows(cursor, doing, qualified, table.stored.schema.names, outgoing)
            finish_batch(cursor, self._schema, table, where, stored)
        return stored

    def begin(self, table: MartTable, where: Mapping[str, object], pieces: int) -> MartLoad:
        """A load of the rows that have the values in ``where``: any process writes pieces, then one commits.

        Pieces are copied in parallel. The commit is one transaction, as in :meth:`replace`, and takes about as long as
        writing the rows once more. Pieces may come in any order: readers get rows by their address.

        Raises:
            StoreError: there are no pieces, the table cannot be made to fit, or the server refuses.
            TransientError: the server does not answer.
        """
        check_count(pieces)
        self._fit(table)
        collect(self._database, self._schema, table, self._stale_after)
        with self._database.cursor(f"beginning to load {self._schema}.{table.name}") as cursor:
            name = begin(cursor, self._schema, table)
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

    def ensure_view(self, view: MartView) -> None:
        """Makes a view, or replaces it where its definition or columns changed; makes its tables if needed.

        How a view was made is noted beside the loads. If that is the wanted definition and the view has not changed
        since, nothing is done: no statement locks the catalog.

        Raises:
            StoreError: the query is wrong, or other people's views depend on it and would have to be dropped.
            TransientError: the server does not answer.
        """
        check_names([view.name])
        self._fit(*view.tables)
        wanted = mart_sql.view_fingerprint(self._schema, view)
        with self._database.cursor(f"making the view {self._schema}.{view.name}") as cursor:
            definition = mart_catalog.view_definition(cursor, self._schema, view.name)
            if definition is None or self._view_as_noted(cursor, view) != (wanted, _hash(definition)):
                self._lock_shapes(cursor)
                self._replace_view(cursor, view)
                made = mart_catalog.view_definition(cursor, self._schema, view.name) or ""
                note(cursor, self._schema, (view.name, ""), {"view": wanted, "definition": _hash(made)}, 0)
            readers = mart_catalog.schema_state(cursor, self._schema).reader_exists
            state = mart_catalog.relation_state(cursor, self._schema, view.name) or RelationState(types={})
            _execute(cursor, mart_sql.finish_view(self._schema, view, state, readers=readers))

    def _view_as_noted(self, cursor: Cursor, view: MartView) -> tuple[str | None, str | None]:
        cursor.execute(mart_sql.noted_fingerprints(self._schema, view.name, ""))
        found = cursor.fetchone()
        noted = json.loads(found[0]) if found else {}
        return noted.get("view"), noted.get("definition")

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

    def _lock_shapes(self, cursor: Cursor) -> None:
        """Lets one process at a time make or change tables and views, until its transaction ends."""
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [mart_sql.lock_key(self._schema)])

    def _fit(self, *tables: MartTable) -> None:
        doing = f"making {', '.join(f'{self._schema}.{table.name}' for table in tables)}"
        for another_try in (True, True, False):
            try:
                with self._database.cursor(doing) as cursor:
                    if self._changes(cursor, tables):
                        self._lock_shapes(cursor)
                        _execute(cursor, self._changes(cursor, tables))
            except StoreError as error:
                if not (another_try and isinstance(error.__cause__, _MADE_MEANWHILE)):
                    raise
            else:
                return

    def _changes(self, cursor: Cursor, tables: Iterable[MartTable]) -> list[Composed]:
        """The statements needed to make the tables as wanted, and the table that notes loads."""
        schema = mart_catalog.schema_state(cursor, self._schema)
        readers = schema.reader_exists or schema.may_create_roles
        if not readers:
            self._warn_no_readers()
        changes = mart_sql.prepare_schema(self._schema, schema)
        for table in (*tables, LOADS):
            changes += self._changes_of(cursor, table.stored, readers=readers)
        return changes

    def _changes_of(self, cursor: Cursor, table: MartTable, *, readers: bool) -> list[Composed]:
        state = mart_catalog.relation_state(cursor, self._schema, table.name)
        valueless, views = [], []
        if state is not None:
            conflicts = mart_sql.conflicting_columns(table, state)
            valueless = [
                column for column in conflicts if not mart_catalog.has_values(cursor, self._schema, table.name, column)
            ]
            if mart_sql.retyped_columns(table, state):
                views = mart_catalog.views_on(cursor, self._schema, table.name)
        dialect = mart_catalog.dialect(cursor)
        return [
            *(mart_sql.drop_view(self._schema, view.name) for view, _ in views),
            *mart_sql.fit_table(self._schema, table, state, dialect, readers=readers, valueless=valueless),
            *(one for view, state in views for one in mart_sql.restore_view(self._schema, view, state)),
        ]

    def _replace_view(self, cursor: Cursor, view: MartView) -> None:
        cursor.execute(mart_sql.create_view(self._schema, _CANDIDATE, view))
        wanted = mart_catalog.view_definition(cursor, self._schema, _CANDIDATE)
        there = mart_catalog.view_definition(cursor, self._schema, view.name)
        if there == wanted:
            cursor.execute(mart_sql.drop_view(self._schema, _CANDIDATE))
            return
        if there is not None:
            cursor.execute(mart_sql.drop_view(self._schema, view.name))
        renamed = SQL("ALTER VIEW {} RENAME TO {}")
        cursor.execute(renamed.format(Identifier(self._schema, _CANDIDATE), Identifier(view.name)))

    def _warn_no_readers(self) -> None:
        if not self._said_no_readers:
            _log.warning(
                "there is no role %s and our login may not make it: marts are readable only by us. "
                "CREATE ROLE it, and the next run lets it read.",
                mart_sql.reader_role(self._schema),
            )
        self._said_no_readers = True

    def _check_known(self, name: str, columns: Iterable[str], state: RelationState) -> None:
        for column in columns:
            if column not in state.types:
                raise StoreError(f"{self._schema}.{name} has no such column", column=column, available=state.types)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _execute(cursor: Cursor, statements: Iterable[Composed]) -> None:
    for statement in statements:
        cursor.execute(statement)


def _batches(stack: ExitStack, cursor: Cursor, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    with stack:
        while rows := cursor.fetchmany(_ROWS_READ_AT_ONCE):
            columns = zip(*rows, strict=True)
            arrays = [pa.array(values, field.type) for values, field in zip(columns, schema, strict=True)]
            yield pa.record_batch(arrays, schema=schema)
