"""What became of the rows that the check before the last one rejected: the record that the last check left of it."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import pyarrow as pa

from pipeline_assets.engine.record import record_of
from pipeline_assets.stores.files.base import Area, FileStore, StoredFile
from pipeline_assets.task.batch import BatchRef, Manifest

Outcome = Literal["accepted", "same_rule", "other_rule", "gone"]
OUTCOMES: tuple[Outcome, ...] = ("accepted", "same_rule", "other_rule", "gone")
# The file's columns; the task's key follows, as the former row had it.
SCHEMA = pa.schema([
    pa.field("row_number", pa.int64(), nullable=False),
    pa.field("reason", pa.string()),
    pa.field("rules", pa.list_(pa.string())),
    pa.field("outcome", pa.string(), nullable=False),
    pa.field("found_by", pa.string()),
    pa.field("row_number_now", pa.int64()),
    pa.field("rules_now", pa.list_(pa.string())),
    pa.field("changed_columns", pa.list_(pa.string())),
])  # fmt: skip
_KEY = "pipeline_assets.replay"


@dataclass(frozen=True)
class RuleOutcome:
    """How many rows that formerly broke a rule came to an outcome; a row that broke several counts for each."""

    rule: str
    outcome: Outcome
    rows: int


@dataclass(frozen=True)
class Replay:
    """The comparison of two checks of a batch.

    Attributes:
        former: the check that rejected the rows.
        now: the check that they are compared with.
        outcomes: former rejected rows by what became of them: accepted; rejected by a rule that they broke before;
            rejected by other rules only; gone from the file.
        changed: how many of them have other content now, by outcome.
        by_rule: the outcomes of the rows by each rule that they broke before.
        newly: rows that are rejected now and were not, by rule.
        newly_rejected: how many rows these are.
        newly_first: numbers of the first of them.
    """

    former: Manifest
    now: Manifest
    outcomes: Mapping[Outcome, int]
    changed: Mapping[Outcome, int]
    by_rule: tuple[RuleOutcome, ...]
    newly: Mapping[str, int] = field(default_factory=dict)
    newly_rejected: int = 0
    newly_first: tuple[int, ...] = ()

    def to_metadata(self) -> dict[str, str]:
        """As key-value metadata of the file of outcomes."""
        return {_KEY: json.dumps(asdict(self))}

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, str]) -> "Replay":
        """The inverse of :meth:`to_metadata`."""
        data: dict[str, Any] = json.loads(metadata[_KEY])
        return cls(
            former=Manifest.from_json(data["former"]),
            now=Manifest.from_json(data["now"]),
            outcomes=data["outcomes"],
            changed=data["changed"],
            by_rule=tuple(RuleOutcome(**each) for each in data["by_rule"]),
            newly=data["newly"],
            newly_rejected=data["newly_rejected"],
            newly_first=tuple(data["newly_first"]),
        )


@dataclass(frozen=True)
class StoredReplay:
    """A comparison with its file: one row per former rejected row, by number, see :data:`SCHEMA`."""

    replay: Replay
    stored: StoredFile


def replay_of(files: FileStore, ref: BatchRef) -> StoredReplay | None:
    """What became of the rows that were rejected before the batch's last check.

    Returns:
        ``None`` if the batch has not been checked again since its first check, or not with another result.

    Raises:
        DataError: the batch was not checked yet, or a file is damaged.
    """
    now = record_of(files, ref).manifest
    stored = files.read(Area.REPLAYED, ref)
    if stored is None:
        return None
    replay = Replay.from_metadata(stored.metadata)
    # A run that was killed has left the comparison and not the record of its check: the next run makes both anew.
    return StoredReplay(replay, stored) if replay.now.same_as(now) else None
