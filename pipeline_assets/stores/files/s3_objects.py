"""S3 objects as files: read by ranges, written by parts, copied to a local path."""

import hashlib
import os
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from io import SEEK_CUR, SEEK_SET, RawIOBase
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline_assets.stores.files.atomic_file import writable
from pipeline_assets.stores.files.s3_bucket import Bucket, Object

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

# Bytes of an object per request. S3 takes at most 10,000 parts per upload: files up to 160 GB.
_CHUNK = 16 << 20
_THREADS = 4
# Enough for the footer of most files, so that one request gets their metadata.
_TAIL = 64 << 10


class ObjectReader(RawIOBase):
    """An object as it was when it was opened; a read fails once another object has replaced it."""

    def __init__(self, bucket: Bucket, known: Object, tail: bytes) -> None:
        super().__init__()
        self._bucket, self._object, self._tail = bucket, known, tail
        self._at = 0

    @classmethod
    def at(cls, bucket: Bucket, key: str) -> "ObjectReader | None":
        """Opens an object; ``None`` if it is not there."""
        answer = bucket.tail(key, _TAIL)
        return None if answer is None else cls(bucket, *answer)

    @property
    def etag(self) -> str:
        """Of the object."""
        return self._object.etag

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def tell(self) -> int:
        """The position of the next read."""
        return self._at

    def seek(self, offset: int, whence: int = SEEK_SET) -> int:
        """Moves there without a request."""
        start = {SEEK_SET: 0, SEEK_CUR: self._at}.get(whence, self._object.size)
        self._at = start + offset
        return self._at

    def readinto(self, buffer: "WriteableBuffer") -> int:
        """Fills the buffer with one request, or with none where the tail has the bytes."""
        view = memoryview(buffer).cast("B")
        end = min(self._at + len(view), self._object.size)
        if self._at >= end:
            return 0
        skipped = self._at - (self._object.size - len(self._tail))
        content = (
            self._tail[skipped : skipped + end - self._at]
            if skipped >= 0
            else self._bucket.content(self._object, self._at, end)
        )
        view[: len(content)] = content
        self._at += len(content)
        return len(content)


class Upload(RawIOBase):
    """An object being uploaded: a few parts are sent while the next one is filled, so memory use stays constant."""

    def __init__(self, bucket: Bucket, key: str, notes: Mapping[str, str] | None) -> None:
        super().__init__()
        self._bucket, self._key, self._notes = bucket, key, notes
        self._filling = bytearray()
        self._id: str | None = None
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="s3-upload")
        self._sending: deque[Future[dict[str, Any]]] = deque()
        self._sent: list[dict[str, Any]] = []

    def writable(self) -> bool:
        """It is."""
        return True

    def write(self, content: "ReadableBuffer") -> int:
        """Takes all of it."""
        view = memoryview(content).cast("B")
        self._filling += view
        while len(self._filling) >= _CHUNK:
            self._send(bytes(memoryview(self._filling)[:_CHUNK]))
            del self._filling[:_CHUNK]
        return len(view)

    def complete(self) -> None:
        """Makes the object appear."""
        if self._id is None:
            self._bucket.put(self._key, bytes(self._filling), self._notes)
        else:
            if self._filling:
                self._send(bytes(self._filling))
            while self._sending:
                self._wait()
            self._bucket.complete(self._key, self._id, self._sent)
        self._pool.shutdown()

    def abort(self) -> None:
        """Aborts the upload; the store stays unchanged."""
        self._pool.shutdown(cancel_futures=True)
        if self._id is not None:
            self._bucket.abort(self._key, self._id)

    def _send(self, content: bytes) -> None:
        if self._id is None:
            self._id = self._bucket.begin(self._key, self._notes)
        while len(self._sending) >= _THREADS:
            self._wait()
        number = len(self._sent) + len(self._sending) + 1
        self._sending.append(self._pool.submit(self._bucket.send, self._key, self._id, number, content))

    def _wait(self) -> None:
        self._sent.append(self._sending.popleft().result())


@contextmanager
def uploaded(bucket: Bucket, key: str, notes: Mapping[str, str] | None = None) -> Iterator[Upload]:
    """An object with metadata ``notes``, which appears whole at the end of the block, or not at all."""
    upload = Upload(bucket, key, notes)
    try:
        yield upload
        upload.complete()
    except BaseException:
        upload.abort()
        raise


def download(bucket: Bucket, objects: Sequence[Object], paths: Sequence[Path]) -> list[str]:
    """Copies objects to local files, several ranges at once, and syncs them.

    Returns:
        The hexadecimal SHA-256 of each, computed meanwhile.

    Raises:
        StoreError: a file cannot be written, or S3 refused.
        TransientError: S3 does not answer, or an object was replaced.
    """
    sums = []
    with ThreadPoolExecutor(_THREADS, thread_name_prefix="s3-download") as pool:
        for known, path in zip(objects, paths, strict=True):
            with writable(str(path)), path.open("xb") as file:
                sums.append(_copy(bucket, known, file.fileno(), pool))
                os.fsync(file.fileno())
    return sums


def _copy(bucket: Bucket, known: Object, descriptor: int, pool: ThreadPoolExecutor) -> str:
    def copy(start: int) -> bytes:
        content = bucket.content(known, start, min(start + _CHUNK, known.size))
        left = memoryview(content)
        while left:  # the system may write only a part, for example on a nearly full disk
            written = os.pwrite(descriptor, left, start)
            left, start = left[written:], start + written
        return content

    digest, coming = hashlib.sha256(), deque[Future[bytes]]()
    starts = iter(range(0, known.size, _CHUNK))
    # As many ranges as there are threads: those that are done early wait in memory to be hashed in order.
    coming.extend(pool.submit(copy, start) for start in islice(starts, _THREADS))
    while coming:
        content = coming.popleft().result()
        coming.extend(pool.submit(copy, start) for start in islice(starts, 1))
        digest.update(content)
    return digest.hexdigest()
