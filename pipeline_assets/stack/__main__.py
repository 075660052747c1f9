"""Starts and stops every real server on this machine, and runs a command with their addresses.

``pipeline-assets stack up | airflow | down | run command ...``
"""

import fcntl
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import click

from pipeline_assets.cli.report import refusals
from pipeline_assets.errors import StoreError
from pipeline_assets.settings import PACKAGED_TASKS, Settings
from pipeline_assets.stack import airflow, ready, s3
from pipeline_assets.stack.plan import Plan
from pipeline_assets.stack.programs import environment, prepare, programs
from pipeline_assets.stack.ready import NotYet
from pipeline_assets.stack.supervisor import Supervisor

_SECONDS = 180  # on a slow machine; then something is wrong
_PAUSE = 0.2
_LINES = 15
_AIRFLOW = "airflow"  # its folder, in that of the servers
_TASKS = "PIPELINE_TASKS"


@dataclass(frozen=True)
class _Places:
    """Where the servers' folder and the file of their variables are."""

    folder: Path
    env_file: Path


def up(folder: Path, env_file: Path) -> None:
    """Starts the servers that do not run; returns when every server accepts requests.

    The servers take ``PIPELINE_TASKS`` when they start; if they run with other tasks, this says so.

    Raises:
        SettingsError: ``PIPELINE_TASKS`` names what is no folder.
        StoreError: a server is not installed, or does not start; says what its log says.
    """
    tasks = _tasks()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _locked(folder):
        plan, supervisor = Plan.of(folder), Supervisor(folder)
        every = programs(plan)
        if not supervisor.runs():
            plan = plan.with_tasks(tasks)
        running = supervisor.runs() and set(supervisor.states().values()) == {"RUNNING"}
        if not running:
            prepare(plan)
        since = time.time()
        supervisor.start(every, environment(plan))
        plan.write_env(env_file)
        if running:
            _say("The servers run already.")
        _wait(ready.checks(plan, 0 if running else since), supervisor)
    _say(_addresses(plan, env_file))
    if other := _other_tasks(plan, tasks):
        _say(other)


def _tasks() -> str:
    """The caller's ``PIPELINE_TASKS`` with absolute folders, since the servers run in another folder."""
    named = Settings.from_env({_TASKS: os.environ.get(_TASKS, "")}).tasks
    return ":".join(str(folder) for folder in named if folder != PACKAGED_TASKS)


def _other_tasks(plan: Plan, tasks: str) -> str | None:
    """What to do if the caller names other tasks than those that the servers run with; a restart would end runs."""
    if tasks in ("", plan.tasks):
        return None
    return (
        f"The servers run with the tasks of {plan.tasks or 'the package alone'}, not with those of {tasks}.\n"
        "`make stack-down`, then `make stack` takes yours."
    )


def up_airflow(folder: Path) -> None:
    """Starts Airflow; the servers must run. Returns when Airflow accepts requests and has read its DAGs.

    Raises:
        StoreError: the servers do not run; Airflow is not installed, or does not start.
    """
    if not Supervisor(folder).runs():
        raise StoreError("the servers do not run", do="make stack")
    beside = airflow.Airflow.of(folder / _AIRFLOW)
    with _locked(beside.folder):
        supervisor = Supervisor(beside.folder)
        every = airflow.programs(beside)
        running = supervisor.runs() and set(supervisor.states().values()) == {"RUNNING"}
        variables = beside.variables(Plan.of(folder).url("dagster"))
        if not running:
            airflow.prepare(beside, variables)
        since = time.time()
        supervisor.start(every, airflow.environment(variables))
        _wait(airflow.checks(beside, 0 if running else since), supervisor)
    places = {
        "Airflow": f"{beside.url}  login {airflow.LOGIN}, password {beside.password}",
        "logs": str(beside.folder / "logs"),
    }
    _say(_table(places))


def down(folder: Path) -> None:
    """Stops the servers; their data stays in the folder.

    Raises:
        StoreError: a process does not end.
    """
    if not folder.is_dir():
        return
    with _locked(folder):
        kept = [Supervisor(each) for each in (folder / _AIRFLOW, folder) if each.is_dir()]
        if running := sum(len(each.states()) for each in kept if each.runs()):
            _say(f"stopping {running} servers")
        for each in kept:
            each.stop()
        if (folder / "plan.json").exists():
            s3.forget_sockets(Plan.of(folder).grpc)


def run(folder: Path, line: list[str]) -> int:
    """Runs a command with the variables of the servers and returns its exit code.

    Raises:
        StoreError: the servers do not run.
    """
    if not Supervisor(folder).runs():
        raise StoreError("the servers do not run", do="make stack")
    # Tasks are the caller's to choose, the servers are not.
    own = {_TASKS: os.environ[_TASKS]} if os.environ.get(_TASKS) else {}
    environment = {**os.environ, **Plan.of(folder).variables(), **own}
    return subprocess.run(line, env=environment, check=False).returncode  # noqa: S603


def _wait(checks: Mapping[str, Callable[[], object]], supervisor: Supervisor) -> None:
    """Waits until every server accepts requests."""
    begun, pending = time.monotonic(), dict(checks)
    said: dict[str, str] = {}
    while pending:
        states = supervisor.states()
        for name, check in list(pending.items()):
            try:
                _check_running(states[name])
                check()
            except NotYet as answer:
                said[name] = str(answer)
            else:
                del pending[name]
                _say(f"  {name:<20}serves after {time.monotonic() - begun:.0f} s")
                continue
            if states[name] == "FATAL" or time.monotonic() - begun > _SECONDS:
                raise StoreError(
                    f"{name} does not start",
                    file=supervisor.log(name),
                    found=f"{said[name]}\n{_end(supervisor.log(name))}".strip(),
                    do="see its log; make stack-down, then make stack",
                )
        if pending:
            time.sleep(_PAUSE)  # before the next round of checks


def _check_running(state: str) -> None:
    """Raises :class:`NotYet` unless the process runs: an answer at its port would come from another process."""
    if state != "RUNNING":
        raise NotYet(state)


def _end(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-_LINES:]) if log.exists() else ""


def _addresses(plan: Plan, env_file: Path) -> str:
    postgres, tarantool = plan.postgres, plan.tarantool
    places = {
        "S3": f"{plan.url('s3')}  {plan.variables()['DATA_URI']}",
        "PostgreSQL": f"{postgres.host}:{postgres.port}  database {postgres.database}, login {postgres.login}",
        "Tarantool": f"{tarantool.host}:{tarantool.port}  login {tarantool.login}",
        "MLflow": plan.url("mlflow"),
        "Dagster": plan.url("dagster"),
        "mart page": plan.url("mart_page"),
        "tasks": plan.tasks or "the packaged example; PIPELINE_TASKS adds yours at the next start",
        "logs": str(plan.folder / "logs"),
        "variables": f"{env_file}  (in a shell: set -a; . {env_file}; set +a)",
    }
    return _table(places)


def _table(places: Mapping[str, str]) -> str:
    return "\n".join(f"{what:<12}{where}" for what, where in places.items())


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Holds the lock of the folder, so that one start or stop runs at a time."""
    with (folder / "lock").open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


@click.group()
@click.option(
    "--folder",
    type=click.Path(file_okay=False, path_type=Path, resolve_path=True),
    default=".pipeline/stack",
    show_default=True,
    help="Folder of everything that the servers write.",
)
@click.option(
    "--env-file",
    type=click.Path(dir_okay=False, path_type=Path, resolve_path=True),
    default=".env.stack",
    show_default=True,
    help="File that their variables are written to.",
)
@click.pass_context
def stack(ctx: click.Context, *, folder: Path, env_file: Path) -> None:
    """Start and stop S3, PostgreSQL, Tarantool, MLflow, Dagster and the mart page on this machine.

    \b
    Examples:
      pipeline-assets stack up
      pipeline-assets stack run pipeline-assets demo
      pipeline-assets stack down
    """  # noqa: D301 - click reads the backspace
    ctx.obj = _Places(folder, env_file)


@stack.command("up")
@click.pass_obj
@refusals()
def up_verb(places: _Places) -> None:
    """Start the servers; return when each of them serves.

    \b
    Examples:
      pipeline-assets stack up
      set -a; . ./.env.stack; set +a     # then every other verb works on these servers
    """  # noqa: D301 - click reads the backspace
    up(places.folder, places.env_file)


@stack.command("airflow")
@click.pass_obj
@refusals()
def airflow_verb(places: _Places) -> None:
    """Start Airflow beside the servers; needs .venv-airflow, which `make airflow` makes.

    \b
    Examples:
      pipeline-assets stack airflow
    """  # noqa: D301 - click reads the backspace
    up_airflow(places.folder)


@stack.command("down")
@click.pass_obj
@refusals()
def down_verb(places: _Places) -> None:
    """Stop the servers, and Airflow; what they hold stays.

    \b
    Examples:
      pipeline-assets stack down
    """  # noqa: D301 - click reads the backspace
    down(places.folder)


@stack.command("run", context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.argument("line", metavar="COMMAND...", nargs=-1, required=True, type=click.UNPROCESSED)
@click.pass_context
@refusals()
def run_verb(ctx: click.Context, line: tuple[str, ...]) -> None:
    """Run a command with the servers' variables; its exit code is that of this one.

    \b
    Examples:
      pipeline-assets stack run pipeline-assets run flight_delays predict --all
      pipeline-assets stack run pipeline-assets sql
    """  # noqa: D301 - click reads the backspace
    ctx.exit(run(ctx.obj.folder, list(line)))


if __name__ == "__main__":
    stack(prog_name="python -m pipeline_assets.stack")
