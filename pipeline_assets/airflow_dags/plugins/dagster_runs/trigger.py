"""Launches a run and waits for it in the triggerer, which holds no worker.

The trigger launches, not the operator, because Airflow tells only a trigger that a user has ended the waiting task. If
the operator launched and the user ended the task before the triggerer took over, the run would go on.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Coroutine
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

# Statuses of an event beside those in which a Dagster run ends.
AWAY, REFUSED, OVERDUE, NO_FILE = "away", "refused", "overdue", "no file"

# Airflow 3 gives on_kill 30 seconds ([triggerer] on_kill_timeout), and does not report what it cut off.
_SECONDS_TO_KILL = 25
_SECONDS_TO_END = 120
# A launch that was under way when the task was ended appears within this time, or never.
_SECONDS_TO_APPEAR = 5

Event = dict[str, Any]

# An event loop keeps only weak references to its tasks; these must not be collected half-way.
_WORK: set[asyncio.Task[None]] = set()


class DagsterRunTrigger(BaseTrigger):
    """Finds or launches the run of a task instance, and waits until it has ended.

    The event is ``{"status": ..., "run_id": ..., "said": ...}``; the status is Dagster's, or one of this module's.

    Args:
        conn_id: id of the Airflow connection.
        location: name of the code location.
        job: name of the job.
        batch: name of the batch.
        run_config: configuration of the run, if it is launched.
        tags: tags of the run, if it is launched, beside ``key``.
        key: the tags that identify the task instance's runs.
        cleared: number of the task instance's present life; see :func:`~dagster_runs.run.own`.
        since: first life whose success was not taken; see there.
        file_until: time until which to wait for the batch's input file, in seconds since 1970; ``None`` if the file
            must exist.
        seconds: how long a run may take from its launch. The deadline is here because ``execution_timeout`` does not
            cover a deferral, and a trigger's own timeout calls none of our code.
        poll_seconds: pause between two queries.
        patience_seconds: how long Dagster may not answer before the task goes back to Airflow for a retry.
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
        """The class and arguments that the triggerer makes the trigger of."""
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
        """Yields one event, when the run has ended or cannot be waited for."""
        try:
            event = await self._wait()
        except asyncio.CancelledError:
            await _undisturbed(self._cancelled())
            raise
        yield TriggerEvent({"run_id": self._run_id, "said": "", **event})  # type: ignore[no-untyped-call] # Airflow's

    async def on_kill(self) -> None:
        """Terminates the run, because somebody has marked or cleared the task.

        What it logs after the first seconds is in the triggerer's own log.
        """
        await _undisturbed(self._killed())

    async def _cancelled(self) -> None:
        """Airflow 2 does not call :meth:`on_kill`; it cancels, also when only the triggerer stops."""
        if not await still_waits(self.task_instance, self.trigger_id):
            await self._killed()

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
                    self.log.error("the run may go on: %s", error)  # noqa: TRY400 - the message is complete
                    return
            except DagsterError as error:
                self.log.error("the run may go on: %s", error)  # noqa: TRY400 - the message is complete
                return
            await asyncio.sleep(0.5)  # before the next try

    async def _ended(self, dagster: Dagster, seconds: float) -> bool:
        """Terminates the runs of this life and of earlier ones; returns whether there were any."""
        # A cleared task may have launched its next run already.
        going = [run for run in await dagster.runs(self.key) if not run.finished and run.cleared <= self.cleared]
        for run in going:
            self.log.info("run %s has ended: %s", run.run_id, await dagster.terminate(run.run_id, seconds))
        return bool(going)

    async def _graphql(self) -> GraphQL:
        return GraphQL(Address.of(*await async_connection(self.conn_id)))

    async def _wait(self) -> Event:
        """Looks until there is an event: the run has ended, or Dagster refuses or has not answered for too long."""
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
            self.log.warning("run %s was created and never submitted; it is deleted", lost.run_id)
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
            # A launch arrived late: its sender had given up and launched this run.
            if not other.finished and other.cleared == run.cleared and other.run_id != run.run_id:
                self.log.warning("run %s is a duplicate of %s and is terminated", other.run_id, run.run_id)
                await dagster.terminate(other.run_id, _SECONDS_TO_END)
        if time.time() > run.created + self.seconds:
            status = await dagster.terminate(run.run_id, _SECONDS_TO_END)
            # If it ended by itself meanwhile, that outcome counts.
            return {"status": OVERDUE if status == "CANCELED" else status}
        return None

    async def _launched(self, dagster: Dagster) -> Run | None:
        """Launches a run; ``None`` while its file does not exist."""
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
        """Writes the run's XComs, so that people can follow it while it goes on."""
        self._run_id = run.run_id
        ti = self.task_instance
        if ti is None:
            return
        for key, value in (("run_id", run.run_id), (RUN_URL, address.run(run.run_id))):
            await write_xcom(ti, key, value)


async def _undisturbed(work: Coroutine[Any, Any, None]) -> None:
    """Does all of the work, although the triggerer cancels a trigger every second until it has ended."""
    task = asyncio.create_task(work)
    _WORK.add(task)
    task.add_done_callback(_WORK.discard)
    while not task.done():
        with suppress(asyncio.CancelledError):
            await asyncio.shield(task)
