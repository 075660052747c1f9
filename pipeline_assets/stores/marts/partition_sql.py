"""The SQL by which a batch becomes a partition of its mart, for PostgreSQL 12 and Greenplum 6.

A batch is written into a table of its own, which nobody sees ("apart"); that table becomes the partition.
"""

import hashlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from psycopg2.sql import SQL, Composed, Identifier, Literal

from pipeline_assets.stores.marts.definition import MartTable, shortened
from pipeline_assets.stores.marts.sql import Dialect, index_name, names_of, storage, typed_columns

_HASH_DIGITS = 16
_BELONGS = "belongs"
# Memory in which PostgreSQL sorts the rows of an index: enough for two million; its own setting is a quarter of it.
_SORTED_IN = "256MB"
# Greenplum makes no partitioned table without a partition; no row goes into this one.
_NONE = "none"


@dataclass(frozen=True)
class PartitionSql:
    """Statements about the partitions of one mart; pure, as in :mod:`pipeline_assets.stores.marts.sql`.

    Attributes:
        schema: of the mart, and of all its tables.
        table: the mart, as it is stored.
        dialect: of the server.
    """

    schema: str
    table: MartTable
    dialect: Dialect

    @property
    def _greenplum(self) -> bool:
        return self.dialect is Dialect.GREENPLUM

    @property
    def _mart(self) -> Identifier:
        return Identifier(self.schema, self.table.name)

    def partition(self, batch: str) -> str:
        """What the partition of a batch is called: PostgreSQL's is a table, Greenplum's has a name within its mart."""
        return f"b_{_hash(batch)}" if self._greenplum else f"_batch_{_hash(self.table.name, batch)}"

    def create_mart(self, types: Mapping[str, str]) -> list[Composed]:
        """Makes the mart without rows; on PostgreSQL with its key.

        On Greenplum it is made of compressed columns, distributed by the row address; such tables have no keys there.

        Args:
            types: the columns and their types, in order.
        """
        return [*self._create(self.table.name, types, ()), *self._key(self.table.name)]

    def create_apart(self, name: str, types: Mapping[str, str], batch: str) -> list[Composed]:
        """Makes the table that a batch is written into. It depends on no other table and locks none.

        Args:
            name: of the table.
            types: the mart's columns and their types, in order.
            batch: that is written.
        """
        at, columns = Identifier(self.schema, name), typed_columns(types, self.table.key)
        if not self._greenplum:
            # By this condition the server knows that no row has to be looked at when the table becomes a partition.
            belongs = SQL("CONSTRAINT {} CHECK ({} = {})")
            columns.append(belongs.format(Identifier(_BELONGS), Identifier(self.table.batch_column), Literal(batch)))
        made = SQL("CREATE TABLE {} ({})").format(at, SQL(", ").join(columns)) + storage(self.table.key, self.dialect)
        said = SQL("COMMENT ON TABLE {} IS {}").format(at, Literal(f"{self.table.name}: batch {batch}"))
        return [made] if self._greenplum else [made, said]

    def finish_apart(self, name: str, batch: str, indexes: Iterable[Collection[str]]) -> list[Composed]:
        """Makes key, indexes and statistics, once the rows are there.

        Args:
            name: of the table.
            batch: that was written.
            indexes: columns of each index of the mart: one that is missing would be made while the mart is locked.
        """
        # Unlike others' names, none that PostgreSQL would choose: it may choose the same in two transactions at once.
        own = f"{self.partition(batch)}_{_hash(name)[:8]}"
        memory = SQL("SET LOCAL maintenance_work_mem = {}").format(Literal(_SORTED_IN))
        return [
            *([] if self._greenplum else [memory]),
            *self._key(name, f"{own}_pkey"),
            *self._indexes(name, {f"{own}_{number}_idx": columns for number, columns in enumerate(indexes)}),
            self._analyze(name, self.table.looked_up_by),
        ]

    def align(self, name: str, types: Mapping[str, str], wanted: Mapping[str, str]) -> list[Composed]:
        """Gives a batch's table the columns that the mart got after the table was made."""
        changes = [
            SQL("ALTER COLUMN {} TYPE {}" if column in types else "ADD COLUMN {} {} DEFAULT NULL").format(
                Identifier(column), SQL(kind)
            )
            for column, kind in wanted.items()
            if types.get(column) != kind
        ]
        alter = SQL("ALTER TABLE {} {}")
        return [alter.format(Identifier(self.schema, name), SQL(", ").join(changes))] if changes else []

    def swap_in(self, name: str, batch: str, *, replaces: bool) -> list[Composed]:
        """Makes a batch's table the partition, and drops the former one, if there is one."""
        at, part = Identifier(self.schema, name), Identifier(self.partition(batch))
        if self._greenplum:
            add = SQL("ALTER TABLE {} ADD PARTITION {} VALUES ({})").format(self._mart, part, Literal(batch))
            exchange = SQL("ALTER TABLE {} EXCHANGE PARTITION {} WITH TABLE {} WITHOUT VALIDATION")
            former = SQL("DROP TABLE {}").format(at)  # now it has what the partition had
            return [*([] if replaces else [add]), exchange.format(self._mart, part, at), former]
        attached = Identifier(self.schema, self.partition(batch))
        attach = SQL("ALTER TABLE {} ATTACH PARTITION {} FOR VALUES IN ({})")
        return [
            *(self.drop(batch) if replaces else []),
            SQL("ALTER TABLE {} RENAME TO {}").format(at, part),
            attach.format(self._mart, attached, Literal(batch)),
            SQL("ALTER TABLE {} DROP CONSTRAINT {}").format(attached, Identifier(_BELONGS)),
        ]

    def drop(self, batch: str) -> list[Composed]:
        """Drops the partition of a batch."""
        part = self.partition(batch)
        if self._greenplum:
            return [SQL("ALTER TABLE {} DROP PARTITION {}").format(self._mart, Identifier(part))]
        return [SQL("DROP TABLE {}").format(Identifier(self.schema, part))]

    def move_former(self, types: Mapping[str, str], indexes: Iterable[str], batches: Collection[str]) -> list[Composed]:
        """Moves the rows of a mart that is one table, as former versions made it, into partitions; drops that table.

        The last two statements alone exclude readers: until then the rows are copied beside the table.

        Args:
            types: the columns that the table has, in order.
            indexes: their names.
            batches: whose rows it has.
        """
        moved = f"_moved_{_hash(self.table.name)}"
        there, rename = names_of(types), SQL("ALTER INDEX {} RENAME TO {}")
        insert = SQL("INSERT INTO {} ({}) SELECT {} FROM {}")
        own = {index_name(self.table.name, columns): columns for columns in self.table.indexes}
        known = [column for column in self.table.looked_up_by if column in types]
        # On Greenplum the whole mart is analysed, which its partitions are tables of.
        analysed = [moved] if self._greenplum else map(self.partition, batches)
        return [
            *(rename.format(Identifier(self.schema, name), Identifier(f"_former_{_hash(name)}")) for name in indexes),
            *self._create(moved, types, batches),
            insert.format(Identifier(self.schema, moved), there, there, self._mart),
            *self._key(moved),
            *self._indexes(moved, {name: columns for name, columns in own.items() if {*columns} <= {*types}}),
            *(self._analyze(name, known) for name in analysed),
            SQL("DROP TABLE {}").format(self._mart),
            SQL("ALTER TABLE {} RENAME TO {}").format(Identifier(self.schema, moved), Identifier(self.table.name)),
        ]

    def _create(self, name: str, types: Mapping[str, str], batches: Iterable[str]) -> list[Composed]:
        """Makes a mart under a name, with a partition for each of some batches, without key and indexes."""
        at, columns = Identifier(self.schema, name), SQL(", ").join(typed_columns(types, self.table.key))
        made = SQL("CREATE TABLE {} ({})").format(at, columns) + storage(self.table.key, self.dialect)
        if not self.table.by_batch:
            return [made]
        made += SQL(" PARTITION BY LIST ({})").format(Identifier(self.table.batch_column))
        parts = [(self.partition(batch), Literal(batch)) for batch in batches]
        if self._greenplum:
            part = SQL("PARTITION {} VALUES ({})")
            listed = [part.format(Identifier(_NONE), Literal(None))]
            listed += [part.format(Identifier(named), value) for named, value in parts]
            return [made + SQL(" ({})").format(SQL(", ").join(listed))]
        part = SQL("CREATE TABLE {} PARTITION OF {} FOR VALUES IN ({})")
        return [made, *(part.format(Identifier(self.schema, named), at, value) for named, value in parts)]

    def _key(self, name: str, key: str | None = None) -> list[Composed]:
        """The mart's primary key on one of its tables; Greenplum's have none."""
        if self._greenplum:
            return []
        named = Identifier(key or shortened(f"{self.table.name}_pkey"))
        add = SQL("ALTER TABLE {} ADD CONSTRAINT {} PRIMARY KEY ({})")
        return [add.format(Identifier(self.schema, name), named, names_of(self.table.key))]

    def _indexes(self, name: str, wanted: Mapping[str, Collection[str]]) -> list[Composed]:
        """Indexes, by their names, on one of the mart's tables; Greenplum's have none."""
        create, at = SQL("CREATE INDEX {} ON {} ({})"), Identifier(self.schema, name)
        return [
            create.format(Identifier(index), at, names_of(columns))
            for index, columns in wanted.items()
            if not self._greenplum
        ]

    def _analyze(self, name: str, columns: Iterable[str]) -> Composed:
        """Updates the statistics of some columns.

        Without them the planner takes a batch for empty, and joins a million rows by nested loops. The columns used for
        joins and look-ups are enough; all columns would take a tenth of the load's time.
        """
        return SQL("ANALYZE {} ({})").format(Identifier(self.schema, name), names_of(columns))


def _hash(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:_HASH_DIGITS]
