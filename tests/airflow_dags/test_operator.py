"""The operator against recorded and malformed answers; what only a real Airflow shows is in the end-to-end tests."""

from typing import Any, cast

import pytest
from dagster_runs.compat import AIRFLOW_2, AirflowException, AirflowFailException, TaskDeferred
from dagster_runs.operator import DagsterJobOperator
from dagster_runs.trigger import AWAY, NO_FILE, OVERDUE, REFUSED, DagsterRunTrigger

from tests.airflow_dags.answering import Server
from tests.airflow_dags.contexts import context

SUCCESS = "281141c1-2feb-4a06-947a-6ed5c24c2542"
NO_RUNS: dict[str, Any] = {"runsOrError": {"__typename": "Runs", "results": []}}


def operator(**more: Any) -> DagsterJobOperator:
    return DagsterJobOperator(task_id="task", job="flight_delays_predict", batch="2013-10", **more)


def ended(status: str, **more: str) -> dict[str, Any]:
    return {"run_id": SUCCESS, "status": status, "said": "", **more}


def run(status: str, cleared: int = 0) -> dict[str, Any]:
    tags = [{"key": "airflow/cleared", "value": str(cleared)}]
    found = {"runId": SUCCESS, "status": status, "creationTime": 1.0, "tags": tags}
    return {"runsOrError": {"__typename": "Runs", "results": [found]}}


def test_a_batch_that_can_be_run_is_handed_to_the_trigger(server: Server) -> None:
    server.says(NO_RUNS, "workspace", "partitions")
    given = context(cleared=3)
    with pytest.raises(TaskDeferred) as deferred:
        operator(run_config='{"ops": {}}', tags={"team": "x"}).execute(given)
    trigger = deferred.value.trigger
    assert isinstance(trigger, DagsterRunTrigger)
    path, arguments = trigger.serialize()
    assert path == "dagster_runs.trigger.DagsterRunTrigger"
    assert arguments["key"] == {
        "airflow/dag_id": "dag",
        "airflow/dag_run_id": given["ti"].run_id,
        "airflow/task_id": "task",
        "airflow/map_index": "-1",
    }
    assert (arguments["cleared"], arguments["since"], arguments["file_until"]) == (3, 3, None)
    assert (arguments["run_config"], arguments["tags"]) == ({"ops": {}}, {"team": "x"})
    assert DagsterRunTrigger(**arguments).serialize() == (path, arguments)
    if not AIRFLOW_2:
        assert given["task_state_store"].get("waiting_since") == 3
    assert "launchRun" not in str(server.asked)  # that is the trigger's


def test_a_batch_that_cannot_be_run_is_refused_before(server: Server) -> None:
    server.says(NO_RUNS, "workspace", "partitions", "files", "no_more_files")
    refused = operator()
    refused.batch = "2014-01"
    with pytest.raises(AirflowFailException, match="has no batch 2014-01"):
        refused.execute(context())


def test_a_run_that_succeeded_unseen_is_taken(server: Server) -> None:
    server.says(run("SUCCESS"), "outcome")
    told = operator().execute(context())
    assert told["run_id"] == SUCCESS
    assert told["run_url"] == f"{server.url}/runs/{SUCCESS}"
    assert told["rows"]["predictions"] == 408
    assert told["model_version"] == 1


def test_a_success_that_was_taken_and_cleared_is_done_again(server: Server) -> None:
    server.says(run("SUCCESS"), "workspace", "partitions")
    with pytest.raises(TaskDeferred):
        operator().execute(context(cleared=1))
    server.answer(run("SUCCESS"))
    server.says("outcome")
    assert operator().execute(context(cleared=1, waiting_since=0))["run_id"] == SUCCESS


def test_success_forgets_that_it_was_waited_for(server: Server) -> None:
    server.says("outcome")
    given = context(waiting_since=0)
    task = operator()
    assert task.run_ended(given, ended("SUCCESS"))["model_version"] == 1
    url = f"{server.url}/runs/{SUCCESS}"
    assert given["ti"].pushed == {"run_id": SUCCESS, "run_url": url}  # type: ignore[attr-defined] # it is ours
    if not AIRFLOW_2:
        assert given["task_state_store"].get("waiting_since") is None
        assert [link.get_link(task, ti_key=cast("Any", None)) for link in task.operator_extra_links] == [url]


def test_a_failure_carries_step_error_and_url(server: Server) -> None:
    server.says("failure")
    with pytest.raises(AirflowFailException) as failed:
        operator().run_ended(context(), ended("FAILURE"))
    said = str(failed.value)
    assert "step flight_delays__predictions: no model version of flight_delays can predict" in said
    assert said.endswith(f"Dagster run: {server.url}/runs/{SUCCESS}")


@pytest.mark.parametrize(
    ("event", "said"),
    [
        (ended("CANCELED"), "the run was canceled in Dagster"),
        (ended(OVERDUE), "took longer than 1 day, 0:00:00 and was terminated"),
        (ended(NO_FILE, run_id=""), "there is no input file within 1 day"),
        (ended(REFUSED, said="refuses the token"), "refuses the token"),
    ],
)
def test_what_is_not_tried_again(server: Server, event: dict[str, Any], said: str) -> None:
    with pytest.raises(AirflowFailException, match=said):
        operator().run_ended(context(), event)
    assert server.asked == []


def test_only_an_absent_dagster_is_tried_again(server: Server) -> None:
    with pytest.raises(AirflowException, match="nobody there") as raised:
        operator().run_ended(context(), ended(AWAY, run_id="", said="nobody there"))
    assert not isinstance(raised.value, AirflowFailException)
    server.says("bad gateway", status=502)
    with pytest.raises(AirflowException, match="HTTP 502: bad gateway") as raised:
        operator().execute(context())
    assert not isinstance(raised.value, AirflowFailException)


@pytest.mark.parametrize("text", ["<html>", "", '{"data": null}', '{"data": {"runsOrError": null}}'])
def test_malformed_answers_end_it(server: Server, text: str) -> None:
    server.says(text)
    with pytest.raises(AirflowFailException, match="flight_delays_predict, batch 2013-10: "):
        operator().execute(context())


@pytest.mark.parametrize("given", ["{", "[1]"])
def test_a_run_configuration_that_is_none(server: Server, given: str) -> None:
    server.says(NO_RUNS, "workspace", "partitions")
    with pytest.raises(AirflowFailException, match="run_config is"):
        operator(run_config=given).execute(context())


def test_killed_it_ends_what_an_earlier_try_launched(server: Server) -> None:
    server.says(run("STARTED"), "workspace", "partitions")
    task = operator()
    task.on_kill()  # knows of nothing yet, and asks nobody
    assert server.asked == []
    with pytest.raises(TaskDeferred):
        task.execute(context())
    status = {"runOrError": {"__typename": "Run", "status": "STARTED"}}
    canceled = {"runOrError": {"__typename": "Run", "status": "CANCELED"}}
    server.answer(run("STARTED"))
    server.says(status, "terminated", canceled)
    task.on_kill()
    assert "SAFE_TERMINATE" in str(server.asked)
