"""Makes schema, tables and views of the marts as they are wanted, one process at a time."""

import hashlib
import json
import logging
from collections.abc import Iterable, Sequence
from functools import partial

from psycopg2.errors import DuplicateObject, DuplicateSchema, DuplicateTable, UniqueViolation
from psycopg2.extensions import cursor as Cursor  # noqa: N812 - it is a class
from psycopg2.sql import SQL, Composed, Identifier

from pipeline_assets.errors import StoreError
from pipeline_assets.stores.marts import catalog as mart_catalog
from pipeline_assets.stores.marts import sql as mart_sql
from pipeline_assets.stores.marts import view_sql
from pipeline_assets.stores.marts.database import Database, execute_all
from pipeline_assets.stores.marts.definition import LOADS, MartTable, MartView, check_names
from pipeline_assets.stores.marts.loading import note
from pipeline_assets.stores.marts.lock_retries import with_lock_retries
from pipeline_assets.stores.marts.partition_sql import PartitionSql
from pipeline_assets.stores.marts.sql import Dialect, RelationState

_log = logging.getLogger(__name__)

_CANDIDATE = "_view_candidate"
# Another process has made the same object between our look at the catalog and our statement.
_MADE_MEANWHILE = (UniqueViolation, DuplicateObject, DuplicateSchema, DuplicateTable)
# Since then a partition is attached while the mart is read.
_POSTGRESQL = 12


class Shapes:
    """Tables and views of one schema.

    Args:
        database: of the marts.
        schema: made if it is not there.
    """

    def __init__(self, database: Database, schema: str) -> None:
        self._database, self._schema = database, schema
        self._said_no_readers = False

    def fit(self, *tables: MartTable) -> None:
        """Makes tables, or changes them, so that they are as wanted.

        Raises:
            StoreError: a table cannot be made to fit, or the server is too old or refuses.
            TransientError: the server does not answer.
        """
        doing = f"making {', '.join(f'{self._schema}.{table.name}' for table in tables)}"
        for another_try in (True, True, False):
            try:
                with self._database.cursor(doing) as cursor:
                    self._check_version(cursor)
                    if self._former(cursor, tables) or self._changes(cursor, tables):
                        self._lock(cursor)
                        for table in self._former(cursor, tables):
                            self._move(cursor, table.stored)
                        changes = self._changes(cursor, tables)
                        with_lock_retries(cursor, partial(execute_all, cursor, changes))
            except StoreError as error:
                if not (another_try and isinstance(error.__cause__, _MADE_MEANWHILE)):
                    raise
            else:
                return

    def fit_view(self, view: MartView) -> None:
        """Makes a view and its tables as wanted; see :meth:`MartStore.ensure_view`."""
        check_names([view.name])
        self.fit(*view.tables)
        wanted = view_sql.view_fingerprint(self._schema, view)
        with self._database.cursor(f"making the view {self._schema}.{view.name}") as cursor:
            definition = mart_catalog.view_definition(cursor, self._schema, view.name)
            if definition is None or self._view_as_noted(cursor, view) != (wanted, _hash(definition)):
                self._lock(cursor)
                with_lock_retries(cursor, partial(self._replace_view, cursor, view))
                made = mart_catalog.view_definition(cursor, self._schema, view.name) or ""
                note(cursor, self._schema, (view.name, ""), {"view": wanted, "definition": _hash(made)}, 0)
            readers = mart_catalog.schema_state(cursor, self._schema).reader_exists
            state = mart_catalog.relation_state(cursor, self._schema, view.name) or RelationState(types={})
            execute_all(cursor, view_sql.finish_view(self._schema, view, state, readers=readers))

    def _view_as_noted(self, cursor: Cursor, view: MartView) -> tuple[str | None, str | None]:
        cursor.execute(mart_sql.noted_fingerprints(self._schema, view.name, ""))
        found = cursor.fetchone()
        noted = json.loads(found[0]) if found else {}
        return noted.get("view"), noted.get("definition")

    def _lock(self, cursor: Cursor) -> None:
        """Lets one process at a time make or change tables and views, until its transaction ends."""
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [mart_sql.lock_key(self._schema)])

    def _check_version(self, cursor: Cursor) -> None:
        version = cursor.connection.server_version // 10_000
        if mart_catalog.dialect(cursor) is Dialect.POSTGRESQL and version < _POSTGRESQL:
            raise StoreError(
                "the server is too old for the marts",
                found=f"PostgreSQL {version}",
                expected=f"PostgreSQL {_POSTGRESQL} or newer, or Greenplum 6 or newer",
            )

    def _former(self, cursor: Cursor, tables: Iterable[MartTable]) -> list[MartTable]:
        """The marts that are one table each, as former versions made them."""
        return [
            table
            for table in tables
            if table.by_batch and mart_catalog.is_partitioned(cursor, self._schema, table.name) is False
        ]

    def _move(self, cursor: Cursor, table: MartTable) -> None:
        """Moves a former version's mart into partitions. Other people's loads wait, and readers at its end."""
        at = Identifier(self._schema, table.name)
        cursor.execute(SQL("LOCK TABLE {} IN SHARE ROW EXCLUSIVE MODE").format(at))
        state = mart_catalog.relation_state(cursor, self._schema, table.name)
        if state is None:
            return
        if not {*table.key} <= {*state.types} or (state.key and state.key != {*table.key}):
            raise mart_sql.another_key(self._schema, table, state)
        _log.info("moving the rows of %s.%s into partitions, once", self._schema, table.name)
        batches = mart_catalog.batches_in(cursor, self._schema, table.name, table.batch_column)
        sql = PartitionSql(self._schema, table, mart_catalog.dialect(cursor))
        *before, drop, rename = sql.move_former(state.types, sorted(state.indexes), batches)
        execute_all(cursor, before)
        views = mart_catalog.views_on(cursor, self._schema, table.name)
        dropped = [view_sql.drop_view(self._schema, view.name) for view, _ in views]
        restored = [one for view, state in views for one in view_sql.restore_view(self._schema, view, state)]
        rights = [
            one
            for name in (table.name, *(view.name for view, _ in views))
            for one in mart_sql.grant_again(self._schema, name, mart_catalog.grants(cursor, self._schema, name))
        ]
        last = [*dropped, drop, rename, *restored, *rights]
        with_lock_retries(cursor, partial(execute_all, cursor, last))

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
        dialect = mart_catalog.dialect(cursor)
        state = mart_catalog.relation_state(cursor, self._schema, table.name)
        if state is None:
            types = mart_sql.wanted_types(table)
            check_names([table.name, *types])
            created = PartitionSql(self._schema, table, dialect).create_mart(types)
            fitted = mart_sql.fit_table(self._schema, table, RelationState(types), dialect, readers=readers)
            return [*created, *fitted]
        conflicts = mart_sql.conflicting_columns(table, state)
        valueless = [
            column for column in conflicts if not mart_catalog.has_values(cursor, self._schema, table.name, column)
        ]
        views: Sequence[tuple[MartView, RelationState]] = []
        if mart_sql.retyped_columns(table, state):
            views = mart_catalog.views_on(cursor, self._schema, table.name)
        return [
            *(view_sql.drop_view(self._schema, view.name) for view, _ in views),
            *mart_sql.fit_table(self._schema, table, state, dialect, readers=readers, valueless=valueless),
            *(one for view, state in views for one in view_sql.restore_view(self._schema, view, state)),
        ]

    def _replace_view(self, cursor: Cursor, view: MartView) -> None:
        cursor.execute(view_sql.create_view(self._schema, _CANDIDATE, view))
        wanted = mart_catalog.view_definition(cursor, self._schema, _CANDIDATE)
        there = mart_catalog.view_definition(cursor, self._schema, view.name)
        if there == wanted:
            cursor.execute(view_sql.drop_view(self._schema, _CANDIDATE))
            return
        if there is not None:
            cursor.execute(view_sql.drop_view(self._schema, view.name))
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


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
