"""Airflow's DAGs against a real Dagster: one run a task instance, whatever happens on either side.

A real scheduler and triggerer, a real webserver and daemon, and the real demo task on a slice of flights. What goes
wrong on the way between them, the proxy does.
"""

import os
import shutil
import signal
from pathlib import Path

import dagster as dg
import pyarrow.parquet as pq
import pytest

from pipeline_assets.demo.flights import TASK, TRAIN
from pipeline_assets.stack import airflow as real
from tests.docs.notebooks import check
from tests.fixtures.airflow import AFTER_TRAIN, TOKEN, Pair, TaskRun, pair
from tests.waiting import eventually

__all__ = ["pair"]

STATUS = dg.DagsterRunStatus
ENDED = (STATUS.SUCCESS, STATUS.FAILURE, STATUS.CANCELED)


@pytest.fixture(scope="module")
def trained(pair: Pair) -> TaskRun:
    """The demo, trained by its DAG; its predict DAG starts after it."""
    task = pair.trigger(f"{TASK}_train", "train", TRAIN)
    task.until("deferred")
    return task


@pytest.fixture(scope="module")
def predicted(pair: Pair, trained: TaskRun) -> TaskRun:
    """A batch that Dagster did not know before."""
    trained.until("success")
    assert "2013-12" not in pair.instance.get_dynamic_partitions(f"{TASK}_predict_batches")
    task = pair.predict("2013-12")
    task.until("success")
    return task


def input_file(pair: Pair, batch: str) -> Path:
    return pair.flights.root / "data" / TASK / "predict" / f"{batch}.parquet"


def copy_of_october(pair: Pair, batch: str) -> None:
    """A batch of its own, so that tests do not meet in one."""
    path = input_file(pair, batch)
    shutil.copy(input_file(pair, AFTER_TRAIN), path.with_name("_arriving"))
    path.with_name("_arriving").rename(path)


def test_train_and_then_predict(pair: Pair, trained: TaskRun) -> None:
    trained.until_dagster(STATUS.STARTED)
    run = trained.dagster_run()
    # The link is there while the run goes on.
    eventually(lambda: trained.link == f"{pair.dagster_url}/runs/{run.run_id}", 120)
    assert trained.xcom("run_id") == run.run_id
    trained.until("success")
    told = trained.xcom()
    assert told["run_id"] == run.run_id
    assert told["run_url"] == trained.link
    assert told["model_version"] == 1
    rows = pq.read_metadata(pair.flights.root / "data" / TASK / "train" / f"{TRAIN}.parquet").num_rows
    assert told["rows"]["raw"] == told["rows"]["accepted"] == told["rows"]["train_features"] == rows
    run = trained.dagster_run()
    assert run.status == STATUS.SUCCESS
    assert run.tags["dagster/partition"] == TRAIN
    # The asset that train makes has started predict.
    started: list[dict[str, str]] = []

    def predicting() -> bool:
        started[:] = pair.rest("GET", f"/dags/{TASK}_predict/dagRuns?run_type=asset_triggered")["dag_runs"]
        return bool(started)

    eventually(predicting, 120)
    predicted = TaskRun(pair, f"{TASK}_predict", started[0]["dag_run_id"], "predict")
    predicted.until("success")
    told = predicted.xcom()
    assert told["model_version"] == 1
    assert told["rows"]["predictions"] == pair.flights.file("predictions", AFTER_TRAIN).num_rows > 0
    metadata = pq.read_metadata(pair.flights.root / "data" / TASK / "predictions" / f"{AFTER_TRAIN}.parquet").metadata
    assert metadata[b"pipeline_assets.run_id"].decode() == told["run_id"]


def test_a_failed_run_fails_the_task_at_once_with_dagsters_words(pair: Pair) -> None:
    input_file(pair, "broken").write_text("no parquet")
    task = pair.predict("broken")
    task.until("failed")
    run = task.dagster_run()
    assert task.now["try_number"] == 1
    assert f"step {TASK}__predict_raw: " in task.log
    assert "parquet" in task.log
    assert f"{pair.dagster_url}/runs/{run.run_id}" in task.log


def test_an_unknown_batch_is_refused_unless_its_file_is_there(pair: Pair, predicted: TaskRun) -> None:
    refused = pair.predict("2013-13")
    refused.until("failed")
    assert "flight_delays_predict has no batch 2013-13" in refused.log
    assert "2013-10, 2013-11, 2013-12" in refused.log
    assert refused.dagster_runs() == []
    known = pair.instance.get_dynamic_partitions(f"{TASK}_predict_batches")
    assert "2013-12" in known
    assert "2013-13" not in known
    assert predicted.dagster_run().tags["dagster/partition"] == "2013-12"


def test_the_notebook_on_airflow(pair: Pair, predicted: TaskRun, tmp_path: Path) -> None:
    assert predicted.state == "success"
    airflow = {
        "AIRFLOW_URL": pair.airflow.url,
        "AIRFLOW_LOGIN": real.LOGIN,
        "AIRFLOW_PASSWORD": pair.airflow.password,
    }
    check("airflow/dags.ipynb", airflow, tmp_path)


@pytest.mark.parametrize(
    ("dag", "said"),
    [
        ("unknown_job", "has no job flight_delay_predict; there is: flight_delays_predict, flight_delays_train"),
        ("unknown_location", "has no code location elsewhere; there is: pipeline_assets"),
        ("bad_run_config", 'unexpected config entry "nothing"'),
    ],
)
def test_what_dagster_does_not_know_is_named(pair: Pair, dag: str, said: str) -> None:
    task = pair.trigger(dag, "run", AFTER_TRAIN)
    task.until("failed")
    assert task.now["try_number"] == 1
    assert said in task.log
    assert task.dagster_runs() == []


def test_dagster_away_at_the_start_is_tried_again(pair: Pair, trained: TaskRun) -> None:
    trained.until("success")
    with pair.proxy.away():
        task = pair.predict(AFTER_TRAIN)
        task.until("up_for_retry")
    task.until("success")
    assert "does not answer" in task.log
    assert task.dagster_run().status == STATUS.SUCCESS


def test_dagster_killed_while_the_task_waits(pair: Pair, trained: TaskRun) -> None:
    trained.until("success")
    task = pair.predict(AFTER_TRAIN)
    task.until("deferred")
    # A trigger that has not yet launched its run would launch it later and never notice.
    task.until_dagster(STATUS.STARTED)
    os.kill(pair.dagster.pid("dagster"), signal.SIGKILL)  # its supervisor starts it again
    task.until("up_for_retry")
    task.until("success")
    assert task.dagster_run().status == STATUS.SUCCESS


def test_the_triggerer_killed_between_launch_and_wait(pair: Pair, trained: TaskRun) -> None:
    trained.until("success")
    with pair.proxy.holding("launchRun") as held:
        task = pair.predict(AFTER_TRAIN)
        held.wait()
        pair.kill("airflow-triggerer")
    task.until("success")
    assert task.now["try_number"] == 1
    assert task.dagster_run().status == STATUS.SUCCESS


@pytest.mark.parametrize("question", ["workspaceOrError", "assetMaterializations"])
def test_the_worker_killed_before_and_after_the_wait(pair: Pair, trained: TaskRun, question: str) -> None:
    """After it, the run has succeeded and nobody has seen it."""
    trained.until("success")
    with pair.proxy.holding(question) as held:
        task = pair.predict(AFTER_TRAIN)
        held.wait()
        task.worker().kill()
    task.until("success")
    assert task.now["try_number"] == 2
    run = task.dagster_run()
    assert run.status == STATUS.SUCCESS
    assert task.xcom()["run_id"] == run.run_id


def test_a_success_that_nobody_saw_counts(pair: Pair, trained: TaskRun) -> None:
    """Airflow has given up: not even its task waits any more. Then it is cleared."""
    trained.until("success")
    task = pair.trigger("no_retries", "run", AFTER_TRAIN)
    task.until("deferred")
    task.until_dagster(STATUS.STARTED)
    with pair.proxy.away():
        task.until("failed")
        task.until_dagster(*ENDED)
    task.clear()
    eventually(lambda: task.state == "success", 240)
    run = task.dagster_run()
    assert run.status == STATUS.SUCCESS
    assert task.xcom()["run_id"] == run.run_id


def test_a_launch_that_arrives_late_does_not_make_two(pair: Pair, trained: TaskRun) -> None:
    trained.until("success")
    with pair.proxy.holding("launchRun", on_the_way=True) as held:
        task = pair.predict(AFTER_TRAIN)
        held.wait()
        pair.kill("airflow-triggerer")
        eventually(lambda: len(task.dagster_runs()) == 1, 240)  # the next triggerer's
        held.release()
        eventually(lambda: len(task.dagster_runs()) == 2, 240)
    task.until("success")
    first, double = task.dagster_runs()
    assert task.xcom()["run_id"] == first.run_id
    assert [first.status, double.status] == [STATUS.SUCCESS, STATUS.CANCELED]


def test_scheduler_and_triggerer_killed_while_the_task_waits(pair: Pair, trained: TaskRun) -> None:
    trained.until("success")
    task = pair.predict(AFTER_TRAIN)
    task.until("deferred")
    for program in ("airflow-scheduler", "airflow-triggerer"):
        pair.kill(program)
    task.until("success")
    assert task.now["try_number"] == 1
    assert task.dagster_run().status == STATUS.SUCCESS


def test_clearing_a_finished_task_runs_it_anew(predicted: TaskRun) -> None:
    task = predicted
    first = task.xcom()["run_id"]
    task.clear()
    eventually(lambda: len(task.dagster_runs()) == 2, 240)
    task.until("success")
    old, new = task.dagster_runs()
    assert [old.status, new.status] == [STATUS.SUCCESS, STATUS.SUCCESS]
    assert [old.run_id, new.run_id] == [first, task.xcom()["run_id"]]


def test_clearing_a_waiting_task_ends_its_run_and_starts_another(pair: Pair, trained: TaskRun) -> None:
    trained.until("success")
    with pair.holding_marts():
        task = pair.predict(AFTER_TRAIN)
        task.until("deferred")
        task.until_dagster(STATUS.STARTED)
        task.clear()
        task.until_asked_to_end()
    eventually(lambda: len(task.dagster_runs()) == 2, 240)
    task.until("success")
    assert [run.status for run in task.dagster_runs()] == [STATUS.CANCELED, STATUS.SUCCESS]


@pytest.mark.parametrize("status", [STATUS.STARTING, STATUS.STARTED])
def test_marking_a_waiting_task_ends_its_run(pair: Pair, trained: TaskRun, status: dg.DagsterRunStatus) -> None:
    """Dagster refuses to end a run that is starting; it is asked again."""
    trained.until("success")
    with pair.holding_marts():
        task = pair.predict(AFTER_TRAIN)
        task.until("deferred")
        task.until_dagster(status)
        task.mark("failed")
        task.until_asked_to_end()
    task.until_dagster(*ENDED)
    assert task.dagster_run().status == STATUS.CANCELED
    said = f"run {task.dagster_run().run_id} has ended: CANCELED"
    eventually(lambda: said in task.log or said in pair.scheduler.log("airflow-triggerer").read_text(), 120)


def test_marking_a_task_while_it_launches_ends_its_run(pair: Pair, trained: TaskRun) -> None:
    trained.until("success")
    with pair.holding_marts():
        with pair.proxy.holding("launchRun") as held:
            task = pair.predict(AFTER_TRAIN)
            held.wait()
            task.mark("failed")
        task.until_asked_to_end()
    task.until_dagster(*ENDED)
    assert task.dagster_run().status == STATUS.CANCELED
    assert task.state == "failed"


def test_a_run_that_takes_too_long_is_ended(pair: Pair, trained: TaskRun) -> None:
    trained.until("success")
    with pair.holding_marts():
        task = pair.trigger("overdue", "run", AFTER_TRAIN)
        task.until("failed")
        task.until_asked_to_end()
    task.until_dagster(*ENDED)
    assert task.now["try_number"] == 1
    assert "took longer than 0:00:02 and was terminated" in task.log
    assert task.dagster_run().status == STATUS.CANCELED


def test_a_task_waits_for_its_file(pair: Pair, trained: TaskRun) -> None:
    trained.until("success")
    task = pair.trigger("waits_for_file", "run", "arriving")
    task.until("deferred")
    assert task.dagster_runs() == []
    copy_of_october(pair, "arriving")
    task.until("success")
    assert task.dagster_run().tags["dagster/partition"] == "arriving"


def test_a_file_that_does_not_arrive(pair: Pair) -> None:
    task = pair.trigger("file_overdue", "run", "nowhere")
    task.until("failed")
    assert "batch nowhere: there is no input file within 0:00:01" in task.log
    assert task.dagster_runs() == []


def test_mapped_tasks_have_a_run_each(pair: Pair, trained: TaskRun) -> None:
    trained.until("success")
    task = pair.trigger("mapped", "run")
    for index, batch in enumerate(("2013-10", "2013-11")):
        eventually(lambda index=index: bool(runs := task.dagster_runs(index)) and runs[0].status in ENDED, 240)  # type: ignore[misc] # a default binds the loop's own
        (run,) = task.dagster_runs(index)
        assert (run.status, run.tags["dagster/partition"]) == (STATUS.SUCCESS, batch)


@pytest.mark.parametrize(
    ("status", "text", "said"),
    [
        (401, "who are you?", "refuses the token (HTTP 401)"),
        (200, "<html>Please log in</html>", "not GraphQL: '<html>Please log in</html>'"),
    ],
)
def test_who_is_not_dagster_or_refuses_ends_the_task(pair: Pair, status: int, text: str, said: str) -> None:
    with pair.proxy.answering(status, text):
        task = pair.predict(AFTER_TRAIN)
        task.until("failed")
    assert task.now["try_number"] == 1
    assert said in task.log


def test_a_token_that_is_refused_later_ends_the_wait(pair: Pair, trained: TaskRun) -> None:
    trained.until("success")
    with pair.holding_marts():
        task = pair.predict(AFTER_TRAIN)
        task.until_dagster(STATUS.STARTING, STATUS.STARTED)
        with pair.proxy.answering(403, "no longer"):
            task.until("failed")
    assert task.now["try_number"] == 1
    assert "refuses the token (HTTP 403)" in task.log
    assert f"Dagster run: {pair.dagster_url}/runs/{task.dagster_run().run_id}" in task.log
    task.until_dagster(*ENDED)


def test_the_token_goes_to_dagster_and_nowhere_else(pair: Pair, trained: TaskRun) -> None:
    assert trained.link is not None
    assert set(pair.proxy.seen) == {f"Bearer {TOKEN}"}
    written = [
        path for path in pair.airflow.folder.rglob("*") if path.is_file() and path.suffix in (".log", ".json", ".conf")
    ]
    assert written
    shown = [path for path in written if TOKEN in path.read_text(errors="replace") and path.name != "supervisord.conf"]
    assert shown == []
