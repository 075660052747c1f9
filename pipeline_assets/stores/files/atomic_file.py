"""A local file that appears whole or not at all."""

import fcntl
import hashlib
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from pipeline_assets.errors import StoreError


@contextmanager
def atomic_file(target: Path) -> Iterator[Path]:
    """A path to write to; at the end of the block what was written there is the content of ``target``.

    A temporary file in the same folder is written, synced and renamed, then the folder is synced. So readers see the
    former content or the new one, also after a power failure. An error in the block leaves ``target`` unchanged.

    A writer locks its temporary file; the system drops the lock when the process ends, however it ends. The next
    writer of the same target removes the temporary files that nobody has locked.

    Raises:
        StoreError: the file cannot be written; says why.
    """
    with writable(str(target)):
        target.parent.mkdir(parents=True, exist_ok=True)
        mark = f".{hashlib.sha256(target.name.encode()).hexdigest()[:16]}-"
        _collect(target.parent, mark)
        held = _begin(target.parent, mark)
    aside = Path(held.name)
    try:
        with held:
            yield aside
            with writable(str(target)):
                os.fsync(held.fileno())
                aside.replace(target)
                _sync(target.parent)
    finally:
        aside.unlink(missing_ok=True)


@contextmanager
def writable(uri: str) -> Iterator[None]:
    """Turns the system's refusal to write into a StoreError that names the file.

    Errors of a broken connection are raised unchanged: the code that reads from the connection handles them.
    """
    try:
        yield
    except ConnectionError:
        raise
    except OSError as error:
        raise StoreError(
            "the file cannot be written",
            file=uri,
            found=error.strerror or str(error),
            do="check the folder's permissions and free space, or set another place (DATA_URI, PIPELINE_STATE)",
        ) from error


def _begin(folder: Path, mark: str) -> BinaryIO:
    while True:
        held = (folder / f"{mark}{secrets.token_hex(8)}.tmp").open("xb")
        fcntl.flock(held, fcntl.LOCK_EX)
        # A collector may remove the file between opening and locking; then the next one is tried.
        if os.fstat(held.fileno()).st_nlink:
            return held
        held.close()


def _collect(folder: Path, mark: str) -> None:
    for path in folder.glob(f"{mark}*.tmp"):
        try:
            with path.open("rb+") as left:
                fcntl.flock(left, fcntl.LOCK_EX | fcntl.LOCK_NB)
                path.unlink(missing_ok=True)
        except (BlockingIOError, FileNotFoundError):  # a living writer's, or one that has just been renamed
            continue


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
