"""The name of a batch and the result of its check: values that the steps of a run exchange."""

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from pipeline_assets.task.spec import Stage


@dataclass(frozen=True)
class BatchRef:
    """One input file, or folder of part files, of one stage of one task."""

    task: str
    stage: Stage
    batch: str

    def facts(self) -> dict[str, str]:
        """The batch as facts of an error."""
        return asdict(self)


@dataclass(frozen=True)
class TruthRef:
    """The file, or folder of part files, that says what became true of one predict batch.

    Attributes:
        batch: the predict batch.
        stage: the folder of a task that has such files, beside those of the two stages.
    """

    task: str
    batch: str
    stage: Literal["truth"] = "truth"

    @property
    def predicted(self) -> BatchRef:
        """The batch whose predictions it is the truth of."""
        return BatchRef(self.task, "predict", self.batch)

    def facts(self) -> dict[str, str]:
        """The file as facts of an error."""
        return asdict(self)


# A file that others put into a task's folder, and the folders that have such files.
InputRef = BatchRef | TruthRef
InputFolder = Stage | Literal["truth"]


def input_ref(task: str, folder: InputFolder, batch: str) -> InputRef:
    """The batch of a stage, or the file of truth of a predict batch."""
    return TruthRef(task, batch) if folder == "truth" else BatchRef(task, folder, batch)


@dataclass(frozen=True)
class Part:
    """One parquet file of a batch.

    Attributes:
        uri: where it is.
        size: bytes.
        stamp: changes whenever the content does (modification time in ns, or an S3 ETag).
    """

    uri: str
    size: int
    stamp: str


@dataclass(frozen=True)
class Manifest:
    """The record of one check of one batch: its files, and how many of its rows can be used.

    Attributes:
        uri: the file or folder.
        parts: the files in the order that row numbers follow.
        rows_of_parts: rows of each part, in the same order.
        sha256: of the one file; of the lines ``name sha256`` for a folder.
        accepted: rows that fulfil the contract.
        rejected: rows that break it.
        unlabelled: accepted rows without a label (always 0 in predict).
        reasons: rows by broken rule, most first; a row may break several.
        unexpected: columns of the file that the contract does not have.
        fingerprints: of the slices of the task that the check used: ``contract``; empty in a record of an earlier
            version of the pipeline.
        run_id: the Dagster run that made the check; ``None`` outside of one, and in a record of an earlier version.
        checked_at: when, in ISO 8601, UTC; ``None`` in a record of an earlier version.
    """

    ref: BatchRef
    uri: str
    parts: tuple[Part, ...]
    rows_of_parts: tuple[int, ...]
    sha256: str
    accepted: int
    rejected: int
    unlabelled: int
    reasons: dict[str, int]
    unexpected: tuple[str, ...]
    fingerprints: dict[str, str] = field(default_factory=dict)
    run_id: str | None = None
    checked_at: str | None = None

    @property
    def rows(self) -> int:
        """Raw rows: accepted and rejected."""
        return self.accepted + self.rejected

    def same_as(self, other: "Manifest") -> bool:
        """Whether two checks came to the same result: of the same content, by the same contract."""
        return all(
            getattr(self, each) == getattr(other, each)
            for each in ("sha256", "fingerprints", "accepted", "rejected", "reasons")
        )

    def to_json(self) -> dict[str, Any]:
        """As plain values; :meth:`from_json` is its inverse."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "Manifest":
        """The inverse of :meth:`to_json`."""
        return cls(
            ref=BatchRef(**data["ref"]),
            uri=data["uri"],
            parts=tuple(Part(**part) for part in data["parts"]),
            rows_of_parts=tuple(data["rows_of_parts"]),
            sha256=data["sha256"],
            accepted=data["accepted"],
            rejected=data["rejected"],
            unlabelled=data["unlabelled"],
            reasons=data["reasons"],
            unexpected=tuple(data["unexpected"]),
            fingerprints=data.get("fingerprints", {}),
            run_id=data.get("run_id"),
            checked_at=data.get("checked_at"),
        )
