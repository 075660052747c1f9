import os
import subprocess
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster import DagsterRunStatus

from pipeline_assets.assets.mlflow_run import MlflowRun, heal
from pipeline_assets.errors import TransientError
from pipeline_assets.settings import MlflowSettings
from pipeline_assets.stores.marts import embedded_postgres
from pipeline_assets.stores.registry.registry import Registry
from tests.examples import orders, shop
from tests.fixtures.mlflow import MlflowServer, mlflow_server
from tests.fixtures.s3 import s3_server
from tests.workbench import Workbench

__all__ = ["mlflow_server", "s3_server"]

SECRET = "s3cret-word"


class Gate(BaseHTTPRequestHandler):
    """Lets one login through to a server behind it."""

    wanted = "Basic dXNlcjpzM2NyZXQtd29yZA=="  # user:s3cret-word
    behind = ""

    def do_GET(self) -> None:
        self._pass(None)

    def do_POST(self) -> None:
        self._pass(self.rfile.read(int(self.headers.get("Content-Length", 0))))

    def _pass(self, body: bytes | None) -> None:
        status, answer = 401, b"{}"
        if self.headers.get("Authorization") == self.wanted:
            request = urllib.request.Request(  # noqa: S310
                self.behind + self.path, body, {"Content-Type": "application/json"}, method=self.command
            )
            try:
                with urllib.request.urlopen(request, timeout=60) as answered:  # noqa: S310
                    status, answer = answered.status, answered.read()
            except urllib.error.HTTPError as refused:
                status, answer = refused.code, refused.read()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        """No line a request."""


@pytest.fixture
def gate(mlflow_server: MlflowServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A real MLflow server that asks for a login."""
    for name, value in mlflow_server.variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("MLFLOW_TRACKING_AUTH", "")  # so that what is set here is undone
    monkeypatch.setattr(Gate, "behind", mlflow_server.settings.url)
    with ThreadingHTTPServer(("127.0.0.1", 0), Gate) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Registry:
    return Registry(tmp_path_factory.mktemp("state") / "mlflow")


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


def ended(instance: dg.DagsterInstance, status: DagsterRunStatus) -> str:
    """A Dagster run that is there with this status."""
    run_id = dg.DagsterRun(job_name="train").run_id
    instance.add_run(dg.DagsterRun(job_name="train", run_id=run_id, status=status))
    return run_id


def left_open(registry: Registry, task: str, dagster_run: str) -> str:
    tags = {"dagster_run_id": dagster_run}  # as dagster-mlflow opens it
    return str(registry.client.create_run(registry.experiment(task), tags=tags).info.run_id)


def test_runs_that_ended_dagster_runs_left_open_are_ended_the_same_way(
    registry: Registry, instance: dg.DagsterInstance
) -> None:
    statuses = set(DagsterRunStatus) - {DagsterRunStatus.QUEUED}  # which asks for a deployment around it
    of = {status: ended(instance, status) for status in statuses}
    runs = {status: left_open(registry, "ends", run_id) for status, run_id in of.items()}
    elsewhere = left_open(registry, "ends", "of another Dagster")
    this = of[DagsterRunStatus.STARTED]
    heal("ends", registry, instance, this)
    found = {status: registry.client.get_run(run_id).info.status for status, run_id in runs.items()}
    wanted = {
        DagsterRunStatus.SUCCESS: "FINISHED",
        DagsterRunStatus.FAILURE: "FAILED",
        DagsterRunStatus.CANCELED: "KILLED",
    }
    assert found == {status: wanted.get(status, "RUNNING") for status in statuses}
    assert registry.client.get_run(elsewhere).info.status == "RUNNING"


def test_a_run_is_healed_however_many_came_after_it(registry: Registry, instance: dg.DagsterInstance) -> None:
    first = ended(instance, DagsterRunStatus.FAILURE)
    left = left_open(registry, "many", first)
    for _ in range(1100):
        ended(instance, DagsterRunStatus.SUCCESS)
    assert heal("many", registry, instance, "this") == [left]
    assert registry.open_runs("many") == {}


def test_a_server_that_does_not_answer_is_a_reason_to_try_again(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    context = dg.build_init_resource_context(instance=instance)
    run = MlflowRun("down", Registry(MlflowSettings("http://127.0.0.1:1", None, None)), context)
    with pytest.raises(TransientError, match="could not open the experiment"):
        run.active_run()
    run.close()  # nothing was opened


def test_a_training_leaves_no_login_in_its_environment_its_children_or_what_it_shows(
    gate: str, tmp_path: Path, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = Workbench(tmp_path, shop(), instance, {"MLFLOW_URL": f"http://user:{SECRET}@{gate}"})
    seen: list[str] = []
    real = Registry.publish

    def watched(self: Registry, *arguments: Any, **options: Any) -> int:
        seen.append(subprocess.run(["env"], capture_output=True, text=True, check=True).stdout)
        return real(self, *arguments, **options)

    monkeypatch.setattr(Registry, "publish", watched)
    place.put("train", "2026-01", orders(200))
    try:
        result = place.succeed("train", "2026-01")
    finally:
        embedded_postgres.stop(tmp_path / ".pipeline" / "postgres")
    registry = place.stores["registry"]
    (run,) = registry.client.search_runs([registry.experiment("shop")])
    assert run.info.status == "FINISHED"
    shown = str(place.metadata(result, "model")) + str(instance.all_logs(result.run_id))
    assert f"http://{gate}/#/models/shop/versions/1" in shown
    assert len(seen) == 1
    for text in (seen[0], str(dict(os.environ)), shown):
        assert SECRET not in text
