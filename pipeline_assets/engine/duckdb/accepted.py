"""Accepted rows of a batch that was checked before, as streams: decoded once per query."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline_assets.engine.base import Query
from pipeline_assets.engine.duckdb.failures import computable, feature_failure, values_are_values
from pipeline_assets.engine.duckdb.own_columns import answers, with_own_columns
from pipeline_assets.engine.duckdb.scan import Scan, scan
from pipeline_assets.engine.record import current_record, raw_asset
from pipeline_assets.errors import DataError, located
from pipeline_assets.stores.files.base import FileStore, Found
from pipeline_assets.stores.files.prefetch import prefetch
from pipeline_assets.task.batch import BatchRef, Manifest
from pipeline_assets.task.contract import Contract, of_file
from pipeline_assets.task.preparation import AcceptedRows, raw_query
from pipeline_assets.task.spec import TaskSpec


@dataclass(frozen=True)
class RawBatch:
    """A batch that was checked before: its manifest and its accepted rows."""

    manifest: Manifest
    task: TaskSpec
    files: FileStore
    rejected: npt.NDArray[np.int64]
    spill: Path

    def stream(self, query: Query) -> pa.RecordBatchReader:
        """Rows of a query over the batch, in file order, as a stream; see :meth:`open`."""
        return self.open(query)[1]

    def open(self, query: Query) -> tuple[Contract, pa.RecordBatchReader]:
        """The contract as applied to the file, and the rows of a query.

        Args:
            query: a function of :mod:`pipeline_assets.task.preparation`.

        Raises:
            ContractError: the file is not the one that was checked.
            DataError: an expression fails on a row; for a feature, the error names feature and row. The stream
                raises it too.
            StoreError: there is no space left for data that does not fit in memory.
        """
        facts = {**self.manifest.ref.facts(), "file": self.manifest.uri}
        with ExitStack() as opening:
            opening.enter_context(located(facts))
            paths = opening.enter_context(self.files.open(Found(self.manifest.uri, self.manifest.parts)))
            view = opening.enter_context(scan(paths, self.spill))
            if len(self.rejected):
                view.mark("rejected", self.rejected)
            contract = of_file(self.task, self.manifest.ref.stage, view.columns)
            rows = AcceptedRows(contract, self.manifest.ref.batch, any_rejected=len(self.rejected) > 0)
            if self.task.preparation is not None and query is not raw_query:
                added = with_own_columns(view.stream(rows.typed), self.task)
                reader = answers(view, added, query, replace(rows, any_rejected=False, given=True), self.spill)
                return contract, _closing(reader, opening.pop_all(), facts, paths)
            with _explained(view, rows, paths, self.spill):
                reader = view.stream(query(rows))
            still_open = opening.pop_all()

        def computed() -> Iterator[pa.RecordBatch]:
            with _explained(view, rows, paths, self.spill):
                yield from reader

        def batches() -> Iterator[pa.RecordBatch]:
            with still_open:
                yield from prefetch(computed())

        return contract, pa.RecordBatchReader.from_batches(reader.schema, batches())


def _closing(
    reader: pa.RecordBatchReader, still_open: ExitStack, facts: Mapping[str, object], paths: Sequence[Path]
) -> pa.RecordBatchReader:
    """The stream, which closes what it reads when it ends."""

    def batches() -> Iterator[pa.RecordBatch]:
        with still_open, located(facts), computable("an expression of the task"), values_are_values(paths):
            yield from reader

    return pa.RecordBatchReader.from_batches(reader.schema, batches())


@contextmanager
def _explained(view: Scan, rows: AcceptedRows, paths: Sequence[Path], spill: Path) -> Iterator[None]:
    """Finds the feature and the row that made DuckDB fail."""
    try:
        with computable("an expression of the task", spill), values_are_values(paths):
            yield
    except DataError as error:
        failed = feature_failure(view, rows)
        raise error if failed is None else failed from error


def load(files: FileStore, task: TaskSpec, ref: BatchRef, spill: Path) -> RawBatch:
    """A batch with the result of its last check.

    Raises:
        DataError: it was not checked yet, or by another contract, or its check accepted no row.
    """
    record = current_record(files, task, ref)
    if record.manifest.accepted == 0:
        raise DataError(
            "the batch has no accepted row",
            **ref.facts(),
            do=f"mend the file, then materialise {raw_asset(ref)}",
        )
    return RawBatch(record.manifest, task, files, record.rejected_rows(), spill)
