"""Raw batches: checked against the contract once, and read by every later step as that check left them."""

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipeline_assets.engine.duckdb.key_spill import key_spill
from pipeline_assets.engine.duckdb.scan import Scan, computable, readable, scan
from pipeline_assets.errors import DataError, located
from pipeline_assets.stores.files.base import Area, FileStore, Found, StoredFile
from pipeline_assets.stores.files.prefetch import prefetch
from pipeline_assets.task.batch import BatchRef, Manifest
from pipeline_assets.task.contract import BROKEN, KEY_HASH, RULES_PER_WORD, UNLABELLED, Contract, of_file
from pipeline_assets.task.preparation import AcceptedRows
from pipeline_assets.task.spec import TaskSpec

Progress = Callable[[int], None]

# Under this key the rejected file's footer carries the manifest: one file, written whole, is the record of a check.
MANIFEST_KEY = "pipeline_assets.manifest"


@dataclass(frozen=True)
class CheckedBatch:
    """What a check found: the counts, and the rejected rows (``row_number``, ``reason``, the row as it came)."""

    manifest: Manifest
    rejected: pa.RecordBatchReader


@dataclass(frozen=True)
class RawBatch:
    """A batch that was checked before: its manifest, and the way to its accepted rows."""

    manifest: Manifest
    task: TaskSpec
    files: FileStore
    rejected: npt.NDArray[np.int64]
    spill: Path

    def stream(self, query: Callable[[AcceptedRows], str]) -> pa.RecordBatchReader:
        """Rows of a query over the batch, in file order, a batch of rows at a time; see :meth:`open`."""
        return self.open(query)[1]

    def open(self, query: Callable[[AcceptedRows], str]) -> tuple[Contract, pa.RecordBatchReader]:
        """The contract as it lies over the file, and the rows of a query.

        Args:
            query: one of :mod:`pipeline_assets.task.preparation`.

        Raises:
            ContractError: the file is not the one that was checked.
            DataError: an expression fails on a row.
        """
        with ExitStack() as opening:
            opening.enter_context(located(self.manifest.ref.facts()))
            paths = opening.enter_context(self.files.open(Found(self.manifest.uri, self.manifest.parts)))
            view = opening.enter_context(scan(paths, self.spill))
            opening.enter_context(computable("an expression of the task"))
            if len(self.rejected):
                view.mark("rejected", self.rejected)
            contract = of_file(self.task, self.manifest.ref.stage, view.columns)
            rows = AcceptedRows(contract, self.manifest.ref.batch, any_rejected=len(self.rejected) > 0)
            reader = view.stream(query(rows))
            still_open = opening.pop_all()

        def batches() -> Iterator[pa.RecordBatch]:
            with still_open:
                yield from prefetch(reader)

        return contract, pa.RecordBatchReader.from_batches(reader.schema, batches())


def check(files: FileStore, task: TaskSpec, ref: BatchRef, spill: Path, progress: Progress) -> CheckedBatch:
    """Reads a batch once, fingerprints it and holds every row to the contract.

    Args:
        spill: folder for what does not fit in memory.
        progress: told the number of rows checked so far.

    Raises:
        ContractError: there is no such batch, or the file as a whole breaks the contract.
        DataError: a check fails on a row, as by dividing text.
    """
    with ExitStack() as opening:
        opening.enter_context(located(ref.facts()))
        found = files.find(ref)
        fetched = opening.enter_context(files.fetch(found))
        view = opening.enter_context(scan(fetched.paths, spill))
        opening.enter_context(readable(fetched.paths))
        opening.enter_context(computable("a check of the task"))
        contract = of_file(task, ref.stage, view.columns)
        verdict = _judge(view, contract, spill, progress)
        manifest = Manifest(
            ref=ref,
            uri=found.uri,
            parts=found.parts,
            rows_of_parts=view.rows_of_parts,
            sha256=fetched.sha256,
            accepted=view.rows - len(verdict.rejected),
            rejected=len(verdict.rejected),
            unlabelled=verdict.unlabelled,
            reasons=verdict.reasons,
            unexpected=contract.unexpected,
        )
        view.mark("rejected", verdict.rejected)
        reader = view.stream(contract.rejected_query() + ("" if len(verdict.rejected) else " limit 0"))
        still_open = opening.pop_all()

    def batches() -> Iterator[pa.RecordBatch]:
        with still_open:
            for batch in reader:
                yield _with_key_reasons(batch, task, verdict)

    return CheckedBatch(manifest, pa.RecordBatchReader.from_batches(reader.schema, batches()))


def load(files: FileStore, task: TaskSpec, ref: BatchRef, spill: Path) -> RawBatch:
    """A batch as its last check left it.

    Raises:
        DataError: it was not checked yet, or its check accepted no row.
    """
    stored = _record(files, ref)
    manifest = _manifest(stored)
    if manifest.accepted == 0:
        raise DataError(
            "the batch has no accepted row",
            **ref.facts(),
            do=f"mend the file, then materialise {_asset(ref)}",
        )
    chunks = [batch.column(0).to_numpy() for batch in stored.batches(["row_number"])]
    rejected = np.concatenate(chunks) if chunks else np.empty(0, dtype=np.int64)
    return RawBatch(manifest, task, files, rejected, spill)


def manifest_of(files: FileStore, ref: BatchRef) -> Manifest:
    """The record of the batch's last check.

    Raises:
        DataError: it was not checked yet.
    """
    return _manifest(_record(files, ref))


def _asset(ref: BatchRef) -> str:
    return f"{ref.task}/{ref.stage}_raw"


def _record(files: FileStore, ref: BatchRef) -> StoredFile:
    stored = files.read(Area.REJECTED, ref)
    if stored is None:
        raise DataError("the batch has not been checked yet", **ref.facts(), do=f"materialise {_asset(ref)}")
    return stored


def _manifest(stored: StoredFile) -> Manifest:
    return Manifest.from_json(json.loads(stored.metadata[MANIFEST_KEY]))


@dataclass(frozen=True)
class _Verdict:
    """Rejected rows and, apart, those rejected for their key, each with the row that had the key first."""

    rejected: npt.NDArray[np.int64]
    repeated: npt.NDArray[np.int64]
    first: npt.NDArray[np.int64]
    unlabelled: int
    reasons: dict[str, int]


def _judge(view: Scan, contract: Contract, spill: Path, progress: Progress) -> _Verdict:
    counts = np.zeros(len(contract.rules), dtype=np.int64)
    rejected = [np.empty(0, dtype=np.int64)]
    unlabelled = [np.empty(0, dtype=np.int64)]
    with key_spill(spill) as keys:
        done = 0
        for batch in view.stream(contract.check_query()):
            rows = batch.column("row_number").to_numpy()
            bad = np.zeros(len(rows), dtype=bool)
            for word in range(contract.words):
                flags = batch.column(f"{BROKEN}{word}").to_numpy()
                bad |= flags != 0
                broken = flags[flags != 0]
                for bit in range(min(RULES_PER_WORD, len(counts) - word * RULES_PER_WORD)):
                    counts[word * RULES_PER_WORD + bit] += np.count_nonzero(broken >> np.uint64(bit) & np.uint64(1))
            rejected.append(rows[bad])
            if contract.task.key:
                keys.add(batch.column(KEY_HASH).to_numpy()[~bad])
            if contract.stage == "train":
                unlabelled.append(rows[~bad & batch.column(UNLABELLED).to_numpy(zero_copy_only=False)])
            done += len(rows)
            progress(done)
        broken_rows = np.concatenate(rejected)
        repeated, first = _repeated(view, contract, keys.repeated(), broken_rows)
    reasons = {rule.name: int(count) for rule, count in zip(contract.rules, counts, strict=True) if count}
    if len(repeated):
        reasons[key_rule(contract.task)] = len(repeated)
    return _Verdict(
        rejected=np.sort(np.concatenate([broken_rows, repeated])),
        repeated=repeated,
        first=first,
        unlabelled=int(np.count_nonzero(~np.isin(np.concatenate(unlabelled), repeated))),
        reasons=dict(sorted(reasons.items(), key=lambda reason: -reason[1])),
    )


def _repeated(
    view: Scan, contract: Contract, hashes: npt.NDArray[np.uint64], broken: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Rows whose key an earlier sound row has, and that row; ``hashes`` are those that came more than once."""
    suspects = [np.empty(0, dtype=np.int64)]
    if len(hashes):
        # Which rows have them is asked only now: on most days no key comes twice, and a hash a row is enough.
        for batch in view.stream(contract.key_hash_query()):
            at = np.searchsorted(hashes, own := batch.column(KEY_HASH).to_numpy())
            at[at == len(hashes)] = 0
            suspects.append(batch.column("row_number").to_numpy()[hashes[at] == own])
    rows = np.setdiff1d(np.concatenate(suspects), broken, assume_unique=True)
    if not len(rows):
        return rows, rows
    view.mark("suspects", rows)
    table = view.connection.sql(contract.repeated_key_query()).to_arrow_table()
    return table["row_number"].to_numpy(), table["first"].to_numpy()


def key_rule(task: TaskSpec) -> str:
    """What the counts of reasons call a repeated key."""
    return f"key ({', '.join(task.key)}): repeats"


def _with_key_reasons(batch: pa.RecordBatch, task: TaskSpec, verdict: _Verdict) -> pa.RecordBatch:
    rows = batch.column(0).to_numpy()
    at = np.searchsorted(verdict.repeated, rows)
    at[at == len(verdict.repeated)] = 0
    hit = verdict.repeated[at] == rows if len(verdict.repeated) else np.zeros(len(rows), dtype=bool)
    if not hit.any():
        return batch
    sentences = pc.binary_join_element_wise(f"{key_rule(task)} row", pa.array(verdict.first[at]).cast(pa.string()), " ")
    reason = pc.if_else(pa.array(hit), sentences, batch.column(1))
    return batch.set_column(1, batch.schema.field(1), reason)
