import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import pytest
from dagster_runs.address import Address
from dagster_runs.client import Dagster, Job
from dagster_runs.errors import DagsterAway, DagsterError
from dagster_runs.graphql import GraphQL

from tests.airflow_dags.answering import Server, recorded

JOB = Job("pipeline_assets", "flight_delays_predict", "__repository__")
RUN = "281141c1-2feb-4a06-947a-6ed5c24c2542"


T = TypeVar("T")


def ask(server: Server, question: Callable[[Dagster], Coroutine[Any, Any, T]]) -> T:
    async def asked() -> T:
        async with GraphQL(Address(server.url)) as graphql:
            return await question(Dagster(graphql))

    return asyncio.run(asked())


def variables(server: Server) -> list[dict[str, Any]]:
    return [body["variables"] for _, _, body in server.asked]


def test_a_job_is_found_or_the_others_are_listed(server: Server) -> None:
    server.says("workspace")
    assert ask(server, lambda dagster: dagster.job("pipeline_assets", "flight_delays_predict")) == JOB
    with pytest.raises(DagsterError, match=r"no job flight_delays; there is: flight_delays_predict, flight_delays_tr"):
        ask(server, lambda dagster: dagster.job("pipeline_assets", "flight_delays"))
    with pytest.raises(DagsterError, match="no code location elsewhere; there is: pipeline_assets"):
        ask(server, lambda dagster: dagster.job("elsewhere", "flight_delays"))


def test_a_location_that_is_loading_or_broken_may_come_back(server: Server) -> None:
    entry: dict[str, Any] = {"name": "pipeline_assets", "locationOrLoadError": None}
    workspace = {"workspaceOrError": {"__typename": "Workspace", "locationEntries": [entry]}}
    server.says(workspace)
    with pytest.raises(DagsterAway, match="still loading the code location pipeline_assets"):
        ask(server, lambda dagster: dagster.job("pipeline_assets", "x"))
    entry["locationOrLoadError"] = {"__typename": "PythonError", "message": "SyntaxError: oops"}
    server.answer(workspace)
    with pytest.raises(DagsterAway, match="SyntaxError: oops"):
        ask(server, lambda dagster: dagster.job("pipeline_assets", "x"))


def test_input_files_are_listed_page_by_page_and_only_once(server: Server) -> None:
    server.says("files", "no_more_files")
    files = ask(server, lambda dagster: dagster.files(JOB))
    assert files.batches == {"2013-10", "2013-11", "2013-12"}
    first, second = variables(server)
    assert first["cursor"] is None
    assert second["cursor"] == recorded("files")["data"]["sensorDryRun"]["evaluationResult"]["cursor"]
    again = ask(server, lambda dagster: dagster.files(JOB, files))
    assert again.batches == files.batches
    assert variables(server)[-1]["cursor"] == files.cursor


def test_a_sensor_that_fails_says_why(server: Server) -> None:
    tick = {"cursor": None, "error": {"message": "S3 says no"}, "dynamicPartitionsRequests": None}
    server.says({"sensorDryRun": {"__typename": "DryRunInstigationTick", "evaluationResult": tick}})
    with pytest.raises(DagsterError, match="flight_delays_predict_files fails: S3 says no"):
        ask(server, lambda dagster: dagster.files(JOB))


def test_a_known_batch_needs_no_file(server: Server) -> None:
    server.says("partitions")
    ask(server, lambda dagster: dagster.register(JOB, "2013-10"))
    assert len(server.asked) == 1


def test_an_unknown_batch_with_a_file_is_registered_even_if_somebody_else_does(server: Server) -> None:
    server.says("partitions", "files", "no_more_files", "partition_added_twice")
    ask(server, lambda dagster: dagster.register(JOB, "2013-12"))
    assert variables(server)[-1] == {
        "repository": {"repositoryLocationName": "pipeline_assets", "repositoryName": "__repository__"},
        "name": "flight_delays_predict_batches",
        "key": "2013-12",
    }


def test_an_unknown_batch_without_a_file_is_refused(server: Server) -> None:
    server.says("partitions", "files", "no_more_files")
    with pytest.raises(DagsterError, match="no batch 2014-01: .*there is: 2013-10, 2013-11, 2013-12"):
        ask(server, lambda dagster: dagster.register(JOB, "2014-01"))


def test_a_launch_carries_batch_tags_and_configuration(server: Server) -> None:
    server.says("launched")
    run = ask(server, lambda dagster: dagster.launch(JOB, "2013-10", {"a": "b"}, {"ops": {}}))
    assert (run.status, run.cleared) == ("QUEUED", 2)
    (asked,) = variables(server)
    assert asked["parameters"] == {
        "selector": {
            "repositoryLocationName": "pipeline_assets",
            "repositoryName": "__repository__",
            "jobName": "flight_delays_predict",
        },
        "runConfigData": {"ops": {}},
        "executionMetadata": {"tags": [{"key": "a", "value": "b"}, {"key": "dagster/partition", "value": "2013-10"}]},
    }


def test_runs_are_found_by_tags_and_never_without(server: Server) -> None:
    server.says("runs")
    runs = ask(server, lambda dagster: dagster.runs({"a": "b"}))
    assert {run.status for run in runs} >= {"SUCCESS", "FAILURE"}
    assert variables(server) == [{"filter": {"tags": [{"key": "a", "value": "b"}]}, "limit": 50}]
    with pytest.raises(ValueError, match="no tags"):
        ask(server, lambda dagster: dagster.runs({}))


def status(name: str) -> dict[str, Any]:
    return {"runOrError": {"__typename": "Run", "status": name}}


def policies(server: Server) -> list[str]:
    return [asked["policy"] for asked in variables(server) if "policy" in asked]


def test_a_starting_run_is_asked_to_end_until_it_does(server: Server) -> None:
    server.says(
        status("STARTING"), "not_terminated", status("STARTED"), "terminated", status("CANCELING"), status("CANCELED")
    )
    assert ask(server, lambda dagster: dagster.terminate(RUN, 30)) == "CANCELED"
    assert policies(server) == ["SAFE_TERMINATE", "SAFE_TERMINATE"]


def test_a_run_that_has_ended_is_left_alone(server: Server) -> None:
    server.says("status")
    assert ask(server, lambda dagster: dagster.terminate(RUN, 30)) == "SUCCESS"
    assert policies(server) == []


def test_a_run_that_keeps_starting_is_marked(server: Server) -> None:
    server.says(status("STARTING"), "not_terminated", status("STARTING"), "terminated", status("CANCELED"))
    assert ask(server, lambda dagster: dagster.terminate(RUN, 0.1)) == "CANCELED"
    assert policies(server) == ["SAFE_TERMINATE", "MARK_AS_CANCELED_IMMEDIATELY"]


def test_a_run_that_does_not_end_is_reported(server: Server) -> None:
    server.says(status("STARTED"), "terminated", status("CANCELING"))
    with pytest.raises(DagsterAway, match="still CANCELING"):
        ask(server, lambda dagster: dagster.terminate(RUN, 0.1))


def test_who_may_not_end_a_run_is_told(server: Server) -> None:
    refused = {"__typename": "TerminateRunFailure", "message": "You do not have permission to terminate this run"}
    server.says(status("STARTED"), {"terminateRun": refused})
    with pytest.raises(DagsterError, match="does not end run .* permission"):
        ask(server, lambda dagster: dagster.terminate(RUN, 30))


def test_what_a_run_has_made(server: Server) -> None:
    server.says("outcome")
    outcome = ask(server, lambda dagster: dagster.outcome(RUN))
    assert outcome.model_version == 1
    assert outcome.rows["predictions"] == 408
    assert outcome.rows["raw"] == outcome.rows["accepted"] == outcome.rows["predict_features"] == 2889
    assert outcome.rows["rejected"] == 0


def test_why_a_run_failed_is_said_in_the_words_of_its_step(server: Server) -> None:
    server.says("failure")
    said = ask(server, lambda dagster: dagster.failure(RUN))
    assert said.startswith("step flight_delays__predictions: no model version of flight_delays can predict\n")
    assert "do:        materialise flight_delays/model" in said


def page(*events: dict[str, Any], more: bool = False) -> dict[str, Any]:
    connection = {"cursor": "next", "hasMore": more, "events": list(events)}
    return {"runOrError": {"__typename": "Run", "eventConnection": connection}}


def test_long_logs_are_read_to_their_end(server: Server) -> None:
    check = {
        "success": False, "severity": "ERROR", "checkName": "rows_add_up", "description": "3 rows are missing",
        "assetKey": {"path": ["returns", "train_raw"]},
    }  # fmt: skip
    server.says(
        page({"__typename": "RunFailureEvent", "message": "whole", "error": None}, more=True),
        page({"__typename": "AssetCheckEvaluationEvent", "message": "", "evaluation": check}),
    )
    said = ask(server, lambda dagster: dagster.failure(RUN))
    assert said == "check rows_add_up of returns/train_raw: 3 rows are missing"
    assert [asked["cursor"] for asked in variables(server)] == [None, "next"]


def test_a_run_that_failed_outside_of_its_steps(server: Server) -> None:
    chain = [{"error": {"message": "SettingsError: Greenplum is half-set\n"}}]
    error = {"message": "outer", "errorChain": chain}
    server.says(page({"__typename": "RunFailureEvent", "message": "failed", "error": error}))
    assert ask(server, lambda dagster: dagster.failure(RUN)) == "SettingsError: Greenplum is half-set"
    server.answer(page())
    assert ask(server, lambda dagster: dagster.failure(RUN)) == "Dagster gives no reason"
