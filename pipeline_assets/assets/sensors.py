"""Sensors: a new or changed file becomes a partition, and its job starts."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from pipeline_assets.assets.graph import TaskGraph
from pipeline_assets.errors import PipelineError
from pipeline_assets.stores.files.base import FileStore, Found
from pipeline_assets.task.batch import InputFolder

# Runs requested per tick; the rest follow in the next ticks, so that a thousand files do not overload the queue.
RUNS_PER_TICK = 25


@dataclass(frozen=True)
class Seen:
    """What a sensor remembers between ticks.

    Attributes:
        batches: by name, the fingerprint of each batch for which a run was requested.
        asked: how many ticks requested runs. It is part of the run keys: content that was removed and comes back
            runs again, but a tick repeated after a crash requests no run twice.
    """

    batches: Mapping[str, str]
    asked: int

    @classmethod
    def from_cursor(cls, cursor: str | None) -> "Seen":
        """The value from a cursor of :meth:`to_cursor`; empty before the first tick."""
        if cursor is None:
            return cls({}, 0)
        data = json.loads(cursor)
        return cls(data["batches"], data["asked"])

    def to_cursor(self) -> str:
        """The value as the sensor's cursor."""
        return json.dumps({"batches": dict(self.batches), "asked": self.asked})


def fingerprint(found: Found) -> str:
    """Changes when a part is added, removed or written again; made from the listing, not from the data."""
    parts = "\n".join(f"{part.uri} {part.size} {part.stamp}" for part in found.parts)
    return hashlib.sha256(parts.encode()).hexdigest()[:16]


def look(found: Mapping[str, Found], seen: Seen) -> tuple[list[str], Seen]:
    """Compares a listing with what was seen before.

    Returns:
        The batches to run, by name, at most :data:`RUNS_PER_TICK`; and the new state, without the other new batches
        and without removed ones.
    """
    now = {batch: fingerprint(files) for batch, files in found.items()}
    changed = [batch for batch in sorted(now) if seen.batches.get(batch) != now[batch]][:RUNS_PER_TICK]
    known = {batch: mark for batch, mark in seen.batches.items() if batch in now}
    known.update({batch: now[batch] for batch in changed})
    return changed, Seen(known, seen.asked + bool(changed))


def files_sensor(graph: TaskGraph, stage: InputFolder, job: UnresolvedAssetJobDefinition) -> dg.SensorDefinition:
    """``<task>_<stage>_files``: off until a person switches it on, in the UI or by the CLI.

    A file of truth waits until its batch is a partition: before it is predicted there is nothing to judge.
    """

    @dg.sensor(
        name=f"{graph.task.name}_{stage}_files",
        job=job,
        minimum_interval_seconds=30,
        description=f"Starts {graph.job_name(stage)} for every new or changed file of {graph.task.name}/{stage}.",
        tags={"task": graph.task.name},
    )
    def sensor(context: dg.SensorEvaluationContext, files: dg.ResourceParam[FileStore]) -> dg.SensorResult:
        try:
            found = files.batches(graph.task.name, stage)
        except PipelineError as error:
            raise dg.Failure(description=str(error), allow_retries=False) from error
        if stage == "truth":
            predicted = set(context.instance.get_dynamic_partitions(graph.partitions_name("predict")))
            found = {batch: files for batch, files in found.items() if batch in predicted}
        changed, seen = look(found, Seen.from_cursor(context.cursor))
        if not changed:
            return dg.SensorResult(skip_reason=f"no new or changed file among {len(found)}", cursor=seen.to_cursor())
        return dg.SensorResult(
            run_requests=[
                dg.RunRequest(
                    run_key=f"{batch}:{fingerprint(found[batch])}:{seen.asked}",
                    partition_key=batch,
                    tags={"task": graph.task.name, "stage": stage},
                )
                for batch in changed
            ],
            dynamic_partitions_requests=[]
            if stage == "truth"
            else [graph.partitions(stage).build_add_request(changed)],
            cursor=seen.to_cursor(),
        )

    return sensor
