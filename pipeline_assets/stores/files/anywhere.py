"""One parquet file, or one folder of part files, wherever it is: looked at before it becomes a task's batch."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pipeline_assets.errors import ContractError
from pipeline_assets.stores.files.base import Fetched, hashed
from pipeline_assets.stores.files.download_cache import DownloadCache
from pipeline_assets.stores.files.listing import SUFFIX, Entry, Found, batch_at, check_readable, locations
from pipeline_assets.stores.files.s3 import cached, fetched
from pipeline_assets.stores.files.s3_bucket import Bucket
from pipeline_assets.task.batch import BatchRef, Part


class FileAnywhere:
    """A file or folder by its path or ``s3://`` address, read as a batch of that name would be.

    Args:
        uri: of the file or folder.
        bucket: that of an ``s3://`` address; ``None`` for a path.
        cache_folder: folder for local copies of what is on S3.
    """

    def __init__(self, uri: str, bucket: Bucket | None, cache_folder: Path) -> None:
        self.uri = uri.rstrip("/")
        self.name = self.uri.rpartition("/")[2]
        self._bucket, self._cache = bucket, DownloadCache(cache_folder)

    @property
    def batch(self) -> str:
        """The name that it would have as a batch."""
        return self.name.removesuffix(SUFFIX)

    def find(self, ref: BatchRef) -> Found:
        """The file or folder; ``ref`` is for errors.

        Raises:
            ContractError: there is none, or it is not one batch of parquet.
        """
        folder = self.uri.removesuffix(self.name).rstrip("/") or ("/" if self.uri.startswith("/") else ".")
        entries = list(self._local() if self._bucket is None else self._below(self._bucket))
        alone = [entry.part for entry in entries if not entry.name and entry.part is not None]
        if alone:  # a file may have any name
            return Found(self.uri, (alone[0],))
        there = locations(Entry(f"{self.batch}/{entry.name}".rstrip("/"), entry.part) for entry in entries)
        if not entries or self.batch not in there:
            raise ContractError("there is no such file or folder", file=self.uri, expected="parquet")
        check_readable(ref, folder, there[self.batch])
        return Found(f"{self.uri}/", batch_at(folder, there[self.batch]).parts)

    @contextmanager
    def fetch(self, found: Found) -> Iterator[Fetched]:
        """The files on this machine, with their fingerprint; those of S3 are copied."""
        if self._bucket is None:
            with hashed(found, _paths(found)) as here:
                yield here
            return
        with cached(found, self._bucket, self._cache) as folder:
            yield fetched(found, folder)

    @contextmanager
    def open(self, found: Found) -> Iterator[tuple[Path, ...]]:
        """The files on this machine, where nobody needs their fingerprint."""
        if self._bucket is None:
            yield _paths(found)
            return
        with cached(found, self._bucket, self._cache) as folder:
            yield fetched(found, folder).paths

    def _local(self) -> Iterator[Entry]:
        """The file without a name, or what a folder has, by paths below it."""
        root = Path(self.uri)
        if root.is_file():
            yield Entry("", _part(root))
        for parent, _, files in os.walk(root, followlinks=True):
            yield Entry(str(Path(parent).relative_to(root)).removeprefix("."), None)
            for name in files:
                path = Path(parent, name)
                yield Entry(str(path.relative_to(root)), _part(path))

    def _below(self, bucket: Bucket) -> Iterator[Entry]:
        """The same of what is in a bucket."""
        key = self.uri.removeprefix(bucket.uri(""))
        for known in bucket.objects(key):
            part = Part(bucket.uri(known.key), known.size, known.etag)
            if known.key == key:
                yield Entry("", part)
            elif known.key.startswith(f"{key}/") and not known.key.endswith("/"):
                yield Entry(known.key.removeprefix(f"{key}/"), part)


def _paths(found: Found) -> tuple[Path, ...]:
    return tuple(Path(part.uri) for part in found.parts)


def _part(path: Path) -> Part:
    status = path.stat()
    return Part(str(path), status.st_size, str(status.st_mtime_ns))
