"""One run of a Dagster job as one Airflow task: found again or launched, waited for, and told truthfully."""

import asyncio
import json
import threading
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, TypeVar

from airflow.sdk import BaseOperator, Connection
from airflow.sdk.exceptions import AirflowException, AirflowFailException
from airflow.sdk.execution_time.context import NEVER_EXPIRE

from dagster_runs.address import Address
from dagster_runs.client import Dagster, Outcome
from dagster_runs.errors import DagsterAway, DagsterError
from dagster_runs.graphql import GraphQL
from dagster_runs.link import RUN_URL, DagsterRunLink
from dagster_runs.run import CLEARED, Run, own
from dagster_runs.trigger import AWAY, OVERDUE, REFUSED, BatchFileTrigger, DagsterRunTrigger

if TYPE_CHECKING:
    from airflow.sdk import Context

T = TypeVar("T")

# In Airflow's memory of the task instance, which lives across retries and clearing: the run whose success has not
# been taken yet. XComs would not do, each try starts without them.
_WAITED_FOR = "waited_for"
# Airflow kills for good five seconds after it has asked.
_SECONDS_TO_KILL = 3


class DagsterJobOperator(BaseOperator):
    """Runs a job of the pipeline for one batch, exactly once a task instance, however often Airflow tries.

    Its run is found by the tags ``airflow/dag_id``, ``airflow/dag_run_id``, ``airflow/task_id`` and
    ``airflow/map_index`` before one is launched. A failed run fails the task at once; only an absent Dagster is
    tried again. Returns ``{"run_id", "run_url", "rows", "model_version"}``; ``run_id`` and ``run_url`` are XComs of
    their own from the launch on.

    Args:
        job: ``<task>_train`` or ``<task>_predict``.
        batch: the batch; a template.
        location: Dagster's code location.
        conn_id: of the Airflow connection; see :meth:`~dagster_runs.address.Address.of`.
        run_config: of the Dagster run: a mapping, or JSON; a template.
        tags: further tags of the run: a mapping, or JSON; a template.
        wait_for_file: whether to wait until the batch's input file is there.
        deadline: how long the file may take to arrive, and again the run to end; then it is terminated.
        poll_seconds: between two questions to Dagster.
        patience: how long Dagster may be away while the run is waited for, before Airflow retries.
        more: of every operator.
    """

    template_fields: Sequence[str] = ("batch", "run_config", "tags")
    operator_extra_links = (DagsterRunLink(),)
    ui_color: ClassVar[str] = "#dedbff"

    def __init__(
        self,
        *,
        job: str,
        batch: str,
        location: str = "pipeline_assets",
        conn_id: str = "dagster_default",
        run_config: Mapping[str, Any] | str | None = None,
        tags: Mapping[str, str] | str | None = None,
        wait_for_file: bool = False,
        deadline: timedelta = timedelta(hours=24),
        poll_seconds: float = 10,
        patience: timedelta = timedelta(minutes=5),
        **more: Any,
    ) -> None:
        super().__init__(**more)
        self.job = job
        self.batch = batch
        self.location = location
        self.conn_id = conn_id
        self.run_config = run_config or {}
        self.tags = tags or {}
        self.wait_for_file = wait_for_file
        self.deadline = deadline
        self.poll_seconds = poll_seconds
        self.patience = patience
        self.run_id = ""
        self.run_url = ""
        self._dagster: Address | None = None
        self._killed = False

    def execute(self, context: "Context") -> dict[str, Any]:
        """Finds the task instance's run; else waits for the file, if it is to; else launches one."""
        run = self._found(context)
        if run is None and self.wait_for_file:
            self.log.info("waiting for the input file of %s", self.batch)
            self.defer(
                trigger=BatchFileTrigger(
                    location=self.location,
                    job=self.job,
                    batch=self.batch,
                    **self._patience(time.time()),
                ),
                method_name="file_arrived",
            )
        return self._go_on(context, run or self._launched(context))

    def file_arrived(self, context: "Context", event: dict[str, Any]) -> dict[str, Any]:
        """Called by Airflow when the file is there."""
        self._told_by(event, f"there is no input file of {self.batch} within {self.deadline}")
        # A try that was killed may have come so far already.
        return self._go_on(context, self._found(context) or self._launched(context))

    def run_ended(self, context: "Context", event: dict[str, Any]) -> dict[str, Any]:
        """Called by Airflow when the run has ended."""
        self._show(context, event["run_id"])
        self._told_by(event, f"the run took longer than {self.deadline} and was terminated")
        # Looked up again: it may be of a life that was cleared, and then it is not this one's.
        return self._go_on(context, self._found(context) or self._launched(context))

    def on_kill(self) -> None:
        """Terminates the run, if the task is killed before it waits; while it waits, the trigger does."""
        self._killed = True
        if self.run_id:
            self._terminate()
        else:
            self.log.info("killed while nothing is launched yet")

    def _go_on(self, context: "Context", run: Run) -> dict[str, Any]:
        """Waits for the run, or takes its outcome if it has ended."""
        self._show(context, run.run_id)
        if not run.finished:
            context["task_state_store"].set(_WAITED_FOR, run.run_id, retention=NEVER_EXPIRE)
            self.defer(
                trigger=DagsterRunTrigger(run_id=run.run_id, tags=_key(context), **self._patience(run.created)),
                method_name="run_ended",
            )
        if run.status == "SUCCESS":
            outcome: Outcome = self._with_dagster(lambda dagster: dagster.outcome(run.run_id))
            context["task_state_store"].delete(_WAITED_FOR)
            return {
                "run_id": run.run_id,
                "run_url": self.run_url,
                "rows": dict(outcome.rows),
                "model_version": outcome.model_version,
            }
        if run.status == "CANCELED":
            self._fail("the run was canceled in Dagster")
        self._fail(self._with_dagster(lambda dagster: dagster.failure(run.run_id)))

    def _found(self, context: "Context") -> Run | None:
        """The task instance's own run, launched by this try or another."""
        key, waited_for = _key(context), context["task_state_store"].get(_WAITED_FOR)

        async def find(dagster: Dagster) -> Run | None:
            runs = await dagster.runs(key)
            for lost in [run for run in runs if run.lost(time.time())]:
                self.log.warning("run %s was made and never submitted; it is deleted", lost.run_id)
                await dagster.delete(lost)
                runs.remove(lost)
            return own(runs, _cleared(context), str(waited_for))

        run = self._with_dagster(find)
        if run is not None:
            self.log.info("this task's run is %s, %s", run.run_id, run.status)
        return run

    def _launched(self, context: "Context") -> Run:
        with self._told():
            run_config = _mapping("run_config", self.run_config)
            tags = {**_mapping("tags", self.tags), **_key(context), CLEARED: str(_cleared(context))}

        async def launch(dagster: Dagster) -> Run:
            job = await dagster.job(self.location, self.job)
            await dagster.register(job, self.batch)
            return await dagster.launch(job, self.batch, tags, run_config)

        run = self._with_dagster(launch)
        self.run_id = run.run_id
        if self._killed:  # while the launch was under way
            self._terminate()
            raise AirflowFailException(f"killed; run {run.run_id} is terminated")
        self.log.info("launched %s for %s: run %s", self.job, self.batch, run.run_id)
        return run

    def _show(self, context: "Context", run_id: str) -> None:
        """Puts the run where people see it."""
        self.run_id = run_id
        self.run_url = self._address().run(run_id)
        context["ti"].xcom_push(key="run_id", value=run_id)
        context["ti"].xcom_push(key=RUN_URL, value=self.run_url)

    def _patience(self, since: float) -> dict[str, Any]:
        return {
            "conn_id": self.conn_id,
            "poll_seconds": self.poll_seconds,
            "patience_seconds": self.patience.total_seconds(),
            "deadline": since + self.deadline.total_seconds(),
        }

    def _told_by(self, event: Mapping[str, Any], overdue: str) -> None:
        """Raises what a trigger's event means, if it means that the waiting is over and nothing came of it."""
        if event["status"] == AWAY:
            raise AirflowException(event["said"])
        if event["status"] == REFUSED:
            self._fail(event["said"])
        if event["status"] == OVERDUE:
            self._fail(overdue)

    def _fail(self, why: str) -> NoReturn:
        """Fails for good: what Dagster has judged is not retried."""
        where = f"\nDagster run: {self.run_url}" if self.run_url else ""
        raise AirflowFailException(f"{self.job}, batch {self.batch}: {why}{where}")

    def _with_dagster(self, ask: Callable[[Dagster], Coroutine[Any, Any, T]]) -> T:
        """Asks in an event loop of its own; errors become Airflow's, retried or not."""
        with self._told():
            address = self._address()

            async def asked() -> T:
                async with GraphQL(address) as graphql:
                    return await ask(Dagster(graphql))

            return asyncio.run(asked())

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except DagsterAway as error:
            raise AirflowException(str(error)) from error
        except DagsterError as error:
            self._fail(str(error))

    def _address(self) -> Address:
        """Read once: in the moment of a kill Airflow cannot be asked for it."""
        if self._dagster is None:
            connection = Connection.get(self.conn_id)
            self._dagster = Address.of(connection, connection.extra_dejson)
        return self._dagster

    def _terminate(self) -> None:
        """In a thread: the signal may have come while this one's event loop runs."""
        address, run_id = self._address(), self.run_id

        async def ended() -> None:
            async with GraphQL(address) as graphql:
                status = await Dagster(graphql).terminate(run_id, _SECONDS_TO_KILL)
                self.log.info("run %s has ended: %s", run_id, status)

        def end() -> None:
            try:
                asyncio.run(ended())
            except DagsterError as error:
                self.log.error("run %s may go on: %s", run_id, error)  # noqa: TRY400 - it says all

        thread = threading.Thread(target=end)
        thread.start()
        thread.join()


def _key(context: "Context") -> dict[str, str]:
    """Tags of every run that a task instance ever launched."""
    ti = context["ti"]
    return {
        "airflow/dag_id": ti.dag_id,
        "airflow/dag_run_id": ti.run_id,
        "airflow/task_id": ti.task_id,
        "airflow/map_index": str(-1 if ti.map_index is None else ti.map_index),
    }


def _cleared(context: "Context") -> int:
    """How often the DAG run has been cleared: it tells a task done again on purpose from a retry."""
    return context["dag_run"].clear_number or 0


def _mapping(name: str, given: Mapping[str, Any] | str) -> Mapping[str, Any]:
    if not isinstance(given, str):
        return given
    try:
        found = json.loads(given)
    except ValueError as error:
        raise DagsterError(f"{name} is no JSON: {error}") from error
    if not isinstance(found, dict):
        raise DagsterError(f"{name} is {given}; expected: a mapping")
    return found
