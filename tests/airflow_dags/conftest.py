"""Airflow with a home of its own, and a server where its connection to Dagster leads."""

import os
import tempfile
from collections.abc import Iterator

import pytest

from tests.airflow_dags.answering import Server

# Before anything imports Airflow, which reads its settings then.
HOME = tempfile.TemporaryDirectory(prefix="airflow-")
os.environ["AIRFLOW_HOME"] = HOME.name
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
os.environ["NO_PROXY"] = "127.0.0.1"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """Stands where ``dagster_default`` leads."""
    server = Server()
    monkeypatch.setenv("AIRFLOW_CONN_DAGSTER_DEFAULT", server.url)
    yield server
    server.stop()
