"""What each load of a mart does in its transaction: take the batch, copy rows in, note the load."""

import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import chain

import pyarrow as pa
import pyarrow.compute as pc
from psycopg2.extensions import cursor as Cursor  # noqa: N812 - it is a class
from psycopg2.sql import SQL, Identifier, Literal

from pipeline_assets.errors import StoreError
from pipeline_assets.stores.marts import catalog
from pipeline_assets.stores.marts import sql as mart_sql
from pipeline_assets.stores.marts.copy_binary import HEADER, TRAILER, check_types, encoded
from pipeline_assets.stores.marts.database import copy_in
from pipeline_assets.stores.marts.definition import LOADS, MartTable
from pipeline_assets.stores.marts.json_text import plain
from pipeline_assets.stores.marts.sql_types import sql_types

# So few that they stay in the processor's cache, and the server takes the former ones while the next are encoded.
_ROWS_WRITTEN_AT_ONCE = 4_096
_BYTES_WRITTEN_AT_ONCE = 16 << 20
# The server refuses a bad row only when its COPY ends; so a new COPY begins after so many rows.
_ROWS_OF_A_COPY = 1_000_000

Progress = Callable[[int], None] | None


def check_columns(table: MartTable, rows: pa.Schema) -> None:
    """Refuses rows that have other columns than a mart.

    Raises:
        StoreError: shows both.
    """
    wanted, found = sql_types(table.schema), sql_types(rows)
    unlike = [name for name in found if None not in (found[name], wanted.get(name)) and found[name] != wanted.get(name)]
    if list(found) != list(wanted) or unlike:
        raise StoreError(
            f"the rows are not those of the mart {table.name}",
            column=unlike[0] if unlike else None,
            found=", ".join(f"{field.name} {field.type}" for field in rows),
            expected=", ".join(f"{field.name} {field.type}" for field in table.schema),
        )


def lock_batch(cursor: Cursor, schema: str, table: MartTable, where: Mapping[str, object]) -> None:
    """Takes a batch: another load of it waits from here on, until this transaction ends."""
    lock = mart_sql.lock_key(schema, table.name, *sorted(where.items()))
    cursor.execute("SELECT pg_advisory_xact_lock(%s)", [lock])


def empty_batch(cursor: Cursor, schema: str, table: MartTable, where: Mapping[str, object]) -> None:
    """Deletes the rows that have some values from a table without partitions."""
    which = mart_sql.condition(stored_where(table, where))
    cursor.execute(SQL("DELETE FROM {} WHERE {}").format(Identifier(schema, table.name), which))


def finish_rows(cursor: Cursor, schema: str, table: MartTable, where: Mapping[str, object], rows: int) -> None:
    """Updates the planner's statistics of a table without partitions, and notes the load if it is of a batch."""
    known = mart_sql.names_of(table.stored.looked_up_by)
    cursor.execute(SQL("ANALYZE {} ({})").format(Identifier(schema, table.name), known))
    if table.batch_column in where:
        note(cursor, schema, (table.name, str(where[table.batch_column])), table.fingerprints, rows)


def note(cursor: Cursor, schema: str, of: tuple[str, str], fingerprints: Mapping[str, str], rows: int) -> None:
    """Notes a load in :data:`LOADS`. Call it last in a transaction: on Greenplum this locks the table.

    Args:
        cursor: of the transaction.
        schema: of the marts.
        of: mart and batch.
        fingerprints: to keep.
        rows: of the batch.
    """
    loads = Identifier(schema, LOADS.name)
    cursor.execute(mart_sql.forget_note(schema, *of))
    values = SQL(", ").join(map(Literal, [*of, json.dumps(dict(fingerprints)), rows]))
    columns = mart_sql.names_of(LOADS.schema.names)
    cursor.execute(SQL("INSERT INTO {} ({}) VALUES ({}, now())").format(loads, columns, values))


def stored_where(table: MartTable, where: Mapping[str, object]) -> dict[str, object]:
    """Column values by stored names."""
    return {table.stored_names.get(name, name): value for name, value in where.items()}


def copy_rows(
    cursor: Cursor,
    doing: str,
    into: Identifier,
    columns: Sequence[str],
    outgoing: "Outgoing",
    *,
    frozen: bool = False,
) -> int:
    """Copies rows into a table.

    Args:
        cursor: of an open transaction.
        doing: what is being done, as an error says it.
        into: the table.
        columns: its columns, in the order of the columns of the rows.
        outgoing: the rows.
        frozen: writes them as the server keeps old rows, so that it need not go over them again; PostgreSQL allows it
            for a table that this transaction has made.

    Returns:
        How many.

    Raises:
        StoreError: a column of the table cannot hold the rows'; a value cannot be stored; the server's count of rows
            differs from the rows sent.
    """
    how = SQL("FORMAT binary, FREEZE" if frozen else "FORMAT binary")
    copy = SQL("COPY {} ({}) FROM STDIN WITH ({})").format(into, mart_sql.names_of(columns), how)
    types = catalog.column_types(cursor, into, columns)
    stored = 0
    for write in outgoing.copies(types):
        copy_in(cursor, copy, write)
        stored += cursor.rowcount
    if stored != outgoing.sent:
        raise StoreError(f"{doing}: the server counts other rows", found=stored, expected=outgoing.sent)
    return stored


class Outgoing:
    """The rows of a load, cut into the rows of one COPY each; ``sent`` is the number of rows sent."""

    def __init__(
        self, rows: pa.RecordBatchReader, where: Mapping[str, object], key: Sequence[str], progress: Progress
    ) -> None:
        self.sent = 0
        self._schema = rows.schema
        self._parts = self._cut(rows, where)
        self._key = key
        self._progress = progress

    def copies(self, types: Sequence[str]) -> Iterator[Callable[[io.RawIOBase], None]]:
        """One function per COPY, which writes its rows.

        Args:
            types: SQL type of the table's column for each column of the rows.

        Raises:
            StoreError: the table's column cannot hold the rows'.
        """
        check_types(self._schema, types)
        for first in self._parts:
            yield partial(self._write, types, first)

    def _cut(self, rows: pa.RecordBatchReader, where: Mapping[str, object]) -> Iterator[pa.RecordBatch]:
        for batch in rows:
            in_bytes = _BYTES_WRITTEN_AT_ONCE * batch.num_rows // max(batch.nbytes, 1)
            count = max(min(_ROWS_WRITTEN_AT_ONCE, in_bytes), 1)
            for start in range(0, batch.num_rows, count):
                part = batch.slice(start, count)
                _check_belonging(part, where)
                yield part

    def _write(self, types: Sequence[str], first: pa.RecordBatch, sink: io.RawIOBase) -> None:
        enough = self.sent + _ROWS_OF_A_COPY
        sink.write(HEADER)
        for part in chain([first], self._parts):
            sink.write(encoded(part, types, self._key, first_row=self.sent))
            self.sent += part.num_rows
            if self._progress is not None:
                self._progress(self.sent)
            if self.sent >= enough:
                break
        sink.write(TRAILER)


def _check_belonging(rows: pa.RecordBatch, where: Mapping[str, object]) -> None:
    """Refuses rows outside of ``where``: the next load would not delete them, so they would be there twice."""
    for name, value in where.items():
        if name not in rows.schema.names:
            continue
        column = plain(rows.column(name))
        same = pc.is_null(column) if value is None else pc.fill_null(pc.equal(column, value), fill_value=False)
        row = pc.index(same, value=False).as_py()
        if row >= 0:
            raise StoreError("a row is not one of those being replaced", column=name, found=column[row], expected=value)
