"""The marts: tables and views in Greenplum, in PostgreSQL, or in the embedded PostgreSQL."""

import io
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import chain
from pathlib import Path
from urllib.parse import quote

import pyarrow as pa
import pyarrow.compute as pc
from psycopg2.errors import DuplicateObject, DuplicateSchema, DuplicateTable, UniqueViolation
from psycopg2.extensions import cursor as Cursor  # noqa: N812 - it is a class
from psycopg2.sql import SQL, Composed, Identifier

from pipeline_assets.errors import StoreError
from pipeline_assets.settings import DatabaseSettings
from pipeline_assets.stores.marts import catalog as mart_catalog
from pipeline_assets.stores.marts import sql as mart_sql
from pipeline_assets.stores.marts.copy_csv import plain, sql_types, write_rows
from pipeline_assets.stores.marts.database import Database, copy_in
from pipeline_assets.stores.marts.sql import MartTable, MartView, RelationState
from pipeline_assets.stores.marts.sql_types import arrow_type
from pipeline_assets.task.spec import ROW_ADDRESS

__all__ = ["MartStore", "MartTable", "MartView"]

_log = logging.getLogger(__name__)

_ROWS_WRITTEN_AT_ONCE = 65_536
# The server says what it has against a row when its COPY ends; a new one begins after so many.
_ROWS_OF_A_COPY = 1_000_000
_ROWS_READ_AT_ONCE = 10_000
_CANDIDATE = "_view_candidate"
# Another process made the same thing between our look at the catalog and our statement.
_MADE_MEANWHILE = (UniqueViolation, DuplicateObject, DuplicateSchema, DuplicateTable)


class MartStore:
    """The marts of one schema. Constructing it connects to nothing.

    Whoever is granted the role ``<schema>_reader`` may select from everything here and do nothing else. The
    role is made if our login may make roles; if not, a warning says so, and marts are readable only by us
    until someone makes it.

    Args:
        server: a Greenplum or PostgreSQL server, or the folder of the embedded one.
        schema: made if it is not there.

    Raises:
        StoreError: the schema's name does not fit the database.
    """

    def __init__(self, server: DatabaseSettings | Path, schema: str) -> None:
        mart_sql.check_names([schema, mart_sql.reader_role(schema)])
        self._database = Database(server)
        self._schema = schema
        self._said_no_readers = False

    def uri(self, name: str) -> str:
        """Where a table or view is: ``postgresql://host:port/database/schema.name``, without a secret."""
        return f"{self._database.uri}/{quote(self._schema)}.{quote(name)}"

    def replace(
        self,
        table: MartTable,
        where: Mapping[str, object],
        rows: pa.RecordBatchReader,
        progress: Callable[[int], None] | None = None,
    ) -> int:
        """Makes ``rows`` the rows of a table that have the values in ``where``, all at once or not at all.

        The table is first made or fitted to ``table`` (in a transaction of its own, lest its readers wait for
        the whole load); then one transaction deletes the former rows and copies the new ones in. A second
        load with the same ``where`` waits for the first, and replaces what it wrote.

        Args:
            table: what the mart should be.
            where: column values that all of ``rows`` have, such as ``{"batch": "2013-10"}``; ``None`` is null.
            rows: its columns are the table's, in order. Read in the calling thread; memory stays flat.
            progress: called with the number of rows sent so far.

        Returns:
            The number of rows written.

        Raises:
            StoreError: the rows do not fit the table or the table cannot be made to fit; a value cannot be
                stored (column and row are named); the server refuses.
            TransientError: the server does not answer, or the wait for another load was too long.
            Exception: whatever ``rows`` raises, as it is. After any error the former rows are there.
        """
        _check_columns(table, rows.schema)
        self._fit(table)
        doing = f"loading {self._schema}.{table.name}"
        qualified = Identifier(self._schema, table.name)
        which = mart_sql.condition(where)
        names = SQL(", ").join(map(Identifier, rows.schema.names))
        copy = SQL("COPY {} ({}) FROM STDIN WITH (FORMAT csv, ENCODING 'UTF8')").format(qualified, names)
        with self._cursor(doing, batch=where.get("batch")) as cursor:
            lock = mart_sql.lock_key(self._schema, table.name, *sorted(where.items()))
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [lock])
            cursor.execute(SQL("DELETE FROM {} WHERE {}").format(qualified, which))
            outgoing, stored = _Outgoing(rows, where, table.key, progress), 0
            for write in outgoing.copies():
                copy_in(cursor, copy, write)
                stored += cursor.rowcount
            if stored != outgoing.sent:
                raise StoreError(f"{doing}: the server counts other rows", found=stored, expected=outgoing.sent)
            # Without it the planner takes the new batch for empty, and joins a million rows by nested loops. The
            # columns that rows are joined and looked up by are enough; all of them would take a tenth of the load.
            known = SQL(", ").join(map(Identifier, table.looked_up_by))
            cursor.execute(SQL("ANALYZE {} ({})").format(qualified, known))
        return stored

    def ensure_view(self, view: MartView) -> None:
        """Makes a view, or makes it anew where its definition or columns changed; makes its tables if need be.

        Raises:
            StoreError: the query is wrong, or views of other people, which would have to go, depend on it.
            TransientError: the server does not answer.
        """
        mart_sql.check_names([view.name])
        for table in view.tables:
            self._fit(table)
        with self._cursor(f"making the view {self._schema}.{view.name}") as cursor:
            self._lock_shapes(cursor)
            self._replace_view(cursor, view)
            readers = mart_catalog.schema_state(cursor, self._schema).reader_exists
            state = mart_catalog.relation_state(cursor, self._schema, view.name) or RelationState(types={})
            _execute(cursor, mart_sql.finish_view(self._schema, view, state, readers=readers))

    def count(self, name: str, where: Mapping[str, object]) -> int:
        """Rows of a table or view that have the values in ``where``; 0 where there is no such table yet.

        Raises:
            StoreError: it lacks a column of ``where``.
            TransientError: the server does not answer.
        """
        with self._cursor(f"counting {self._schema}.{name}") as cursor:
            state = mart_catalog.relation_state(cursor, self._schema, name)
            if state is None:
                return 0
            self._check_known(name, where, state)
            query = SQL("SELECT count(*) FROM {} WHERE {}")
            cursor.execute(query.format(Identifier(self._schema, name), mart_sql.condition(where)))
            return int(cursor.fetchall()[0][0])

    def read(
        self, name: str, where: Mapping[str, object], columns: Sequence[str] | None = None
    ) -> pa.RecordBatchReader:
        """Rows of a table or view that have the values in ``where``, in order of their address, or else key.

        Types are those that the database has: small integers come back wider, times in microseconds, nested
        values as JSON text. Memory stays flat; the connection ends with the reader, or when it is dropped.

        Args:
            name: of the table or view.
            where: column values; ``None`` is null.
            columns: which ones, in order; all by default.

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
            order = [column for column in ROW_ADDRESS if column in state.types] or sorted(state.key)
            schema = pa.schema([(column, arrow_type(state.types[column])) for column in wanted])
            rows = stack.enter_context(connection.cursor("rows"))  # with a name, it is the server's
            rows.execute(mart_sql.select(self._schema, name, schema, where, order))
            return pa.RecordBatchReader.from_batches(schema, _batches(stack.pop_all(), rows, schema))

    @contextmanager
    def _cursor(self, doing: str, **facts: object) -> Iterator[Cursor]:
        with self._database.transaction(doing, **facts) as connection, connection.cursor() as cursor:
            yield cursor

    def _lock_shapes(self, cursor: Cursor) -> None:
        """One process at a time makes or changes tables and views, until its transaction ends."""
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [mart_sql.lock_key(self._schema)])

    def _fit(self, table: MartTable) -> None:
        for another_try in (True, True, False):
            try:
                with self._cursor(f"making {self._schema}.{table.name}") as cursor:
                    if self._changes(cursor, table):
                        self._lock_shapes(cursor)
                        _execute(cursor, self._changes(cursor, table))
            except StoreError as error:
                if not (another_try and isinstance(error.__cause__, _MADE_MEANWHILE)):
                    raise
            else:
                return

    def _changes(self, cursor: Cursor, table: MartTable) -> list[Composed]:
        schema = mart_catalog.schema_state(cursor, self._schema)
        readers = schema.reader_exists or schema.may_create_roles
        if not readers:
            self._say_no_readers()
        state = mart_catalog.relation_state(cursor, self._schema, table.name)
        valueless, views = [], []
        if state is not None:
            conflicts = mart_sql.conflicting_columns(table, state)
            valueless = [
                column for column in conflicts if not mart_catalog.has_values(cursor, self._schema, table.name, column)
            ]
            if mart_sql.retyped_columns(table, state):
                views = mart_catalog.views_on(cursor, self._schema, table.name)
        fit = mart_sql.fit_table(
            self._schema,
            table,
            state,
            mart_catalog.dialect(cursor),
            readers=readers,
            valueless=valueless,
        )
        return [
            *mart_sql.prepare_schema(self._schema, schema),
            *(mart_sql.drop_view(self._schema, view.name) for view, _ in views),
            *fit,
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

    def _say_no_readers(self) -> None:
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


def _execute(cursor: Cursor, statements: Iterable[Composed]) -> None:
    for statement in statements:
        cursor.execute(statement)


def _check_columns(table: MartTable, rows: pa.Schema) -> None:
    wanted, found = sql_types(table.schema), sql_types(rows)
    unlike = [name for name in found if None not in (found[name], wanted.get(name)) and found[name] != wanted.get(name)]
    if list(found) != list(wanted) or unlike:
        raise StoreError(
            f"the rows are not those of the mart {table.name}",
            column=unlike[0] if unlike else None,
            found=", ".join(f"{field.name} {field.type}" for field in rows),
            expected=", ".join(f"{field.name} {field.type}" for field in table.schema),
        )


class _Outgoing:
    """The rows of a load on their way, one COPY's worth at a time; ``sent`` is how many have gone."""

    def __init__(
        self,
        rows: pa.RecordBatchReader,
        where: Mapping[str, object],
        key: Sequence[str],
        progress: Callable[[int], None] | None,
    ) -> None:
        self.sent = 0
        self._parts = self._cut(rows, where)
        self._key = key
        self._progress = progress

    def copies(self) -> Iterator[Callable[[io.RawIOBase], None]]:
        """A function for each COPY, which writes its rows."""
        for first in self._parts:
            yield partial(self._write, first)

    def _cut(self, rows: pa.RecordBatchReader, where: Mapping[str, object]) -> Iterator[pa.RecordBatch]:
        for batch in rows:
            for start in range(0, batch.num_rows, _ROWS_WRITTEN_AT_ONCE):
                part = batch.slice(start, _ROWS_WRITTEN_AT_ONCE)
                _check_belonging(part, where)
                yield part

    def _write(self, first: pa.RecordBatch, sink: io.RawIOBase) -> None:
        enough = self.sent + _ROWS_OF_A_COPY
        for part in chain([first], self._parts):
            write_rows(part, sink, self._key, first_row=self.sent)
            self.sent += part.num_rows
            if self._progress is not None:
                self._progress(self.sent)
            if self.sent >= enough:
                return


def _check_belonging(rows: pa.RecordBatch, where: Mapping[str, object]) -> None:
    """A row outside of ``where`` would not be deleted by the next load, and be there twice."""
    for name, value in where.items():
        if name not in rows.schema.names:
            continue
        column = plain(rows.column(name))
        same = pc.is_null(column) if value is None else pc.fill_null(pc.equal(column, value), fill_value=False)
        row = pc.index(same, value=False).as_py()
        if row >= 0:
            raise StoreError("a row is not one of those being replaced", column=name, found=column[row], expected=value)


def _batches(stack: ExitStack, cursor: Cursor, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    with stack:
        while rows := cursor.fetchmany(_ROWS_READ_AT_ONCE):
            columns = zip(*rows, strict=True)
            arrays = [pa.array(values, field.type) for values, field in zip(columns, schema, strict=True)]
            yield pa.record_batch(arrays, schema=schema)
