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
from pipeline_assets.task.spec import Stage

# Runs asked for in one tick; the rest follow in the next, so a folder of a thousand files does not flood the queue.
RUNS_PER_TICK = 25


@dataclass(frozen=True)
class Seen:
    """What a sensor remembers between ticks.

    Attributes:
        batches: fingerprint of each batch a run was asked for, by name.
        asked: how many ticks asked for runs: part of the run keys, so that content which comes back after it was
            gone runs again, while a tick repeated after a crash asks for nothing twice.
    """

    batches: Mapping[str, str]
    asked: int

    @classmethod
    def from_cursor(cls, cursor: str | None) -> "Seen":
        """From what :meth:`to_cursor` gave; nothing seen before the first tick."""
        if cursor is None:
            return cls({}, 0)
        data = json.loads(cursor)
        return cls(data["batches"], data["asked"])

    def to_cursor(self) -> str:
        """As the sensor's cursor."""
        return json.dumps({"batches": dict(self.batches), "asked": self.asked})


def fingerprint(found: Found) -> str:
    """Changes when a part is added, removed or written again; read off the listing, not off the data."""
    parts = "\n".join(f"{part.uri} {part.size} {part.stamp}" for part in found.parts)
    return hashlib.sha256(parts.encode()).hexdigest()[:16]


def look(found: Mapping[str, Found], seen: Seen) -> tuple[list[str], Seen]:
    """Compares a listing with what was seen.

    Returns:
        The batches to run, by name, at most :data:`RUNS_PER_TICK`; and what is seen now: the others stay unseen,
        and batches that are gone are forgotten.
    """
    now = {batch: fingerprint(files) for batch, files in found.items()}
    changed = [batch for batch in sorted(now) if seen.batches.get(batch) != now[batch]][:RUNS_PER_TICK]
    known = {batch: mark for batch, mark in seen.batches.items() if batch in now}
    known.update({batch: now[batch] for batch in changed})
    return changed, Seen(known, seen.asked + bool(changed))


def files_sensor(graph: TaskGraph, stage: Stage, job: UnresolvedAssetJobDefinition) -> dg.SensorDefinition:
    """``<task>_<stage>_files``: off until it is switched on, in the UI or by the CLI."""

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
            dynamic_partitions_requests=[graph.partitions(stage).build_add_request(changed)],
            cursor=seen.to_cursor(),
        )

    return sensor
