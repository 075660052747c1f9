"""Airflow with a home of its own, and a server where its connection to Dagster leads."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.airflow_dags.answering import Server

# Before anything imports Airflow, which reads its settings then.
HOME = tempfile.TemporaryDirectory(prefix="airflow-")
os.environ["AIRFLOW_HOME"] = HOME.name
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
os.environ["AIRFLOW__CORE__PLUGINS_FOLDER"] = str(Path(__file__).parents[2] / "pipeline_assets/airflow_dags/plugins")
# Airflow 2 warns of what it is going to change.
os.environ["AIRFLOW__METRICS__TIMER_UNIT_CONSISTENCY"] = "True"
os.environ["NO_PROXY"] = "127.0.0.1"


@pytest.fixture(scope="session", autouse=True)
def database() -> None:
    """Airflow 2 reads the history of a task's tries from its database."""
    from dagster_runs.compat import AIRFLOW_2

    if AIRFLOW_2:
        program = Path(sys.executable).with_name("airflow")
        subprocess.run([program, "db", "migrate"], check=True, capture_output=True)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """Stands where ``dagster_default`` leads."""
    server = Server()
    monkeypatch.setenv("AIRFLOW_CONN_DAGSTER_DEFAULT", server.url)
    yield server
    server.stop()
