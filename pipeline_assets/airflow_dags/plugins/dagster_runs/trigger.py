"""Launches a run and waits for it, in the triggerer, where no worker is held.

The launch is here and not in the operator, because only here is somebody called when a user ends the task: Airflow
tells nobody if it is marked after the worker has left and before the triggerer has taken over.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent
from dagster_runs.address import Address
from dagster_runs.client import Dagster, Files
from dagster_runs.compat import async_connection, still_waits, write_xcom
from dagster_runs.errors import DagsterAway, DagsterError
from dagster_runs.graphql import GraphQL
from dagster_runs.link import RUN_URL
from dagster_runs.run import CLEARED, Run, own

# What an event says beside the statuses in which a run ends.
AWAY, REFUSED, OVERDUE, NO_FILE = "away", "refused", "overdue", "no file"

# The triggerer gives on_kill 30 seconds ([triggerer] on_kill_timeout), and says nothing of what it cut off.
_SECONDS_TO_KILL = 25
_SECONDS_TO_END = 120
# A launch that was under way when the task was ended shows up within these, or never.
_SECONDS_TO_APPEAR = 5

Event = dict[str, Any]

# Nobody else holds what must not be lost half-way.
_WORK: set[asyncio.Task[None]] = set()


class DagsterRunTrigger(BaseTrigger):
    """Goes on with a task instance's own run, or launches it, until it has ended.

    The event is ``{"status": ..., "run_id": ..., "said": ...}``; the status is Dagster's, or one of this module's.

    Args:
        conn_id: of the Airflow connection.
        location: the code location.
        job: to be run.
        batch: for which.
        run_config: of a launch.
        tags: of a launch, beside ``key``.
        key: tags by which the task instance's runs are found.
        cleared: how often its DAG run has been cleared; see :func:`~dagster_runs.run.own`.
        since: see there.
        file_until: seconds since 1970, until which the batch's input file is waited for; ``None`` if it must be there.
        seconds: that a run may take, from its launch. The deadline lives here because ``execution_timeout`` does not
            reach across a deferral, and a trigger's own timeout runs none of our code.
        poll_seconds: between two questions.
        patience_seconds: how long Dagster may be away before the task is handed back to be retried.
    """

    def __init__(
        self,
        *,
        conn_id: str,
        location: str,
        job: str,
        batch: str,
        run_config: dict[str, Any],
        tags: dict[str, str],
        key: dict[str, str],
        cleared: int,
        since: int,
        file_until: float | None,
        seconds: float,
        poll_seconds: float,
        patience_seconds: float,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call] # Airflow's
        self.conn_id = conn_id
        self.location = location
        self.job = job
        self.batch = batch
        self.run_config = run_config
        self.tags = tags
        self.key = key
        self.cleared = cleared
        self.since = since
        self.file_until = file_until
        self.seconds = seconds
        self.poll_seconds = poll_seconds
        self.patience_seconds = patience_seconds
        self._run_id = ""
        self._launching = False
        self._files: Files | None = None

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """For the triggerer."""
        return f"{type(self).__module__}.{type(self).__qualname__}", {
            "conn_id": self.conn_id,
            "location": self.location,
            "job": self.job,
            "batch": self.batch,
            "run_config": self.run_config,
            "tags": self.tags,
            "key": self.key,
            "cleared": self.cleared,
            "since": self.since,
            "file_until": self.file_until,
            "seconds": self.seconds,
            "poll_seconds": self.poll_seconds,
            "patience_seconds": self.patience_seconds,
        }

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """One event."""
        try:
            event = await self._wait()
        except asyncio.CancelledError:
            if not await still_waits(self.task_instance, self.trigger_id):
                await self.on_kill()
            raise
        yield TriggerEvent({"run_id": self._run_id, "said": "", **event})  # type: ignore[no-untyped-call] # Airflow's

    async def on_kill(self) -> None:
        """Terminates the run: somebody has marked the task, or cleared it.

        The triggerer asks for this once and then cancels it every second, so the work is done beside it. What it
        says after the second or third of them is in the triggerer's own log.
        """
        work = asyncio.create_task(self._killed())
        _WORK.add(work)
        work.add_done_callback(_WORK.discard)
        while not work.done():
            with suppress(asyncio.CancelledError):
                await asyncio.shield(work)

    async def _killed(self) -> None:
        begun = time.monotonic()
        while True:
            left = begun + _SECONDS_TO_KILL - time.monotonic()
            try:
                async with await self._graphql() as graphql:
                    if await self._ended(Dagster(graphql), left):
                        return
                if not self._launching or time.monotonic() > begun + _SECONDS_TO_APPEAR:
                    self.log.info("there is no run to be terminated")
                    return
            except DagsterAway as error:
                if left < 1:
                    self.log.error("the run may go on: %s", error)  # noqa: TRY400 - it says all
                    return
            except DagsterError as error:
                self.log.error("the run may go on: %s", error)  # noqa: TRY400 - it says all
                return
            await asyncio.sleep(0.5)  # before it is asked again

    async def _ended(self, dagster: Dagster, seconds: float) -> bool:
        """Terminates what goes on of this life and those before; whether there was anything."""
        # A task that was cleared may have launched its next run already.
        going = [run for run in await dagster.runs(self.key) if not run.finished and run.cleared <= self.cleared]
        for run in going:
            self.log.info("run %s has ended: %s", run.run_id, await dagster.terminate(run.run_id, seconds))
        return bool(going)

    async def _graphql(self) -> GraphQL:
        return GraphQL(Address.of(*await async_connection(self.conn_id)))

    async def _wait(self) -> Event:
        """Looks until there is something to tell, or Dagster has been away for too long, or refuses."""
        away_since: float | None = None
        while True:
            try:
                async with await self._graphql() as graphql:
                    while True:
                        found = await self._look(Dagster(graphql), graphql.address)
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

    async def _look(self, dagster: Dagster, address: Address) -> Event | None:
        runs = await dagster.runs(self.key)
        if self._run_id and self._run_id not in {run.run_id for run in runs}:
            return {"status": REFUSED, "said": f"run {self._run_id} was deleted in Dagster"}
        for lost in [run for run in runs if run.lost(time.time())]:
            self.log.warning("run %s was made and never submitted; it is deleted", lost.run_id)
            await dagster.delete(lost)
            runs.remove(lost)
            self._run_id = ""
        run = own(runs, self.cleared, self.since) or await self._launched(dagster)
        if run is None:
            return {"status": NO_FILE} if time.time() > (self.file_until or 0) else None
        if run.run_id != self._run_id:
            await self._show(run, address)
        if run.finished:
            return {"status": run.status}
        for other in runs:
            # Of a launch that arrived late: whoever sent it gave up, and launched this run.
            if not other.finished and other.cleared == run.cleared and other.run_id != run.run_id:
                self.log.warning("run %s is a double of %s and is terminated", other.run_id, run.run_id)
                await dagster.terminate(other.run_id, _SECONDS_TO_END)
        if time.time() > run.created + self.seconds:
            status = await dagster.terminate(run.run_id, _SECONDS_TO_END)
            # It may have ended by itself meanwhile; then that is the truth.
            return {"status": OVERDUE if status == "CANCELED" else status}
        return None

    async def _launched(self, dagster: Dagster) -> Run | None:
        """A new run; ``None`` as long as its file is waited for."""
        job = await dagster.job(self.location, self.job)
        if self.file_until is not None:
            self._files = await dagster.files(job, self._files)
            if self.batch not in self._files.batches:
                return None
        await dagster.register(job, self.batch)
        self._launching = True
        tags = {**self.tags, **self.key, CLEARED: str(self.cleared)}
        run = await dagster.launch(job, self.batch, tags, self.run_config)
        self._launching = False
        self.log.info("launched %s for %s: run %s", self.job, self.batch, run.run_id)
        return run

    async def _show(self, run: Run, address: Address) -> None:
        """Puts the run where people see it while it goes on."""
        self._run_id = run.run_id
        ti = self.task_instance
        if ti is None:
            return
        for key, value in (("run_id", run.run_id), (RUN_URL, address.run(run.run_id))):
            await write_xcom(ti, key, value)
