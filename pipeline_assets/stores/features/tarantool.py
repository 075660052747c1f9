"""Features in Tarantool: a batch is a generation of rows, and one pointer says which generation it is.

What is on the server, for a task ``flight_delays`` in train:

- space ``FLIGHT_DELAYS_TRAIN_FEATURES_MEMTX`` (or ``..._VINYL``: the engine is part of the name, so that a task may
  change it and keep the batches it has): the rows, keyed by ``(__GENERATION, ROW_NUMBER)``, with a typed format.
  Names are upper case, so that unquoted SQL finds them. :mod:`.tuples` says how a column is kept.
- space ``FEATURE_BATCHES``: the pointers, keyed by ``(TABLE_NAME, BATCH)``.
- space ``FEATURE_GENERATIONS``: every generation that may have rows.
- space ``FEATURE_PIECES``: what loads of several pieces have written, while they are under way.
- view ``FLIGHT_DELAYS_TRAIN_FEATURES``: ``BATCH``, ``ROW_NUMBER`` and the columns of the current generation of every
  batch. It is what people query::

      SELECT * FROM FLIGHT_DELAYS_TRAIN_FEATURES WHERE BATCH = '2013-01' AND "ROW_NUMBER" = 5

    (``ROW_NUMBER`` is a reserved word of Tarantool's SQL and needs quotes.) The server runs this as two look-ups by
    primary key. A query over all rows uses keys too, as 3.x demands of queries without ``SEQSCAN``. Only while a table
    has batches in both engines is the view a union; then aggregates need ``FROM SEQSCAN ...``.

Why a view: a space cannot hold two generations and show one. With a generation column in the space itself, every
reader would have to filter by it. Copying a finished batch into a clean space would need one transaction of
millions of rows, during which the server answers nobody else. Without SQL a look-up is two ``get``s:
``FEATURE_BATCHES:get{table, batch}.GENERATION``, then ``..._MEMTX:get{generation, row_number}``.

A run writes its rows under a new generation and then replaces the pointer; at that moment the batch changes.
Sessions lease the generations they write or read. A generation that no pointer names and no open session leases
is garbage, whether its writer finished, failed or was killed. Each run collects the garbage of its table before and
after its own work. Two runs of one batch write one generation each, and the pointer ends at one of them.

A load of several pieces is a generation too, written by many sessions. It is kept as long as it is renewed: when it
begins, when a piece begins, and every minute of writing. An attempt at a piece first blocks earlier attempts and
deletes their rows; so if a second attempt dies, the piece must be written again.

Rights: the Lua side (``tarantool.lua``) is sent by ``eval`` and makes the spaces on first use, so the login needs
``execute`` on ``universe`` and ``read,write,create`` on ``space``, and ``alter,drop`` as well where another login
made the spaces. People who only query need ``read`` on the rows' space and on ``FEATURE_BATCHES``.
"""

import base64
import json
import secrets
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import quote

import pyarrow as pa
import pyarrow.compute as pc
from tarantool.error import Error

from pipeline_assets.errors import DataError, StoreError
from pipeline_assets.settings import TarantoolSettings
from pipeline_assets.stores.features.base import (
    FeatureTable,
    check_fingerprints,
    check_stored,
    fitting,
    not_there,
)
from pipeline_assets.stores.features.msgpack_codec import field_type, pack, unpack
from pipeline_assets.stores.features.tarantool_session import Session, to_store_error
from pipeline_assets.stores.load import STALE_AFTER, Piece, check_complete, check_count, check_piece, not_open

# Fields of a space of rows and of its view that are not a task's.
_ROW_NUMBER = "ROW_NUMBER"
_OWN = ("__GENERATION", _ROW_NUMBER, "BATCH")

# A request carries about this much, and never more rows than the server handles in about 20 ms: during that time it
# answers nobody else.
_CHUNK_BYTES, _CHUNK_ROWS = 1 << 20, 8_192
_PAGE_BYTES, _PAGE_ROWS = 2 << 20, 20_000


@dataclass(frozen=True)
class _Held:
    """The current generation of a batch, leased to a session.

    Attributes:
        generation: its number.
        space_id: of the space that its rows are in.
        rows: how many.
        size: of the rows as tuples, in bytes.
        schema: of the fields after the generation.
        fingerprints: that the batch was stored with; ``None`` if a former version of the pipeline stored it.
    """

    generation: int
    space_id: int
    rows: int
    size: int
    schema: pa.Schema
    fingerprints: dict[str, str] | None


@dataclass(frozen=True)
class TarantoolLoad:
    """A load of several pieces, see :class:`pipeline_assets.stores.load.Load`.

    Attributes:
        settings: of the server.
        stale_after: a load without a sign of life for so long is dead.
        table: what the rows must look like.
        batch: that is loaded.
        generation: that its rows go to.
        schema: of the fields after the generation.
    """

    settings: TarantoolSettings
    stale_after: timedelta
    table: FeatureTable
    batch: str
    pieces: int
    generation: int
    schema: pa.Schema

    def write(self, piece: Piece, rows: pa.RecordBatchReader, progress: Callable[[int], None] | None = None) -> int:
        """Writes the rows of the piece; they replace those of earlier attempts."""
        check_piece(piece, self.pieces)
        at = (self.generation, piece.number, secrets.token_hex(8))
        with _session(self.settings, self.table, self.batch) as session:
            if session.run("begin_piece", *at) != [True]:
                raise self._not_open()
            while session.run("clear_piece", *at) != [True]:
                pass

            def append(records: pa.RecordBatch, tuples: bytes, lengths: bytes) -> None:
                numbers = records[self.table.row_number]
                session.run("append_piece", *at, numbers[0].as_py(), numbers[-1].as_py(), tuples, lengths)

            fit = fitting(self.table, self.batch, rows)
            count, size = _load(append, self.generation, self.schema, fit, progress)
            session.run("end_piece", *at, count, size)
        return count

    def commit(self) -> int:
        """Replaces one pointer."""
        with _session(self.settings, self.table, self.batch) as session:
            answer = session.run(
                "commit_load", self.generation, _serialized(self.schema), json.dumps(dict(self.table.fingerprints))
            )
            if answer[0] is False:  # not 0, the rows of an empty batch
                raise self._not_open()
            if answer[0] is None:
                check_complete(answer[1], self.pieces, f"batch {self.batch} of {self.table.name}")
            _collect(session, self.table, self.stale_after)
        return int(answer[0])

    def abandon(self) -> None:
        """Closes the load and collects its rows."""
        with _session(self.settings, self.table, self.batch) as session:
            session.run("abandon_load", self.generation)
            _collect(session, self.table, self.stale_after)

    def _not_open(self) -> StoreError:
        return not_open(f"batch {self.batch} of {self.table.name}")


class TarantoolFeatureStore:
    """Keeps features in a Tarantool server, 2.6 or later."""

    def __init__(self, settings: TarantoolSettings, stale_after: timedelta = STALE_AFTER) -> None:
        self._settings, self._stale_after = settings, stale_after

    def begin(self, table: FeatureTable, batch: str, pieces: int) -> TarantoolLoad:
        """Makes a generation that many sessions may write; see :meth:`FeatureStore.begin`."""
        check_count(pieces)
        with self._session(table, batch) as session:
            _collect(session, table, self._stale_after)
            generation, schema = _begin(session, table, batch, pieces)
        return TarantoolLoad(self._settings, self._stale_after, table, batch, pieces, generation, schema)

    def replace(
        self,
        table: FeatureTable,
        batch: str,
        rows: pa.RecordBatchReader,
        progress: Callable[[int], None] | None = None,
    ) -> int:
        """See :class:`FeatureStore`.

        Raises:
            TransientError: the server does not answer.
            StoreError: it refused: no memory, no rights, a column that has another type there.
        """
        with self._session(table, batch) as session:
            _collect(session, table, self._stale_after)
            generation, schema = _begin(session, table, batch, None)

            def append(_: pa.RecordBatch, tuples: bytes, lengths: bytes) -> None:
                session.run("append", generation, tuples, lengths)

            try:
                count, size = _load(append, generation, schema, fitting(table, batch, rows), progress)
                fingerprints = json.dumps(dict(table.fingerprints))
                session.run("flip", generation, count, size, _serialized(schema), fingerprints)
            except BaseException:
                # Perhaps the session itself failed; then the next run collects.
                with suppress(Error):
                    session.run("release", generation)
                    _collect(session, table, self._stale_after)
                raise
            session.run("release", generation)
            _collect(session, table, self._stale_after)
        return count

    def read(self, table: FeatureTable, batch: str, coded: Sequence[str] = ()) -> pa.RecordBatchReader:  # noqa: ARG002 - it keeps plain text
        """See :class:`FeatureStore`; the reader holds a connection until it is read to its end or deleted.

        Raises:
            TransientError: the server does not answer.
            StoreError: it refused.
        """
        records = self._records(table, batch)
        # The first step takes the lease, so that a missing batch is an error here.
        next(records)
        return pa.RecordBatchReader.from_batches(table.schema, records)

    def row(self, table: FeatureTable, batch: str, row_number: int) -> pa.RecordBatch | None:
        """One look-up by key; see :class:`FeatureStore`.

        Raises:
            TransientError: the server does not answer.
            StoreError: it refused.
        """
        with self._session(table, batch) as session:
            held = _held_fitting(session, table, batch)
            rows = session.page(held.space_id, held.generation, row_number - 1, 1)
        if len(rows) == 0 or rows.last()[1] != row_number:
            return None
        return _under(table, unpack(rows, held.generation, held.schema))

    def rows(self, table: FeatureTable, batch: str, first: int, count: int) -> pa.Table:
        """One page by key; see :meth:`FeatureStore.rows`."""
        with self._session(table, batch) as session:
            held = _held_fitting(session, table, batch)
            packed = session.page(held.space_id, held.generation, first - 1, count)
        if not len(packed):
            return table.schema.empty_table()
        found = pa.Table.from_batches([_under(table, unpack(packed, held.generation, held.schema))])
        return found.filter(pc.less(found.column(table.row_number), first + count))

    def count(self, table: FeatureTable, batch: str) -> int | None:
        """See :class:`FeatureStore`."""
        with self._session(table, batch) as session:
            held = _hold(session, table, batch)
        return None if held is None else held.rows

    def forget(self, table: FeatureTable, batch: str) -> bool:
        """Deletes the pointer, then the rows; see :meth:`FeatureStore.forget`."""
        with self._session(table, batch) as session:
            there = session.run("forget", table.name, batch) == [True]
            _collect(session, table, self._stale_after)
        return there

    def uri(self, table: FeatureTable, batch: str) -> str:
        """Server and view, as ``tarantool://host:port/VIEW?batch=...``."""
        return f"tarantool://{self._settings.host}:{self._settings.port}/{table.name}?batch={quote(batch, safe='')}"

    def _session(self, table: FeatureTable, batch: str) -> AbstractContextManager[Session]:
        return _session(self._settings, table, batch)

    def _records(self, table: FeatureTable, batch: str) -> Iterator[pa.RecordBatch]:
        """An empty record batch first, then the rows; the next page is fetched while one is unpacked."""
        with self._session(table, batch) as session, ThreadPoolExecutor(1) as prefetch:
            held = _held_fitting(session, table, batch)
            yield pa.RecordBatch.from_pylist([], schema=table.schema)
            limit = _within(_PAGE_BYTES, held.size, held.rows, _PAGE_ROWS)
            left = held.rows
            page = prefetch.submit(session.page, held.space_id, held.generation, None, min(limit, left))
            while left:
                rows = page.result()
                if len(rows) != min(limit, left):
                    raise DataError(
                        "stored rows are gone",
                        **table.ref(batch).facts(),
                        found=f"{held.rows - left + len(rows)} rows",
                        expected=f"{held.rows} rows",
                        do=f"materialise {table.asset} for this batch again",
                    )
                left -= len(rows)
                if left:
                    last = rows.last()[1]
                    page = prefetch.submit(session.page, held.space_id, held.generation, last, min(limit, left))
                yield _under(table, unpack(rows, held.generation, held.schema))


@contextmanager
def _session(settings: TarantoolSettings, table: FeatureTable, batch: str) -> Iterator[Session]:
    with to_store_error(settings, table.ref(batch).facts()), Session(settings) as session:
        yield session


def _begin(session: Session, table: FeatureTable, batch: str, pieces: int | None) -> tuple[int, pa.Schema]:
    """A new generation, and the schema of its fields after the first."""
    columns = [[name, field_type(column)] for name, column in _fields(table.schema).items()]
    generation, names = session.run("begin", table.name, batch, table.engine, columns[1:], pieces)
    return int(generation), _stored_schema(table.schema, names[1:])


def _serialized(schema: pa.Schema) -> str:
    return base64.b64encode(schema.serialize()).decode()


def _hold(session: Session, table: FeatureTable, batch: str) -> _Held | None:
    generation, *record = session.run("hold", table.name, batch) or (None,)
    if generation is None:
        return None
    space_id, rows, size, schema, *fingerprints = record
    return _Held(
        generation,
        space_id,
        rows,
        size,
        pa.ipc.read_schema(pa.py_buffer(base64.b64decode(schema))),
        json.loads(fingerprints[0]) if fingerprints and fingerprints[0] else None,
    )


def _held_fitting(session: Session, table: FeatureTable, batch: str) -> _Held:
    held = _hold(session, table, batch)
    if held is None:
        raise not_there(table, batch)
    check_stored(table, batch, pa.schema(column for column in held.schema if not pa.types.is_null(column.type)))
    check_fingerprints(table, batch, held.fingerprints)
    return held


def _under(table: FeatureTable, records: pa.RecordBatch) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays([records[name] for name in table.schema.names], schema=table.schema)


def _collect(session: Session, table: FeatureTable, stale_after: timedelta) -> None:
    """Deletes the table's garbage, a bounded number of rows per request."""
    while session.run("collect", table.name, stale_after.total_seconds()) != [True]:
        pass


def _stored_schema(schema: pa.Schema, names: list[str]) -> pa.Schema:
    """The table's columns in the order of the space's fields; a field without a column is ``null``."""
    columns = _fields(schema)
    return pa.schema([columns.get(name, pa.field(name, pa.null())) for name in names])


def _fields(schema: pa.Schema) -> dict[str, pa.Field]:
    """The columns by their field's name; one that has the name of a field of the space's or the view's own has ``_``.

    The row number comes first, whatever it is called beside the features.
    """
    return {
        _ROW_NUMBER if place == 0 else f"{name}_" if (name := column.name.upper()) in _OWN else name: column
        for place, column in enumerate(schema)
    }


def _load(
    append: Callable[[pa.RecordBatch, bytes, bytes], None],
    generation: int,
    schema: pa.Schema,
    batches: Iterator[pa.RecordBatch],
    progress: Callable[[int], None] | None,
) -> tuple[int, int]:
    """Writes rows into a generation; packs the next chunk while one is inserted. Returns rows and bytes written."""
    count = size = 0
    with ThreadPoolExecutor(1) as sender:
        sent: Future[None] | None = None
        for records in _chunks(batches, schema):
            tuples, lengths = pack(records, generation)
            if sent is not None:
                sent.result()
                if progress is not None:
                    progress(count)
            sent = sender.submit(append, records, tuples, lengths)
            count += records.num_rows
            size += len(tuples)
        if sent is not None:
            sent.result()
            if progress is not None:
                progress(count)
    return count, size


def _chunks(batches: Iterator[pa.RecordBatch], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """Chunks small enough to send, with the columns in the order of the schema."""
    for batch in batches:
        arrays = [
            pa.nulls(batch.num_rows) if pa.types.is_null(column.type) else batch[column.name] for column in schema
        ]
        records = pa.RecordBatch.from_arrays(arrays, schema=schema)
        step = _within(_CHUNK_BYTES, records.nbytes, records.num_rows, _CHUNK_ROWS)
        for start in range(0, records.num_rows, step):
            yield records.slice(start, step)


def _within(budget: int, size: int, rows: int, most: int) -> int:
    """How many rows of average size fit in a budget of bytes."""
    return max(1, min(most, budget * rows // max(size, 1)))
