"""The SQL that makes views over the marts, the same for PostgreSQL and Greenplum; pure functions."""

import hashlib
import re

from psycopg2.sql import SQL, Composed, Identifier

from pipeline_assets.stores.marts.definition import MartView
from pipeline_assets.stores.marts.sql import RelationState, describe, grant_reading
from pipeline_assets.stores.marts.sql_types import sql_types


def view_query(schema: str, view: MartView) -> Composed:
    """The query of a view with its tables' names filled in; all other braces stay unchanged."""
    names = {f"{{{table.name}}}": Identifier(schema, table.name) for table in view.tables}
    parts = re.split(f"({'|'.join(map(re.escape, names))})", view.sql) if names else [view.sql]
    return Composed([names.get(part) or SQL(part) for part in parts])


def create_view(schema: str, name: str, view: MartView) -> Composed:
    """Makes a view under a name of the caller's choice."""
    return SQL("CREATE VIEW {} AS ").format(Identifier(schema, name)) + view_query(schema, view)


def drop_view(schema: str, name: str) -> Composed:
    """Drops a view on which nothing else depends."""
    return SQL("DROP VIEW {}").format(Identifier(schema, name))


def finish_view(schema: str, view: MartView, state: RelationState, *, readers: bool) -> list[Composed]:
    """The statements after a view is made: comments that differ, and the readers' rights."""
    grants = [grant_reading(schema, view.name)] if readers and not state.reader_selects else []
    return [*describe(schema, "VIEW", view, state), *grants]


def restore_view(schema: str, view: MartView, state: RelationState) -> list[Composed]:
    """Makes a view that was dropped for a while again, with its comments and readers' rights."""
    bare = RelationState(types=state.types)
    return [
        create_view(schema, view.name, view),
        *finish_view(schema, view, bare, readers=state.reader_selects),
    ]


def view_fingerprint(schema: str, view: MartView) -> str:
    """A hash of a view's query and of the columns of its tables."""
    columns = [[table.name, *sql_types(table.stored.schema).items()] for table in view.tables]
    return hashlib.sha256(repr([schema, view.sql, columns]).encode()).hexdigest()[:16]
