"""What Airflow asks Dagster for: find a job, register a batch, launch and terminate runs, read how they ended."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dagster_runs import queries
from dagster_runs.errors import DagsterAway, DagsterError, listed
from dagster_runs.graphql import GraphQL, of_type
from dagster_runs.run import NOT_BEGUN, Run

PARTITION = "dagster/partition"
_PAGE = 1000  # events per query
_OWN_RUNS = 50  # runs of one task instance that are read, newest first
_PAUSE = 0.5  # seconds between two looks at a run that must end


@dataclass(frozen=True)
class Job:
    """A job of a code location; the names of its sensor and its partitions are made of its own.

    Attributes:
        location: name of the code location.
        name: ``<task>_train`` or ``<task>_predict``.
        repository: name of the repository in that location, which Dagster chooses.
    """

    location: str
    name: str
    repository: str

    @property
    def _of_repository(self) -> dict[str, str]:
        return {"repositoryLocationName": self.location, "repositoryName": self.repository}

    @property
    def selector(self) -> dict[str, str]:
        """The selector in queries about the job."""
        return {**self._of_repository, "pipelineName": self.name}

    @property
    def launched(self) -> dict[str, str]:
        """The selector in a launch."""
        return {**self._of_repository, "jobName": self.name}

    @property
    def sensor(self) -> dict[str, str]:
        """The selector of the sensor that finds the job's input files."""
        return {**self._of_repository, "sensorName": f"{self.name}_files"}

    @property
    def partitions(self) -> dict[str, str]:
        """The selector of the repository that holds the job's partitions."""
        return self._of_repository

    @property
    def batches(self) -> str:
        """The name of the job's partitions definition."""
        return f"{self.name}_batches"


@dataclass(frozen=True)
class Files:
    """Input files that the job's sensor has found.

    Attributes:
        batches: names of their batches.
        cursor: the sensor's position; with it the next look reads only what is new.
    """

    batches: frozenset[str] = frozenset()
    cursor: str | None = None


@dataclass(frozen=True)
class Outcome:
    """What a successful run has made.

    Attributes:
        rows: row count by asset, and of the raw rows by their outcome: raw, accepted, rejected, unlabelled.
        model_version: number of the version that the run trained or predicted with.
    """

    rows: Mapping[str, int]
    model_version: int | None


class Dagster:
    """Dagster, asked over one session of :class:`~dagster_runs.graphql.GraphQL`."""

    def __init__(self, graphql: GraphQL) -> None:
        self._ask = graphql.ask
        self._address = graphql.address

    async def job(self, location: str, name: str) -> Job:
        """Finds a job.

        Raises:
            DagsterAway: the location is loading, or cannot be loaded now.
            DagsterError: there is no such location or job; the message lists the existing ones.
        """
        workspace = of_type(await self._ask(queries.WORKSPACE), "Workspace")
        entries = {entry["name"]: entry for entry in workspace["locationEntries"]}
        if location not in entries:
            raise DagsterError(
                f"Dagster at {self._address.url} has no code location {location}; there is: {listed(entries)}"
            )
        loaded = entries[location]["locationOrLoadError"]
        if loaded is None:
            raise DagsterAway(f"Dagster is still loading the code location {location}")
        repositories = of_type(loaded, "RepositoryLocation")["repositories"]
        jobs = {job["name"]: repository["name"] for repository in repositories for job in repository["jobs"]}
        if name not in jobs:
            public = [known for known in jobs if not known.startswith("__")]
            raise DagsterError(f"the code location {location} has no job {name}; there is: {listed(public)}")
        return Job(location, name, jobs[name])

    async def partitions(self, job: Job) -> list[str]:
        """The names of the batches that Dagster knows."""
        answer = of_type(await self._ask(queries.PARTITIONS, {"job": job.selector}), "Pipeline")
        keys: list[str] = of_type(answer["partitionKeysOrError"], "PartitionKeys")["partitionKeys"]
        return keys

    async def files(self, job: Job, known: Files | None = None) -> Files:
        """Finds the batches whose input files exist, by a dry run of the job's sensor, which changes nothing.

        Args:
            job: the job whose files to find.
            known: the result of an earlier look; then only new and changed files are read.

        Raises:
            DagsterError: there is no such sensor, or it fails.
        """
        found, cursor = (set(known.batches), known.cursor) if known else (set[str](), None)
        while True:
            tick = of_type(
                await self._ask(queries.FILES, {"sensor": job.sensor, "cursor": cursor}), "DryRunInstigationTick"
            )["evaluationResult"]
            if tick is None or tick["error"]:
                raise DagsterError(f"{job.sensor['sensorName']} fails: {tick and tick['error']['message'].strip()}")
            page = [key for request in tick["dynamicPartitionsRequests"] or [] for key in request["partitionKeys"]]
            found.update(page)
            cursor = tick["cursor"]
            if not page:
                return Files(frozenset(found), cursor)

    async def register(self, job: Job, batch: str) -> None:
        """Makes the batch a partition, if it is none yet; its input file must exist.

        Raises:
            DagsterError: there is no such file; the message lists the existing batches.
        """
        partitions = await self.partitions(job)
        if batch in partitions:
            return
        files = await self.files(job)
        if batch not in files.batches:
            raise DagsterError(
                f"{job.name} has no batch {batch}: Dagster does not know it, and there is no input file of that name;"
                f" there is: {listed({*partitions, *files.batches})}"
            )
        answer = await self._ask(
            queries.ADD_PARTITION, {"repository": job.partitions, "name": job.batches, "key": batch}
        )
        of_type(answer, "AddDynamicPartitionSuccess", "DuplicateDynamicPartitionError")

    async def launch(self, job: Job, batch: str, tags: Mapping[str, str], run_config: Mapping[str, Any]) -> Run:
        """Launches a run of a registered batch."""
        every = {**tags, PARTITION: batch}
        parameters = {
            "selector": job.launched,
            "runConfigData": dict(run_config),
            "executionMetadata": {"tags": _pairs(every)},
        }
        answer = of_type(await self._ask(queries.LAUNCH, {"parameters": parameters}), "LaunchRunSuccess")
        return Run.of(answer["run"])

    async def runs(self, tags: Mapping[str, str]) -> list[Run]:
        """All runs that carry these tags, newest first.

        Raises:
            ValueError: no tags are given, which would mean all runs of the instance.
        """
        if not tags:
            raise ValueError("no tags to find runs by")
        variables = {"filter": {"tags": _pairs(tags)}, "limit": _OWN_RUNS}
        answer = of_type(await self._ask(queries.RUNS, variables), "Runs")
        return [Run.of(found) for found in answer["results"]]

    async def delete(self, run: Run) -> None:
        """Deletes a run that was lost before it began."""
        of_type(await self._ask(queries.DELETE, {"id": run.run_id}), "DeletePipelineRunSuccess", "RunNotFoundError")

    async def terminate(self, run_id: str, seconds: float) -> str:
        """Terminates a run, and returns its final status once it has ended.

        Dagster refuses while a run is starting, so it is asked again. A run that is still starting when the time is up
        is marked as canceled instead: its process sees that before it does anything.

        Args:
            run_id: id of the run.
            seconds: how long the termination may take.

        Raises:
            DagsterAway: Dagster does not answer, or the run still goes on after that time.
            DagsterError: there is no such run, or terminating it is not allowed.
        """
        until = time.monotonic() + seconds
        asked = False
        while True:
            status = await self._status(run_id)
            if status in ("SUCCESS", "FAILURE", "CANCELED"):
                return status
            late = time.monotonic() > until
            if late and (asked or status not in NOT_BEGUN):
                raise DagsterAway(f"run {run_id} was asked to end, and is still {status} after {seconds:.0f} seconds")
            if not asked or late:
                policy = "MARK_AS_CANCELED_IMMEDIATELY" if late else "SAFE_TERMINATE"
                answer = of_type(
                    await self._ask(queries.TERMINATE, {"id": run_id, "policy": policy}),
                    "TerminateRunSuccess",
                    "TerminateRunFailure",
                )
                asked = answer["__typename"] == "TerminateRunSuccess"
                if not asked and "permission" in answer["message"]:
                    raise DagsterError(f"Dagster does not end run {run_id}: {answer['message']}")
            await asyncio.sleep(_PAUSE)

    async def _status(self, run_id: str) -> str:
        status: str = of_type(await self._ask(queries.STATUS, {"id": run_id}), "Run")["status"]
        return status

    async def outcome(self, run_id: str) -> Outcome:
        """Reads from the metadata of its assets what a successful run has made."""
        answer = of_type(await self._ask(queries.OUTCOME, {"id": run_id}), "Run")
        rows: dict[str, int] = {}
        version: int | None = None
        for event in answer["assetMaterializations"]:
            asset = event["assetKey"]["path"][-1]
            for entry in event["metadataEntries"]:
                label, value = entry["label"], entry.get("intValue")
                if value is None:
                    continue
                if label == "dagster/row_count":
                    rows[asset] = value
                elif label in ("raw_rows", "accepted_rows", "rejected_rows", "unlabelled_rows"):
                    rows[label.removesuffix("_rows")] = value
                elif label == "model_version":
                    version = value
        return Outcome(rows, version)

    async def failure(self, run_id: str) -> str:
        """Reads why a run failed: one paragraph for each failed step and check, with its error."""
        said: list[str] = []
        whole: list[str] = []
        cursor: str | None = None
        while True:
            answer = of_type(await self._ask(queries.EVENTS, {"id": run_id, "cursor": cursor, "limit": _PAGE}), "Run")[
                "eventConnection"
            ]
            for event in answer["events"]:
                kind = event["__typename"]
                if kind == "ExecutionStepFailureEvent":
                    said.append(f"step {event['stepKey']}: {_reason(event)}")
                elif kind == "RunFailureEvent":
                    whole.append(_reason(event))
                elif kind == "AssetCheckEvaluationEvent":
                    check = event["evaluation"]
                    if not check["success"] and check["severity"] == "ERROR":
                        of = "/".join(check["assetKey"]["path"])
                        said.append(f"check {check['checkName']} of {of}: {check['description'] or 'failed'}")
            if not answer["hasMore"]:
                return "\n".join(said or whole) or "Dagster gives no reason"
            cursor = answer["cursor"]


def _pairs(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"key": key, "value": value} for key, value in tags.items()]


def _reason(event: Mapping[str, Any]) -> str:
    """The event's description written for people, else its innermost exception, else its own message."""
    written = (event.get("failureMetadata") or {}).get("description")
    if written:
        return str(written).strip()
    error = event.get("error")
    if not error:
        return str(event["message"]).strip()
    chain = [link["error"] for link in error.get("errorChain") or []]
    return str((chain[-1] if chain else error)["message"]).strip()
