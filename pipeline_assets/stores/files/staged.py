"""Loads of one parquet file: each piece is a file beside it; a commit joins them in order."""

import hashlib
import secrets
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pyarrow as pa

from pipeline_assets.stores.files.parquet_file import Sink, StoredFile
from pipeline_assets.stores.load import STALE_AFTER, Piece, check_complete, check_count, check_piece, not_open

# This file says that a load is open; its content does not matter.
_OPEN = "open"


class ParquetFolder(ABC):
    """Parquet files below one folder or prefix, by their paths there. It can be pickled."""

    @abstractmethod
    def sink_at(self, path: str, schema: pa.Schema) -> AbstractContextManager[Sink]:
        """A file to write. It appears whole at the end of the block; an error in the block changes nothing."""

    @abstractmethod
    def read_at(self, path: str) -> StoredFile | None:
        """A file; ``None`` if it is not there."""

    @abstractmethod
    def times(self, folder: str) -> Iterator[tuple[str, datetime]]:
        """Paths of the files below a folder, and when each was written."""

    @abstractmethod
    def mark(self, path: str) -> None:
        """Writes an empty file, or renews the time of the existing one."""

    @abstractmethod
    def remove(self, path: str) -> None:
        """Removes a file; nothing happens if it is not there."""

    @abstractmethod
    def collect(self, folder: str, stale_after: timedelta) -> None:
        """Removes unfinished files below a folder whose writers must be dead."""


@dataclass(frozen=True)
class FileLoad:
    """A load of one parquet file, see :class:`pipeline_assets.stores.load.Load`. Made by :func:`begin`.

    Staged pieces are at ``<folder>/<load>/<number>.parquet``. Each is written as any file is: whole or not at all. A
    commit copies them into the one file row group by row group, so memory use is constant and the file appears at once.

    Attributes:
        files: where the file and its pieces are.
        path: of the file.
        schema: of the rows.
        metadata: key-value metadata of the file.
        folder: of this load alone.
    """

    files: ParquetFolder
    path: str
    schema: pa.Schema
    pieces: int
    folder: str
    metadata: Mapping[str, str] = field(hash=False)

    def write(self, piece: Piece, rows: pa.RecordBatchReader, progress: Callable[[int], None] | None = None) -> int:
        """Writes one file, which replaces that of an earlier attempt."""
        check_piece(piece, self.pieces)
        self._there()
        # The piece has its own sign of life: the one of the whole load must not reappear once the load is closed.
        self.files.mark(f"{self.folder}/{piece.number}.begun")
        with self.files.sink_at(self._piece(piece.number), self.schema) as sink:
            for records in self.checked(rows):
                sink.write(records)
                if progress is not None:
                    progress(sink.rows)
        return sink.rows

    def commit(self) -> int:
        """Copies all pieces into the one file, then removes them."""
        there = self._there()
        written = [number for number in range(self.pieces) if self._piece(number) in there]
        check_complete(written, self.pieces, self.path)

        def rows() -> Iterator[pa.RecordBatch]:
            for number in range(self.pieces):
                stored = self.files.read_at(self._piece(number))
                if stored is None:  # closed by another process meanwhile
                    raise not_open(self.path)
                for records in stored.batches(self.schema.names):
                    yield pa.RecordBatch.from_arrays(records.columns, schema=self.schema)

        with self.files.sink_at(self.path, self.schema) as sink:
            sink.metadata.update(self.metadata)
            for records in self.checked(pa.RecordBatchReader.from_batches(self.schema, rows())):
                sink.write(records)
        self.abandon()
        return sink.rows

    def abandon(self) -> None:
        """Removes what was staged, first the file that says the load is open."""
        self.files.remove(f"{self.folder}/{_OPEN}")
        for path, _ in list(self.files.times(self.folder)):
            self.files.remove(path)

    def checked(self, rows: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
        """Checks rows as they pass: those of a piece, and later those of all pieces together."""
        yield from rows

    def _piece(self, number: int) -> str:
        return f"{self.folder}/{number}.parquet"

    def _there(self) -> set[str]:
        """Paths of all staged files.

        Raises:
            StoreError: the load is not open any more.
        """
        there = {path for path, _ in self.files.times(self.folder)}
        if f"{self.folder}/{_OPEN}" not in there:
            raise not_open(self.path)
        return there


def begin(files: ParquetFolder, path: str, pieces: int, stale_after: timedelta = STALE_AFTER) -> str:
    """Opens a load of the file at ``path``, and removes what dead loads of that file left.

    Returns:
        The folder of the new load, within a hidden folder beside the file, so that readers of all parquet files
        there do not find pieces.

    Raises:
        StoreError: a load has one piece or more, or the files cannot be written.
    """
    check_count(pieces)
    parent, _, name = path.rpartition("/")
    loads = f"{parent}/.loads/{hashlib.sha256(name.encode()).hexdigest()[:16]}"
    _collect(files, loads, stale_after)
    folder = f"{loads}/{secrets.token_hex(8)}"
    files.mark(f"{folder}/{_OPEN}")
    return folder


def _collect(files: ParquetFolder, loads: str, stale_after: timedelta) -> None:
    last: dict[str, datetime] = {}
    found = list(files.times(loads))
    for path, written in found:
        load = path.removeprefix(f"{loads}/").partition("/")[0]
        last[load] = max(written, last.get(load, written))
    files.collect(loads, stale_after)
    before = datetime.now(UTC) - stale_after
    for path, _ in found:
        if last[path.removeprefix(f"{loads}/").partition("/")[0]] < before:
            files.remove(path)
