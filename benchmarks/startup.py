"""Start-up: commands on a few thousand rows, in new processes, beside the imports that no run can do without."""

import atexit
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from benchmarks.measure import LIMIT, OURS, Line, Work
from benchmarks.workspace import BATCH, Workspace
from pipeline_assets.stores.marts import embedded_postgres
from pipeline_assets.task.spec import STAGES, Stage

_ROWS = 5_000
_TASKS = 200
_IMPORTS = "import dagster, catboost, mlflow"
_DEFINITIONS = "from pipeline_assets.definitions import defs; defs().get_repository_def()"


def _command(*arguments: str, environment: Mapping[str, str] | None = None) -> Work:
    """A new Python; it counts as one row."""
    command, env = [sys.executable, "-W", "ignore", *arguments], {**os.environ, **(environment or {})}

    def work() -> int:
        subprocess.run(command, check=True, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return 1

    return work


def _imports(workspace: Workspace) -> Work:  # noqa: ARG001 - every contender's signature
    return _command("-c", _IMPORTS)


def _help(workspace: Workspace) -> Work:  # noqa: ARG001 - every contender's signature
    return _command("-m", "pipeline_assets.cli", "--help")


def _run(workspace: Workspace, stage: Stage) -> Work:
    """A run of an installation that has run before: its databases are there, and its server runs."""
    folder = workspace.folder / "startup"
    state = folder / "state"
    if state.exists():
        embedded_postgres.stop(state / "postgres")
    shutil.rmtree(folder, ignore_errors=True)
    for each in STAGES:
        rows = pq.read_table(workspace.file(each))
        path = folder / "data" / workspace.task.name / each / f"{BATCH}.parquet"
        path.parent.mkdir(parents=True)
        pq.write_table(rows.take(np.linspace(0, len(rows) - 1, _ROWS).astype(np.int64)), path)
    environment = {
        "DATA_URI": str(folder / "data"),
        "PIPELINE_STATE": str(state),
        "DAGSTER_HOME": str(folder / "dagster"),
    }
    atexit.register(embedded_postgres.stop, state / "postgres")
    runs = {
        each: _command("-m", "pipeline_assets.cli", "run", workspace.task.name, each, BATCH, environment=environment)
        for each in STAGES
    }
    for each in STAGES:
        runs[each]()
    return runs[stage]


def _definitions(workspace: Workspace) -> Work:
    """What Dagster loads, with so many tasks as large as the demo's."""
    import pipeline_assets.defs

    (packaged,) = pipeline_assets.defs.__path__
    name = workspace.task.name
    text = (Path(packaged) / name / "defs.yaml").read_text()
    folder = workspace.folder / "tasks"
    for number in range(_TASKS):
        own = folder / f"task_{number}"
        own.mkdir(parents=True, exist_ok=True)
        (own / "defs.yaml").write_text(text.replace(f"name: {name}", f"name: task_{number}", 1))
    return _command("-c", _DEFINITIONS, environment={"PIPELINE_TASKS": str(folder)})


# Wanted are so many seconds where the imports take 2.3, as on the machine of the committed results.
_LIMIT_SECONDS = 2.3
LINES = tuple(
    Line(name, {OURS: ours, LIMIT: _imports}, wanted={LIMIT: _LIMIT_SECONDS / seconds}, flat=False, outside=True)
    for name, ours, seconds in (
        ("start-up, help", _help, 0.5),
        ("start-up, run train of few rows", partial(_run, stage="train"), 8),
        ("start-up, run predict of few rows", partial(_run, stage="predict"), 5),
        (f"start-up, definitions of {_TASKS} tasks", _definitions, 10),
    )
)
