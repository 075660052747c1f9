"""Local copies of remote files: downloaded once, used by every later step, limited in size."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from pipeline_assets.errors import StoreError
from pipeline_assets.stores.files.atomic_file import writable

# Bytes of copies that are kept. A larger batch is copied all the same, and nothing else is kept.
LIMIT = 16 << 30
_LOCK = ".lock"


class DownloadCache:
    """Folders of copies below one folder, one folder per key.

    A copy stays until its room is needed: before a new one is made, the least recently used are removed until all
    together take at most ``limit`` bytes and the disk has room for the new one. Copies in use are never removed: a
    user locks the copy, and the system drops the lock when the process ends, however it ends. Unfinished copies of
    dead processes are removed at the same time. To empty the cache, remove the folder.
    """

    def __init__(self, folder: Path, limit: int = LIMIT) -> None:
        self._folder, self._limit = folder, limit

    @contextmanager
    def copy(self, key: str, size: int, fill: Callable[[Path], None]) -> Iterator[Path]:
        """The folder of copies under ``key``; ``fill`` makes it if it is not there. It stays while the block runs.

        Args:
            key: a file name without a dot; other content must have another key.
            size: bytes that ``fill`` is going to write.
            fill: writes the copies into the empty folder it is given; an error leaves nothing.

        Raises:
            StoreError: the disk has no room for the copies, or they cannot be written.
        """
        with writable(str(self._folder)):
            self._folder.mkdir(parents=True, exist_ok=True)
        with self._there(key) or self._made(key, size, fill):
            yield self._folder / key

    def _there(self, key: str) -> BinaryIO | None:
        copies = self._folder / key
        with self._alone():
            if not copies.is_dir():
                return None
            os.utime(copies)
            return _held(copies)

    def _made(self, key: str, size: int, fill: Callable[[Path], None]) -> BinaryIO:
        with self._alone():
            self._make_room(size)
            begun = Path(tempfile.mkdtemp(prefix=f"{key}.", dir=self._folder))
            held = _held(begun)
        try:
            with writable(str(self._folder / key)):
                fill(begun)
            with self._alone():
                copies = self._folder / key
                if not copies.exists():
                    begun.rename(copies)
                    return held
                # Another process has made the same copy first.
                quicker = _held(copies)
            held.close()
            shutil.rmtree(begun)
        except BaseException:
            held.close()
            shutil.rmtree(begun)
            raise
        return quicker

    def _make_room(self, size: int) -> None:
        kept = sorted((path for path in self._folder.iterdir() if path.is_dir()), key=lambda path: path.stat().st_mtime)
        total = size + sum(_size(path) for path in kept)
        for path in kept:
            begun = "." in path.name
            if (begun or total > self._limit or self._free() < size) and _unused(path):
                total -= _size(path)
                shutil.rmtree(path)
        if self._free() < size:
            raise StoreError(
                "the disk has no room for a local copy of the batch",
                file=str(self._folder),
                found=f"{self._free() >> 20} MiB free",
                expected=f"{(size >> 20) + 1} MiB",
                do="make room there, or set PIPELINE_STATE to a folder on a larger disk",
            )

    def _free(self) -> int:
        return shutil.disk_usage(self._folder).free

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """A lock for short moments: while a copy is looked up, put in place or removed."""
        with (self._folder / _LOCK).open("wb") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _held(copies: Path) -> BinaryIO:
    lock = (copies / _LOCK).open("ab")
    fcntl.flock(lock, fcntl.LOCK_SH)
    return lock


def _unused(copies: Path) -> bool:
    with (copies / _LOCK).open("ab") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


def _size(copies: Path) -> int:
    return sum(path.stat().st_size for path in copies.iterdir())
