"""What passes between an engine and its callers: the result of a check, progress, queries over accepted rows."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pyarrow as pa

from pipeline_assets.stores.files.base import Fetched, Found
from pipeline_assets.task.batch import BatchRef, Manifest
from pipeline_assets.task.preparation import AcceptedRows

# Called with the number of rows done so far.
Progress = Callable[[int], None]
# A function of :mod:`pipeline_assets.task.preparation`: SQL over the accepted rows.
Query = Callable[[AcceptedRows], str]


class Inputs(Protocol):
    """Where a check finds a batch: a file store, or a file anywhere."""

    def find(self, ref: BatchRef) -> Found:
        """The batch."""

    def fetch(self, found: Found) -> AbstractContextManager[Fetched]:
        """Its files on this machine, with their fingerprint."""

    def open(self, found: Found) -> AbstractContextManager[tuple[Path, ...]]:
        """Its files on this machine."""


@dataclass(frozen=True)
class CheckedBatch:
    """The result of a check: the counts, and the rejected rows.

    A row of them has what :data:`pipeline_assets.engine.record.ADDED_COLUMNS` names, then the raw row.
    """

    manifest: Manifest
    rejected: pa.RecordBatchReader
