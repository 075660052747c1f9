"""The file store in a local folder: inputs are read in place."""

import errno
import filecmp
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa

from pipeline_assets.errors import StoreError
from pipeline_assets.stores.files.atomic_file import atomic_file, writable
from pipeline_assets.stores.files.base import Fetched, FileStore, hashed, input_path, part_changed
from pipeline_assets.stores.files.listing import Entry, Found
from pipeline_assets.stores.files.parquet_file import Sink, StoredFile, open_stored, parquet_sink
from pipeline_assets.stores.load import STALE_AFTER
from pipeline_assets.task.batch import InputRef, Part


class LocalFiles(FileStore):
    """Files below a folder, which need not exist yet.

    A part's stamp is its modification time. The inode would show more changes, but network and FUSE mounts give a
    file a new inode each time, so every step on such a mount would take its input for changed.
    """

    def __init__(self, folder: Path, stale_after: timedelta = STALE_AFTER) -> None:
        self.uri = str(folder)
        self.stale_after = stale_after

    @contextmanager
    def fetch(self, found: Found) -> Iterator[Fetched]:
        """The files in place, hashed while the block reads them; they change for neither, see :meth:`open`."""
        with self.open(found) as paths, hashed(found, paths) as fetched:

            def digest() -> str:
                with _readable(found.uri):
                    return fetched.hashed()

            yield Fetched(paths, digest)

    @contextmanager
    def open(self, found: Found) -> Iterator[tuple[Path, ...]]:
        """The files in place; at the end of the block they must still be the ones that were found."""
        self._check_unchanged(found)
        yield tuple(Path(part.uri) for part in found.parts)
        self._check_unchanged(found)

    def part(self, part: Part) -> StoredFile:
        """The file in place."""
        path = Path(part.uri)
        with _readable(part.uri):
            if part not in (entry.part for entry in _entry(path.parent, path)):
                raise part_changed(part)
        return open_stored(path, part.uri)

    @contextmanager
    def sink_at(self, path: str, schema: pa.Schema) -> Iterator[Sink]:
        """Writes a temporary file, syncs it and renames it."""
        target = Path(self.uri, path)
        with atomic_file(target) as aside, parquet_sink(aside, schema, str(target)) as sink:
            yield sink

    def read_at(self, path: str) -> StoredFile | None:
        """The file in place."""
        found = Path(self.uri, path)
        try:
            return open_stored(found, str(found))
        except FileNotFoundError:
            return None

    def times(self, folder: str) -> Iterator[tuple[str, datetime]]:
        """Modification times, also of files that are being written."""
        with _readable(f"{self.uri}/{folder}"):
            for parent, _, files in os.walk(Path(self.uri, folder), onerror=_refuse):
                for name in files:
                    path = Path(parent, name)
                    try:
                        modified = path.stat().st_mtime
                    except FileNotFoundError:  # committed or collected meanwhile
                        continue
                    yield str(path.relative_to(self.uri)), datetime.fromtimestamp(modified, UTC)

    def mark(self, path: str) -> None:
        """An empty file in place."""
        with writable(f"{self.uri}/{path}"):
            Path(self.uri, path).parent.mkdir(parents=True, exist_ok=True)
            Path(self.uri, path).touch()

    def remove(self, path: str) -> None:
        """The file, and its folder once that is empty."""
        with writable(f"{self.uri}/{path}"):
            Path(self.uri, path).unlink(missing_ok=True)
        with suppress(OSError):  # it holds other files, or another process has removed it
            Path(self.uri, path).parent.rmdir()

    def collect(self, folder: str, stale_after: timedelta) -> None:
        """Does nothing: unfinished files are in the folder too, and :meth:`times` lists them."""

    def put(self, ref: InputRef, path: Path) -> bool:
        """Copies to a temporary file, syncs it and renames it."""
        target = Path(self.uri, input_path(ref))
        if target.is_file() and filecmp.cmp(path, target, shallow=False):
            return False
        with atomic_file(target) as aside, writable(str(target)):
            shutil.copyfile(path, aside)
        return True

    def _entries(self, folder: str, start: str) -> Iterator[Entry]:
        root = Path(self.uri, folder)
        with _readable(str(root)):
            if not (root / start).is_dir():
                yield from _entry(root, root / start)
                return
            for parent, _, files in os.walk(root / start, followlinks=True, onerror=_refuse):
                yield Entry(str(Path(parent).relative_to(root)), None)
                for name in files:
                    yield from _entry(root, Path(parent, name))


def _entry(root: Path, path: Path) -> Iterator[Entry]:
    """The file as an entry, unless it was removed meanwhile or is a broken link."""
    try:
        status = path.stat()
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
            return
        raise
    yield Entry(str(path.relative_to(root)), Part(str(path), status.st_size, str(status.st_mtime_ns)))


def _refuse(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):  # gone since its parent was listed
        raise error


@contextmanager
def _readable(uri: str) -> Iterator[None]:
    """Turns the system's refusal to read into a StoreError that names the place."""
    try:
        yield
    except OSError as error:
        raise StoreError(
            "the files cannot be read",
            file=error.filename or uri,
            found=error.strerror or str(error),
            do="check the permissions, or set DATA_URI to another place",
        ) from error
