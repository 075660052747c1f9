"""Waits in the triggerer, where no worker is held: for a run to end, or for an input file to arrive."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from airflow.sdk import Connection
from airflow.triggers.base import BaseTrigger, TriggerEvent

from dagster_runs.address import Address
from dagster_runs.client import Dagster, Files
from dagster_runs.errors import DagsterAway, DagsterError
from dagster_runs.graphql import GraphQL

# The triggerer gives on_kill 30 seconds ([triggerer] on_kill_timeout), and says nothing of what it cut off.
_SECONDS_TO_KILL = 25
_SECONDS_TO_END = 120

# What an event says beside the statuses in which a run ends.
AWAY, REFUSED, OVERDUE, ARRIVED = "away", "refused", "overdue", "arrived"

Event = dict[str, Any]


class _Waiting(BaseTrigger):
    """Asks Dagster again and again until there is something to tell.

    Args:
        conn_id: of the Airflow connection.
        poll_seconds: between two questions.
        patience_seconds: how long Dagster may be away before the task is handed back to be retried.
        deadline: seconds since 1970, after which nothing is waited for any more. It lives here because
            ``execution_timeout`` does not reach across a deferral, and a trigger's own timeout runs none of our code.
    """

    def __init__(self, *, conn_id: str, poll_seconds: float, patience_seconds: float, deadline: float) -> None:
        super().__init__()
        self.conn_id = conn_id
        self.poll_seconds = poll_seconds
        self.patience_seconds = patience_seconds
        self.deadline = deadline

    def _arguments(self) -> dict[str, Any]:
        return {
            "conn_id": self.conn_id,
            "poll_seconds": self.poll_seconds,
            "patience_seconds": self.patience_seconds,
            "deadline": self.deadline,
        }

    async def _graphql(self) -> GraphQL:
        connection = await Connection.async_get(self.conn_id)
        return GraphQL(Address.of(connection, await connection.aextra_dejson()))

    async def _wait(self, look: Callable[[Dagster], Awaitable[Event | None]]) -> Event:
        """Looks until that gives an event, or Dagster has been away for too long, or refuses."""
        away_since: float | None = None
        while True:
            try:
                async with await self._graphql() as graphql:
                    dagster = Dagster(graphql)
                    while True:
                        found = await look(dagster)
                        if found is not None:
                            return found
                        away_since = None
                        await asyncio.sleep(self.poll_seconds)
            except DagsterAway as error:
                away_since = away_since or time.monotonic()
                self.log.warning("%s", error)
                if time.monotonic() - away_since > self.patience_seconds:
                    return {"status": AWAY, "said": str(error)}
            except DagsterError as error:
                return {"status": REFUSED, "said": str(error)}
            await asyncio.sleep(self.poll_seconds)


class DagsterRunTrigger(_Waiting):
    """Waits for a run to end.

    The event is ``{"run_id": ..., "status": ..., "said": ...}``; the status is Dagster's, or one of this module's.

    Args:
        run_id: of the run.
        tags: by which the task instance's runs are found.
        more: see the base class.
    """

    def __init__(self, *, run_id: str, tags: dict[str, str], **more: Any) -> None:
        super().__init__(**more)
        self.run_id = run_id
        self.tags = tags

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """For the triggerer."""
        path = f"{type(self).__module__}.{type(self).__qualname__}"
        return path, {"run_id": self.run_id, "tags": self.tags, **self._arguments()}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """One event."""
        yield TriggerEvent({"said": "", **await self._wait(self._look), "run_id": self.run_id})

    async def _look(self, dagster: Dagster) -> Event | None:
        runs = {run.run_id: run for run in await dagster.runs(self.tags)}
        run = runs.pop(self.run_id, None)
        if run is None:
            return {"status": REFUSED, "said": "the run was deleted in Dagster"}
        if run.finished:
            return {"status": run.status}
        if run.lost(time.time()):
            return {"status": AWAY, "said": "Dagster made the run and never submitted it"}
        for other in runs.values():
            # A launch that arrived late: whoever sent it gave up, and launched this run.
            if not other.finished and other.cleared == run.cleared and other.created > run.created:
                self.log.warning("run %s is a double of %s; it is terminated", other.run_id, run.run_id)
                await dagster.terminate(other.run_id, _SECONDS_TO_END)
        if time.time() > self.deadline:
            status = await dagster.terminate(self.run_id, _SECONDS_TO_END)
            # It may have ended by itself meanwhile; then that is the truth.
            return {"status": OVERDUE if status == "CANCELED" else status}
        return None

    async def on_kill(self) -> None:
        """Terminates the run: somebody marked the task, or cleared it, while it waited."""
        until = time.monotonic() + _SECONDS_TO_KILL
        while True:
            try:
                async with await self._graphql() as graphql:
                    status = await Dagster(graphql).terminate(self.run_id, until - time.monotonic())
            except DagsterAway as error:
                if time.monotonic() + 1 > until:
                    self.log.error("run %s may go on: %s", self.run_id, error)  # noqa: TRY400 - it says all
                    return
                await asyncio.sleep(1)  # before it is asked again
            except DagsterError as error:
                self.log.error("run %s may go on: %s", self.run_id, error)  # noqa: TRY400 - it says all
                return
            else:
                self.log.info("run %s has ended: %s", self.run_id, status)
                return


class BatchFileTrigger(_Waiting):
    """Waits until the input file of a batch is there.

    The event is ``{"status": "arrived"}``, or one of the other statuses of this module with what was said.

    Args:
        location: the code location.
        job: whose batch.
        batch: its name.
        more: see the base class.
    """

    def __init__(self, *, location: str, job: str, batch: str, **more: Any) -> None:
        super().__init__(**more)
        self.location = location
        self.job = job
        self.batch = batch
        self._files: Files | None = None

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """For the triggerer."""
        path = f"{type(self).__module__}.{type(self).__qualname__}"
        return path, {"location": self.location, "job": self.job, "batch": self.batch, **self._arguments()}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """One event."""
        yield TriggerEvent({"said": "", **await self._wait(self._look)})

    async def _look(self, dagster: Dagster) -> Event | None:
        job = await dagster.job(self.location, self.job)
        self._files = await dagster.files(job, self._files)
        if self.batch in self._files.batches:
            return {"status": ARRIVED}
        return {"status": OVERDUE} if time.time() > self.deadline else None
