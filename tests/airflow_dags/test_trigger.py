"""The trigger against recorded answers; its life in a real triggerer is in the end-to-end tests."""

import asyncio
import time
from typing import Any

import pytest
from dagster_runs.compat import AIRFLOW_2
from dagster_runs.trigger import AWAY, NO_FILE, REFUSED, DagsterRunTrigger

from tests.airflow_dags.answering import Server
from tests.airflow_dags.contexts import TaskInstance, stored
from tests.waiting import eventually

RUN = "281141c1-2feb-4a06-947a-6ed5c24c2542"


def trigger(**more: Any) -> DagsterRunTrigger:
    return DagsterRunTrigger(
        **{
            "conn_id": "dagster_default", "location": "pipeline_assets", "job": "flight_delays_predict",
            "batch": "2013-10", "run_config": {}, "tags": {}, "key": {"airflow/dag_id": "dag"}, "cleared": 0,
            "since": 0, "file_until": None, "seconds": 1e10, "poll_seconds": 0.01, "patience_seconds": 0.2, **more,
        }
    )  # fmt: skip


def run(status: str, name: str = RUN, created: float = 1.0, cleared: int = 0) -> dict[str, Any]:
    tags = [{"key": "airflow/cleared", "value": str(cleared)}]
    return {"runId": name, "status": status, "creationTime": created, "tags": tags}


def runs(*found: dict[str, Any]) -> dict[str, Any]:
    return {"runsOrError": {"__typename": "Runs", "results": list(found)}}


def status(name: str) -> dict[str, Any]:
    return {"runOrError": {"__typename": "Run", "status": name}}


def event(waiting: DagsterRunTrigger) -> Any:
    async def first() -> Any:
        return [found async for found in waiting.run()]

    (found,) = asyncio.run(first())
    return found.payload


def asked(server: Server, word: str) -> int:
    return sum(word in body["query"] for _, _, body in server.asked)


def test_a_run_is_launched_and_waited_for(server: Server) -> None:
    launched = {"launchRun": {"__typename": "LaunchRunSuccess", "run": run("QUEUED")}}
    server.says(runs(), "workspace", "partitions", launched, runs(run("STARTED")), runs(run("SUCCESS")))
    assert event(trigger()) == {"status": "SUCCESS", "run_id": RUN, "said": ""}
    assert asked(server, "launchRun") == 1


def test_its_own_run_is_found_again(server: Server) -> None:
    server.says(runs(run("STARTED")), runs(run("FAILURE")))
    assert event(trigger())["status"] == "FAILURE"
    assert asked(server, "launchRun") == 0


def test_a_run_that_was_terminated_by_clearing_is_followed_by_another(server: Server) -> None:
    old, new = run("CANCELED"), run("QUEUED", "b", 2.0, cleared=1)
    launched = {"launchRun": {"__typename": "LaunchRunSuccess", "run": new}}
    server.says(
        runs(run("STARTED")), runs(old), "workspace", "partitions", launched, runs(run("SUCCESS", "b", 2.0, 1), old)
    )
    assert event(trigger(cleared=1)) == {"status": "SUCCESS", "run_id": "b", "said": ""}


def test_a_run_that_was_never_submitted_is_deleted_and_launched_anew(server: Server) -> None:
    deleted = {"deleteRun": {"__typename": "DeletePipelineRunSuccess"}}
    launched = {"launchRun": {"__typename": "LaunchRunSuccess", "run": run("QUEUED", "b", time.time())}}
    server.says(
        runs(run("NOT_STARTED")), deleted, "workspace", "partitions", launched, runs(run("SUCCESS", "b", time.time()))
    )
    assert event(trigger()) == {"status": "SUCCESS", "run_id": "b", "said": ""}


def test_dagster_may_be_away_for_a_while_and_not_for_ever(server: Server) -> None:
    server.says("bad gateway", status=502)
    server.says(runs(run("SUCCESS")))
    assert event(trigger())["status"] == "SUCCESS"
    server.answer(runs(run("STARTED")))
    server.says("bad gateway", status=502)
    found = event(trigger())
    assert found["status"] == AWAY
    assert "HTTP 502: bad gateway" in found["said"]


@pytest.mark.parametrize(
    "text", ["<html>", '{"data": {"runsOrError": {"__typename": "InvalidPipelineRunsFilterError"}}}']
)
def test_what_is_no_answer_ends_the_wait(server: Server, text: str) -> None:
    server.says(text)
    assert event(trigger())["status"] == REFUSED


def test_a_run_that_was_deleted_is_not_launched_again(server: Server) -> None:
    server.says(runs(run("STARTED")), runs())
    assert event(trigger()) == {
        "status": REFUSED, "run_id": RUN, "said": f"run {RUN} was deleted in Dagster",
    }  # fmt: skip


def test_a_deadline_ends_the_run_unless_it_has_ended_itself(server: Server) -> None:
    server.says(runs(run("STARTED")), status("STARTED"), "terminated", status("CANCELED"))
    assert event(trigger(seconds=10))["status"] == "overdue"
    server.answer(runs(run("STARTED")))
    server.says(status("SUCCESS"))
    assert event(trigger(seconds=10))["status"] == "SUCCESS"


def test_a_file_is_waited_for_until_it_is_there_or_too_late(server: Server) -> None:
    launched = {"launchRun": {"__typename": "LaunchRunSuccess", "run": run("QUEUED")}}
    server.says(runs(), "workspace", "no_more_files", runs(), "workspace", "files", "no_more_files")
    server.says("partitions", launched, runs(run("SUCCESS")))
    assert event(trigger(file_until=time.time() + 60))["status"] == "SUCCESS"
    server.answer(runs())
    server.says("workspace", "no_more_files")
    assert event(trigger(file_until=1.0))["status"] == NO_FILE


def kill(waiting: DagsterRunTrigger, cancels: int = 0) -> None:
    async def killed() -> None:
        asking = asyncio.create_task(waiting.on_kill())
        for _ in range(cancels):  # as the triggerer does, every second
            await asyncio.sleep(0.1)
            asking.cancel()
        await asking

    asyncio.run(killed())


def test_killed_it_ends_its_run_however_often_the_triggerer_cancels_that(server: Server) -> None:
    server.says(
        runs(run("STARTING")), status("STARTING"), "not_terminated", status("STARTED"), "terminated", status("CANCELED")
    )
    kill(trigger(), cancels=3)
    assert asked(server, "terminateRun") == 2


def test_killed_it_leaves_the_next_lifes_run_alone(server: Server) -> None:
    server.says(runs(run("STARTED", cleared=1)))
    kill(trigger(cleared=0))
    assert asked(server, "terminateRun") == 0


def test_killed_while_dagster_is_away_it_asks_again(server: Server) -> None:
    server.says("bad gateway", status=502)
    server.says(runs(run("STARTED")), status("CANCELED"))
    kill(trigger())
    assert len(server.asked) == 3


@pytest.mark.skipif(not AIRFLOW_2, reason="Airflow 3 calls on_kill instead")
@pytest.mark.parametrize("waits", [True, False])
def test_cancelled_it_ends_its_run_unless_its_task_still_waits(server: Server, waits: bool) -> None:
    """Airflow 2 cancels a trigger if its task was ended, and also if only the triggerer stops."""
    server.says(runs(run("STARTED")))
    waiting = trigger(poll_seconds=60)
    waiting.task_instance = ti = TaskInstance(run_id=f"cancelled-{waits}")  # type: ignore[assignment] # what is used of it
    waiting.trigger_id = stored(ti, waits=waits)

    async def first() -> Any:
        return await anext(aiter(waiting.run()))

    async def cancelled() -> None:
        going = asyncio.create_task(first())
        await asyncio.to_thread(eventually, lambda: bool(server.asked), 10)
        server.says(status("STARTED"), "terminated", status("CANCELED"))
        while not going.done():  # as the triggerer does, every second
            going.cancel()
            await asyncio.sleep(0.1)
        with pytest.raises(asyncio.CancelledError):
            await going

    asyncio.run(cancelled())
    assert asked(server, "terminateRun") == (0 if waits else 1)
