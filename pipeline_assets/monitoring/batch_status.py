"""The batches of a task: their files, the results of their checks, and whether their outcomes are current."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Literal

from pipeline_assets.engine.record import manifest_of
from pipeline_assets.errors import PipelineError, TransientError
from pipeline_assets.stores.files.base import Area, FileStore, Found
from pipeline_assets.task.batch import BatchRef, Manifest
from pipeline_assets.task.fingerprints import SLICES
from pipeline_assets.task.spec import STAGES, TaskSpec

State = Literal["done", "waiting", "changed", "unfinished", "outdated", "unverified", "gone", "damaged"]
Compared = Literal["contract", "features", "target", "output"]
Difference = Literal["content", "run", "contract", "features", "target", "output"]

# Batches per stage. For each one two file footers are read, and people look at the latest.
SHOWN = 100
_AT_ONCE = 8
# A version stays valid when a parameter of the next training changes, so ``training`` makes no batch outdated.
_COMPARED: tuple[Compared, ...] = ("contract", "features", "target", "output")
# The keys by which files of predictions say what they were made from.
_PREFIX, _FINGERPRINT = "pipeline_assets.", "fingerprint_"


@dataclass(frozen=True)
class MadeFrom:
    """What an outcome was made from, by the version's tags or the footer of the output file.

    Attributes:
        sha256: of the input's content.
        fingerprints: of the slices of the task's description, by name.
        run_id: the Dagster run that wrote it; ``None`` where they do not say.
    """

    sha256: str
    fingerprints: Mapping[str, str] = field(default_factory=dict)
    run_id: str | None = None


@dataclass(frozen=True)
class Outcome:
    """The outcome of a run for a batch.

    Attributes:
        version: the one trained from the batch, or the one that predicted it.
        finished: when.
        run_id: the Dagster run.
        metric: of a version, on its own validation rows.
        made_from: of a version; ``None`` if not known. For predictions the output file says it.
    """

    version: int
    finished: datetime
    run_id: str
    metric: float | None = None
    made_from: MadeFrom | None = None


@dataclass(frozen=True)
class BatchRecord:
    """One batch, from file to mart.

    Attributes:
        state: ``done``: trained or predicted from the present file; ``waiting``: never checked; ``changed``: the
            file changed after its check; ``unfinished``: checked, but without outcome; ``outdated``: the outcome was
            made from other content or by another description of the task; ``unverified``: it is not known what the
            outcome was made from; ``gone``: there is an outcome but no file; ``damaged``: the record cannot be read.
        manifest: the record of its check; ``None`` if there is none.
        written: rows of the output file; ``None`` in train, and where there is none.
        outcome: of the last finished run; ``None`` if there is none. It may belong to another check than the
            manifest, see :attr:`current`.
        differences: what makes the outcome outdated.
        problem: what is wrong, if the batch is damaged.
    """

    ref: BatchRef
    state: State
    manifest: Manifest | None
    written: int | None
    outcome: Outcome | None
    differences: tuple[Difference, ...] = ()
    problem: str | None = None

    @property
    def current(self) -> Outcome | None:
        """The outcome; ``None`` if it is known not to belong to the last check."""
        return None if self.state in ("outdated", "unfinished", "waiting") else self.outcome


def batch_records(files: FileStore, task: TaskSpec, outcomes: Mapping[BatchRef, Outcome]) -> list[BatchRecord]:
    """The batches of both stages, train first, the latest by name first in each.

    Args:
        files: where inputs and records are.
        task: whose batches.
        outcomes: of its batches, from the marts and the registry.

    Raises:
        TransientError: the store does not answer.
    """
    refs: list[tuple[BatchRef, Found | None]] = []
    for stage in STAGES:
        there = files.batches(task.name, stage)
        names = {*there, *(ref.batch for ref in outcomes if ref.stage == stage)}
        latest = sorted(names, reverse=True)[:SHOWN]
        refs += [(BatchRef(task.name, stage, name), there.get(name)) for name in latest]
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="batches") as pool:
        return list(pool.map(partial(_record_of, files, task, outcomes), *zip(*refs, strict=True))) if refs else []


def differences(task: TaskSpec, manifest: Manifest, outcome: Outcome, made_from: MadeFrom) -> tuple[Difference, ...]:
    """How an outcome differs from the last check of its batch and from the task; empty if it is current.

    Missing fingerprints are not compared: older versions of the pipeline wrote none.
    """
    found: list[Difference] = []
    if made_from.sha256 != manifest.sha256:
        found.append("content")
    if made_from.run_id not in (None, outcome.run_id):
        found.append("run")
    carriers = (made_from.fingerprints, manifest.fingerprints)
    found += [
        each for each in _COMPARED if {stored[each] for stored in carriers if each in stored} - {task.fingerprint(each)}
    ]
    return tuple(found)


def predictions_made_from(metadata: Mapping[str, str]) -> MadeFrom | None:
    """What the footer of an output file or a file of scores says it was made from; ``None`` if it does not say."""
    facts = {name.removeprefix(_PREFIX): value for name, value in metadata.items() if name.startswith(_PREFIX)}
    if "input_sha256" not in facts:
        return None
    known: dict[str, str] = {
        each: facts[f"{_FINGERPRINT}{each}"] for each in SLICES if f"{_FINGERPRINT}{each}" in facts
    }
    return MadeFrom(facts["input_sha256"], known, facts.get("run_id"))


def _record_of(
    files: FileStore, task: TaskSpec, outcomes: Mapping[BatchRef, Outcome], ref: BatchRef, there: Found | None
) -> BatchRecord:
    outcome = outcomes.get(ref)
    made_from = outcome.made_from if outcome else None
    manifest, written, problem = None, None, None
    try:
        if files.read(Area.REJECTED, ref) is not None:
            manifest = manifest_of(files, ref)
        output = files.read(Area.OUTPUT, ref) if ref.stage == "predict" else None
        if output is not None:
            written, made_from = output.rows, predictions_made_from(output.metadata)
    except TransientError:
        raise
    except PipelineError as error:
        problem = str(error)
    state: State = "damaged"
    differs: tuple[Difference, ...] = ()
    if problem is None:
        state, differs = _state(task, there, manifest, outcome, made_from, written=written is not None)
    return BatchRecord(ref, state, manifest, written, outcome, differs, problem)


def _state(
    task: TaskSpec,
    there: Found | None,
    manifest: Manifest | None,
    outcome: Outcome | None,
    made_from: MadeFrom | None,
    *,
    written: bool,
) -> tuple[State, tuple[Difference, ...]]:
    if there is None:
        return "gone", ()
    if manifest is None:
        return "waiting", ()
    if there.parts != manifest.parts:
        return "changed", ()
    if outcome is None or (manifest.ref.stage == "predict" and not written):
        return "unfinished", ()
    if made_from is None:
        return "unverified", ()
    found = differences(task, manifest, outcome, made_from)
    return ("outdated", found) if found else ("done", ())
