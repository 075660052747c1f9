"""The SQL that keeps marts and views fitting, for PostgreSQL and Greenplum alike.

Pure functions: they take what is wanted and what the catalog says, and return the statements still needed.
PostgreSQL 9.4, on which Greenplum 6 is based, accepts all of them.
"""

import hashlib
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum

import pyarrow as pa
from psycopg2.sql import SQL, Composable, Composed, Identifier, Literal

from pipeline_assets.errors import StoreError
from pipeline_assets.stores.marts.definition import LOADS, MartTable, MartView, check_names, shortened
from pipeline_assets.stores.marts.sql_types import common_type, sql_types


class Dialect(Enum):
    """Whose SQL the server speaks."""

    POSTGRESQL = "PostgreSQL"
    GREENPLUM = "Greenplum"

    @classmethod
    def of(cls, version: str) -> "Dialect":
        """The dialect by the answer to ``select version()``; forks of Greenplum have their own names there."""
        return cls.GREENPLUM if re.search("Greenplum|Greengage|Cloudberry", version) else cls.POSTGRESQL


@dataclass(frozen=True)
class SchemaState:
    """What the catalog says of a schema and of its readers' role.

    Attributes:
        reader_enters: whether the readers' role may use the schema.
        may_create_roles: whether our login may.
    """

    exists: bool
    reader_exists: bool
    reader_enters: bool
    may_create_roles: bool


@dataclass(frozen=True)
class RelationState:
    """What the catalog says of a table or view.

    Attributes:
        types: by column, in order, spelled as ``format_type`` spells them.
        comments: of columns that have one.
        reader_selects: whether the readers' role may select.
        key: columns of the primary key; empty if there is none.
        indexes: their names.
    """

    types: Mapping[str, str]
    comment: str = ""
    comments: Mapping[str, str] = field(default_factory=dict)
    reader_selects: bool = False
    key: frozenset[str] = frozenset()
    indexes: frozenset[str] = frozenset()


def reader_role(schema: str) -> str:
    """The role of those who may look at a schema's marts and do nothing else."""
    return f"{schema}_reader"


def prepare_schema(schema: str, state: SchemaState) -> list[Composed]:
    """Makes the schema and the readers' role (if we may create roles), and gives the role access."""
    role = Identifier(reader_role(schema))
    statements = []
    if not state.exists:
        statements.append(SQL("CREATE SCHEMA {}").format(Identifier(schema)))
    if not state.reader_exists and state.may_create_roles:
        statements.append(SQL("CREATE ROLE {} NOLOGIN").format(role))
    if (state.reader_exists or state.may_create_roles) and not state.reader_enters:
        statements.append(SQL("GRANT USAGE ON SCHEMA {} TO {}").format(Identifier(schema), role))
    return statements


def fit_table(
    schema: str,
    table: MartTable,
    state: RelationState,
    dialect: Dialect,
    *,
    readers: bool,
    valueless: Collection[str] = (),
) -> list[Composed]:
    """The statements that make a mart as wanted: none where it is so already.

    Missing columns are added, null in the existing rows; types that grew are widened; columns that are no longer
    wanted stay.

    Args:
        schema: of the mart.
        table: what is wanted.
        state: what is there.
        dialect: of the server.
        readers: whether there is a readers' role.
        valueless: those of :func:`conflicting_columns` that hold no value, so that they may get any type.

    Raises:
        StoreError: the key differs, a change of type would lose values, or a name does not fit.
    """
    types = wanted_types(table)
    check_names([table.name, *types])
    statements = _alter(schema, table, state, valueless)
    state = replace(state, types={**types, **state.types})
    if dialect is Dialect.POSTGRESQL:
        statements += _create_indexes(schema, table, state)
    statements += describe(schema, "TABLE", table, state)
    if readers and not state.reader_selects:
        statements.append(grant_reading(schema, table.name))
    return statements


def wanted_types(table: MartTable) -> dict[str, str]:
    """The SQL types of a mart's columns, in order; text for those that hold nulls alone."""
    return {name: kind or "text" for name, kind in sql_types(table.schema).items()}


def typed_columns(types: Mapping[str, str], key: Collection[str]) -> list[Composed]:
    """Columns as ``CREATE TABLE`` takes them; those of the key are never null."""
    return [
        SQL("{} {}{}").format(Identifier(name), SQL(kind), SQL(" NOT NULL" if name in key else ""))
        for name, kind in types.items()
    ]


def storage(spread_by: Iterable[str], dialect: Dialect) -> Composed:
    """How a table is kept: on Greenplum, as compressed columns that are spread over the segments by some columns."""
    if dialect is Dialect.POSTGRESQL:
        return Composed([])
    how = SQL(" WITH (appendonly=true, orientation=column, compresstype=zstd) DISTRIBUTED BY ({})")
    return how.format(names_of(spread_by))


def create_staging(
    schema: str, name: str, table: MartTable, marks: Mapping[str, str], dialect: Dialect, *, rows: bool
) -> Composed:
    """Makes a staging table: without key and index, and on PostgreSQL unlogged where it holds rows of the mart.

    A PostgreSQL server that crashes empties an unlogged table: it then holds no piece, and the load cannot be
    committed. A table of marks alone outlives the crash, as do the tables that those rows are in.

    Args:
        schema: of mart and staging table.
        name: of the staging table.
        table: the mart, as it is stored.
        marks: SQL types of the staging table's own columns.
        dialect: of the server.
        rows: whether it holds rows of the mart.
    """
    kind = SQL("UNLOGGED TABLE" if rows and dialect is Dialect.POSTGRESQL else "TABLE")
    columns = {**wanted_types(table), **marks} if rows else marks
    typed = SQL(", ").join(typed_columns(columns, ()))
    spread_by = table.key if rows else [*marks][:1]
    return SQL("CREATE {} {} ({})").format(kind, Identifier(schema, name), typed) + storage(spread_by, dialect)


def conflicting_columns(table: MartTable, state: RelationState) -> tuple[str, ...]:
    """Columns whose new type cannot hold all values of the old one: allowed only where they hold no value yet."""
    return tuple(
        name
        for name, kind in sql_types(table.schema).items()
        if kind is not None and name in state.types and common_type(state.types[name], kind) is None
    )


def retyped_columns(table: MartTable, state: RelationState) -> tuple[str, ...]:
    """Columns that change their type; no view may read them while they change."""
    return tuple(
        name
        for name, kind in sql_types(table.schema).items()
        if kind is not None and name in state.types and common_type(state.types[name], kind) != state.types[name]
    )


def _alter(schema: str, table: MartTable, state: RelationState, valueless: Collection[str]) -> list[Composed]:
    if state.key and state.key != frozenset(table.key):
        raise another_key(schema, table, state)
    changes = []
    for name, kind in sql_types(table.schema).items():
        kept = state.types.get(name)
        if kept is None:
            # Greenplum needs an explicit default where a table is append-optimised.
            changes.append(SQL("ADD COLUMN {} {} DEFAULT NULL").format(Identifier(name), SQL(kind or "text")))
        elif kind is not None and (wanted := common_type(kept, kind)) != kept:
            if wanted is None and name not in valueless:
                raise StoreError(
                    f"the mart {schema}.{table.name} cannot follow a change of type without losing values",
                    column=name,
                    found=f"{kept} in the mart",
                    expected=f"{kind}, as the rows to come have it",
                    do="give the new column another name, or let the old values go: ALTER TABLE"
                    f" {_quoted(schema, table.name)} DROP COLUMN {_quoted(name)} CASCADE, and run every batch again",
                )
            target = SQL(wanted) if wanted else SQL("{0} USING NULL::{0}").format(SQL(kind))
            changes.append(SQL("ALTER COLUMN {} TYPE {}").format(Identifier(name), target))
    if not changes:
        return []
    return [SQL("ALTER TABLE {} {}").format(Identifier(schema, table.name), SQL(", ").join(changes))]


def another_key(schema: str, table: MartTable, state: RelationState) -> StoreError:
    """The error of a mart whose rows are told apart by other columns than is wanted."""
    return StoreError(
        f"the mart {schema}.{table.name} has another key",
        found=", ".join(sorted(state.key)) or f"the columns {', '.join(state.types)}",
        expected=", ".join(table.key),
        do=f"ALTER TABLE {_quoted(schema, table.name)} RENAME TO another name, and run every batch again",
    )


def _create_indexes(schema: str, table: MartTable, state: RelationState) -> list[Composed]:
    wanted = {index_name(table.name, columns): columns for columns in table.indexes}
    create, drop = SQL("CREATE INDEX {} ON {} ({})"), SQL("DROP INDEX {}")
    # Former versions put the batch before the row number: one index of the two is enough.
    former = {index_name(table.name, (columns[0], *columns[:0:-1])) for columns in table.indexes} - {*wanted}
    return [
        *(
            create.format(Identifier(name), Identifier(schema, table.name), names_of(columns))
            for name, columns in wanted.items()
            if name not in state.indexes
        ),
        *(drop.format(Identifier(schema, name)) for name in sorted(former & state.indexes)),
    ]


def index_name(table: str, columns: Sequence[str]) -> str:
    """The name of an index; where it would be too long, a hash replaces its end.

    >>> index_name("flights", ("carrier", "flight"))
    'flights_carrier_flight_idx'
    """
    return shortened("_".join((table, *columns, "idx")))


def describe(schema: str, kind: str, wanted: MartTable | MartView, state: RelationState) -> list[Composed]:
    """Sets the comments that differ from the descriptions.

    Args:
        schema: of what is described.
        kind: ``TABLE`` or ``VIEW``.
        wanted: has the descriptions.
        state: the columns that are there, and their comments.
    """
    statements = []
    if wanted.description != state.comment:
        named = Identifier(schema, wanted.name)
        statements.append(SQL("COMMENT ON {} {} IS {}").format(SQL(kind), named, _comment(wanted.description)))
    for column in state.types:
        text = wanted.column_descriptions.get(column, "")
        if text != state.comments.get(column, ""):
            named = Identifier(schema, wanted.name, column)
            statements.append(SQL("COMMENT ON COLUMN {} IS {}").format(named, _comment(text)))
    return statements


def grant_reading(schema: str, relation: str) -> Composed:
    """Lets the readers' role select."""
    return SQL("GRANT SELECT ON {} TO {}").format(Identifier(schema, relation), Identifier(reader_role(schema)))


def grant_again(schema: str, relation: str, grants: Iterable[tuple[str | None, str]]) -> list[Composed]:
    """Gives the rights of a table or view that was made again to those who had them; ``None`` is everybody."""
    give = SQL("GRANT {} ON {} TO {}")
    return [
        give.format(SQL(right), Identifier(schema, relation), SQL("PUBLIC") if role is None else Identifier(role))
        for role, right in grants
    ]


def select(schema: str, name: str, columns: pa.Schema, where: Mapping[str, object], order: Sequence[str]) -> Composed:
    """Selects columns, as text where Arrow has no closer type, of the rows that have the values given."""
    wanted = [
        SQL("{0}::text AS {0}" if column.type == pa.string() else "{0}").format(Identifier(column.name))
        for column in columns
    ]
    query = SQL("SELECT {} FROM {} WHERE {}").format(SQL(", ").join(wanted), Identifier(schema, name), condition(where))
    return query + SQL(" ORDER BY {}").format(names_of(order)) if order else query


def noted_fingerprints(schema: str, name: str, batch: str) -> Composed:
    """Selects the fingerprints that were noted of a batch of a mart, or of a view."""
    which = condition({"table_name": name, "batch": batch})
    return SQL('SELECT "fingerprints" FROM {} WHERE {}').format(Identifier(schema, LOADS.name), which)


def noted_batches(schema: str, name: str) -> Composed:
    """Selects the batches of a mart whose load was noted, and their rows; the one loaded last comes first."""
    noted = SQL('SELECT "batch", "rows" FROM {} WHERE {} ORDER BY "loaded_at" DESC, "batch" DESC')
    return noted.format(Identifier(schema, LOADS.name), condition({"table_name": name}))


def forget_note(schema: str, name: str, batch: str) -> Composed:
    """Deletes the note of a load."""
    which = condition(dict(zip(LOADS.key, (name, batch), strict=True)))
    return SQL("DELETE FROM {} WHERE {}").format(Identifier(schema, LOADS.name), which)


def condition(where: Mapping[str, object]) -> Composed:
    """The condition that each column has its value; without columns, every row matches."""
    terms = [
        SQL("{} IS NULL").format(Identifier(name))
        if value is None
        else SQL("{} = {}").format(Identifier(name), Literal(value))
        for name, value in where.items()
    ]
    return SQL(" AND ").join(terms) if terms else Composed([SQL("true")])


def lock_key(*parts: object) -> int:
    """A number for an advisory lock: the same parts give the same 64 bits in every process."""
    digest = hashlib.sha256(repr(parts).encode()).digest()
    return int.from_bytes(digest[:8], signed=True)


def names_of(names: Iterable[str]) -> Composed:
    """Quoted names, with commas between."""
    return SQL(", ").join(Identifier(name) for name in names)


def _quoted(*names: str) -> str:
    """A name quoted as people type it into psql."""
    return ".".join('"' + name.replace('"', '""') + '"' for name in names)


def _comment(text: str) -> Composable:
    return Literal(text or None)
