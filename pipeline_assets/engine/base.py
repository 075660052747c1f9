"""What every engine does: it checks a batch once, and streams its accepted rows."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pyarrow as pa

from pipeline_assets.stores.files.base import FileStore
from pipeline_assets.task.batch import BatchRef, Manifest
from pipeline_assets.task.contract import Contract
from pipeline_assets.task.preparation import AcceptedRows
from pipeline_assets.task.spec import TaskSpec

# Called with the number of rows done so far.
Progress = Callable[[int], None]
# A function of :mod:`pipeline_assets.task.preparation`: SQL over the accepted rows.
Query = Callable[[AcceptedRows], str]


@dataclass(frozen=True)
class CheckedBatch:
    """The result of a check: the counts, and the rejected rows (``row_number``, ``reason``, the raw row)."""

    manifest: Manifest
    rejected: pa.RecordBatchReader


class CheckedRows(Protocol):
    """A batch that was checked before: its manifest and its accepted rows."""

    @property
    def manifest(self) -> Manifest:
        """What the check found."""
        ...

    def open(self, query: Query) -> tuple[Contract, pa.RecordBatchReader]:
        """The contract as applied to the file, and the rows of a query, in file order, as a stream.

        Raises:
            ContractError: the file is not the one that was checked.
            DataError: an expression fails on a row.
        """
        ...


class Engine(Protocol):
    """Does the row work of batches."""

    def check(self, files: FileStore, task: TaskSpec, ref: BatchRef, spill: Path, progress: Progress) -> CheckedBatch:
        """Reads a batch once, computes its fingerprint and checks every row against the contract."""
        ...

    def load(self, files: FileStore, task: TaskSpec, ref: BatchRef, spill: Path) -> CheckedRows:
        """A batch with the result of its last check."""
        ...
