"""The record of a batch's check: a manifest in the footer of the file of rejected rows, written together with it."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline_assets.errors import DataError
from pipeline_assets.stores.files.base import Area, FileStore, StoredFile
from pipeline_assets.task.batch import BatchRef, Manifest
from pipeline_assets.task.fingerprints import check_fingerprints
from pipeline_assets.task.spec import TaskSpec

# The key of the manifest in the footer of the rejected file.
MANIFEST_KEY = "pipeline_assets.manifest"
# The columns of the rejected file before the raw row, in order; the number of a file's is kept in its footer.
ADDED_COLUMNS = ("row_number", "reason", "rules", "file", "row_in_file", "run_id")
_ADDED_KEY = "pipeline_assets.added_columns"
# Earlier versions of the pipeline wrote the first two, and said no number.
_FORMERLY_ADDED = 2


@dataclass(frozen=True)
class CheckRecord:
    """The stored result of a check."""

    manifest: Manifest
    stored: StoredFile

    @property
    def added(self) -> list[str]:
        """The file's columns before the raw row: the first ones of :data:`ADDED_COLUMNS`, under names of their own."""
        return list(self.stored.schema.names[: int(self.stored.metadata.get(_ADDED_KEY, _FORMERLY_ADDED))])

    @property
    def raw(self) -> list[str]:
        """The file's columns as they came."""
        return list(self.stored.schema.names[len(self.added) :])

    def rejected_rows(self) -> npt.NDArray[np.int64]:
        """The numbers of the rejected rows, ascending."""
        chunks = [batch.column(0).to_numpy() for batch in self.stored.batches(self.stored.schema.names[:1])]
        return np.concatenate(chunks) if chunks else np.empty(0, dtype=np.int64)


def to_metadata(manifest: Manifest) -> dict[str, str]:
    """The manifest as key-value metadata of the rejected file."""
    return {MANIFEST_KEY: json.dumps(manifest.to_json()), _ADDED_KEY: str(len(ADDED_COLUMNS))}


def record_of(files: FileStore, ref: BatchRef) -> CheckRecord:
    """The record of the batch's last check; the footer of one file is read.

    Raises:
        DataError: it was not checked yet.
    """
    stored = files.read(Area.REJECTED, ref)
    if stored is None:
        raise DataError("the batch has not been checked yet", **ref.facts(), do=f"materialise {raw_asset(ref)}")
    return CheckRecord(Manifest.from_json(json.loads(stored.metadata[MANIFEST_KEY])), stored)


def current_record(files: FileStore, task: TaskSpec, ref: BatchRef) -> CheckRecord:
    """As :func:`record_of`, but only of a check by the task's present contract.

    Raises:
        DataError: it was not checked yet, or by another contract.
    """
    record = record_of(files, ref)
    unknown = "unknown: it was checked by an earlier version of the pipeline, or when the task had none"
    for which, expected in check_fingerprints(task, ref.stage).items():
        found = record.manifest.fingerprints.get(which)
        if found != expected:
            raise DataError(
                f"the batch was checked by another {which} than the task has now",
                **ref.facts(),
                file=record.manifest.uri,
                found=f"fingerprint of {which} {found or unknown}",
                expected=f"fingerprint of {which} {expected}",
                do=f"materialise {raw_asset(ref)} for this batch again",
            )
    return record


def examples_of(record: CheckRecord, rules: int) -> dict[str, tuple[int, str]]:
    """As :func:`examples`, of a stored check."""
    batches = record.stored.batches(record.added[:2])
    return examples(batches, list(record.manifest.reasons)[:rules])


def examples(rejected: Iterable[pa.RecordBatch], wanted: Sequence[str]) -> dict[str, tuple[int, str]]:
    """For each of some rules: a row that breaks it, with its reason.

    Reads the rejected rows (number and reason first) until each rule has one.
    """
    found: dict[str, tuple[int, str]] = {}
    for batch in rejected:
        for row, reason in zip(batch.column(0).to_pylist(), batch.column(1).to_pylist(), strict=True):
            for rule in wanted:
                if rule not in found and is_reason_of(reason, rule):
                    found[rule] = (row, reason)
            if len(found) == len(wanted):
                return found
    return found


def is_reason_of(reason: str, rule: str) -> bool:
    """Whether a reason is of a rule: between the rule's name and its text the reason has the value that was found."""
    of, _, text = rule.partition(": ")
    known = {"not allowed": " is not one of "}
    text = known.get(text, f" is no {text[4:]}" if text.startswith("not ") else text)
    return f"{of}: " in reason and text.removesuffix(" fails") in reason


def manifest_of(files: FileStore, ref: BatchRef) -> Manifest:
    """The result of the batch's last check, by any contract.

    Raises:
        DataError: it was not checked yet.
    """
    return record_of(files, ref).manifest


def raw_asset(ref: BatchRef) -> str:
    """Key of the asset that checks the batch."""
    return f"{ref.task}/{ref.stage}_raw"


def key_rule(task: TaskSpec) -> str:
    """The name of a repeated key among the counts of reasons."""
    return f"key ({', '.join(task.key)}): repeats"
