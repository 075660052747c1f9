"""DAGs for what the demo's own never do; the end-to-end tests put this file into Airflow's folder."""

from datetime import timedelta
from typing import Any

from dagster_runs.compat import DAG
from dagster_runs.operator import DagsterJobOperator

HURRY: dict[str, Any] = {
    "task_id": "run",
    "job": "flight_delays_predict",
    "batch": "{{ dag_run.conf.batch }}",
    "poll_seconds": 0.5,
    "patience": timedelta(seconds=3),
    "retries": 30,
    "retry_delay": timedelta(seconds=1),
}

with DAG("overdue", schedule=None):
    DagsterJobOperator(**{**HURRY, "deadline": timedelta(seconds=2)})

with DAG("no_retries", schedule=None):
    DagsterJobOperator(**{**HURRY, "retries": 0})

with DAG("unknown_job", schedule=None):
    DagsterJobOperator(**{**HURRY, "job": "flight_delay_predict"})

with DAG("unknown_location", schedule=None):
    DagsterJobOperator(**{**HURRY, "location": "elsewhere"})

with DAG("bad_run_config", schedule=None):
    DagsterJobOperator(**{**HURRY, "run_config": {"ops": {"nothing": {}}}})

with DAG("waits_for_file", schedule=None):
    DagsterJobOperator(**{**HURRY, "wait_for_file": True})

with DAG("file_overdue", schedule=None):
    DagsterJobOperator(**{**HURRY, "wait_for_file": True, "deadline": timedelta(seconds=1)})

with DAG("mapped", schedule=None):
    DagsterJobOperator.partial(**{name: value for name, value in HURRY.items() if name != "batch"}).expand(
        batch=["2013-10", "2013-11"]
    )
