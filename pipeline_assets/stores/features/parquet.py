"""The embedded feature store: one parquet file per batch."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pyarrow as pa

from pipeline_assets.stores.features.base import (
    FeatureTable,
    check_fingerprints,
    check_stored,
    fitting,
    not_there,
)
from pipeline_assets.stores.files.listing import SUFFIX, check_name
from pipeline_assets.stores.files.local import LocalFiles
from pipeline_assets.stores.files.parquet_file import StoredFile
from pipeline_assets.stores.files.staged import FileLoad, begin
from pipeline_assets.stores.load import STALE_AFTER

# Key of the file's metadata.
_FINGERPRINTS = "pipeline_assets.fingerprints"


@dataclass(frozen=True)
class FeatureFileLoad(FileLoad):
    """A load of a batch's file. Rows are checked when a piece is written, and again when the pieces are joined."""

    table: FeatureTable
    batch: str

    def checked(self, rows: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
        """See :func:`fitting`."""
        return fitting(self.table, self.batch, rows)


class ParquetFeatureStore:
    """Keeps features as ``<folder>/<task>/<stage>/<batch>.parquet``; the folder need not exist yet."""

    def __init__(self, folder: Path, stale_after: timedelta = STALE_AFTER) -> None:
        self._files = LocalFiles(folder, stale_after)

    def begin(self, table: FeatureTable, batch: str, pieces: int) -> FeatureFileLoad:
        """Each piece becomes a file; the commit joins them. See :meth:`FeatureStore.begin`."""
        path = self._path(table, batch)
        folder = begin(self._files, path, pieces, self._files.stale_after)
        return FeatureFileLoad(self._files, path, table.schema, pieces, folder, _metadata(table), table, batch)

    def replace(
        self,
        table: FeatureTable,
        batch: str,
        rows: pa.RecordBatchReader,
        progress: Callable[[int], None] | None = None,
    ) -> int:
        """Writes a temporary file, syncs it and renames it; see :meth:`FeatureStore.replace`."""
        with self._files.sink_at(self._path(table, batch), table.schema) as sink:
            sink.metadata.update(_metadata(table))
            for records in fitting(table, batch, rows):
                sink.write(records)
                if progress is not None:
                    progress(sink.rows)
        return sink.rows

    def read(self, table: FeatureTable, batch: str, coded: Sequence[str] = ()) -> pa.RecordBatchReader:
        """The file as a stream; see :meth:`FeatureStore.read`."""
        found = self._fitting(table, batch).batches(table.schema.names, coded)
        kinds = zip(table.schema, found.schema.types, strict=True)
        schema = pa.schema([field.with_type(kind) if field.name in coded else field for field, kind in kinds])
        return pa.RecordBatchReader.from_batches(
            schema, (pa.RecordBatch.from_arrays(records.columns, schema=schema) for records in found)
        )

    def row(self, table: FeatureTable, batch: str, row_number: int) -> pa.RecordBatch | None:
        """Read off the one row group that has it; see :meth:`FeatureStore.row`."""
        found = self._fitting(table, batch).find(table.row_number, row_number)
        if found is None:
            return None
        return pa.RecordBatch.from_arrays([found.column(name) for name in table.schema.names], schema=table.schema)

    def rows(self, table: FeatureTable, batch: str, first: int, count: int) -> pa.Table:
        """Read off the row groups that have them; see :meth:`FeatureStore.rows`."""
        stored = self._fitting(table, batch)
        found = stored.rows_with(table.row_number, first, first + count - 1, table.schema.names)
        return found.cast(table.schema)

    def count(self, table: FeatureTable, batch: str) -> int | None:
        """Rows of the file, read from its footer."""
        stored = self._files.read_at(self._path(table, batch))
        return None if stored is None else stored.rows

    def forget(self, table: FeatureTable, batch: str) -> bool:
        """Removes the file; see :meth:`FeatureStore.forget`."""
        there = self.count(table, batch) is not None
        if there:
            self._files.remove(self._path(table, batch))
        return there

    def uri(self, table: FeatureTable, batch: str) -> str:
        """The file's path."""
        return f"{self._files.uri}/{self._path(table, batch)}"

    def _path(self, table: FeatureTable, batch: str) -> str:
        check_name(table.ref(batch))
        return f"{table.task}/{table.stage}/{batch}{SUFFIX}"

    def _fitting(self, table: FeatureTable, batch: str) -> StoredFile:
        stored = self._files.read_at(self._path(table, batch))
        if stored is None:
            raise not_there(table, batch)
        check_stored(table, batch, stored.schema)
        check_fingerprints(table, batch, _fingerprints(stored))
        return stored


def _metadata(table: FeatureTable) -> dict[str, str]:
    return {_FINGERPRINTS: json.dumps(dict(table.fingerprints))}


def _fingerprints(stored: StoredFile) -> Mapping[str, str] | None:
    found: Mapping[str, str] | None = json.loads(stored.metadata.get(_FINGERPRINTS, "null"))
    return found
