"""The structure of the DAGs, and how the files that are copied into Airflow behave there."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from airflow.serialization import serialized_objects
from dagster_runs.compat import AIRFLOW_2, DAG, asset
from dagster_runs.dags import task_dags
from dagster_runs.operator import DagsterJobOperator
from dagster_runs.settings import read

COPIED = Path(__file__).parents[2] / "pipeline_assets" / "airflow_dags"


def dags(*tasks: Any) -> dict[str, DAG]:
    return task_dags(read(list(tasks) or ["flight_delays"]))


def only_task(dag: DAG) -> DagsterJobOperator:
    (task,) = dag.tasks
    assert isinstance(task, DagsterJobOperator)
    return task


def test_two_dags_of_one_task_each() -> None:
    found = dags()
    assert list(found) == ["flight_delays_train", "flight_delays_predict"]
    for stage in ("train", "predict"):
        dag = found[f"flight_delays_{stage}"]
        task = only_task(dag)
        assert (task.task_id, task.job) == (stage, f"flight_delays_{stage}")
        assert not dag.timetable.can_be_scheduled
        assert dag.catchup is False
        assert set(dag.params) == {"batch", "run_config", "tags"}
        assert dag.params.get_param("batch").schema["type"] == ["null", "string"]
        assert dag.params.dump() == {"batch": None, "run_config": {}, "tags": {}}
        assert set(dag.tags) == {"dagster", "pipeline_assets", "flight_delays", stage}
        assert "Dagster job `flight_delays_" in str(dag.doc_md)
        assert [link.name for link in task.operator_extra_links] == ["Dagster run"]


def test_both_can_wait_for_something_and_do_not_by_default() -> None:
    found = dags()
    assert not any(only_task(dag).wait_for_file for dag in found.values())
    assert only_task(found["flight_delays_train"]).outlets == [
        asset("flight_delays_model", "dagster://pipeline_assets/flight_delays/model")
    ]
    predict = dags({"task": "flight_delays", "predict": {"after_train": True, "wait_for_file": True}})[
        "flight_delays_predict"
    ]
    assert only_task(predict).wait_for_file
    timetable: Any = predict.timetable
    assert (timetable.dataset_condition if AIRFLOW_2 else timetable.asset_condition) is not None
    assert "when flight_delays_train has succeeded, then waits for the batch's input file" in str(predict.doc_md)


def test_settings_reach_their_places() -> None:
    settings = {"schedule": "0 5 * * *", "deadline_hours": 2, "run_config": {"a": 1}, "tags": {"team": "x"}}
    dag = dags({"task": "returns", "connection": "other", "retries": 3, "train": settings})["returns_train"]
    task = only_task(dag)
    if AIRFLOW_2:
        timetable: Any = dag.timetable
        # By default Airflow 2 would name a daily run after the day before.
        assert timetable.serialize() == {"expression": "0 5 * * *", "timezone": "UTC", "interval": 0.0}
    else:
        assert str(dag.schedule) == "0 5 * * *"
    assert dag.params.dump() == {"batch": None, "run_config": {"a": 1}, "tags": {"team": "x"}}
    assert (task.conn_id, task.retries, task.deadline.total_seconds()) == ("other", 3, 7200)


def test_they_survive_airflows_own_form() -> None:
    form: Any = getattr(serialized_objects, "SerializedDAG" if AIRFLOW_2 else "DagSerialization")
    for dag in dags().values():
        again = form.from_dict(form.to_dict(dag))
        assert again.dag_id == dag.dag_id
        assert [task.extra_links for task in again.tasks] == [["Dagster run"]]


def test_the_files_load_alone_in_under_a_second_without_a_warning(tmp_path: Path) -> None:
    """As in the documentation: copied as they are into Airflow's home; nothing of the package is near."""
    program = """
import json, sys, time, warnings
try:
    from airflow.dag_processing.dagbag import BundleDagBag
    import airflow.sdk
    more = {"bundle_path": sys.argv[1], "bundle_name": "copied"}
except ModuleNotFoundError:
    from airflow.models import DAG, DagBag as BundleDagBag, TaskInstance, Variable
    import airflow.triggers.base, airflow.timetables.trigger, airflow.hooks.base, airflow.datasets
    more = {}
with warnings.catch_warnings():
    warnings.simplefilter("error")
    begun = time.process_time()
    bag = BundleDagBag(sys.argv[1], **more)
    seconds = time.process_time() - begun
from airflow import plugins_manager
plugins_manager.ensure_plugins_loaded()
refused = plugins_manager.import_errors if more == {} else plugins_manager.get_import_errors()
said = {"dags": sorted(bag.dags), "errors": bag.import_errors, "warnings": bag.captured_warnings, "seconds": seconds,
        "plugins": [[plugin["name"] for plugin in plugins_manager.get_plugin_info()], refused],
        "ours": [name for name in sys.modules if name.startswith("pipeline_assets")]}
print("said:" + json.dumps(said))
"""
    subprocess.run(["cp", "-r", f"{COPIED}/.", tmp_path], check=True)
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "dags")],
        env={"AIRFLOW_HOME": str(tmp_path), "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
             "AIRFLOW__METRICS__TIMER_UNIT_CONSISTENCY": "True", "PATH": "/usr/bin:/bin",
             "AIRFLOW_VAR_PIPELINE_TASKS": json.dumps(["flight_delays", "returns"])},
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("said:")]
    said = json.loads(line.removeprefix("said:"))
    assert said["errors"] == {}
    assert said["warnings"] == {}
    assert said["dags"] == ["flight_delays_predict", "flight_delays_train", "returns_predict", "returns_train"]
    assert said["seconds"] < 1
    assert said["ours"] == []
    assert said["plugins"] == [["dagster_runs"] if AIRFLOW_2 else [], {}]


def test_a_copy_without_its_plugins_says_what_is_missing(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, COPIED / "dags" / "pipeline_dags.py"],
        env={"AIRFLOW_HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "ImportError: the package dagster_runs is missing: copy plugins/dagster_runs" in done.stderr
