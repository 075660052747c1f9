"""The real task on a slice of the real flights: trained and predicted by Dagster's CLI and by its API."""

import hashlib
import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import dagster as dg
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from sklearn.metrics import roc_auc_score

from pipeline_assets.assets.definitions import task_definitions
from pipeline_assets.assets.graph import TaskGraph
from pipeline_assets.cli.main import main
from pipeline_assets.cli.run import failures, run_batch
from pipeline_assets.demo.flights import TASK, TRAIN, write
from pipeline_assets.demo.truth import demo_task, truth
from pipeline_assets.resources import Resources, resources
from pipeline_assets.settings import Settings
from pipeline_assets.stores.features.base import feature_table
from pipeline_assets.stores.marts import embedded_postgres
from pipeline_assets.task.batch import BatchRef, InputRef, TruthRef
from pipeline_assets.task.monitoring_spec import Monitoring
from pipeline_assets.task.spec import TaskSpec
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
    result = ran(flights, ref)
    assert result.success, failures(result)
    assert failures(result) == []


def ran(flights: Flights, ref: InputRef, task: TaskSpec | None = None) -> dg.ExecuteInProcessResult:
    """A run through Dagster's API, by another description if there is one; its outcome is the test's to judge."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in flights.variables.items():
            patch.setenv(name, value)
        from pipeline_assets.definitions import defs, shared_definitions

        own = (
            defs()
            if task is None
            else dg.Definitions.merge(shared_definitions(), task_definitions(TaskGraph(task, "")))
        )
        with dg.DagsterInstance.get() as instance:
            quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
            return run_batch(own, instance, ref, quiet)


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
    watched = Monitoring.model_validate({"truth": {"fail": {"roc_auc": 0.99}, "warn": {"log_loss": 0.01}}})
    result = ran(flights, TruthRef(TASK, december), demo_task().model_copy(update={"monitoring": watched}))
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


def test_a_winter_month_warns_of_drift_and_fails_by_a_limit_of_the_task(flights: Flights, december: str) -> None:
    """The version was evaluated on the days of August and September."""
    drift = flights.stores["marts"].read(f"{TASK}_drift", {"batch": december}).read_all().to_pylist()
    by_name = {row["column_name"]: row for row in drift}
    assert {row["row_count"] for row in drift} == {flights.file("predict", december).num_rows}
    assert {by_name[name]["verdict"] for name in ("departure_minute", "origin", "carrier", "distance")} == {"ok"}
    assert {by_name[name]["verdict"] for name in ("dew_point", "frost")} == {"warn"}
    assert by_name["dew_point"]["distance"] > 0.5

    limits = Monitoring.model_validate({"drift": {"features": {"dew_point": {"fail": 0.5}}}})
    task = demo_task().model_copy(update={"monitoring": limits})
    result = ran(flights, BatchRef(TASK, "predict", december), task)
    assert not result.success
    (said,) = failures(result)
    assert f"check features of {TASK}/drift: " in said
    assert "dew_point (distance 0." in said
    assert "fails from 0.5 on" in said


def test_training_features_that_were_altered_are_told_when_a_month_is_predicted(flights: Flights) -> None:
    store, table = flights.stores["features"], feature_table(demo_task(), "train")
    rows = store.read(table, TRAIN).read_all()
    place = rows.column_names.index("distance")
    altered = rows.set_column(place, table.schema.field("distance"), pc.add(rows["distance"], 1e-9))
    store.replace(table, TRAIN, altered.to_reader())
    (said,) = failures(ran(flights, BatchRef(TASK, "predict", "2013-11")))
    assert "check prepared_as_in_training of flight_delays/predictions" in said
    assert "predict does not prepare rows as version 1 learned them: training row " in said
    assert "feature distance: " in said
    store.replace(table, TRAIN, rows.to_reader())
    run(flights, BatchRef(TASK, "predict", "2013-11"))


def test_training_again_gives_the_same_model(flights: Flights) -> None:
    run(flights, BatchRef(TASK, "train", TRAIN))
    first, second = (flights.stores["registry"].load(TASK, version) for version in (1, 2))
    from pipeline_assets.ml.dataset import scoring_frame

    rows = flights.stores["features"].read(feature_table(demo_task(), "train"), TRAIN).read_all()
    frame = scoring_frame(rows, demo_task().features)
    assert np.array_equal(first.predict(frame), second.predict(frame))
    assert flights.stores["registry"].champion(TASK) == 1


class Elsewhere:
    """The input and the registry of an environment, moved to another one, which has no other store of it."""

    def __init__(self, flights: Flights, root: Path) -> None:
        self.input = root / "moved" / TASK / "train" / f"{TRAIN}.parquet"
        self.input.parent.mkdir(parents=True)
        shutil.copy(flights.root / "data" / TASK / "train" / f"{TRAIN}.parquet", self.input)
        shutil.copytree(flights.root / "state" / "mlflow", root / "state" / "mlflow")
        before, after = ((place / "state" / "mlflow").resolve().as_uri() for place in (flights.root, root))
        with closing(sqlite3.connect(root / "state" / "mlflow" / "mlflow.db")) as database, database:
            for table, column in (
                ("experiments", "artifact_location"), ("runs", "artifact_uri"), ("model_versions", "source"),
                ("model_versions", "storage_location"),
            ):  # fmt: skip
                database.execute(f"update {table} set {column} = replace({column}, ?, ?)", (before, after))
        self.variables = {
            "DATA_URI": str(root / "moved"),
            "PIPELINE_STATE": str(root / "state"),
            "DAGSTER_HOME": str(root / "home"),
            "PYTHONHASHSEED": "7",
            "OMP_NUM_THREADS": "1",
        }
        self.stores: Resources = resources(Settings.from_env(self.variables, root))

    def reproduce(self, version: int) -> subprocess.CompletedProcess[str]:
        """Runs the verb in a process of its own, in another directory."""
        return subprocess.run(
            [sys.executable, "-m", "pipeline_assets.cli", "reproduce", TASK, str(version)],
            cwd=self.input.parent, env={**os.environ, "PYTHONPATH": str(ROOT), **self.variables}, capture_output=True,
            text=True, check=False, timeout=600,
        )  # fmt: skip

    def made_again(self) -> list[str]:
        name = f"{TASK}_reproductions"
        return [str(row["verdict"]) for row in self.stores["marts"].read(name, {}).read_all().to_pylist()]


def test_a_version_is_made_again_elsewhere_and_not_from_a_changed_file(flights: Flights, tmp_path: Path) -> None:
    place = Elsewhere(flights, tmp_path)
    try:
        done = place.reproduce(1)
        assert done.returncode == 0, done.stdout + done.stderr
        assert done.stdout.splitlines()[0] == "identical"
        assert "the input has moved from" in done.stdout
        assert place.made_again() == ["identical"]
        version = place.stores["registry"].client.get_model_version(TASK, "1")
        assert version.tags["reproduction"] == "identical"

        rows = pq.read_table(place.input)
        distance = rows.column_names.index("distance")
        values = rows["distance"].to_pylist()
        edited = pa.array([values[0] + 1, *values[1:]], rows.schema.field("distance").type)
        expected = hashlib.sha256(place.input.read_bytes()).hexdigest()
        pq.write_table(rows.set_column(distance, rows.schema.field("distance"), edited), place.input)
        refused = place.reproduce(1)
        assert refused.returncode == 2, refused.stdout + refused.stderr
        assert f"expected:  sha256 {expected}" in refused.stderr
        assert f"found:     sha256 {hashlib.sha256(place.input.read_bytes()).hexdigest()}" in refused.stderr
        assert place.made_again() == ["identical"]
    finally:
        embedded_postgres.stop(tmp_path / "state" / "postgres")


def test_rejected_rows_are_played_again_after_the_rule_and_the_file_are_mended(
    flights: Flights, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in flights.variables.items():
        monkeypatch.setenv(name, value)
    # The packaged task itself is edited, as in a checkout; of two tasks of one name the packaged one would be used.
    monkeypatch.setattr("pipeline_assets.settings.PACKAGED_TASKS", tmp_path)
    month, packaged = "2013-11", ROOT / "pipeline_assets" / "defs" / TASK / "defs.yaml"
    yaml_file, path = tmp_path / TASK / "defs.yaml", flights.root / "data" / TASK / "predict" / f"{month}.parquet"
    yaml_file.parent.mkdir()
    right = packaged.read_text(encoding="utf-8")
    # A rule that knows no flight to Hawaii, and a file with a distance that is not one.
    yaml_file.write_text(right.replace("check: distance > 0}", "check: distance between 1 and 4000}"), encoding="utf-8")
    whole = pq.read_table(path)
    distances = whole["distance"].to_pylist()
    far = [row for row, distance in enumerate(distances) if distance > 4000]
    bad = next(row for row in range(100, whole.num_rows) if row not in far)
    assert 0 < len(far) < whole.num_rows / 100
    place = whole.column_names.index("distance")
    spoiled = pa.array([-1 if row == bad else distance for row, distance in enumerate(distances)], pa.int32())
    pq.write_table(whole.set_column(place, whole.schema.field(place), spoiled), path)

    checked_before = flights.stores["marts"].count(f"{TASK}_rejections", {"batch": month})
    assert CliRunner().invoke(main, ["run", TASK, "predict", month]).exit_code == 0
    rejected = flights.file("rejected", "predict", month)
    assert rejected["row_number"].to_pylist() == sorted([*far, bad])
    assert {tuple(rules) for rules in rejected["rules"].to_pylist()} == {
        ("distance: breaks distance between 1 and 4000",)
    }
    assert set(rejected["file"].to_pylist()) == {f"{month}.parquet"}

    yaml_file.write_text(right, encoding="utf-8")
    done = CliRunner().invoke(main, ["replay", TASK, "predict", month])
    assert done.exit_code == 0, done.output
    assert re.search(rf"Rows rejected by the check before on [0-9: -]+ UTC: {len(far) + 1}\n", done.stdout)
    assert f"  {len(far):>9}  accepted now" in done.stdout
    assert "          1  still rejected, by another rule" in done.stdout
    # The rows were moved when the file was mended: the key finds the one.
    pq.write_table(pa.concat_tables([whole.slice(bad), whole.slice(0, bad)]), path)
    done = CliRunner().invoke(main, ["replay", TASK, "predict", month])
    assert done.exit_code == 0, done.output
    assert "          1  accepted now, 1 of them with other content" in done.stdout
    (row,) = flights.file("replayed", "predict", month).to_pylist()
    assert (row["row_number"], row["row_number_now"], row["found_by"]) == (bad, 0, "key")
    assert row["changed_columns"] == ["distance"]
    check(flights, month)
    kept = flights.stores["marts"].read(f"{TASK}_rejections", {"batch": month}).read_all().to_pylist()
    kept.sort(key=lambda each: each["checked_at"])
    assert [(each["rows"], each["batch_rows"]) for each in kept[checked_before:]] == [
        (len(far) + 1, whole.num_rows), (1, whole.num_rows), (0, whole.num_rows),
    ]  # fmt: skip


def test_the_workspace_is_valid(flights: Flights) -> None:
    assert "All code locations passed validation" in flights.dagster("definitions", "validate", "-w", "workspace.yaml")
