import shlex
import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest
from click.testing import CliRunner

from pipeline_assets.stack import __main__ as stack_main
from pipeline_assets.stack import ready
from pipeline_assets.stack.__main__ import stack
from pipeline_assets.stack.plan import Plan
from pipeline_assets.stack.supervisor import Supervisor


def test_where_tarantool_is_missing_up_says_how_to_install_it_and_starts_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if found := shutil.which("setpriv"):  # all but Tarantool is there
        (tmp_path / "setpriv").symlink_to(found)
    monkeypatch.setenv("PATH", str(tmp_path))
    folder, env_file = tmp_path / "stack", tmp_path / ".env.stack"
    done = CliRunner().invoke(stack, ["--folder", str(folder), "--env-file", str(env_file), "up"])
    assert done.exit_code == 2
    assert "the program tarantool is not on the PATH" in done.stderr
    assert "apt-get install tarantool" in done.stderr
    assert not env_file.exists()
    assert not (folder / "supervisord.pid").exists()
    assert not (folder / "postgres").exists()


def test_run_without_servers_says_what_starts_them(tmp_path: Path) -> None:
    done = CliRunner().invoke(stack, ["--folder", str(tmp_path), "run", "true"])
    assert done.exit_code == 2
    assert "make stack" in done.stderr


@pytest.fixture
def running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Plan:
    """Servers that run with the tasks of the folder ``theirs``; ``mine`` is another one."""
    for name in ("theirs", "mine"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Supervisor, "runs", lambda _: True)
    monkeypatch.setattr(Supervisor, "states", lambda _: {"dagster": "RUNNING", "mart-page": "RUNNING"})
    monkeypatch.setattr(Supervisor, "start", lambda *_: None)
    monkeypatch.setattr(Supervisor, "stop", lambda _: None)
    monkeypatch.setattr(stack_main, "programs", lambda _: [])
    monkeypatch.setattr(ready, "checks", lambda *_: {})
    (tmp_path / "stack").mkdir()
    return Plan.of(tmp_path / "stack").with_tasks(str(tmp_path / "theirs"))


def called(*words: str) -> str:
    done = CliRunner().invoke(stack, ["--folder", "stack", "--env-file", ".env.stack", *words])
    assert done.exit_code == 0, done.output
    return done.stdout


def test_servers_that_run_with_other_tasks_than_the_callers_say_so(
    running: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIPELINE_TASKS", "mine")
    said = called("up")
    assert f"with the tasks of {running.tasks}, not with those of {tmp_path}/mine.\n`make stack-down`" in said
    assert f"PIPELINE_TASKS={running.tasks}\n" in Path(".env.stack").read_text()
    for same in ("theirs", ""):
        monkeypatch.setenv("PIPELINE_TASKS", same)
        assert "not with those of" not in called("up")


def test_servers_that_start_take_the_tasks_of_the_caller(
    running: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[Mapping[str, str]] = []
    monkeypatch.setattr(Supervisor, "runs", lambda _: bool(started))
    monkeypatch.setattr(Supervisor, "start", lambda _, __, environment: started.append(environment))
    monkeypatch.setattr(stack_main, "prepare", lambda _: None)
    monkeypatch.setenv("PIPELINE_TASKS", "mine")
    assert f"tasks       {tmp_path}/mine\n" in called("up")
    assert started[0]["PIPELINE_TASKS"] == Plan.of(running.folder).tasks == f"{tmp_path}/mine"
    assert f"PIPELINE_TASKS={tmp_path}/mine\n" in Path(".env.stack").read_text()


@pytest.mark.parametrize(("own", "tasks"), [("", "theirs"), ("mine", "mine")])
def test_a_command_has_the_tasks_of_the_servers_unless_the_caller_names_some(
    own: str, tasks: str, running: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIPELINE_TASKS", own)
    seen = running.folder / "seen"
    called("run", "sh", "-c", f'printf %s "$PIPELINE_TASKS" > {shlex.quote(str(seen))}')
    assert Path(seen.read_text()).name == tasks


@pytest.mark.usefixtures("running")
def test_down_says_that_it_stops_servers() -> None:
    assert called("down") == "stopping 2 servers\n"
