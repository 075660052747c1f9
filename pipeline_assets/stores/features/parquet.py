"""The embedded feature store: one parquet file a batch."""

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa

from pipeline_assets.stores.features.base import ROW_NUMBER, FeatureTable, check_stored, fitting, not_there
from pipeline_assets.stores.files.atomic_file import atomic_file
from pipeline_assets.stores.files.listing import SUFFIX, check_name
from pipeline_assets.stores.files.parquet_file import StoredFile, open_stored, parquet_sink


class ParquetFeatureStore:
    """Features as ``<folder>/<task>/<stage>/<batch>.parquet``; the folder need not exist yet."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def replace(
        self,
        table: FeatureTable,
        batch: str,
        rows: pa.RecordBatchReader,
        progress: Callable[[int], None] | None = None,
    ) -> int:
        """Written aside, synced, renamed; see :meth:`FeatureStore.replace`."""
        path = self._path(table, batch)
        with atomic_file(path) as aside, parquet_sink(aside, table.schema, str(path)) as sink:
            for records in fitting(table, batch, rows):
                sink.write(records)
                if progress is not None:
                    progress(sink.rows)
        return sink.rows

    def read(self, table: FeatureTable, batch: str) -> pa.RecordBatchReader:
        """The file as a stream; see :meth:`FeatureStore.read`."""
        found = self._fitting(table, batch).batches(table.schema.names)
        return pa.RecordBatchReader.from_batches(
            table.schema, (pa.RecordBatch.from_arrays(records.columns, schema=table.schema) for records in found)
        )

    def row(self, table: FeatureTable, batch: str, row_number: int) -> pa.RecordBatch | None:
        """Read off the one row group that has it; see :meth:`FeatureStore.row`."""
        found = self._fitting(table, batch).find(ROW_NUMBER, row_number)
        if found is None:
            return None
        return pa.RecordBatch.from_arrays([found.column(name) for name in table.schema.names], schema=table.schema)

    def count(self, table: FeatureTable, batch: str) -> int | None:
        """Rows of the file, off its footer."""
        stored = self._stored(table, batch)
        return None if stored is None else stored.rows

    def uri(self, table: FeatureTable, batch: str) -> str:
        """The file's path."""
        return str(self._path(table, batch))

    def _path(self, table: FeatureTable, batch: str) -> Path:
        check_name(table.ref(batch))
        return self._folder / table.task / table.stage / f"{batch}{SUFFIX}"

    def _fitting(self, table: FeatureTable, batch: str) -> StoredFile:
        stored = self._stored(table, batch)
        if stored is None:
            raise not_there(table, batch)
        check_stored(table, batch, stored.schema)
        return stored

    def _stored(self, table: FeatureTable, batch: str) -> StoredFile | None:
        path = self._path(table, batch)
        try:
            return open_stored(path, str(path))
        except FileNotFoundError:
            return None
