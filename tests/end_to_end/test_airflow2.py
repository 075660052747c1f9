"""The main rows of Airflow's table of behaviour in Airflow 2; the folder that is copied in is the one of Airflow 3."""

import shutil

import dagster as dg
import pytest

from pipeline_assets.demo.flights import TASK, TRAIN
from tests.fixtures.airflow import AFTER_TRAIN, TOKEN, TaskRun
from tests.fixtures.airflow2 import Pair2, TaskRun2, pair2
from tests.waiting import eventually

__all__ = ["pair2"]

STATUS = dg.DagsterRunStatus


@pytest.fixture(scope="module")
def trained(pair2: Pair2) -> TaskRun:
    task = pair2.trigger(f"{TASK}_train", "train", TRAIN)
    task.until("deferred")
    return task


def test_train_and_then_predict(pair2: Pair2, trained: TaskRun) -> None:
    trained.until_dagster(STATUS.STARTED)
    run = trained.dagster_run()
    # The link is there while the run goes on.
    eventually(lambda: trained.link == f"{pair2.dagster_url}/runs/{run.run_id}", 120)
    trained.until("success")
    told = trained.xcom()
    assert (told["run_id"], told["run_url"]) == (run.run_id, trained.link)
    assert told["model_version"] == 1
    assert trained.dagster_run().tags["dagster/partition"] == TRAIN
    started: list[dict[str, str]] = []

    def predicting() -> bool:
        runs = pair2.rest("GET", f"/dags/{TASK}_predict/dagRuns")["dag_runs"]
        started[:] = [each for each in runs if each["run_type"] == "dataset_triggered"]
        return bool(started)

    eventually(predicting, 240)
    predicted = TaskRun2(pair2, f"{TASK}_predict", started[0]["dag_run_id"], "predict")
    predicted.until("success")
    assert predicted.xcom()["rows"]["predictions"] == pair2.flights.file("predictions", AFTER_TRAIN).num_rows > 0
    assert set(pair2.proxy.seen) == {f"Bearer {TOKEN}"}


def test_what_is_wrong_is_named_and_not_tried_again(pair2: Pair2) -> None:
    folder = pair2.flights.root / "data" / TASK / "predict"
    (folder / "broken.parquet").write_text("no parquet")
    broken, unknown, no_job = (
        pair2.predict("broken"), pair2.predict("2013-13"), pair2.trigger("unknown_job", "run", AFTER_TRAIN),
    )  # fmt: skip
    for task in (broken, unknown, no_job):
        task.until("failed")
        assert task.now["try_number"] == 1
    assert f"step {TASK}__predict_raw: " in broken.log
    assert f"{pair2.dagster_url}/runs/{broken.dagster_run().run_id}" in broken.log
    assert "flight_delays_predict has no batch 2013-13" in unknown.log
    assert "has no job flight_delay_predict; there is: flight_delays_predict, flight_delays_train" in no_job.log
    assert unknown.dagster_runs() == no_job.dagster_runs() == []


def test_dagster_away_at_the_start_is_tried_again(pair2: Pair2, trained: TaskRun) -> None:
    trained.until("success")
    with pair2.proxy.away():
        task = pair2.predict(AFTER_TRAIN)
        task.until("up_for_retry")
    task.until("success")
    assert "does not answer" in task.log
    first = task.dagster_run()
    assert first.status == STATUS.SUCCESS
    # Cleared after its success, it runs anew.
    task.clear()
    eventually(lambda: len(task.dagster_runs()) == 2, 240)
    task.until("success")
    assert [run.status for run in task.dagster_runs()] == [STATUS.SUCCESS, STATUS.SUCCESS]
    assert task.xcom()["run_id"] == task.dagster_runs()[-1].run_id != first.run_id


def test_marking_a_waiting_task_ends_its_run(pair2: Pair2, trained: TaskRun) -> None:
    trained.until("success")
    with pair2.holding_marts():
        task = pair2.predict(AFTER_TRAIN)
        task.until("deferred")
        task.until_dagster(STATUS.STARTED)
        task.mark("failed")
        task.until_asked_to_end()
    task.until_dagster(STATUS.SUCCESS, STATUS.FAILURE, STATUS.CANCELED)
    assert task.dagster_run().status == STATUS.CANCELED
    assert task.state == "failed"


def test_clearing_a_waiting_task_ends_its_run_and_starts_another(pair2: Pair2, trained: TaskRun) -> None:
    trained.until("success")
    with pair2.holding_marts():
        task = pair2.predict(AFTER_TRAIN)
        task.until("deferred")
        task.until_dagster(STATUS.STARTED)
        task.clear()
        task.until_asked_to_end()
    eventually(lambda: len(task.dagster_runs()) == 2, 240)
    task.until("success")
    assert [run.status for run in task.dagster_runs()] == [STATUS.CANCELED, STATUS.SUCCESS]


def test_scheduler_and_triggerer_killed_while_the_task_waits(pair2: Pair2, trained: TaskRun) -> None:
    trained.until("success")
    path = pair2.flights.root / "data" / TASK / "predict"
    task = pair2.trigger("waits_for_file", "run", "arriving")
    task.until("deferred")
    for program in ("airflow-scheduler", "airflow-triggerer"):
        pair2.kill(program)
    shutil.copy(path / f"{AFTER_TRAIN}.parquet", path / "_arriving")
    (path / "_arriving").rename(path / "arriving.parquet")
    task.until("success")
    assert task.now["try_number"] == 1
    assert task.dagster_run().status == STATUS.SUCCESS
