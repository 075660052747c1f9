"""The real flights with a lineage server and a webhook: what both are told of runs that succeed and that fail."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import pyarrow.parquet as pq
import pytest

from pipeline_assets.definitions import defs_of
from pipeline_assets.demo.flights import TASK, TRAIN, write
from pipeline_assets.stores.marts import embedded_postgres
from tests.fixtures.receiver import Receiver, receiving
from tests.lineage_events.standard import problems

MONTH, BROKEN = "2013-10", "broken"
# So few rows that training takes a moment.
EVERY = 60


class Watched:
    """A slice of the flights, and the two servers that are told of its runs."""

    def __init__(self, root: Path, lineage: Receiver, webhook: Receiver) -> None:
        self.root, self.lineage, self.webhook = root, lineage, webhook
        for file in write(root / "whole"):
            if (file.stage, file.batch) in (("train", TRAIN), ("predict", MONTH)):
                table = pq.read_table(file.path)
                path = self.file(file.stage, file.batch)
                path.parent.mkdir(parents=True)
                pq.write_table(table.take(np.arange(0, len(table), EVERY)), path)
        pq.write_table(
            pq.read_table(self.file("predict", MONTH)).drop_columns(["carrier"]), self.file("predict", BROKEN)
        )
        self.variables = {
            "DATA_URI": str(root / "data"),
            "PIPELINE_STATE": str(root / "state"),
            "DAGSTER_HOME": str(root / "home"),
            "DAGSTER_UI_URL": "https://dagster.example",
            "OPENLINEAGE_URL": lineage.url,
            "OPENLINEAGE_NAMESPACE": "prod",
            "PIPELINE_WEBHOOK_URL": f"{webhook.url}/services/hidden",
            "PIPELINE_WEBHOOK_FORMAT": "slack",
        }

    def file(self, stage: str, batch: str) -> Path:
        return self.root / "data" / TASK / stage / f"{batch}.parquet"

    def run(self, stage: str, batch: str) -> int:
        """Runs a batch as a user does; gives the exit code."""
        done = subprocess.run(
            [Path(sys.executable).parent / "pipeline-assets", "run", TASK, stage, batch],
            cwd=self.root, env={**os.environ, **self.variables}, capture_output=True, text=True, check=False,
            timeout=300,
        )  # fmt: skip
        assert "hidden" not in done.stdout + done.stderr
        return done.returncode

    def ends(self) -> dict[str, dict[str, Any]]:
        """The last event of each job since the last call."""
        events = list(self.lineage.posted)
        self.lineage.posted.clear()
        assert [problems(event) for event in events] == [[]] * len(events)
        return {event["job"]["name"]: event for event in events}


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    with receiving() as lineage, receiving() as webhook:
        watched = Watched(tmp_path_factory.mktemp("events"), lineage, webhook)
        yield watched
        embedded_postgres.stop(watched.root / "state" / "postgres")


def test_the_lineage_server_gets_the_chain_from_the_file_to_the_mart(watched: Watched) -> None:
    assert watched.run("train", TRAIN) == 0
    trained = watched.ends()
    assert watched.run("predict", MONTH) == 0
    predicted = watched.ends()
    assert {event["eventType"] for event in (*trained.values(), *predicted.values())} == {"COMPLETE"}
    assert {event["job"]["namespace"] for event in trained.values()} == {"prod"}
    (file,) = predicted[f"{TASK}_predict.predict_raw"]["inputs"]
    assert (file["namespace"], file["name"]) == ("file", str(watched.file("predict", MONTH)))
    assert file["inputFacets"]["inputStatistics"]["rowCount"] == pq.read_metadata(file["name"]).num_rows
    (version,) = trained[f"{TASK}_train.model"]["outputs"]
    used = predicted[f"{TASK}_predict.predictions"]["inputs"]
    assert [each["facets"]["version"]["datasetVersion"] for each in used if each["name"] == version["name"]] == ["1"]
    (mart,) = predicted[f"{TASK}_predict.predict_output_mart"]["outputs"]
    features, _ = predicted[f"{TASK}_predict.predict_prepared"]["outputs"]
    origins = mart["facets"]["columnLineage"]["fields"]["probability"]["inputFields"]
    assert {each["name"] for each in origins} == {features["name"]}


def test_a_run_that_fails_is_told_to_both(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in watched.variables.items():
        monkeypatch.setenv(name, value)
    (watched.root / "home").mkdir(exist_ok=True)
    location = defs_of(TASK)
    (sensor,) = (each for each in location.sensors or () if each.name == "alerts_failed_runs")
    assert isinstance(sensor, dg.SensorDefinition)
    with dg.DagsterInstance.get() as instance:

        def tick(cursor: str | None) -> str | None:
            with dg.build_sensor_context(
                instance, cursor=cursor, repository_def=location.get_repository_def()
            ) as context:
                return sensor.evaluate_tick(context).cursor

        cursor = tick(None)
        assert watched.run("predict", BROKEN) == 1
        tick(cursor)
        (run,) = instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE]))
    found = watched.ends()
    raw = found[f"{TASK}_predict.predict_raw"]
    assert (raw["eventType"], found[f"{TASK}_predict"]["eventType"]) == ("FAIL", "FAIL")
    assert "carrier" in raw["run"]["facets"]["errorMessage"]["message"]
    (body,) = watched.webhook.posted
    assert body["text"].startswith(f"{TASK}, predict, batch {BROKEN}: the run failed\nstep {TASK}__predict_raw: ")
    assert body["text"].endswith(f"https://dagster.example/runs/{run.run_id}")
