"""The context in which Airflow executes a task, as much of it as the operator uses."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast
from uuid import uuid4

from dagster_runs.compat import AIRFLOW_2

if TYPE_CHECKING:
    from airflow.sdk import Context


@dataclass
class TaskInstance:
    """What the operator uses of Airflow's."""

    dag_id: str = "dag"
    run_id: str = "manual"
    task_id: str = "task"
    map_index: int = -1
    max_tries: int = 0
    pushed: dict[str, Any] = field(default_factory=dict)

    def xcom_push(self, key: str, value: Any) -> None:
        self.pushed[key] = value


@dataclass
class DagRun:
    clear_number: int = 0


@dataclass
class Task:
    retries: int = 0


class StateStore(dict[str, Any]):
    """Airflow 3's state store of a task instance."""

    def set(self, key: str, value: Any, **_: Any) -> None:
        self[key] = value

    def delete(self, key: str) -> None:
        self.pop(key, None)


def context(cleared: int = 0, waiting_since: int | None = None) -> "Context":
    """Of a task that was cleared so often, and has waited since that life, or whose last success was taken."""
    store = StateStore() if waiting_since is None else StateStore(waiting_since=waiting_since)
    ti = TaskInstance(run_id=f"manual-{uuid4()}" if AIRFLOW_2 else "manual", max_tries=cleared)
    taken = cleared if waiting_since is None else waiting_since
    if AIRFLOW_2 and taken:
        stored(ti, succeeded=taken)
    return cast("Context", {"ti": ti, "dag_run": DagRun(cleared), "task": Task(), "task_state_store": store})


def stored(ti: TaskInstance, *, succeeded: int | None = None, waits: bool = False) -> int:
    """Writes a task instance into Airflow 2's database; returns the id of a trigger that is there.

    Args:
        ti: the task instance.
        succeeded: number of an earlier try that succeeded.
        waits: whether it waits for that trigger, else it has failed.
    """
    from airflow.models import DagRun as StoredRun
    from airflow.models import TaskInstance as Stored
    from airflow.models import Trigger
    from airflow.models.taskinstancehistory import TaskInstanceHistory
    from airflow.utils.session import create_session

    of = {"dag_id": ti.dag_id, "run_id": ti.run_id}
    task = {**of, "task_id": ti.task_id, "map_index": ti.map_index, "pool": "default_pool", "pool_slots": 1}
    now = datetime.now(UTC)
    with create_session() as session:
        session.execute(StoredRun.__table__.insert().values(**of, execution_date=now, run_type="manual"))
        trigger = Trigger("dagster_runs.trigger.DagsterRunTrigger", {}, now)
        session.add(trigger)
        session.flush()
        state = {"state": "deferred", "trigger_id": trigger.id} if waits else {"state": "failed"}
        session.execute(Stored.__table__.insert().values(**task, **state))
        if succeeded is not None:
            tried = {"try_number": succeeded, "state": "success"}
            session.execute(TaskInstanceHistory.__table__.insert().values(**task, **tried))
        return int(trigger.id)
