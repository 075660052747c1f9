"""What Airflow 2 and Airflow 3 call or do differently, under one set of names."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from airflow import __version__


def supported(version: str) -> bool:
    """Whether this package works in an Airflow of this version.

    >>> [supported(version) for version in ("2.9.3", "2.10.5", "2.11.2", "3.2.0", "3.3.0rc1", "4.0")]
    [False, True, True, False, True, True]
    """
    release = tuple(int(part) for part in version.split(".")[:2])
    return (2, 10) <= release < (3, 0) or release >= (3, 3)


if not supported(__version__):
    raise ImportError(f"dagster_runs works in Airflow 2.10, 2.11, and 3.3 or newer; this is Airflow {__version__}")

AIRFLOW_2 = __version__.startswith("2.")

if AIRFLOW_2:
    from airflow.datasets import Dataset
    from airflow.exceptions import AirflowException, AirflowFailException, TaskDeferred
    from airflow.models import DAG, BaseOperator, Connection, Param, TaskInstance, Variable, XCom
    from airflow.models.baseoperatorlink import BaseOperatorLink
    from airflow.models.taskinstancehistory import TaskInstanceHistory
    from airflow.settings import TIMEZONE
    from airflow.timetables.trigger import CronTriggerTimetable
    from airflow.utils.session import create_session
    from airflow.utils.state import TaskInstanceState

    # Airflow 2 refuses a schedule without a start date.
    START: dict[str, Any] = {"start_date": datetime(2020, 1, 1, tzinfo=UTC)}
else:
    from airflow.sdk import DAG, Asset, BaseOperator, BaseOperatorLink, Connection, Param, Variable
    from airflow.sdk.bases.xcom import BaseXCom
    from airflow.sdk.exceptions import AirflowException, AirflowFailException, TaskDeferred
    from airflow.sdk.execution_time.context import NEVER_EXPIRE

    START: dict[str, Any] = {}

if TYPE_CHECKING:
    from airflow.sdk import Context
    from airflow.sdk.types import TaskInstanceKey
    from dagster_runs.address import Connection as Credentials

__all__ = [
    "AIRFLOW_2",
    "DAG",
    "START",
    "AirflowException",
    "AirflowFailException",
    "BaseOperator",
    "BaseOperatorLink",
    "Connection",
    "Param",
    "TaskDeferred",
    "asset",
    "async_connection",
    "connection",
    "forget_wait",
    "link",
    "lives",
    "remember_wait",
    "schedule",
    "still_waits",
    "variable",
    "write_xcom",
]

# Airflow 3's state store of a task instance, which outlives retries and clearing, holds under this key the first life
# whose success the task has not taken yet. XComs do not serve: each try starts without them.
_SINCE = "waiting_since"
# Of the presets that Airflow knows, these stand for no cron expression.
_NO_CRON = (None, "@once", "@continuous")


def asset(name: str, uri: str) -> Any:
    """What one DAG makes and another one waits for; Airflow 2 calls it a dataset, which has no name."""
    if AIRFLOW_2:
        return Dataset(uri)
    else:
        return Asset(name=name, uri=uri)


def schedule(given: str | None) -> Any:
    """A schedule whose runs carry the time at which they start.

    By default Airflow 2 gives a run of a cron expression the start of the interval that ends then: a daily run would
    be for the day before.
    """
    if AIRFLOW_2:
        if given not in _NO_CRON:
            return CronTriggerTimetable(given, timezone=TIMEZONE)
    return given


def variable(name: str) -> str | None:
    """An Airflow variable; ``None`` if nobody has set it."""
    found: str | None
    if AIRFLOW_2:
        found = Variable.get(name, default_var=None)
    else:
        found = Variable.get(name, default=None)
    return found


def connection(conn_id: str) -> "tuple[Credentials, Mapping[str, Any]]":
    """An Airflow connection and its extra."""
    if AIRFLOW_2:
        found = Connection.get_connection_from_secrets(conn_id)
    else:
        found = Connection.get(conn_id)
    return found, found.extra_dejson


async def async_connection(conn_id: str) -> "tuple[Credentials, Mapping[str, Any]]":
    """The same in an event loop."""
    if AIRFLOW_2:
        return await asyncio.to_thread(connection, conn_id)
    else:
        found = await Connection.async_get(conn_id)
        return found, await found.aextra_dejson()


async def write_xcom(ti: Any, key: str, value: str) -> None:
    """Writes an XCom of a task instance from its trigger."""
    of = {"dag_id": ti.dag_id, "task_id": ti.task_id, "run_id": ti.run_id, "map_index": ti.map_index}
    if AIRFLOW_2:
        await asyncio.to_thread(XCom.set, key=key, value=value, **of)
    else:
        await BaseXCom.aset(key=key, value=value, **of)


def link(operator: "BaseOperator", attribute: str, ti_key: "TaskInstanceKey") -> str:
    """The address behind a button: Airflow 3 asks the worker's operator, Airflow 2 reads the XCom; empty if unknown."""
    if AIRFLOW_2:
        found = XCom.get_value(ti_key=ti_key, key=attribute)
    else:
        found = getattr(operator, attribute, None)
    return str(found or "")


def lives(context: "Context") -> tuple[int, int]:
    """The number of the task instance's present life, and of the first whose success it has not taken yet.

    A life ends when the task is cleared, which tells a task that is to run anew from a retry. Airflow 3 counts how
    often the DAG run was cleared. Airflow 2 counts that only for DAG runs that have ended; but clearing allows as
    many further tries as there are retries, so the number of tries before that is the life's number.
    """
    if AIRFLOW_2:
        ti = context["ti"]
        history = TaskInstanceHistory
        with create_session() as session:
            succeeded = session.query(history.try_number).filter_by(
                dag_id=ti.dag_id, task_id=ti.task_id, run_id=ti.run_id, map_index=ti.map_index,
                state=TaskInstanceState.SUCCESS,
            )  # fmt: skip
            since = max((number for (number,) in succeeded), default=0)
        return max(0, ti.max_tries - context["task"].retries), since
    else:
        cleared = context["dag_run"].clear_number or 0
        kept = context["task_state_store"].get(_SINCE)
        return cleared, kept if isinstance(kept, int) else cleared


def remember_wait(context: "Context", since: int) -> None:
    """Keeps the second number of :func:`lives` for later tries; Airflow 2 has its history of tries instead."""
    if not AIRFLOW_2:
        context["task_state_store"].set(_SINCE, since, retention=NEVER_EXPIRE)


def forget_wait(context: "Context") -> None:
    """Forgets it, because the success was taken."""
    if not AIRFLOW_2:
        context["task_state_store"].delete(_SINCE)


async def still_waits(ti: Any, trigger_id: int | None) -> bool:
    """Whether a cancelled trigger's task still waits for it, because only the triggerer stops.

    Airflow 2 cancels a trigger for that and also when somebody ends the task. Airflow 3 tells a trigger of the latter
    by ``on_kill``, so that there is nothing left to do.
    """
    if AIRFLOW_2:

        def asked() -> bool:
            with create_session() as session:
                found = (
                    session.query(TaskInstance.state, TaskInstance.trigger_id)
                    .filter_by(dag_id=ti.dag_id, task_id=ti.task_id, run_id=ti.run_id, map_index=ti.map_index)
                    .one_or_none()
                )
            return found is not None and tuple(found) == (TaskInstanceState.DEFERRED, trigger_id)

        return await asyncio.to_thread(asked)
    return True
