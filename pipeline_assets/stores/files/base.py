"""Inputs, outputs and rejected rows as parquet files, in a local folder or on S3 behind one interface."""

import hashlib
import threading
from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from enum import Enum
from pathlib import Path

import pyarrow as pa

from pipeline_assets.errors import ContractError, PipelineError
from pipeline_assets.stores.files.listing import (
    SUFFIX,
    Entry,
    Found,
    Locations,
    batch_at,
    check_name,
    check_readable,
    listed,
    locations,
)
from pipeline_assets.stores.files.parquet_file import Sink, StoredFile
from pipeline_assets.stores.files.staged import FileLoad, ParquetFolder, begin
from pipeline_assets.stores.load import STALE_AFTER
from pipeline_assets.task.batch import BatchRef, InputFolder, InputRef, Part
from pipeline_assets.task.names import did_you_mean

__all__ = ["Area", "Fetched", "FileStore", "Found", "Sink", "StoredFile", "hashed", "sha256_of"]

# How many of the existing batches an error names: the last ones by name, as most names are dates.
_NAMED = 20
_BYTES_HASHED_AT_ONCE = 1 << 20


class Area(Enum):
    """Where the pipeline keeps a batch's own files."""

    OUTPUT = "predictions"
    REJECTED = "rejected"
    REPLAYED = "replayed"
    SCORES = "scores"

    def path(self, ref: BatchRef) -> str:
        """The path of a batch's file, below the store's uri.

        Raises:
            ContractError: the batch's name could lead out of the folder.
        """
        check_name(ref)
        folder = f"{self.value}/{ref.stage}" if self in (Area.REJECTED, Area.REPLAYED) else self.value
        return f"{ref.task}/{folder}/{ref.batch}{SUFFIX}"


@dataclass(frozen=True)
class Fetched:
    """A batch as local files.

    Attributes:
        paths: local files, in the order of the batch's parts.
        hashed: waits for the fingerprint, which may still be computed.
    """

    paths: tuple[Path, ...]
    hashed: Callable[[], str] = field(repr=False, compare=False)

    @property
    def sha256(self) -> str:
        """Of the one file; of the lines ``name sha256`` of all files for a folder. Ask for it last, to wait little."""
        return self.hashed()


class FileStore(ParquetFolder):
    """Files below one uri: inputs as others put them there, and what the pipeline writes beside them.

    Attributes:
        uri: ``s3://bucket/prefix`` or a folder, without a ``/`` at the end.
        stale_after: a writer without a sign of life for so long is taken for dead, where nothing else shows it.
    """

    uri: str
    stale_after: timedelta = STALE_AFTER

    def batches(self, task: str, stage: InputFolder) -> dict[str, Found]:
        """Every batch of a stage, or every file of truth, by its name, in the order of names.

        Folders that are still being written are left out; :meth:`find` reports all other faults of a batch.
        """
        return listed(f"{self.uri}/{task}/{stage}", self._entries(f"{task}/{stage}", ""))

    def find(self, ref: InputRef) -> Found:
        """One batch, or the file of truth of one.

        Raises:
            ContractError: it is not there (names the batches that are), is still being written, or is not one batch of
                parquet.
        """
        folder = f"{self.uri}/{ref.task}/{ref.stage}"
        there = self._locations(ref)
        if there is None:
            names = list(self.batches(ref.task, ref.stage))
            earlier = [f"{len(names) - _NAMED} earlier ones"] if len(names) > _NAMED else []
            raise ContractError(
                f"there is no such batch{did_you_mean(ref.batch, names)}",
                **ref.facts(),
                expected=f"{folder}/{ref.batch}{SUFFIX}, or a folder {ref.batch} of part files there",
                available=[*earlier, *names[-_NAMED:]],
            )
        check_readable(ref, folder, there)
        return batch_at(folder, there)

    def has(self, ref: InputRef) -> bool:
        """Whether there is something of the batch's name that :meth:`find` finds, or says why it cannot be read.

        Raises:
            ContractError: the batch's name could lead out of the folder.
        """
        return self._locations(ref) is not None

    def _locations(self, ref: InputRef) -> Locations | None:
        check_name(ref)
        below = f"{ref.task}/{ref.stage}"
        starts = (f"{ref.batch}{SUFFIX}", f"{ref.batch}/")
        return locations(entry for start in starts for entry in self._entries(below, start)).get(ref.batch)

    def uri_of(self, area: Area, ref: BatchRef) -> str:
        """The address of the pipeline's file of a batch, whether or not it is there yet."""
        return f"{self.uri}/{area.path(ref)}"

    @abstractmethod
    def fetch(self, found: Found) -> AbstractContextManager[Fetched]:
        """The batch as local files, with its fingerprint, which is that of the bytes that the block reads.

        Raises:
            ContractError: the batch is not the one that was found.
        """

    @abstractmethod
    def open(self, found: Found) -> AbstractContextManager[tuple[Path, ...]]:
        """The batch as local files, for the steps after the one that fetched it.

        Raises:
            ContractError: the batch is not the one that was found.
        """

    @abstractmethod
    def part(self, part: Part) -> StoredFile:
        """One file of an input, read in place to get a few rows: nothing is copied.

        Raises:
            ContractError: it is not the one that was found.
            DataError: it is damaged.
        """

    def sink(self, area: Area, ref: BatchRef, schema: pa.Schema) -> AbstractContextManager[Sink]:
        """A file to write. It appears whole at the end of the block; an error in the block changes nothing.

        Raises:
            StoreError: the file cannot be written.
        """
        return self.sink_at(area.path(ref), schema)

    def begin(
        self, area: Area, ref: BatchRef, schema: pa.Schema, metadata: Mapping[str, str] | None = None, pieces: int = 1
    ) -> FileLoad:
        """A load of a batch's file: pieces written from any process, then committed into the one file.

        Args:
            area: which of the batch's files.
            ref: the batch.
            schema: of the rows of every piece.
            metadata: key-value metadata of the file.
            pieces: how many there will be.

        Raises:
            StoreError: there are no pieces, or the store cannot be written.
        """
        path = area.path(ref)
        folder = begin(self, path, pieces, self.stale_after)
        return FileLoad(self, path, schema, pieces, folder, dict(metadata or {}))

    def read(self, area: Area, ref: BatchRef) -> StoredFile | None:
        """A file that the pipeline wrote; ``None`` if it is not there.

        Raises:
            DataError: the file is damaged.
        """
        return self.read_at(area.path(ref))

    def forget(self, area: Area, ref: BatchRef) -> bool:
        """Removes a file that the pipeline wrote.

        Returns:
            Whether it was there.
        """
        there = self.holds(area, ref)
        if there:
            self.remove(area.path(ref))
        return there

    def holds(self, area: Area, ref: BatchRef) -> bool:
        """Whether a file that the pipeline wrote is there, damaged or not."""
        path = area.path(ref)
        return any(found == path for found, _ in self.times(path.rpartition("/")[0]))

    @abstractmethod
    def put(self, ref: InputRef, path: Path) -> bool:
        """Copies a local parquet file to the input of a batch: it appears whole or not at all.

        Args:
            ref: the batch, of one file.
            path: of the file to copy.

        Returns:
            Whether it was written. If this method wrote the same content before, the input is left unchanged, so that
            sensors see no change.

        Raises:
            ContractError: the batch's name could lead out of the folder.
            StoreError: the file cannot be written.
        """

    @abstractmethod
    def _entries(self, folder: str, start: str) -> Iterator[Entry]:
        """What is below a folder at any depth: everything, or at least what ``start`` (a file or ``folder/``) names."""

    def _check_unchanged(self, known: Found) -> None:
        below = known.uri.removeprefix(f"{self.uri}/")
        task, stage, top = below.split("/", 2) if below != known.uri else ("", "", "")
        again = f"materialise {task}/{'truth' if stage == 'truth' else f'{stage}_raw'} for this batch again"
        if not top:
            raise ContractError(
                "the batch was checked in another place",
                found=known.uri,
                expected=f"a file below {self.uri}",
                do="set DATA_URI to that place, or check the batch again: materialise its *_raw asset",
            )
        now = [
            location
            for there in locations(self._entries(f"{task}/{stage}", top)).values()
            for location in there.items()
        ]
        parts = {part for name, location in now if name == top for part in location.parts}
        changed = parts ^ set(known.parts)
        if changed:
            names = sorted({part.uri for part in changed})
            raise ContractError(
                "the batch changed since it was found",
                file=known.uri,
                found=", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else ""),  # noqa: PLR2004
                do=again,
            )


def part_changed(part: Part) -> ContractError:
    """The error of a file that was replaced or removed after it was found."""
    return ContractError(
        "the file changed since it was found",
        file=part.uri,
        do="materialise the *_raw asset of its batch again",
    )


def input_path(ref: InputRef) -> str:
    """The path of a batch's one input file, below the store's uri.

    Raises:
        ContractError: the batch's name could lead out of the folder.
    """
    check_name(ref)
    return f"{ref.task}/{ref.stage}/{ref.batch}{SUFFIX}"


def sha256_of(batch: Found, sums: Mapping[str, str]) -> str:
    """The fingerprint of a batch.

    Args:
        batch: its files.
        sums: hexadecimal SHA-256 of each file by its name, in the order of the batch's parts.
    """
    if not batch.uri.endswith("/"):
        return next(iter(sums.values()))
    return hashlib.sha256("".join(f"{name} {digest}\n" for name, digest in sums.items()).encode()).hexdigest()


@contextmanager
def hashed(batch: Found, paths: Sequence[Path]) -> Iterator[Fetched]:
    """Local files, whose fingerprint a thread computes while the block reads them.

    At the end of the block the thread is stopped: who wants the fingerprint asks for it before.
    """
    over = threading.Event()
    with ThreadPoolExecutor(1, thread_name_prefix="sha256") as thread:
        digest = thread.submit(lambda: sha256_of(batch, {path.name: _sha256(path, over) for path in paths}))
        try:
            yield Fetched(tuple(paths), digest.result)
        finally:
            over.set()


def _sha256(path: Path, over: threading.Event) -> str:
    digest, buffer = hashlib.sha256(), bytearray(_BYTES_HASHED_AT_ONCE)
    with path.open("rb", buffering=0) as file:
        while count := file.readinto(buffer):
            if over.is_set():
                raise PipelineError("the fingerprint of a batch was not asked for while its files were open")
            digest.update(memoryview(buffer)[:count])
    return digest.hexdigest()
