"""What becomes of a batch when its run is killed, meets another one, or loses a server: through the IO managers."""

import secrets
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import psutil
import pytest

from pipeline_assets.settings import DatabaseSettings, TarantoolSettings
from pipeline_assets.stores.marts import embedded_postgres
from pipeline_assets.stores.registry.registry import Registry
from tests.examples import orders, shop
from tests.fixtures import runs
from tests.fixtures.mlflow import MlflowServer
from tests.fixtures.postgres import Marts, PostgresServer, drop
from tests.fixtures.runs import BATCH, content, put, writers
from tests.fixtures.s3 import fresh_uri
from tests.fixtures.tarantool import GRANTS, TarantoolServer
from tests.waiting import eventually
from tests.workbench import Workbench

ASSETS = ("predict_features", "predict_input_mart", "predictions", "predict_output_mart")
FORMER, NEW = orders(40, stage="predict"), orders(70, stage="predict").slice(10)


def of_database(server: DatabaseSettings, schema: str = "marts") -> dict[str, str]:
    return {
        "GREENPLUM_HOST": server.host,
        "GREENPLUM_PORT": str(server.port),
        "GREENPLUM_DATABASE": server.database,
        "GREENPLUM_SCHEMA": schema,
        "GREENPLUM_LOGIN": server.login,
        "GREENPLUM_PASSWORD": server.password,
    }


def dead(process: psutil.Process) -> bool:
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def of_tarantool(server: TarantoolSettings) -> dict[str, str]:
    return {
        "TARANTOOL_HOST": server.host,
        "TARANTOOL_PORT": str(server.port),
        "TARANTOOL_LOGIN": server.login,
        "TARANTOOL_PASSWORD": server.password,
    }


@pytest.fixture(params=["embedded", "real"])
def env(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """No server at all, or every one."""
    if request.param == "embedded":
        yield {}
        return
    mlflow: MlflowServer = request.getfixturevalue("mlflow_server")
    database: DatabaseSettings = request.getfixturevalue("tcp_server")
    schema = f"marts_{secrets.token_hex(4)}"
    variables = {
        **mlflow.variables,
        "DATA_URI": fresh_uri(),
        "MLFLOW_URL": mlflow.settings.url,
        **of_database(database, schema),
        **of_tarantool(request.getfixturevalue("tarantool_settings")),
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    yield variables
    drop(Marts(database, schema))


@pytest.fixture
def place_of(tmp_path: Path) -> Iterator[Callable[[dict[str, str]], Workbench]]:
    """Makes a place over stores of the test's choice, with a trained model and the former batch in it."""
    with dg.DagsterInstance.ephemeral() as instance:

        def made(env: dict[str, str]) -> Workbench:
            place = Workbench(tmp_path, shop(name=f"shop_{secrets.token_hex(3)}"), instance, env)
            put(place, "train", "2026-01", orders(200))
            place.succeed("train", "2026-01")
            put(place, "predict", BATCH, FORMER)
            place.succeed("predict", BATCH)
            return place

        yield made
    embedded_postgres.stop(tmp_path / ".pipeline" / "postgres")


def expected(place: Workbench, rows: Any) -> dict[str, list[tuple[Any, ...]]]:
    """What the stores hold once a batch of these rows has run undisturbed."""
    put(place, "predict", BATCH, rows)
    place.succeed("predict", BATCH)
    return content(place)


def test_a_run_killed_anywhere_leaves_each_store_the_former_batch_or_the_new_one_and_the_next_run_heals(
    env: dict[str, str], place_of: Callable[[dict[str, str]], Workbench]
) -> None:
    place = place_of(env)
    there, coming = (expected(place, NEW), NEW), (expected(place, FORMER), FORMER)
    assert all(there[0][store] != coming[0][store] for store in there[0])
    moments: tuple[runs.Moment, ...] = ("in", "after")
    for at, asset in enumerate(ASSETS):
        for moment in moments:
            there, coming = coming, there
            put(place, "predict", BATCH, coming[1])
            runs.killed_at(place, env, asset, moment)
            found = content(place)
            # The stores of the assets before it have the new batch, the others the former.
            done = ASSETS[: at + (moment == "after")]
            for store, rows in found.items():
                written = ("predictions" if store in ("scores", "output") else store) in done
                assert rows == (coming if written else there)[0][store], (asset, moment, store)
            place.succeed("predict", BATCH)
            assert content(place) == coming[0]


def test_two_runs_of_one_batch_at_once_end_as_one_of_them(
    env: dict[str, str], place_of: Callable[[dict[str, str]], Workbench]
) -> None:
    place = place_of(env)
    former, _ = expected(place, FORMER), expected(place, NEW)
    put(place, "predict", BATCH, FORMER)
    assert runs.at_once(place, env, 2) == [0, 0]
    assert content(place) == former
    assert len(writers(place)) == 1


# Servers of the test's own, killed while the store holds all rows and has committed none.


def loses_a_server(
    place: Workbench,
    monkeypatch: pytest.MonkeyPatch,
    asset: str,
    stop: Callable[[], None],
    start: Callable[[], None],
    *,
    expected_tries: int = 2,
) -> None:
    """Runs the new batch, loses the server under an asset, has it back for the retry; all must be well in the end."""
    new, former = expected(place, NEW), expected(place, FORMER)
    put(place, "predict", BATCH, NEW)
    tries: list[str] = []

    def change(name: str, obj: Any, write: Callable[[Any], None]) -> None:
        if name == asset:
            tries.append(name)
        if name != asset or len(tries) > 1:
            write(obj)
            return
        try:
            write(runs.at_end(obj, stop))
        except dg.RetryRequested:
            start()
            assert content(place)[asset] == former[asset]
            raise

    with monkeypatch.context() as patch:
        for manager, handle_output in runs.each_output(change):
            patch.setattr(manager, "handle_output", handle_output)
        place.succeed("predict", BATCH)
    assert len(tries) == expected_tries
    assert content(place) == new


@pytest.mark.parametrize("asset", ["predict_input_mart", "predict_output_mart"])
def test_a_run_survives_the_embedded_postgresql_going_away_under_its_load(
    place_of: Callable[[dict[str, str]], Workbench], monkeypatch: pytest.MonkeyPatch, asset: str
) -> None:
    place = place_of({})
    folder = place.settings.state / "postgres"

    def kill() -> None:
        server = psutil.Process(int((folder / "data" / "postmaster.pid").read_text().split()[0]))
        server.kill()
        # A signal is sent before it is obeyed; and where process 1 collects none, the dead are zombies.
        eventually(lambda: dead(server), 30)

    # Whoever asks for the server next starts it. What was written beside the features outlives a stop and a crash.
    tries = 1 if asset == "predict_input_mart" else 2
    for stop in (lambda: embedded_postgres.stop(folder), kill):
        loses_a_server(place, monkeypatch, asset, stop, lambda: None, expected_tries=tries)


@pytest.mark.parametrize("asset", ["predict_input_mart", "predict_output_mart"])
def test_a_run_survives_a_postgresql_server_going_away_under_its_load(
    own_postgres: PostgresServer,
    place_of: Callable[[dict[str, str]], Workbench],
    monkeypatch: pytest.MonkeyPatch,
    asset: str,
) -> None:
    place = place_of(of_database(own_postgres.settings))
    loses_a_server(place, monkeypatch, asset, own_postgres.stop, own_postgres.start)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM], ids=str)
def test_a_run_survives_tarantool_going_away_under_its_load(
    own_tarantool: TarantoolServer,
    place_of: Callable[[dict[str, str]], Workbench],
    monkeypatch: pytest.MonkeyPatch,
    how: signal.Signals,
) -> None:
    place = place_of(of_tarantool(own_tarantool.login("pipeline", *GRANTS)))
    loses_a_server(place, monkeypatch, "predict_features", lambda: own_tarantool.stop(how), own_tarantool.start)


def test_a_training_that_loses_mlflow_says_so_and_the_next_one_heals(
    own_mlflow: MlflowServer, place_of: Callable[[dict[str, str]], Workbench], monkeypatch: pytest.MonkeyPatch
) -> None:
    variables = {**own_mlflow.variables, "MLFLOW_URL": own_mlflow.settings.url}
    for name, value in {**variables, "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1"}.items():
        monkeypatch.setenv(name, value)
    place = place_of(variables)
    registry, task = place.stores["registry"], place.task.name
    real = Registry.publish

    def lost(self: Registry, *arguments: Any, **options: Any) -> int:
        own_mlflow.stop()
        return real(self, *arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Registry, "publish", lost)
        said = place.fail("train", "2026-01")
    # The last try found it down at its first question: whether this run has made its version already.
    assert "MLflow could not list the versions" in said
    assert str(own_mlflow.port) in said
    # While it is down no run of MLflow's begins, and the error says so too.
    assert "MLflow could not open the experiment" in place.fail("train", "2026-01")
    own_mlflow.start()
    assert [each.version for each in registry.candidates(task) if each.ready] == [1]
    place.succeed("train", "2026-01")
    assert [each.version for each in registry.candidates(task) if each.ready] == [1, 2]
    assert registry.open_runs(task) == {}
