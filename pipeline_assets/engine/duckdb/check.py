"""Checks a batch against its contract: reads it once, and accepts or rejects every row, with a reason."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipeline_assets.engine.base import CheckedBatch, Inputs, Progress
from pipeline_assets.engine.duckdb.failures import computable, failure, space_in, values_are_values
from pipeline_assets.engine.duckdb.key_spill import KeySpill, key_spill
from pipeline_assets.engine.duckdb.parquet_types import check_int96
from pipeline_assets.engine.duckdb.scan import Scan, readable, scan
from pipeline_assets.engine.record import ADDED_COLUMNS, key_rule
from pipeline_assets.errors import located
from pipeline_assets.stores.files.prefetch import prefetch
from pipeline_assets.task.batch import BatchRef, Manifest
from pipeline_assets.task.contract import (
    BROKEN,
    FAILURES,
    KEY_HASH,
    ROW,
    RULES_PER_WORD,
    UNLABELLED,
    Contract,
    failure_key,
    of_file,
)
from pipeline_assets.task.fingerprints import check_fingerprints
from pipeline_assets.task.names import own_name
from pipeline_assets.task.spec import TaskSpec

# For how many rows we find out why an expression raised; the others are rejected without this detail.
_EXPLAINED = 1_000
# The last of the columns before a raw row, with their types.
_LOCATING = {"file": pa.string(), "row_in_file": pa.int64(), "run_id": pa.string()}


def check(
    files: Inputs, task: TaskSpec, ref: BatchRef, spill: Path, progress: Progress, *, run_id: str | None = None
) -> CheckedBatch:
    """Reads a batch once, computes its fingerprint and checks every row against the contract.

    Args:
        spill: folder for data that does not fit in memory.
        progress: called with the number of rows checked so far.
        run_id: the Dagster run, which the record and each rejected row name.

    Raises:
        ContractError: there is no such batch, or the file as a whole breaks the contract.
        StoreError: there is no space left for data that does not fit in memory.
    """
    with ExitStack() as opening:
        opening.enter_context(located(ref.facts()))
        found = files.find(ref)
        fetched = opening.enter_context(files.fetch(found))
        view = opening.enter_context(scan(fetched.paths, spill))
        # DuckDB 2.0 would compute what an expression has twice (BETWEEN has it) beforehand and outside of try: one row
        # on which it raises would end the check of all.
        view.connection.execute("set disabled_optimizers = 'common_subexpressions'")
        contract = of_file(task, ref.stage, view.columns)
        with _batch_errors(fetched.paths, spill):
            check_int96(fetched.paths)
            result = _check_rows(view, contract, spill, progress)
        manifest = Manifest(
            ref=ref,
            uri=found.uri,
            parts=found.parts,
            rows_of_parts=view.rows_of_parts,
            sha256=fetched.sha256,
            accepted=view.rows - len(result.rejected),
            rejected=len(result.rejected),
            unlabelled=result.unlabelled,
            reasons=result.reasons,
            unexpected=contract.unexpected,
            fingerprints=check_fingerprints(task, ref.stage),
            run_id=run_id,
            checked_at=datetime.now(UTC).isoformat(timespec="milliseconds"),
        )
        query = contract.no_rejected_query()
        if len(result.rejected):
            view.mark("rejected", result.rejected)
            query = contract.rejected_query()
        with _batch_errors(fetched.paths, spill):
            reader = view.stream(query)
        still_open = opening.pop_all()

    def batches() -> Iterator[pa.RecordBatch]:
        # Columns that no rule uses are decoded only here.
        with still_open, _batch_errors(fetched.paths, spill):
            for batch in reader:
                yield located_rows.of(_with_key_reasons(batch, task, result))

    located_rows = _LocatedRows(manifest, reader.schema)
    return CheckedBatch(manifest, pa.RecordBatchReader.from_batches(located_rows.schema, batches()))


@contextmanager
def _batch_errors(paths: Sequence[Path], spill: Path) -> Iterator[None]:
    """Handles errors of a check that no row causes: the check itself catches those of rows."""
    with computable("the check", spill), readable(paths), space_in(spill), values_are_values(paths):
        yield


@dataclass(frozen=True)
class _Result:
    """The rejected rows; those rejected for their key are also listed with the first row that has the key."""

    rejected: npt.NDArray[np.int64]
    repeated: npt.NDArray[np.int64]
    first: npt.NDArray[np.int64]
    unlabelled: int
    reasons: dict[str, int]


@dataclass
class _Tally:
    """The totals of a check, collected from its stream.

    Attributes:
        counts: rows by rule, then those whose target raises.
        raised: the first rows on which an expression raised, by the index in ``Rule.raises``.
    """

    contract: Contract
    counts: npt.NDArray[np.int64]
    rejected: list[npt.NDArray[np.int64]] = field(default_factory=list)
    unlabelled: list[npt.NDArray[np.int64]] = field(default_factory=list)
    raised: dict[int, list[int]] = field(default_factory=dict)

    def add(self, batch: pa.RecordBatch, keys: KeySpill) -> None:
        """Adds the next rows of the check's query."""
        rows = batch.column(ROW).to_numpy()
        bad = np.zeros(len(rows), dtype=bool)
        for word in range(self.contract.words):
            flags = batch.column(f"{BROKEN}{word}").to_numpy()
            bad |= flags != 0
            self._count(rows[flags != 0], flags[flags != 0], word)
        if self.contract.stage == "train":
            unlabelled = batch.column(UNLABELLED)
            failed = unlabelled.is_null().to_numpy(zero_copy_only=False)
            self.counts[-1] += np.count_nonzero(failed)
            self._note(len(self.contract.checks), rows[failed])
            bad |= failed
            without = pc.fill_null(unlabelled, fill_value=False).to_numpy(zero_copy_only=False)
            self.unlabelled.append(rows[~bad & without])
        self.rejected.append(rows[bad])
        if self.contract.task.key:
            keys.add(batch.column(KEY_HASH).to_numpy()[~bad])

    def _count(self, rows: npt.NDArray[np.int64], flags: npt.NDArray[np.uint64], word: int) -> None:
        if not len(rows):
            return
        rules = self.contract.rules[word * RULES_PER_WORD : (word + 1) * RULES_PER_WORD]
        for bit, rule in enumerate(rules):
            hit = (flags >> np.uint64(bit) & np.uint64(1)).astype(bool)
            self.counts[word * RULES_PER_WORD + bit] += np.count_nonzero(hit)
            if rule.raises is not None:
                self._note(rule.raises, rows[hit])

    def _note(self, check: int, rows: npt.NDArray[np.int64]) -> None:
        noted = self.raised.setdefault(check, [])
        noted += rows[: max(_EXPLAINED - len(noted), 0)].tolist()

    def reasons(self) -> dict[str, int]:
        """Rows by the rule they break."""
        names = [*(rule.name for rule in self.contract.rules), self.contract.target_rule]
        return {name: int(count) for name, count in zip(names, self.counts, strict=True) if count}


def _check_rows(view: Scan, contract: Contract, spill: Path, progress: Progress) -> _Result:
    tally = _Tally(contract, np.zeros(len(contract.rules) + 1, dtype=np.int64))
    with key_spill(spill) as keys:
        done = 0
        for batch in prefetch(view.stream(contract.check_query())):
            tally.add(batch, keys)
            done += batch.num_rows
            progress(done)
        broken_rows = _joined(tally.rejected)
        repeated, first = _repeated(view, contract, keys.repeated(), broken_rows)
    _explain_failures(view, contract, tally.raised)
    reasons = tally.reasons()
    if len(repeated):
        reasons[key_rule(contract.task)] = len(repeated)
    return _Result(
        rejected=np.sort(np.concatenate([broken_rows, repeated])),
        repeated=repeated,
        first=first,
        unlabelled=int(np.count_nonzero(~np.isin(_joined(tally.unlabelled), repeated))),
        reasons=dict(sorted(reasons.items(), key=lambda reason: -reason[1])),
    )


def _joined(rows: list[npt.NDArray[np.int64]]) -> npt.NDArray[np.int64]:
    return np.concatenate(rows) if rows else np.empty(0, dtype=np.int64)


def _explain_failures(view: Scan, contract: Contract, raised: dict[int, list[int]]) -> None:
    """Finds out why an expression raised, for the reasons: computes it again on each of these rows."""
    rows = np.unique([row for some in raised.values() for row in some]).astype(np.int64)
    if not len(rows):
        return
    view.mark("failing", rows)
    view.connection.execute(f"create temp table failing as {contract.failing_query()}")
    said = {
        failure_key(at, row): failure(
            view, contract.failing_expression(at), f"select * from failing where {ROW} = {row}"
        )
        for at, some in raised.items()
        for row in some
    }
    view.connection.execute(
        f"set variable {FAILURES} = map(?::VARCHAR[], ?::VARCHAR[])", [list(said), list(said.values())]
    )


def _repeated(
    view: Scan, contract: Contract, hashes: npt.NDArray[np.uint64], broken: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Rows whose key an earlier accepted row has, and that row; ``hashes`` are those that came more than once."""
    suspects = [np.empty(0, dtype=np.int64)]
    if len(hashes):
        # Only now we find the rows of these hashes: usually no key repeats, and one hash per row is enough.
        for batch in view.stream(contract.key_hash_query()):
            at = np.searchsorted(hashes, own := batch.column(KEY_HASH).to_numpy())
            at[at == len(hashes)] = 0
            suspects.append(batch.column(ROW).to_numpy()[hashes[at] == own])
    rows = np.setdiff1d(np.concatenate(suspects), broken, assume_unique=True)
    if not len(rows):
        return rows, rows
    view.mark("suspects", rows)
    table = view.connection.sql(contract.repeated_key_query()).to_arrow_table()
    return table["row_number"].to_numpy(), table["first"].to_numpy()


def _with_key_reasons(batch: pa.RecordBatch, task: TaskSpec, result: _Result) -> pa.RecordBatch:
    rows = batch.column(0).to_numpy()
    at = np.searchsorted(result.repeated, rows)
    at[at == len(result.repeated)] = 0
    hit = result.repeated[at] == rows if len(result.repeated) else np.zeros(len(rows), dtype=bool)
    if not hit.any():
        return batch
    rule = key_rule(task)
    sentences = pc.binary_join_element_wise(f"{rule} row", pa.array(result.first[at]).cast(pa.string()), " ")
    reason = pc.if_else(pa.array(hit), sentences, batch.column(1))
    rules = pc.if_else(pa.array(hit), pa.scalar([rule], batch.schema.field(2).type), batch.column(2))
    with_reasons = batch.set_column(1, batch.schema.field(1), reason)
    return with_reasons.set_column(2, batch.schema.field(2), rules)


class _LocatedRows:
    """Adds to rejected rows in which file each is, at which row of it, and which run rejected it.

    Args:
        manifest: of the check.
        schema: of the rows without that: row number, reason, rules, the raw row.
    """

    def __init__(self, manifest: Manifest, schema: pa.Schema) -> None:
        self._added = len(ADDED_COLUMNS) - len(_LOCATING)
        taken = schema.names[self._added :]
        fields = [pa.field(own_name(name, taken), kind) for name, kind in _LOCATING.items()]
        self.schema = pa.schema([*schema][: self._added] + fields + [*schema][self._added :])
        folder = manifest.uri if manifest.uri.endswith("/") else f"{manifest.uri.rpartition('/')[0]}/"
        self._names = pa.array([part.uri.removeprefix(folder) for part in manifest.parts])
        self._ends = np.cumsum(manifest.rows_of_parts)
        self._starts = self._ends - np.array(manifest.rows_of_parts)
        self._run_id = pa.scalar(manifest.run_id, pa.string())

    def of(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """The rows with these columns before the raw row."""
        rows = batch.column(0).to_numpy()
        part = np.searchsorted(self._ends, rows, "right")
        located = [self._names.take(pa.array(part)), pa.array(rows - self._starts[part])]
        located.append(pa.repeat(self._run_id, len(rows)))
        columns = batch.columns[: self._added] + located + batch.columns[self._added :]
        return pa.RecordBatch.from_arrays(columns, schema=self.schema)
