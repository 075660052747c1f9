"""Every notebook of the documentation runs against real servers, and gives the outputs that it is kept with.

``RENEW_NOTEBOOKS=1`` writes the outputs into the notebooks instead.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from pipeline_assets.demo.flights import TASK, TRAIN
from pipeline_assets.settings import DatabaseSettings, TarantoolSettings
from pipeline_assets.stores.marts import embedded_postgres
from tests.end_to_end.test_flights import Flights
from tests.fixtures.postgres import own_tcp_server, tcp_server
from tests.fixtures.s3 import S3Server, fresh_uri, s3_server
from tests.fixtures.tarantool import tarantool_server, tarantool_settings

__all__ = ["own_tcp_server", "s3_server", "tarantool_server", "tarantool_settings", "tcp_server"]

DOCS = Path(__file__).parents[2] / "docs"
RUSSIAN, ENGLISH = DOCS / "examples", DOCS / "en" / "examples"
NOTEBOOKS = sorted(path.relative_to(RUSSIAN).as_posix() for path in RUSSIAN.rglob("*.ipynb"))
MONTH = "2013-10"


@pytest.fixture(scope="module")
def environment(
    tmp_path_factory: pytest.TempPathFactory,
    s3_server: S3Server,
    tcp_server: DatabaseSettings,
    tarantool_settings: TarantoolSettings,
) -> Iterator[dict[str, str]]:
    """The variables of a platform on which the demo's flights were trained and predicted, as `make stack-demo` does."""
    flights = Flights(tmp_path_factory.mktemp("notebooks"))
    flights.variables |= {
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
        partition = f'{{"dagster/partition": "{batch}"}}'
        flights.dagster(
            "job", "execute", "-m", "pipeline_assets.definitions", "-j", f"{TASK}_{stage}", "--tags", partition
        )
    yield flights.variables | {
        "DATA_URI": fresh_uri(),
        "AWS_ENDPOINT_URL": str(s3_server.settings.endpoint),
        "AWS_ACCESS_KEY_ID": str(s3_server.settings.access_key),
        "AWS_SECRET_ACCESS_KEY": str(s3_server.settings.secret_key),
    }
    embedded_postgres.stop(flights.root / "state" / "postgres")


@pytest.mark.server
@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_gives_the_outputs_that_it_is_kept_with(
    name: str, environment: dict[str, str], tmp_path: Path
) -> None:
    kept = nbformat.read(RUSSIAN / name, as_version=4)
    fresh = nbformat.from_dict(kept)
    client = NotebookClient(fresh, timeout=300, resources={"metadata": {"path": str(tmp_path)}}, record_timing=False)
    client.execute(env={**os.environ, **environment})
    if os.environ.get("RENEW_NOTEBOOKS") == "1":
        _renew(RUSSIAN / name, fresh)
        _renew(ENGLISH / name, fresh)
    else:
        assert _outputs(fresh) == _outputs(kept)


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_the_english_twin_has_the_same_code_and_outputs(name: str) -> None:
    russian, english = (nbformat.read(folder / name, as_version=4) for folder in (RUSSIAN, ENGLISH))

    assert [cell.source for cell in english.cells if cell.cell_type == "code"] == [
        cell.source for cell in russian.cells if cell.cell_type == "code"
    ]
    assert [cell.cell_type for cell in english.cells] == [cell.cell_type for cell in russian.cells]
    assert _outputs(english) == _outputs(russian)


def test_no_twin_is_alone() -> None:
    assert sorted(path.relative_to(ENGLISH).as_posix() for path in ENGLISH.rglob("*.ipynb")) == NOTEBOOKS


def _outputs(notebook: Any) -> list[tuple[str, list[str]]]:
    """The text of every output by the code that made it, so that a difference names its cell.

    A cell with the tag ``varies`` shows what another machine may compute otherwise, and its output is not compared.
    """
    return [
        (cell.source, [_text(output) for output in cell.outputs])
        for cell in notebook.cells
        if cell.cell_type == "code" and "varies" not in cell.metadata.get("tags", ())
    ]


def _text(output: Any) -> str:
    return str(output.get("text") or output.get("data", {}).get("text/plain"))


def _renew(path: Path, fresh: Any) -> None:
    """Puts the outputs of a run into a notebook; counters and times of the run stay out."""
    kept = nbformat.read(path, as_version=4)
    ran = [cell for cell in fresh.cells if cell.cell_type == "code"]
    for cell, run in zip((cell for cell in kept.cells if cell.cell_type == "code"), ran, strict=True):
        for output in run.outputs:
            if "execution_count" in output:
                output.execution_count = None
        cell.outputs = run.outputs
    nbformat.validate(kept)
    path.write_text(nbformat.writes(kept, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
