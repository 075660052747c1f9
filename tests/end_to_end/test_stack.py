"""The real task on every real server at once, started as a user does, beside the same task on embedded stores."""

import os
import re
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import dagster as dg
import psutil
import pytest

from pipeline_assets.cli.run import failures, run_batch
from pipeline_assets.demo.flights import TASK, TRAIN
from pipeline_assets.errors import StoreError
from pipeline_assets.resources import Resources, resources
from pipeline_assets.settings import Settings
from pipeline_assets.stack import tarantool
from pipeline_assets.stack.airflow import LOGIN, PROGRAMS
from pipeline_assets.stack.supervisor import Supervisor
from pipeline_assets.stores.files.base import Area
from pipeline_assets.stores.marts import embedded_postgres
from pipeline_assets.task.batch import BatchRef
from tests.end_to_end.test_flights import INSTANCE, Flights
from tests.fixtures.airflow import Rest, require_airflow
from tests.waiting import eventually

MONTH = "2013-10"
BATCHES = (BatchRef(TASK, "train", TRAIN), BatchRef(TASK, "predict", MONTH))

# Columns that tell one run from another; candidates are shown with the runs that made them.
OF_THE_RUN = {"run_id", "predicted_at", "chosen_at", "candidates"}


@dataclass(frozen=True)
class Stack:
    """Servers of the test's own."""

    folder: Path
    env_file: Path

    def say(self, *arguments: str) -> str:
        """The command line of ``make``'s verbs; what it prints."""
        places = ("--folder", str(self.folder), "--env-file", str(self.env_file))
        done = subprocess.run(
            [sys.executable, "-m", "pipeline_assets.stack", *places, *arguments],
            capture_output=True, text=True, check=False, timeout=300,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    @property
    def variables(self) -> dict[str, str]:
        """Of ``.env.stack``, as a shell reads it."""
        script = f"set -a; . '{self.env_file}'; env -0"
        shown = subprocess.run(["sh", "-c", script], env={}, capture_output=True, text=True, check=True).stdout
        own = {line.partition("=")[0] for line in self.env_file.read_text().splitlines()}
        pairs = (line.split("=", 1) for line in shown.split("\0") if line)
        return {name: value for name, value in pairs if name in own}


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    try:
        tarantool.program()
    except StoreError as missing:
        (pytest.fail if os.environ.get("REQUIRE_SERVERS") == "1" else pytest.skip)(str(missing))
    root = tmp_path_factory.mktemp("stack")
    stack = Stack(root / "servers", root / ".env.stack")
    try:
        stack.say("up")
        # Runs of the test need no queue.
        (stack.folder / "dagster" / "dagster.yaml").write_text(INSTANCE)
        yield stack
    finally:
        stack.say("down")


def ran(variables: dict[str, str], flights: Flights) -> Resources:
    """Puts the slice where the variables say, trains and predicts; the stores that hold the outcome."""
    settings = Settings.from_env(variables)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        from pipeline_assets.definitions import defs

        location = defs()
        files = resources(settings)["files"]
        with dg.DagsterInstance.get() as instance:
            for ref in BATCHES:
                files.put(ref, flights.root / "data" / TASK / ref.stage / f"{ref.batch}.parquet")
                quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
                result = run_batch(location, instance, ref, quiet)
                assert result.success, failures(result)
                assert failures(result) == []
    return resources(settings)


def test_both_modes_give_the_same(
    stack: Stack, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    flights = Flights(tmp_path_factory.mktemp("flights"))
    embedded = ran(flights.variables, flights)
    real = ran(stack.variables, flights)
    for name, value in stack.variables.items():
        monkeypatch.setenv(name, value)  # MLflow reads S3's from there
    try:
        for mart, batch, order in (
            (f"{TASK}_train_input", TRAIN, "row_number"),
            (f"{TASK}_predict_input", MONTH, "row_number"),
            (f"{TASK}_predict_output", MONTH, "row_number"),
            (f"{TASK}_lineage", MONTH, "row_number"),
            (f"{TASK}_model_choices", TRAIN, "stage"),
            (f"{TASK}_model_choices", MONTH, "stage"),
        ):
            one, other = (
                stores["marts"].read(mart, {"batch": batch}).read_all().sort_by(order) for stores in (embedded, real)
            )
            assert one.num_rows > 0
            assert one.schema == other.schema
            for column in set(one.column_names) - OF_THE_RUN:
                assert one[column].to_pylist() == other[column].to_pylist(), f"{mart}.{column}"
        for area in (Area.SCORES, Area.OUTPUT):
            files = [stores["files"].read(area, BATCHES[1]) for stores in (embedded, real)]
            one, other = (file.batches().read_all() for file in files if file is not None)
            assert one.equals(other)
        assert real["registry"].champion(TASK) == embedded["registry"].champion(TASK) == 1
        metrics = [
            [(candidate.version, candidate.metrics) for candidate in stores["registry"].candidates(TASK)]
            for stores in (embedded, real)
        ]
        assert metrics[0] == metrics[1]
    finally:
        embedded_postgres.stop(flights.root / "state" / "postgres")


def test_a_second_start_says_so_and_keeps_everything(stack: Stack) -> None:
    before = stack.variables
    assert "run already" in (said := stack.say("up"))
    assert before["MLFLOW_URL"] in said
    assert stack.variables == before
    for file in (stack.env_file, stack.folder / "plan.json", stack.folder / "supervisord.conf"):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert not any(
        before[name] in said for name in before if name.endswith(("PASSWORD", "SECRET_ACCESS_KEY")) if before[name]
    )


def test_airflow_beside_them(stack: Stack) -> None:
    """Its DAG runs the real job to its end; nobody but this machine reaches it."""
    require_airflow()
    said = stack.say("airflow")
    url, login, password = re.findall(r"Airflow +(\S+)  login (\S+), password (\S+)", said)[0]
    assert login == LOGIN
    rest = Rest(url, password)
    started = rest("POST", f"/dags/{TASK}_predict/dagRuns", {"logical_date": None, "conf": {"batch": MONTH}})
    path = f"/dags/{TASK}_predict/dagRuns/{quote(started['dag_run_id'])}"
    eventually(lambda: rest("GET", path)["state"] in ("success", "failed"), 120)
    told = rest("GET", f"{path}/taskInstances/predict/xcomEntries/return_value")["value"]
    assert told["model_version"] == 1
    assert told["rows"]["predictions"] > 0
    supervisor = Supervisor(stack.folder / "airflow")
    processes = [psutil.Process(supervisor.pid(name)) for name in PROGRAMS]
    every = [each for process in processes for each in (process, *process.children(recursive=True))]
    listening = {
        found.laddr.ip
        for process in every
        for found in process.net_connections("inet")
        if found.status == psutil.CONN_LISTEN
    }
    assert listening == {"127.0.0.1"}
    stack.say("down")
    assert not supervisor.runs()
    stack.say("up")


def test_servers_that_lost_their_manager_are_stopped_too(stack: Stack) -> None:
    variables = stack.variables
    os.kill(int((stack.folder / "supervisord.pid").read_text()), signal.SIGKILL)
    stack.say("down")
    for port in (variables["GREENPLUM_PORT"], variables["TARANTOOL_PORT"], variables["MLFLOW_URL"].rpartition(":")[2]):
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", int(port))) != 0
