"""The file store on S3: inputs are copied to a local download cache once, outputs appear by multipart upload."""

import hashlib
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

import pyarrow as pa

from pipeline_assets.settings import S3Settings
from pipeline_assets.stores.files.base import Fetched, FileStore, input_path, part_changed, sha256_of
from pipeline_assets.stores.files.download_cache import DownloadCache
from pipeline_assets.stores.files.listing import Entry, Found
from pipeline_assets.stores.files.parquet_file import Sink, StoredFile, open_stored, parquet_sink
from pipeline_assets.stores.files.s3_bucket import Bucket, Object
from pipeline_assets.stores.files.s3_objects import ObjectReader, download, uploaded
from pipeline_assets.stores.load import STALE_AFTER
from pipeline_assets.task.batch import InputRef, Part

# Beside the copies in the cache; a part's name cannot start with a dot.
_SHA256 = ".sha256"
# Kept as metadata of an object that the pipeline put: the ETag of a multipart upload is no hash of its content.
_NOTED = "sha256"


class S3Files(FileStore):
    """Files below ``s3://bucket/prefix``. A part's stamp is its ETag.

    Args:
        uri: of the store.
        settings: of the endpoint.
        cache_folder: folder for local copies of inputs; see :class:`DownloadCache` for how it is emptied.
        stale_after: older uploads belong to dead writers; the next write of the same file collects them.
    """

    def __init__(
        self, uri: str, settings: S3Settings, cache_folder: Path, stale_after: timedelta = STALE_AFTER
    ) -> None:
        self.uri = uri
        bucket, _, prefix = uri.removeprefix("s3://").partition("/")
        self._bucket = Bucket(settings, bucket)
        self._prefix = f"{prefix}/" if prefix else ""
        self._cache = DownloadCache(cache_folder)
        self.stale_after = stale_after

    @contextmanager
    def fetch(self, found: Found) -> Iterator[Fetched]:
        """The files in the download cache, hashed while they were downloaded."""
        with self._cached(found) as folder:
            yield fetched(found, folder)

    @contextmanager
    def open(self, found: Found) -> Iterator[tuple[Path, ...]]:
        """The files in the download cache: the found ones, even if the objects are replaced while the block runs."""
        with self._cached(found) as folder:
            yield _paths(found, folder)

    def part(self, part: Part) -> StoredFile:
        """The object, read by ranges."""
        reader = ObjectReader.at(self._bucket, part.uri.removeprefix(self._bucket.uri("")))
        if reader is None or reader.etag != part.stamp:
            raise part_changed(part)
        return open_stored(reader, part.uri)

    @contextmanager
    def sink_at(self, path: str, schema: pa.Schema) -> Iterator[Sink]:
        """Uploads by parts, completes at the end, aborts on an error."""
        key = self._prefix + path
        self._bucket.collect(key, self.stale_after)
        with uploaded(self._bucket, key) as upload, parquet_sink(upload, schema, self._bucket.uri(key)) as sink:
            yield sink

    def read_at(self, path: str) -> StoredFile | None:
        """The object, read by ranges; a read raises TransientError once another object has replaced it."""
        key = self._prefix + path
        reader = ObjectReader.at(self._bucket, key)
        return None if reader is None else open_stored(reader, self._bucket.uri(key))

    def times(self, folder: str) -> Iterator[tuple[str, datetime]]:
        """When each object was completed, by the endpoint's clock."""
        for key, modified in self._bucket.times(f"{self._prefix}{folder}/"):
            yield key.removeprefix(self._prefix), modified

    def mark(self, path: str) -> None:
        """An empty object."""
        self._bucket.put(self._prefix + path, b"")

    def remove(self, path: str) -> None:
        """The object."""
        self._bucket.remove(self._prefix + path)

    def collect(self, folder: str, stale_after: timedelta) -> None:
        """Aborts uploads below the folder that are older than ``stale_after``."""
        self._bucket.collect(f"{self._prefix}{folder}/", stale_after)

    def put(self, ref: InputRef, path: Path) -> bool:
        """Uploads by parts. The object's metadata keep its sha256, which the next put compares."""
        key = self._prefix + input_path(ref)
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            if (self._bucket.notes(key) or {}).get(_NOTED) == digest:
                return False
            file.seek(0)
            self._bucket.collect(key, self.stale_after)
            with uploaded(self._bucket, key, {_NOTED: digest}) as upload:
                shutil.copyfileobj(file, upload)
        return True

    def _entries(self, folder: str, start: str) -> Iterator[Entry]:
        below = f"{self._prefix}{folder}/"
        for known in self._bucket.objects(below + start):
            name = known.key.removeprefix(below)
            if name.endswith("/"):  # an object that stands for a folder
                yield Entry(name.rstrip("/"), None)
            else:
                yield Entry(name, Part(self._bucket.uri(known.key), known.size, known.etag))

    @contextmanager
    def _cached(self, found: Found) -> Iterator[Path]:
        self._check_unchanged(found)
        with cached(found, self._bucket, self._cache) as folder:
            yield folder


@contextmanager
def cached(found: Found, bucket: Bucket, cache: DownloadCache) -> Iterator[Path]:
    """The folder with a local copy of objects, and beside them their fingerprint."""
    lines = "\n".join(f"{part.uri} {part.size} {part.stamp}" for part in found.parts)
    key = hashlib.sha256(f"{found.uri}\n{lines}".encode()).hexdigest()[:32]

    def fill(folder: Path) -> None:
        paths = _paths(found, folder)
        objects = [Object(part.uri.removeprefix(bucket.uri("")), part.size, part.stamp) for part in found.parts]
        sums = download(bucket, objects, paths)
        (folder / _SHA256).write_text(sha256_of(found, dict(zip((path.name for path in paths), sums, strict=True))))

    with cache.copy(key, sum(part.size for part in found.parts), fill) as folder:
        yield folder


def fetched(found: Found, folder: Path) -> Fetched:
    """What :func:`cached` has."""
    return Fetched(_paths(found, folder), (folder / _SHA256).read_text)


def _paths(found: Found, folder: Path) -> tuple[Path, ...]:
    return tuple(folder / part.uri.rpartition("/")[2] for part in found.parts)
