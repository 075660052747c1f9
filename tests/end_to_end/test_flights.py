"""The real task on a slice of the real flights: trained and predicted by Dagster's CLI and by its API."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from sklearn.metrics import roc_auc_score

from pipeline_assets.assets.definitions import task_definitions
from pipeline_assets.assets.graph import TaskGraph
from pipeline_assets.cli.run import failures, run_batch
from pipeline_assets.demo.flights import TASK, TRAIN, write
from pipeline_assets.demo.truth import demo_task, truth
from pipeline_assets.resources import Resources, resources
from pipeline_assets.settings import Settings
from pipeline_assets.stores.marts import embedded_postgres
from pipeline_assets.task.batch import BatchRef, InputRef, TruthRef
from pipeline_assets.task.validation import CheckedTask
from tests.waiting import eventually

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
# Launches run at once instead of waiting for a daemon's queue.
INSTANCE = """
telemetry: {enabled: false}
run_coordinator: {module: dagster.core.run_coordinator, class: DefaultRunCoordinator}
"""


class Flights:
    """A slice of the demo's data, and an environment of its own to run it in."""

    def __init__(self, root: Path) -> None:
        self.root = root
        whole = root / "whole"
        for file in write(whole):
            table = pq.read_table(file.path)
            every = 12 if file.stage == "train" else 10
            path = root / "data" / TASK / file.stage / f"{file.batch}.parquet"
            path.parent.mkdir(parents=True, exist_ok=True)
            pq.write_table(table.take(np.arange(0, len(table), every)), path)
        (root / "home").mkdir()
        (root / "home" / "dagster.yaml").write_text(INSTANCE)
        self.variables = {
            "DATA_URI": str(root / "data"),
            "PIPELINE_STATE": str(root / "state"),
            "DAGSTER_HOME": str(root / "home"),
        }
        self.stores: Resources = resources(Settings.from_env(self.variables, root))

    def dagster(self, *arguments: str) -> str:
        """Runs Dagster's CLI as a user would, in the checkout."""
        done = subprocess.run(
            [BIN / "dagster", *arguments],
            cwd=ROOT, env={**os.environ, **self.variables}, capture_output=True, text=True, check=False, timeout=600,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        return done.stdout + done.stderr

    def file(self, *parts: str) -> pa.Table:
        return pq.read_table(self.root.joinpath("data", TASK, *parts).with_suffix(".parquet"))


@pytest.fixture(scope="module")
def flights(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flights]:
    flights = Flights(tmp_path_factory.mktemp("flights"))
    partition = json.dumps({"dagster/partition": TRAIN})
    flights.dagster("job", "execute", "-m", "pipeline_assets.definitions", "-j", f"{TASK}_train", "--tags", partition)
    yield flights
    embedded_postgres.stop(flights.root / "state" / "postgres")


def check(flights: Flights, month: str) -> None:
    """The output's rows keep the rule and find their input rows; nothing is lost on the way to the lineage view."""
    inputs, output = flights.file("predict", month), flights.file("predictions", month)
    scores = flights.file("scores", month)
    decided = scores.filter(pc.greater_equal(scores["probability"], 0.35))
    assert 0 < output.num_rows == decided.num_rows < inputs.num_rows == scores.num_rows
    assert output["row_number"].equals(decided["row_number"])
    assert set(output["batch"].to_pylist()) == {month}
    own = output.select(inputs.column_names).cast(inputs.schema)
    assert own.equals(inputs.take(output["row_number"]))
    lineage = flights.stores["marts"].read(f"{TASK}_lineage", {"batch": month}).read_all()
    assert lineage["row_number"].to_pylist() == list(range(inputs.num_rows))
    assert lineage["probability"].to_pylist() == scores["probability"].to_pylist()
    assert lineage["tailnum"].to_pylist() == inputs["tailnum"].to_pylist()


def test_predict_launched_by_the_cli_on_the_workspace(flights: Flights, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAGSTER_HOME", flights.variables["DAGSTER_HOME"])
    partition = json.dumps({"dagster/partition": "2013-10"})
    flights.dagster("job", "launch", "-w", "workspace.yaml", "-j", f"{TASK}_predict", "--tags", partition)
    with dg.DagsterInstance.get() as instance:

        def status() -> dg.DagsterRunStatus:
            (run,) = instance.get_runs(dg.RunsFilter(job_name=f"{TASK}_predict"))
            return run.status

        eventually(lambda: status() in (dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE))
        assert status() == dg.DagsterRunStatus.SUCCESS
    check(flights, "2013-10")


def run(flights: Flights, ref: InputRef) -> None:
    """A run through Dagster's API, which must succeed with every check."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in flights.variables.items():
            patch.setenv(name, value)
        from pipeline_assets.definitions import defs

        with dg.DagsterInstance.get() as instance:
            quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
            result = run_batch(defs(), instance, ref, quiet)
    assert result.success, failures(result)
    assert failures(result) == []


@pytest.fixture(scope="module")
def december(flights: Flights) -> str:
    """A month that is predicted through Dagster's API."""
    run(flights, BatchRef(TASK, "predict", "2013-12"))
    return "2013-12"


def test_predict_through_dagsters_api(flights: Flights, december: str) -> None:
    check(flights, december)


def came_true(month: str) -> pa.Table:
    """The truth of the flights of the month's slice."""
    whole = truth(month)
    return whole.take(np.arange(0, len(whole), 10))


def put_truth(flights: Flights, month: str, table: pa.Table) -> None:
    path = flights.root / "data" / TASK / "truth" / f"{month}.parquet"
    path.parent.mkdir(exist_ok=True)
    pq.write_table(table, path)


def test_the_model_beats_the_constant_baseline_on_what_came_true(flights: Flights, december: str) -> None:
    found = came_true(december)
    put_truth(flights, december, found)
    run(flights, TruthRef(TASK, december))
    rows = flights.stores["marts"].read(f"{TASK}_quality", {"batch": december}).read_all().to_pylist()
    (whole,) = [row for row in rows if not row["segment"]]
    known = pc.is_valid(found["arr_delay"])
    label = pc.greater(found["arr_delay"].filter(known), 15).to_numpy()
    probability = flights.file("scores", december)["probability"].filter(known).to_numpy()
    assert whole["judged_rows"] == len(label) < whole["predictions"]
    assert whole["roc_auc"] == pytest.approx(roc_auc_score(label, probability))
    assert whole["roc_auc"] > 0.65
    assert whole["log_loss"] < whole["baseline_log_loss"]
    by_origin = {row["segment_value"]: row["judged_rows"] for row in rows if row["segment"] == "origin"}
    counted = pc.value_counts(found["origin"].filter(known)).to_pylist()
    assert by_origin == {each["values"]: each["counts"] for each in counted}


def test_a_quality_that_is_too_low_fails_its_check(flights: Flights, december: str) -> None:
    put_truth(flights, december, came_true(december))
    limits = {"truth": {"fail": {"roc_auc": 0.99}, "warn": {"log_loss": 0.01}}}
    strict = CheckedTask.model_validate({**demo_task().model_dump(), "monitoring": limits})
    shared = dg.Definitions(resources=dict(flights.stores), executor=dg.in_process_executor)
    location = dg.Definitions.merge(shared, task_definitions(TaskGraph(strict, "")))
    with dg.DagsterInstance.ephemeral() as instance:
        result = run_batch(location, instance, TruthRef(TASK, december))
    assert result.success
    (said,) = failures(result)
    assert "check quality of flight_delays/truth: version 1" in said
    assert "at least 0.99 is wanted" in said


def test_a_file_that_is_no_truth_is_refused_with_what_it_lacks(flights: Flights, december: str) -> None:
    put_truth(flights, december, came_true(december).drop_columns(["carrier", "arr_delay"]))
    done = subprocess.run(
        [sys.executable, "-m", "pipeline_assets.cli", "run", TASK, "truth", december],
        cwd=flights.root, env={**os.environ, **flights.variables}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "the file of truth lacks columns that it needs" in done.stderr
    assert f"{december}.parquet" in done.stderr
    assert "column:    carrier, label" in done.stderr
    assert "arr_delay of the target, or label" in done.stderr


def test_training_again_gives_the_same_model(flights: Flights) -> None:
    run(flights, BatchRef(TASK, "train", TRAIN))
    first, second = (flights.stores["registry"].load(TASK, version) for version in (1, 2))
    from pipeline_assets.ml.dataset import scoring_frame
    from pipeline_assets.stores.features.base import feature_table

    rows = flights.stores["features"].read(feature_table(demo_task(), "train"), TRAIN).read_all()
    frame = scoring_frame(rows, demo_task().features)
    assert np.array_equal(first.predict(frame), second.predict(frame))
    assert flights.stores["registry"].champion(TASK) == 1


def test_the_workspace_is_valid(flights: Flights) -> None:
    assert "All code locations passed validation" in flights.dagster("definitions", "validate", "-w", "workspace.yaml")
