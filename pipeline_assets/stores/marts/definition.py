"""What a mart and a view over marts are, and how the database calls their columns."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

import pyarrow as pa

from pipeline_assets.errors import StoreError

# PostgreSQL cuts longer names silently.
NAME_BYTES = 63
# Every table has these system columns, in PostgreSQL (oid until 11) or in Greenplum.
_SYSTEM = frozenset({"tableoid", "oid", "ctid", "xmin", "xmax", "cmin", "cmax", "gp_segment_id"})
_HASH_DIGITS = 8


def check_names(names: Iterable[str]) -> None:
    """Refuses names that the database would cut or cannot have.

    Raises:
        StoreError: a name is empty, longer than 63 bytes, or holds NUL.
    """
    for name in names:
        if not 0 < len(name.encode()) <= NAME_BYTES or "\0" in name:
            raise StoreError(
                "a name does not fit the database",
                found=f"{name!r}, {len(name.encode())} bytes",
                expected=f"1 to {NAME_BYTES} bytes, which Cyrillic letters take two of",
            )


def shortened(name: str) -> str:
    """A name of at most 63 bytes: a longer one keeps its start, and a hash replaces the rest.

    >>> shortened("carrier"), shortened("Расстояние между аэропортами, километров")
    ('carrier', 'Расстояние между аэропортами_8aeae285')
    """
    if len(name.encode()) <= NAME_BYTES:
        return name
    start = name.encode()[: NAME_BYTES - 1 - _HASH_DIGITS].decode(errors="ignore")
    return f"{start}_{hashlib.sha256(name.encode()).hexdigest()[:_HASH_DIGITS]}"


def stored_names(names: Iterable[str]) -> dict[str, str]:
    """How the database calls columns: by their own names, or by an alias where it cannot have those.

    System columns (``xmin``) get a ``_`` at their end; names over 63 bytes are shortened.

    >>> stored_names(["xmin", "xmin_", "carrier"])
    {'xmin': 'xmin__', 'xmin_': 'xmin_', 'carrier': 'carrier'}
    """
    wanted = {name: f"{name}_" if name in _SYSTEM else shortened(name) for name in names}
    taken = {name for name, alias in wanted.items() if alias == name}
    for name, alias in wanted.items():
        if alias != name:
            while alias in taken:
                alias = shortened(f"{alias}_")  # noqa: PLW2901 - until it is free
            wanted[name] = alias
            taken.add(alias)
    return wanted


@dataclass(frozen=True)
class MartTable:
    """A table made to be looked at.

    Attributes:
        name: without the schema, which the store adds.
        schema: columns in order, technical ones first.
        column_descriptions: by column; those without one are absent.
        key: identifies a row; never null.
        indexes: columns that rows are looked up by, beside the key; PostgreSQL only.
        fingerprints: of the slices of the task's description that the rows rest on; kept with each batch.
        batch_column: the pipeline's own column of the batch; it has another name where a user's column is ``batch``.
        keep: how many batches stay, the ones loaded last: a load drops those before them. ``None`` keeps all.
        beside: other marts, which lose a batch together with this one.
    """

    name: str
    schema: pa.Schema
    description: str
    column_descriptions: Mapping[str, str] = field(hash=False)
    key: tuple[str, ...]
    indexes: tuple[tuple[str, ...], ...] = ()
    fingerprints: Mapping[str, str] = field(default_factory=dict, hash=False)
    batch_column: str = "batch"
    keep: int | None = None
    beside: tuple["MartTable", ...] = ()

    @property
    def looked_up_by(self) -> tuple[str, ...]:
        """The columns of the key and of the indexes, each once."""
        return tuple(dict.fromkeys([*self.key, *(column for index in self.indexes for column in index)]))

    @property
    def by_batch(self) -> bool:
        """Whether each batch is a partition: where the key begins with it."""
        return self.key[:1] == (self.batch_column,)

    @cached_property
    def stored_names(self) -> dict[str, str]:
        """How the database calls each column, by its name in :attr:`schema`."""
        return stored_names(self.schema.names)

    @cached_property
    def stored(self) -> "MartTable":
        """The table as the database has it: columns have their stored names and descriptions that explain them."""
        names = self.stored_names
        if all(name == alias for name, alias in names.items()):
            return self
        descriptions = dict(self.column_descriptions)
        for name, alias in names.items():
            if alias != name:
                descriptions[alias] = f"Column «{name}» of the file. {descriptions.pop(name, '')}".strip()
        return replace(
            self,
            schema=pa.schema([column.with_name(names[column.name]) for column in self.schema]),
            column_descriptions=descriptions,
            key=tuple(names[name] for name in self.key),
            indexes=tuple(tuple(names[name] for name in index) for index in self.indexes),
            batch_column=names.get(self.batch_column, self.batch_column),
        )


@dataclass(frozen=True)
class MartView:
    """A view over marts.

    Attributes:
        tables: that it reads; missing ones are made, empty.
        sql: a query in which ``{name}`` stands for a table of ``tables``; it calls columns as they are stored.
        column_descriptions: by column; those without one are absent.
    """

    name: str
    tables: tuple[MartTable, ...]
    sql: str
    description: str
    column_descriptions: Mapping[str, str] = field(hash=False)


def own_table(name: str, columns: Mapping[str, tuple[pa.DataType, str]], description: str, key: int) -> MartTable:
    """A table of the pipeline's own columns, none of which is ever null.

    Args:
        name: of the table.
        columns: type and description of each.
        description: of the table.
        key: how many of the columns, from the first on, are its key.
    """
    schema = pa.schema([pa.field(column, kind, nullable=False) for column, (kind, _) in columns.items()])
    texts = {column: text for column, (_, text) in columns.items()}
    return MartTable(name, schema, description, texts, tuple(columns)[:key])


# One row per mart and batch, written in the transaction that loads the batch; and one per view: how it was made.
LOADS = own_table(
    "pipeline_loads",
    {
        "table_name": (pa.string(), "Mart or view"),
        "batch": (pa.string(), "Batch of the mart; empty for a view"),
        "fingerprints": (pa.string(), "JSON: fingerprints of the task's description that the rows were made under"),
        "rows": (pa.int64(), "Rows of the batch"),
        "loaded_at": (pa.timestamp("us", "UTC"), "When"),
    },
    "What the pipeline loaded: one row for each batch in each mart",
    key=2,
)
