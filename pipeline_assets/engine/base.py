"""What passes between an engine and its callers: the result of a check, progress, queries over accepted rows."""

from collections.abc import Callable
from dataclasses import dataclass

import pyarrow as pa

from pipeline_assets.task.batch import Manifest
from pipeline_assets.task.preparation import AcceptedRows

# Called with the number of rows done so far.
Progress = Callable[[int], None]
# A function of :mod:`pipeline_assets.task.preparation`: SQL over the accepted rows.
Query = Callable[[AcceptedRows], str]


@dataclass(frozen=True)
class CheckedBatch:
    """The result of a check: the counts, and the rejected rows (``row_number``, ``reason``, the raw row)."""

    manifest: Manifest
    rejected: pa.RecordBatchReader
