"""The batches of a task: the files that are there, the record of each one's check, and what came of it."""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Literal

from pipeline_assets.engine.record import manifest_of
from pipeline_assets.errors import PipelineError, TransientError
from pipeline_assets.mart_page.views.models.queries import Record
from pipeline_assets.stores.files.base import Area, FileStore, Found
from pipeline_assets.task.batch import BatchRef, Manifest
from pipeline_assets.task.spec import STAGES, TaskSpec

State = Literal["done", "waiting", "changed", "unfinished", "gone", "damaged"]

# Of a stage; one opens a footer for each, and people look at the latest.
SHOWN = 100
_AT_ONCE = 8


@dataclass(frozen=True)
class BatchRecord:
    """One batch, from file to mart.

    Attributes:
        state: ``done`` is trained or predicted from the file as it is now; ``waiting`` was never checked;
            ``changed`` since its check; ``unfinished`` was checked and no more; ``gone`` has left its marts behind
            but no file; ``damaged`` has a record that cannot be read.
        manifest: the record of its check; ``None`` if there is none.
        written: rows of the output file; ``None`` in train, and where there is none.
        version: trained from it, or that predicted it.
        finished: when.
        metric: of the version trained from it, on its own validation rows.
        run_id: of the Dagster run that finished it.
        problem: what is wrong, where it is damaged.
    """

    ref: BatchRef
    state: State
    manifest: Manifest | None
    written: int | None
    version: int | None
    finished: datetime | None
    metric: float | None
    run_id: str | None
    problem: str | None = None


def batch_records(files: FileStore, task: TaskSpec, record: Record) -> list[BatchRecord]:
    """The batches of both stages, train first, the latest by name first in each.

    Args:
        files: where inputs and records are.
        task: whose.
        record: what the marts know.

    Raises:
        TransientError: the store does not answer.
    """
    outcomes = _outcomes(task, record)
    refs: list[tuple[BatchRef, Found | None]] = []
    for stage in STAGES:
        there = files.batches(task.name, stage)
        names = {*there, *(ref.batch for ref in outcomes if ref.stage == stage)}
        latest = sorted(names, reverse=True)[:SHOWN]
        refs += [(BatchRef(task.name, stage, name), there.get(name)) for name in latest]
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="batches") as pool:
        return list(pool.map(partial(_record_of, files, outcomes), *zip(*refs, strict=True))) if refs else []


@dataclass(frozen=True)
class _Outcome:
    """What a run made of a batch."""

    version: int
    finished: datetime
    run_id: str
    metric: float | None = None


def _outcomes(task: TaskSpec, record: Record) -> Mapping[BatchRef, _Outcome]:
    found: dict[BatchRef, _Outcome] = {}
    for choice in reversed(record.trainings):  # the latest of a batch comes last, and stays
        trained = max(choice.candidates, key=lambda each: each.version)
        found[BatchRef(task.name, "train", choice.batch)] = _Outcome(
            trained.version, choice.chosen_at, choice.run_id, trained.metrics.get(choice.metric)
        )
    for each in record.batches:
        ref = BatchRef(task.name, "predict", each.batch)
        found[ref] = _Outcome(each.model_version, each.predicted_at, each.run_id)
    return found


def _record_of(
    files: FileStore, outcomes: Mapping[BatchRef, _Outcome], ref: BatchRef, there: Found | None
) -> BatchRecord:
    outcome = outcomes.get(ref)
    manifest, written, problem = None, None, None
    try:
        if files.read(Area.REJECTED, ref) is not None:
            manifest = manifest_of(files, ref)
        output = files.read(Area.OUTPUT, ref) if ref.stage == "predict" else None
        written = None if output is None else output.rows
    except TransientError:
        raise
    except PipelineError as error:
        problem = str(error)
    return BatchRecord(
        ref=ref,
        state="damaged" if problem else _state(there, manifest, outcome),
        manifest=manifest,
        written=written,
        version=outcome.version if outcome else None,
        finished=outcome.finished if outcome else None,
        metric=outcome.metric if outcome else None,
        run_id=outcome.run_id if outcome else None,
        problem=problem,
    )


def _state(there: Found | None, manifest: Manifest | None, outcome: _Outcome | None) -> State:
    if there is None:
        return "gone"
    if manifest is None:
        return "waiting"
    if there.parts != manifest.parts:
        return "changed"
    return "unfinished" if outcome is None else "done"
