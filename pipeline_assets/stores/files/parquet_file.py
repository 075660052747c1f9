"""The pipeline's own parquet files: written one row group at a time, metadata last; read back as a stream."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from io import RawIOBase
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline_assets.errors import DataError, PipelineError
from pipeline_assets.stores.files.atomic_file import writable
from pipeline_assets.stores.files.prefetch import prefetch
from pipeline_assets.task.spec import ROW_ADDRESS

# A row group is what a reader has to hold at once. Wide rows make it shorter: its bytes in memory are limited too.
ROWS_PER_GROUP = 122_880
_BYTES_PER_GROUP = 64 << 20
_ROW_NUMBER = ROW_ADDRESS[1]
# The pipeline's own columns whose values hardly repeat: a dictionary would not help.
_ALL_DIFFERENT = {_ROW_NUMBER, "probability", "prediction"}
# Nanoseconds would not reach the years that Spark and Impala write so.
_INT96 = "us"
# How many rows are decoded at once to get a single row.
_ROWS_ON_THE_WAY = 8_192


class Sink:
    """A parquet file that is being written.

    Attributes:
        metadata: key-value metadata of the file; may be set until the end.
        rows: written so far.
    """

    def __init__(self, writer: pq.ParquetWriter, uri: str, thread: ThreadPoolExecutor) -> None:
        self.metadata: dict[str, str] = {}
        self.rows = 0
        self._writer, self._uri, self._thread = writer, uri, thread
        self._under_way: Future[None] | None = None
        self._waiting: list[pa.RecordBatch] = []
        self._waiting_rows = self._waiting_bytes = 0

    def write(self, batch: pa.RecordBatch) -> None:
        """Adds rows. They are written one row group at a time, in a thread, while the next rows are made.

        Raises:
            StoreError: rows that were added before cannot be written.
        """
        self.rows += batch.num_rows
        # Row groups are full: a reader pays for each of them, however small.
        while batch.num_rows > (room := ROWS_PER_GROUP - self._waiting_rows):
            self._add(batch.slice(0, room))
            batch = batch.slice(room)
        self._add(batch)

    def _add(self, batch: pa.RecordBatch) -> None:
        self._waiting.append(batch)
        self._waiting_rows += batch.num_rows
        self._waiting_bytes += batch.nbytes
        if self._waiting_rows >= ROWS_PER_GROUP or self._waiting_bytes >= _BYTES_PER_GROUP:
            self._flush()

    def finish(self) -> None:
        """Writes the remaining rows and the metadata."""
        self._flush()
        self._wait()
        with writable(self._uri):
            self._writer.add_key_value_metadata(self.metadata)
            self._writer.close()

    def _flush(self) -> None:
        if self._waiting_rows:
            rows = pa.Table.from_batches(self._waiting, self._writer.schema)
            self._wait()
            self._under_way = self._thread.submit(self._writer.write_table, rows, row_group_size=ROWS_PER_GROUP)
        self._waiting.clear()
        self._waiting_rows = self._waiting_bytes = 0

    def _wait(self) -> None:
        """Waits for the row group that is being written: only one is written at a time."""
        if self._under_way is not None:
            with writable(self._uri):
                self._under_way.result()
            self._under_way = None


@contextmanager
def parquet_sink(where: Path | RawIOBase, schema: pa.Schema, uri: str) -> Iterator[Sink]:
    """A parquet file under ``schema``, complete at the end of the block.

    Args:
        where: what to write to; a file object stays open.
        schema: of the batches; its own metadata stays out of the file, its columns' metadata goes in.
        uri: of the file, for errors.

    Raises:
        StoreError: the file cannot be written.
    """
    # The keys of a map are few, its values many.
    coded = [
        f"{field.name}.key_value.key" if pa.types.is_map(field.type) else field.name
        for field in schema
        if field.name not in _ALL_DIFFERENT
    ]
    # Row numbers ascend: as differences they take hardly any room or time.
    ascending = _ROW_NUMBER in schema.names and schema.field(_ROW_NUMBER).type == pa.int64()
    encoded = {_ROW_NUMBER: "DELTA_BINARY_PACKED"} if ascending else None
    with writable(uri):
        writer = pq.ParquetWriter(
            where, schema.remove_metadata(), compression="zstd", use_dictionary=coded, column_encoding=encoded
        )
    try:
        # The thread ends before the writer is closed, so that it never writes to a file that is being removed.
        with ThreadPoolExecutor(1, thread_name_prefix="parquet") as thread:
            sink = Sink(writer, uri, thread)
            yield sink
            sink.finish()
    finally:
        if writer.is_open:
            # The block's error is being raised and the file will be removed. A footer that cannot be written does
            # not matter, and must not be tried again when the writer is garbage-collected.
            with suppress(OSError, pa.ArrowException, PipelineError):
                writer.close()
            writer.is_open = False


@dataclass(frozen=True)
class StoredFile:
    """A parquet file as it was when it was opened, even if another one replaces it while it is read.

    Attributes:
        metadata: key-value metadata, without what Arrow keeps there for itself.
        rows: in the file.
    """

    uri: str
    schema: pa.Schema
    metadata: dict[str, str]
    rows: int
    _file: pq.ParquetFile = field(repr=False, compare=False)
    _opened: Callable[[Sequence[str]], pq.ParquetFile] = field(repr=False, compare=False)

    def batches(self, columns: Sequence[str] | None = None, coded: Sequence[str] = ()) -> pa.RecordBatchReader:
        """The rows, in file order.

        Args:
            columns: to read, in the order wanted; all when left out.
            coded: columns of text that come as dictionaries of their values: the file keeps them so.

        Raises:
            DataError: there is no such column, or the file is damaged.
        """
        names = self.schema.names if columns is None else list(columns)
        for name in names:
            if name not in self.schema.names:
                raise DataError("no such column", file=self.uri, column=name, available=self.schema.names)
        with _intact(self.uri):
            file = self._opened(coded) if coded else self._file
        schema = pa.schema([file.schema_arrow.field(name) for name in names])
        return pa.RecordBatchReader.from_batches(schema, prefetch(_stream(file, names, self.uri)))

    def row(self, number: int) -> pa.RecordBatch | None:
        """One row by its place in the file, from 0; ``None`` if there are fewer.

        Only its row group is read, and only the rows up to it are decoded.

        Raises:
            DataError: the file is damaged.
        """
        left = number
        with _intact(self.uri):
            for group in range(self._file.num_row_groups if number >= 0 else 0):
                rows = self._file.metadata.row_group(group).num_rows
                if left < rows:
                    return self._row_of(group, left)
                left -= rows
        return None

    def group_of(self, number: int) -> tuple[int, int]:
        """The row group of a place in the file: its first row's place, and how many rows it has."""
        first = 0
        for group in range(self._file.num_row_groups):
            rows = self._file.metadata.row_group(group).num_rows
            if first + rows > number >= first:
                return first, rows
            first += rows
        raise IndexError(number)

    def rows_from(self, first: int, count: int) -> pa.Table:
        """At most ``count`` rows from a place on, in the types of :attr:`schema`.

        Only their row groups are read, and only the rows up to the last one are decoded.

        Raises:
            DataError: the file is damaged.
        """
        found, start = list[pa.RecordBatch](), 0
        with _intact(self.uri):
            for group in range(self._file.num_row_groups):
                rows = self._file.metadata.row_group(group).num_rows
                if start < first + count and start + rows > first:
                    found += self._slices(group, max(first - start, 0), min(first + count - start, rows))
                start += rows
        return pa.Table.from_batches(found, self._file.schema_arrow.remove_metadata())

    def rows_with(self, column: str, value: int, last: int, columns: Sequence[str]) -> pa.Table:
        """The rows whose value in an ascending column of integers is from ``value`` to ``last``.

        Row groups whose statistics exclude those values are not read.

        Raises:
            DataError: the file is damaged.
        """
        leaves = [self._file.schema.column(leaf).path for leaf in range(len(self._file.schema))]
        place = leaves.index(column)
        found = list[pa.RecordBatch]()
        with _intact(self.uri):
            for group in range(self._file.num_row_groups):
                known = self._file.metadata.row_group(group).column(place).statistics
                if known is not None and known.has_min_max and (known.min > last or known.max < value):
                    continue
                values = self._file.read_row_group(group, columns=[column]).column(0).to_numpy()
                start, stop = np.searchsorted(values, [value, last + 1]).tolist()
                found += self._slices(group, start, stop)
        schema = self._file.schema_arrow.remove_metadata()
        return pa.Table.from_batches(found, schema).select(list(columns))

    def _slices(self, group: int, start: int, stop: int) -> Iterator[pa.RecordBatch]:
        """The rows of a row group from one place to another."""
        done = 0
        for batch in self._file.iter_batches(_ROWS_ON_THE_WAY, row_groups=[group]):
            if done >= stop:
                return
            part = batch.slice(max(start - done, 0), stop - max(start, done)) if done + batch.num_rows > start else None
            if part is not None:
                yield part
            done += batch.num_rows

    def find(self, column: str, value: int) -> pa.RecordBatch | None:
        """The first row that has a value in a column of integers; ``None`` if there is none.

        Row groups whose statistics exclude the value are not read; of the others, that column is read first.

        Raises:
            DataError: the file is damaged.
        """
        leaves = [self._file.schema.column(leaf).path for leaf in range(len(self._file.schema))]
        place = leaves.index(column)
        with _intact(self.uri):
            for group in range(self._file.num_row_groups):
                known = self._file.metadata.row_group(group).column(place).statistics
                if known is not None and known.has_min_max and not known.min <= value <= known.max:
                    continue
                values = self._file.read_row_group(group, columns=[column]).column(0)
                at = pc.index(values, pa.scalar(value, values.type)).as_py()
                if at >= 0:
                    return self._row_of(group, at)
        return None

    def _row_of(self, group: int, at: int) -> pa.RecordBatch:
        for batch in self._file.iter_batches(_ROWS_ON_THE_WAY, row_groups=[group]):
            if at < batch.num_rows:
                return batch.slice(at, 1)
            at -= batch.num_rows
        raise pa.ArrowInvalid("a row group has fewer rows than its metadata says")


def _stream(file: pq.ParquetFile, names: list[str], uri: str) -> Iterator[pa.RecordBatch]:
    with _intact(uri):
        # Group by group: if asked for all groups, Arrow would fetch all of them ahead.
        for group in range(file.num_row_groups):
            for batch in file.iter_batches(ROWS_PER_GROUP, row_groups=[group], columns=names):
                yield batch.select(names)


def open_stored(where: Path | RawIOBase, uri: str) -> StoredFile:
    """Opens a parquet file to read it.

    Args:
        where: a path, or a file object where each read is a round trip: it is read one row group at a time.
        uri: of the file, for errors.

    Raises:
        FileNotFoundError: there is no such path.
        DataError: the file is damaged.
    """
    with _intact(uri):
        source = pa.OSFile(str(where)) if isinstance(where, Path) else where
        file = pq.ParquetFile(source, pre_buffer=source is where, coerce_int96_timestamp_unit=_INT96)
        metadata = {key.decode(): value.decode() for key, value in (file.metadata.metadata or {}).items()}
    metadata.pop("ARROW:schema", None)

    def opened(coded: Sequence[str]) -> pq.ParquetFile:
        return pq.ParquetFile(
            source,
            metadata=file.metadata,
            read_dictionary=list(coded),
            pre_buffer=source is where,
            coerce_int96_timestamp_unit=_INT96,
        )

    return StoredFile(uri, file.schema_arrow.remove_metadata(), metadata, file.metadata.num_rows, file, opened)


@contextmanager
def _intact(uri: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise
    except (pa.ArrowInvalid, OSError) as error:
        raise DataError(
            "a file that the pipeline wrote cannot be read: it is damaged, or was written by something else",
            file=uri,
            found=str(error).splitlines()[0],
            do="materialise the asset that writes it again",
        ) from error
