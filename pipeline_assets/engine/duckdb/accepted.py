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
from pipeline_assets.task.contract import ROW, Contract, of_file, raw
from pipeline_assets.task.preparation import AcceptedRows
from pipeline_assets.task.spec import TaskSpec


@dataclass(frozen=True)
class RowsByNumber:
    """The rows of an open batch as they came, by their numbers.

    Attributes:
        contract: as applied to the file.
        view: of the files.
        paths: of the files on this machine.
        batch: that is open.
    """

    contract: Contract
    view: Scan
    paths: Sequence[Path]
    batch: "RawBatch"

    def schema(self, columns: Sequence[str]) -> pa.Schema:
        """Of what :meth:`take` gives."""
        return self.view.stream(f"select {', '.join([ROW, *map(raw, self._places(columns))])} from raw limit 0").schema

    def take(self, numbers: npt.NDArray[np.int64], columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """The rows of these numbers, a few at a time: the row number, then the columns.

        One call ends before the next one begins.

        Args:
            numbers: ascending.
            columns: of the file.
        """
        if len(numbers):
            doing = computable("reading the file", self.batch.spill)
            with located(self.batch.facts), doing, values_are_values(self.paths):
                yield from self.view.only(numbers, self._places(columns))

    def _places(self, columns: Sequence[str]) -> list[int]:
        places = {name: place for place, name in enumerate(self.contract.raw)}
        return [places[name] for name in columns]


@dataclass(frozen=True)
class RawBatch:
    """A batch that was checked before: its manifest and its accepted rows."""

    manifest: Manifest
    task: TaskSpec
    files: FileStore
    rejected: npt.NDArray[np.int64]
    spill: Path

    @property
    def facts(self) -> dict[str, object]:
        """For errors: which batch, which file."""
        return {**self.manifest.ref.facts(), "file": self.manifest.uri}

    def accepted(self, start: int, count: int) -> npt.NDArray[np.int64]:
        """The numbers of ``count`` accepted rows, after the first ``start`` ones."""
        places = np.arange(start, start + count)
        before = self.rejected - np.arange(len(self.rejected))
        return places + np.searchsorted(before, places, "right")

    @contextmanager
    def rows(self) -> Iterator[RowsByNumber]:
        """Opens the batch's files for rows as they came.

        Raises:
            ContractError: as :meth:`stream`.
        """
        with ExitStack() as opened:
            with located(self.facts):
                paths = opened.enter_context(self.files.open(Found(self.manifest.uri, self.manifest.parts)))
                view = opened.enter_context(scan(paths, self.spill))
                contract = of_file(self.task, self.manifest.ref.stage, view.columns)
            yield RowsByNumber(contract, view, paths, self)

    def stream(self, query: Query) -> pa.RecordBatchReader:
        """Rows of a query over the batch, in file order, as a stream.

        Args:
            query: a function of :mod:`pipeline_assets.task.preparation`.

        Raises:
            ContractError: the file is not the one that was checked.
            DataError: an expression fails on a row; for a feature, the error names feature and row. The stream
                raises it too.
            StoreError: there is no space left for data that does not fit in memory.
        """
        facts = self.facts
        with ExitStack() as opening:
            opening.enter_context(located(facts))
            opened = opening.enter_context(self.rows())
            contract, view, paths = opened.contract, opened.view, opened.paths
            if len(self.rejected):
                view.mark("rejected", self.rejected)
            rows = AcceptedRows(contract, self.manifest.ref.batch, any_rejected=len(self.rejected) > 0)
            if self.task.preparation is not None:
                added = with_own_columns(view.stream(rows.typed), self.task)
                reader = answers(view, added, query, replace(rows, any_rejected=False, given=True), self.spill)
                return _closing(reader, opening.pop_all(), facts, paths)
            with _explained(view, rows, paths, self.spill):
                reader = view.stream(query(rows))
            still_open = opening.pop_all()

        def computed() -> Iterator[pa.RecordBatch]:
            with _explained(view, rows, paths, self.spill):
                yield from reader

        def batches() -> Iterator[pa.RecordBatch]:
            with still_open:
                yield from prefetch(computed())

        return pa.RecordBatchReader.from_batches(reader.schema, batches())


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
