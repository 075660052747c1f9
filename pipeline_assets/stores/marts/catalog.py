"""What the server's catalog says of marts: schema, tables, views and who may read them."""

from collections.abc import Sequence

from psycopg2.extensions import cursor as Cursor  # noqa: N812 - it is a class
from psycopg2.sql import SQL, Identifier

from pipeline_assets.stores.marts.definition import MartView
from pipeline_assets.stores.marts.partition_sql import PartitionSql
from pipeline_assets.stores.marts.sql import Dialect, RelationState, SchemaState, reader_role

_SCHEMA = """
SELECT n.oid IS NOT NULL, r.oid IS NOT NULL,
       COALESCE(has_schema_privilege(r.oid, n.oid, 'USAGE'), false), me.rolcreaterole OR me.rolsuper
FROM pg_roles me
LEFT JOIN pg_namespace n ON n.nspname = %(schema)s
LEFT JOIN pg_roles r ON r.rolname = %(reader)s
WHERE me.rolname = current_user
"""
_RELATION = """
SELECT c.oid, COALESCE(obj_description(c.oid, 'pg_class'), ''),
       COALESCE(has_table_privilege(r.oid, c.oid, 'SELECT'), false)
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_roles r ON r.rolname = %(reader)s
WHERE n.nspname = %(schema)s AND c.relname = %(name)s
"""
_COLUMNS = """
SELECT attname, format_type(atttypid, atttypmod), col_description(attrelid, attnum)
FROM pg_attribute WHERE attrelid = %s AND attnum > 0 AND NOT attisdropped ORDER BY attnum
"""
_TYPES = """
SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute
WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped
"""
_KEY = """
SELECT a.attname FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
WHERE i.indrelid = %s AND i.indisprimary
"""
_INDEXES = "SELECT c.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid WHERE i.indrelid = %s"
_TABLES_NAMED = """
SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = %s AND left(c.relname::text, %s) = %s AND c.relkind = 'r'
"""
# The partitions' values as text: FOR VALUES IN ('2013-10'), or '2013-10'::text; a partition for null has no quotes.
_PARTITION_VALUES = {
    Dialect.POSTGRESQL: """
SELECT pg_get_expr(p.relpartbound, p.oid) AS said
FROM pg_inherits i JOIN pg_class p ON p.oid = i.inhrelid AND p.relispartition
WHERE i.inhparent = (SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                     WHERE n.nspname = %s AND c.relname = %s)
""",
    Dialect.GREENPLUM: """
SELECT pg_get_expr(r.parlistvalues, r.parchildrelid) AS said
FROM pg_partition_rule r JOIN pg_partition p ON p.oid = r.paroid AND NOT p.paristemplate
WHERE p.parrelid = (SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                    WHERE n.nspname = %s AND c.relname = %s)
""",
}
_UNQUOTED = """
SELECT replace(substring(said from $$'(.*)'$$), $$''$$, $$'$$) FROM ({}) v WHERE said LIKE $$%%'%%$$ ORDER BY 1
"""
_PARTITIONED = {
    Dialect.POSTGRESQL: """
SELECT c.relkind = 'p' FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = %s AND c.relname = %s AND c.relkind IN ('r', 'p')
""",
    Dialect.GREENPLUM: """
SELECT EXISTS (SELECT 1 FROM pg_partition p WHERE p.parrelid = c.oid)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = %s AND c.relname = %s AND c.relkind = 'r'
""",
}
_PARTITION = {
    Dialect.POSTGRESQL: """
SELECT 1 FROM pg_inherits i JOIN pg_class p ON p.oid = i.inhrelid JOIN pg_class c ON c.oid = i.inhparent
JOIN pg_namespace n ON n.oid = c.relnamespace AND n.oid = p.relnamespace
WHERE n.nspname = %s AND c.relname = %s AND p.relname = %s
""",
    Dialect.GREENPLUM: """
SELECT 1 FROM pg_partition_rule r JOIN pg_partition p ON p.oid = r.paroid AND NOT p.paristemplate
JOIN pg_class c ON c.oid = p.parrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = %s AND c.relname = %s AND r.parname = %s
""",
}
# Plain ones: whatever else people have made is built when a partition is attached.
_INDEXED = """
SELECT ARRAY(
  SELECT a.attname::text FROM unnest(i.indkey::int2[]) WITH ORDINALITY k (number, place)
  JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.number ORDER BY k.place)
FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = %s AND c.relname = %s AND NOT i.indisunique AND i.indexprs IS NULL AND i.indpred IS NULL
  AND i.indnatts = i.indnkeyatts ORDER BY 1
"""
_GRANTS = """
SELECT DISTINCT r.rolname, x.privilege FROM (
  SELECT c.relowner, (aclexplode(c.relacl)).grantee, (aclexplode(c.relacl)).privilege_type AS privilege
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = %s AND c.relname = %s
) x LEFT JOIN pg_roles r ON r.oid = x.grantee WHERE x.grantee <> x.relowner ORDER BY 1, 2
"""
_VIEW = """
SELECT pg_get_viewdef(c.oid) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = %s AND c.relname = %s AND c.relkind = 'v'
"""
_VIEWS_ON = """
SELECT DISTINCT v.relname
FROM pg_depend d
JOIN pg_rewrite w ON w.oid = d.objid AND d.classid = 'pg_rewrite'::regclass
JOIN pg_class v ON v.oid = w.ev_class AND v.relkind = 'v'
JOIN pg_class t ON t.oid = d.refobjid AND d.refclassid = 'pg_class'::regclass AND t.relnamespace = v.relnamespace
JOIN pg_namespace n ON n.oid = t.relnamespace
WHERE n.nspname = %s AND t.relname = %s ORDER BY v.relname
"""


def dialect(cursor: Cursor) -> Dialect:
    """Whose SQL the server speaks."""
    cursor.execute("SELECT version()")
    return Dialect.of(cursor.fetchall()[0][0])


def schema_state(cursor: Cursor, schema: str) -> SchemaState:
    """Whether the schema and its readers' role are there, and which rights we have."""
    cursor.execute(_SCHEMA, {"schema": schema, "reader": reader_role(schema)})
    return SchemaState(*cursor.fetchall()[0])


def relation_state(cursor: Cursor, schema: str, name: str) -> RelationState | None:
    """What is there under the name of a table or view; ``None`` if nothing is."""
    cursor.execute(_RELATION, {"schema": schema, "name": name, "reader": reader_role(schema)})
    found = cursor.fetchone()
    if found is None:
        return None
    oid, comment, reader_selects = found
    cursor.execute(_COLUMNS, [oid])
    columns = cursor.fetchall()
    cursor.execute(_KEY, [oid])
    key = frozenset(column for (column,) in cursor.fetchall())
    cursor.execute(_INDEXES, [oid])
    return RelationState(
        types={column: kind for column, kind, _ in columns},
        comment=comment,
        comments={column: text for column, _, text in columns if text},
        reader_selects=reader_selects,
        key=key,
        indexes=frozenset(index for (index,) in cursor.fetchall()),
    )


def column_types(cursor: Cursor, table: Identifier, columns: Sequence[str]) -> list[str]:
    """The types of columns of a table, which nobody changes until this transaction ends; a missing one is named so."""
    cursor.execute(SQL("LOCK TABLE {} IN ROW EXCLUSIVE MODE").format(table))
    cursor.execute(_TYPES, [table.as_string(cursor)])
    types = dict(cursor.fetchall())
    return [types.get(name, "no such column") for name in columns]


def tables_named(cursor: Cursor, schema: str, start: str) -> list[str]:
    """Tables of a schema whose names begin with ``start``."""
    cursor.execute(_TABLES_NAMED, [schema, len(start), start])
    return [name for (name,) in cursor.fetchall()]


def partitions(cursor: Cursor, schema: str, table: str) -> list[str]:
    """The batches that a table has partitions for, in the server's order; none if it has no partitions."""
    cursor.execute(_UNQUOTED.format(_PARTITION_VALUES[dialect(cursor)]), [schema, table])
    return [batch for (batch,) in cursor.fetchall()]


def is_partitioned(cursor: Cursor, schema: str, table: str) -> bool | None:
    """Whether a table has partitions; ``None`` if there is no such table."""
    cursor.execute(_PARTITIONED[dialect(cursor)], [schema, table])
    found = cursor.fetchone()
    return None if found is None else bool(found[0])


def has_partition(cursor: Cursor, sql: PartitionSql, batch: str) -> bool:
    """Whether a mart has a partition for a batch."""
    cursor.execute(_PARTITION[sql.dialect], [sql.schema, sql.table.name, sql.partition(batch)])
    return cursor.fetchone() is not None


def batches_in(cursor: Cursor, schema: str, table: str, column: str) -> list[str]:
    """The values of a table's column of batches; reads the whole table."""
    query = SQL("SELECT DISTINCT {0} FROM {1} ORDER BY {0}")
    cursor.execute(query.format(Identifier(column), Identifier(schema, table)))
    return [batch for (batch,) in cursor.fetchall()]


def indexed(cursor: Cursor, sql: PartitionSql) -> list[tuple[str, ...]]:
    """The columns of each index of a mart beside its key; on Greenplum none."""
    if sql.dialect is Dialect.GREENPLUM:
        return []
    cursor.execute(_INDEXED, [sql.schema, sql.table.name])
    return [tuple(columns) for (columns,) in cursor.fetchall()]


def grants(cursor: Cursor, schema: str, name: str) -> list[tuple[str | None, str]]:
    """Who beside the owner has which right on a table or view: roles and privileges; ``None`` is everybody."""
    cursor.execute(_GRANTS, [schema, name])
    return [(role, privilege) for role, privilege in cursor.fetchall()]


def has_values(cursor: Cursor, schema: str, table: str, column: str) -> bool:
    """Whether any row has a value in a column."""
    query = SQL("SELECT 1 FROM {} WHERE {} IS NOT NULL LIMIT 1")
    cursor.execute(query.format(Identifier(schema, table), Identifier(column)))
    return cursor.fetchone() is not None


def view_definition(cursor: Cursor, schema: str, name: str) -> str | None:
    """A view's query as the server keeps it; ``None`` if there is no such view."""
    cursor.execute(_VIEW, [schema, name])
    found = cursor.fetchone()
    return None if found is None else str(found[0])


def views_on(cursor: Cursor, schema: str, table: str) -> list[tuple[MartView, RelationState]]:
    """The views of a schema that read one of its tables, with everything needed to make them again."""
    cursor.execute(_VIEWS_ON, [schema, table])
    views = []
    for (name,) in cursor.fetchall():
        state = relation_state(cursor, schema, name)
        query = view_definition(cursor, schema, name)
        if state is not None and query is not None:
            views.append((MartView(name, (), query, state.comment, state.comments), state))
    return views
