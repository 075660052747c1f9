"""A row as it came: its file, its position there, its values, and the rules of the contract that it keeps or breaks."""

import re
from bisect import bisect_right
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline_assets.engine.duckdb.failures import computable
from pipeline_assets.engine.duckdb.scan import scan
from pipeline_assets.engine.record import CheckRecord, record_of
from pipeline_assets.errors import PipelineError
from pipeline_assets.mart_page.problem import Problem, attempt
from pipeline_assets.stores.files.base import Area, FileStore
from pipeline_assets.stores.files.listing import unusable
from pipeline_assets.task.batch import BatchRef, Manifest
from pipeline_assets.task.contract import of_file
from pipeline_assets.task.spec import TaskSpec
from pipeline_assets.task.types import arrow_type

# The reason of a row whose key an earlier row has; such rows keep every rule on their values.
_REPEATS = r"key \(.+\): repeats row \d+"


@dataclass(frozen=True)
class RawValue:
    """One value of a raw row.

    Attributes:
        kind: its type in the file: the contract's name where it is the contract's type, else Arrow's.
        expected: its contract type; ``None`` for a column that the contract does not know.
        description: the contract's.
    """

    column: str
    value: Any
    kind: str
    expected: str | None
    description: str


@dataclass(frozen=True)
class Check:
    """One rule of the contract, applied to the row now.

    Attributes:
        rule: its name, as the counts of reasons have it.
        broken: the sentence that a rejected row would get; ``None`` if the row keeps the rule.
    """

    rule: str
    broken: str | None


@dataclass(frozen=True)
class NotChecked:
    """There is no such batch, or it was not checked yet.

    Attributes:
        others: batches of the stage that are there, the latest first, as batches are mostly named by date.
    """

    others: tuple[str, ...]


@dataclass(frozen=True)
class NoRow:
    """The batch has no such row.

    Attributes:
        rows: that it has; they count from 0.
    """

    rows: int


@dataclass(frozen=True)
class RawRow:
    """A row as it came.

    Attributes:
        manifest: of its batch.
        file: the part that has it.
        row_in_file: its number there, from 0.
        reason: why it was rejected; ``None`` if it was accepted.
        values: in the order of the file, or why they cannot be read.
        checks: the task's rules as they are now; or why they cannot be applied.
    """

    manifest: Manifest
    file: str
    row_in_file: int
    reason: str | None
    values: tuple[RawValue, ...] | Problem
    checks: tuple[Check, ...] | Problem

    @property
    def accepted(self) -> bool:
        """It kept the contract when the batch was checked."""
        return self.reason is None

    @property
    def repeats_key(self) -> bool:
        """It was rejected only because an earlier row has its key, which no rule on its values finds."""
        return self.reason is not None and re.fullmatch(_REPEATS, self.reason, re.DOTALL) is not None


def raw_row(files: FileStore, task: TaskSpec, ref: BatchRef, row: int, scratch: Path) -> RawRow | NoRow | NotChecked:
    """Reads one row of a batch that was checked before; it reads only the row group that holds the row.

    Args:
        row: its number in the batch, from 0.
        scratch: folder for the checks' temporary files.

    Raises:
        TransientError: the store does not answer.
        StoreError: it refuses.
        DataError: the record of the check is damaged.
    """
    if unusable(ref.batch) or files.read(Area.REJECTED, ref) is None:
        return NotChecked(tuple(files.batches(task.name, ref.stage))[::-1])
    checked = record_of(files, ref)
    manifest = checked.manifest
    if not 0 <= row < manifest.rows:
        return NoRow(manifest.rows)
    starts = [0, *accumulate(manifest.rows_of_parts)]
    index = bisect_right(starts, row) - 1
    part, at = manifest.parts[index], row - starts[index]
    rejected = checked.stored.find(checked.added[0], row)
    record = _as_it_came(rejected, checked) if rejected is not None else attempt(lambda: files.part(part).row(at))
    values: tuple[RawValue, ...] | Problem
    checks: tuple[Check, ...] | Problem
    if isinstance(record, Problem):
        values = checks = record
    elif record is None:
        values = checks = Problem(f"{part.uri} has no row {at}")
    else:
        values = _values(record, task, ref)
        checks = attempt(_checks, record, task, ref, scratch)
    reason = None if rejected is None else str(rejected.column(1)[0])
    return RawRow(manifest, part.uri, at, reason, values, checks)


def _as_it_came(rejected: pa.RecordBatch, checked: CheckRecord) -> pa.RecordBatch:
    """The rejected file keeps the row whole, whatever became of the input since."""
    return rejected.select(checked.raw)


def _values(record: pa.RecordBatch, task: TaskSpec, ref: BatchRef) -> tuple[RawValue, ...]:
    contract = task.columns_of(ref.stage)
    return tuple(
        RawValue(
            column=field.name,
            value=column[0].as_py(),
            kind=known.type if known is not None and arrow_type(known.type) == field.type else str(field.type),
            expected=None if known is None else known.type,
            description="" if known is None else known.description,
        )
        for field, column in zip(record.schema, record.columns, strict=True)
        for known in [contract.get(field.name)]
    )


def _checks(record: pa.RecordBatch, task: TaskSpec, ref: BatchRef, scratch: Path) -> tuple[Check, ...]:
    scratch.mkdir(parents=True, exist_ok=True)
    # Through a file, so that the rules see the values in the types that the pipeline's own scan gives them.
    with TemporaryDirectory(dir=scratch) as folder:
        file = Path(folder) / "row.parquet"
        pq.write_table(pa.Table.from_batches([record]), file)
        with scan([file], scratch) as view, computable("a check of the task"):
            contract = of_file(task, ref.stage, view.columns)
            found = view.connection.execute(contract.verdicts_query()).fetchone()
    if found is None:
        raise PipelineError("a row was lost on the way to its checks", **ref.facts())
    return tuple(
        Check(rule.name, None if verdict is None else str(verdict))
        for rule, verdict in zip(contract.rules, found, strict=False)
        if verdict is not None or not rule.quiet
    )
