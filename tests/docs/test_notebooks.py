"""Every notebook of the documentation runs against real servers, and gives the outputs that it is kept with.

The one on Airflow runs in ``tests/end_to_end/test_airflow.py``, beside its server.
"""

import json
from importlib.util import find_spec
from pathlib import Path

import pytest

from pipeline_assets.demo.flights import TASK, TRAIN
from pipeline_assets.settings import DatabaseSettings, TarantoolSettings
from tests.docs.notebooks import ENGLISH, NOTEBOOKS, RUSSIAN, check, outputs, read
from tests.end_to_end.test_flights import Flights
from tests.fixtures.mlflow import MlflowServer, mlflow_server
from tests.fixtures.postgres import own_tcp_server, tcp_server
from tests.fixtures.s3 import S3Server, fresh_uri, s3_server
from tests.fixtures.tarantool import tarantool_server, tarantool_settings

__all__ = ["mlflow_server", "own_tcp_server", "s3_server", "tarantool_server", "tarantool_settings", "tcp_server"]

MONTH = "2013-10"


@pytest.fixture(scope="module")
def environment(
    tmp_path_factory: pytest.TempPathFactory,
    s3_server: S3Server,
    tcp_server: DatabaseSettings,
    tarantool_settings: TarantoolSettings,
    mlflow_server: MlflowServer,
) -> dict[str, str]:
    """The variables of a platform on which the demo's flights were trained and predicted, as `make stack-demo` does."""
    flights = Flights(tmp_path_factory.mktemp("notebooks"))
    uri = fresh_uri()
    bucket, _, prefix = uri.removeprefix("s3://").partition("/")
    for file in (flights.root / "data").rglob("*.parquet"):
        key = f"{prefix}/{file.relative_to(flights.root / 'data').as_posix()}"
        s3_server.client.upload_file(str(file), bucket, key)
    flights.variables |= mlflow_server.variables | {
        "DATA_URI": uri,
        "MLFLOW_URL": mlflow_server.settings.url,
        "GREENPLUM_HOST": tcp_server.host,
        "GREENPLUM_PORT": str(tcp_server.port),
        "GREENPLUM_DATABASE": tcp_server.database,
        "GREENPLUM_LOGIN": tcp_server.login,
        "GREENPLUM_PASSWORD": tcp_server.password,
        "GREENPLUM_SCHEMA": "notebooks",
        "TARANTOOL_HOST": tarantool_settings.host,
        "TARANTOOL_PORT": str(tarantool_settings.port),
        "TARANTOOL_LOGIN": tarantool_settings.login,
        "TARANTOOL_PASSWORD": tarantool_settings.password,
    }
    for stage, batch in (("train", TRAIN), ("predict", MONTH)):
        partition = json.dumps({"dagster/partition": batch})
        flights.dagster(
            "job", "execute", "-m", "pipeline_assets.definitions", "-j", f"{TASK}_{stage}", "--tags", partition
        )
    return flights.variables


@pytest.mark.server
@pytest.mark.parametrize("name", [name for name in NOTEBOOKS if not name.startswith("airflow/")])
def test_a_notebook_gives_the_outputs_that_it_is_kept_with(
    name: str, environment: dict[str, str], tmp_path: Path
) -> None:
    if name == "ml/packages.ipynb" and not (find_spec("torch") and find_spec("tensorflow")):
        pytest.skip("PyTorch or TensorFlow is not installed: make trainers")
    check(name, environment, tmp_path)


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_the_english_twin_has_the_same_code_and_outputs(name: str) -> None:
    russian, english = read(RUSSIAN, name), read(ENGLISH, name)

    assert [cell.source for cell in english.cells if cell.cell_type == "code"] == [
        cell.source for cell in russian.cells if cell.cell_type == "code"
    ]
    assert [cell.cell_type for cell in english.cells] == [cell.cell_type for cell in russian.cells]
    assert outputs(english) == outputs(russian)


def test_no_twin_is_alone() -> None:
    assert sorted(path.relative_to(ENGLISH).as_posix() for path in ENGLISH.rglob("*.ipynb")) == NOTEBOOKS
