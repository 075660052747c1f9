"""One run of a Dagster job as one Airflow task: it is found or launched, waited for, and its outcome is reported."""

import asyncio
import json
import threading
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from dagster_runs.address import Address
from dagster_runs.client import Dagster
from dagster_runs.compat import (
    AirflowException,
    AirflowFailException,
    BaseOperator,
    TaskDeferred,
    connection,
    forget_wait,
    lives,
    remember_wait,
)
from dagster_runs.errors import DagsterAway, DagsterError
from dagster_runs.graphql import GraphQL
from dagster_runs.link import RUN_URL, DagsterRunLink
from dagster_runs.run import Run, own
from dagster_runs.trigger import AWAY, NO_FILE, OVERDUE, REFUSED, DagsterRunTrigger

if TYPE_CHECKING:
    from airflow.sdk import Context

T = TypeVar("T")

# Airflow kills a process five seconds after it has asked it to end.
_SECONDS_TO_KILL = 3


class DagsterJobOperator(BaseOperator):
    """Runs a job of the pipeline for one batch, exactly once per task instance, however often Airflow tries.

    Before it launches a run it looks for one with the tags ``airflow/dag_id``, ``airflow/dag_run_id``,
    ``airflow/task_id`` and ``airflow/map_index``. A failed run fails the task at once; Airflow retries only while
    Dagster does not answer. Returns ``{"run_id", "run_url", "rows", "model_version"}``; ``run_id`` and ``run_url`` are
    also XComs of their own from the launch on.

    Args:
        job: ``<task>_train`` or ``<task>_predict``.
        batch: name of the batch; a template.
        location: name of Dagster's code location.
        conn_id: id of the Airflow connection; see :meth:`~dagster_runs.address.Address.of`.
        run_config: configuration of the Dagster run, as a mapping or as JSON; a template.
        tags: further tags of the run, as a mapping or as JSON; a template.
        wait_for_file: whether to wait until the batch's input file exists.
        deadline: how long the file may take to arrive, and after that the run to end; a longer run is terminated.
        poll_seconds: pause between two queries to Dagster.
        patience: how long Dagster may not answer the waiting task before Airflow retries.
        more: arguments of every operator.
    """

    template_fields: Sequence[str] = ("batch", "run_config", "tags")
    operator_extra_links = (DagsterRunLink(),)
    ui_color = "#dedbff"

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
        self.run_url = ""
        self._dagster: Address | None = None
        self._key: dict[str, str] = {}

    def execute(self, context: "Context") -> dict[str, Any]:
        """Looks for the run in Dagster, reports at once what would prevent one, and hands over to the trigger."""
        self._key = _key(context)
        cleared, since = lives(context)
        run = self._with_dagster(lambda dagster: self._found(dagster, cleared, since))
        if run is not None and run.finished:
            return self._taken(context, run.run_id, run.status)
        with self._translate_errors():
            run_config, tags = _mapping("run_config", self.run_config), _mapping("tags", self.tags)
            self.run_url = self._address().runs(self._key)  # until there is a run
        remember_wait(context, since)
        raise TaskDeferred(
            trigger=DagsterRunTrigger(
                conn_id=self.conn_id,
                location=self.location,
                job=self.job,
                batch=self.batch,
                run_config=dict(run_config),
                tags=dict(tags),
                key=self._key,
                cleared=cleared,
                since=since,
                file_until=time.time() + self.deadline.total_seconds() if self.wait_for_file else None,
                seconds=self.deadline.total_seconds(),
                poll_seconds=self.poll_seconds,
                patience_seconds=self.patience.total_seconds(),
            ),
            method_name="run_ended",
        )

    def run_ended(self, context: "Context", event: dict[str, Any]) -> dict[str, Any]:
        """Airflow calls this with the trigger's event."""
        self._key = _key(context)
        return self._taken(context, event["run_id"], event["status"], event["said"])

    def on_kill(self) -> None:
        """Terminates the run of an earlier try, if this try is killed before the trigger waits for that run again."""
        if self._dagster is None:
            return  # nothing has been asked yet
        address = self._dagster

        async def ended() -> None:
            async with GraphQL(address) as graphql:
                dagster = Dagster(graphql)
                for run in await dagster.runs(self._key):
                    if not run.finished:
                        self.log.info("run %s: %s", run.run_id, await dagster.terminate(run.run_id, _SECONDS_TO_KILL))

        def end() -> None:
            try:
                asyncio.run(ended())
            except DagsterError as error:
                self.log.error("a run may go on: %s", error)  # noqa: TRY400 - the message is complete

        # In a thread of its own: the signal may have come while the event loop of this one runs.
        thread = threading.Thread(target=end)
        thread.start()
        thread.join()

    async def _found(self, dagster: Dagster, cleared: int, since: int) -> Run | None:
        """Finds the task instance's run; if there is none, checks that one can be launched."""
        runs = [run for run in await dagster.runs(self._key) if not run.lost(time.time())]
        run = own(runs, cleared, since)
        if run is not None:
            self.log.info("this task's run is %s, %s", run.run_id, run.status)
            return run
        job = await dagster.job(self.location, self.job)
        if not self.wait_for_file:
            await dagster.register(job, self.batch)
        return None

    def _taken(self, context: "Context", run_id: str, status: str, said: str = "") -> dict[str, Any]:
        """Turns how the run ended into the task's result or error."""
        if run_id:
            self.run_url = self._address().run(run_id)
            for key, value in (("run_id", run_id), (RUN_URL, self.run_url)):
                context["ti"].xcom_push(key=key, value=value)
        if status == "SUCCESS":
            outcome = self._with_dagster(lambda dagster: dagster.outcome(run_id))
            forget_wait(context)
            return {
                "run_id": run_id,
                "run_url": self.run_url,
                "rows": dict(outcome.rows),
                "model_version": outcome.model_version,
            }
        if status == AWAY:
            raise AirflowException(said)
        if status == "FAILURE":
            said = self._with_dagster(lambda dagster: dagster.failure(run_id))
        raise self._failed(
            {
                "FAILURE": said,
                "CANCELED": "the run was canceled in Dagster",
                OVERDUE: f"the run took longer than {self.deadline} and was terminated",
                NO_FILE: f"there is no input file within {self.deadline}",
                REFUSED: said,
            }[status]
        )

    def _failed(self, why: str) -> AirflowFailException:
        """An error that Airflow does not retry."""
        where = f"\nDagster run: {self.run_url}" if self.run_url else ""
        return AirflowFailException(f"{self.job}, batch {self.batch}: {why}{where}")

    def _with_dagster(self, ask: Callable[[Dagster], Coroutine[Any, Any, T]]) -> T:
        """Asks Dagster in a new event loop; its errors become Airflow's, which are retried or not."""
        with self._translate_errors():
            address = self._address()

            async def asked() -> T:
                async with GraphQL(address) as graphql:
                    return await ask(Dagster(graphql))

            return asyncio.run(asked())

    @contextmanager
    def _translate_errors(self) -> Iterator[None]:
        try:
            yield
        except DagsterAway as error:
            raise AirflowException(str(error)) from error
        except DagsterError as error:
            raise self._failed(str(error)) from error

    def _address(self) -> Address:
        """Reads the connection once: while a task is being killed, Airflow does not give it out."""
        if self._dagster is None:
            self._dagster = Address.of(*connection(self.conn_id))
        return self._dagster


def _key(context: "Context") -> dict[str, str]:
    """The tags of every run that a task instance launches."""
    ti = context["ti"]
    return {
        "airflow/dag_id": ti.dag_id,
        "airflow/dag_run_id": ti.run_id,
        "airflow/task_id": ti.task_id,
        "airflow/map_index": str(-1 if ti.map_index is None else ti.map_index),
    }


def _mapping(name: str, given: Mapping[str, Any] | str) -> Mapping[str, Any]:
    if not isinstance(given, str):
        return given
    try:
        found = json.loads(given)
    except ValueError as error:
        raise DagsterError(f"{name} is not JSON: {error}") from error
    if not isinstance(found, dict):
        raise DagsterError(f"{name} is {given}; expected: a mapping")
    return found
