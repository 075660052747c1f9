import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from pipeline_assets.cli.main import main
from tests.examples import SHOP

QUESTION = str(SHOP["description"])
COMMANDS = ["", "completion", "demo", "forget", "page", "replay", "run", "sql", "stack", "stack up", "stack run"]
COMMANDS += ["task", "task check", "task list", "task new"]


@pytest.mark.parametrize("words", COMMANDS)
def test_every_command_explains_itself_with_an_example(words: str) -> None:
    done = CliRunner().invoke(main, [*words.split(), "--help"], prog_name="pipeline-assets")
    assert done.exit_code == 0
    examples = [line.strip() for line in done.stdout.partition("\n  Examples:\n")[2].splitlines()]
    assert any(line.startswith(f"pipeline-assets {words}".strip()) for line in examples)


def test_the_list_names_every_verb_with_the_line_of_its_own_help() -> None:
    listed = CliRunner().invoke(main, ["--help"], prog_name="pipeline-assets").stdout
    assert [word for word in COMMANDS if word and " " not in word and f"\n  {word} " not in listed] == []
    assert "Exit codes: 0" in listed


@pytest.mark.parametrize("words", ["", "run", "forget", "page", "demo", "task", "sql", "stack", "reproduce"])
def test_help_waits_for_none_of_the_heavy_libraries(words: str) -> None:
    heavy = ("dagster", "shiny", "catboost", "mlflow", "pandas", "uvicorn")
    script = f"""
import sys
from pipeline_assets.cli.main import main
main([*{words.split()!r}, "--help"], standalone_mode=False)
sys.exit(", ".join(set(sys.modules) & set({heavy!r})) or 0)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_help_is_there_at_once() -> None:
    def seconds() -> float:
        begun = time.perf_counter()
        subprocess.run([sys.executable, "-m", "pipeline_assets.cli", "--help"], capture_output=True, check=True)
        return time.perf_counter() - begun

    assert min(seconds() for _ in range(5)) < 0.5


def test_a_misspelt_verb_is_a_usage_error() -> None:
    done = CliRunner().invoke(main, ["rum"])
    assert done.exit_code == 2
    assert "rum" in done.stderr


def test_completion_of_bash_offers_verbs_and_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "data" / "shop" / "predict").mkdir(parents=True)
    for name in ("2026-01", "2026-02", "2025-12"):
        (tmp_path / "data" / "shop" / "predict" / f"{name}.parquet").write_bytes(b"x")
    monkeypatch.chdir(tmp_path)

    def offered(words: str) -> list[str]:
        variables = {
            "_PIPELINE_ASSETS_COMPLETE": "bash_complete",
            "COMP_WORDS": words,
            "COMP_CWORD": str(len(words.split(" ")) - 1),
        }
        done = CliRunner().invoke(main, env=variables, prog_name="pipeline-assets")
        return [line.partition(",")[2] for line in done.stdout.splitlines()]

    assert offered("pipeline-assets ta") == ["task"]
    assert offered("pipeline-assets run fl") == ["flight_delays"]
    assert offered("pipeline-assets run shop p") == ["predict"]
    assert offered("pipeline-assets run shop predict 2026") == ["2026-01", "2026-02"]
    script = CliRunner().invoke(main, ["completion", "bash"]).stdout
    assert "_PIPELINE_ASSETS_COMPLETE=bash_complete" in script


def test_a_wrong_setting_ends_a_command_by_its_text_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GREENPLUM_HOST", "gp")
    done = CliRunner().invoke(main, ["sql"])
    assert done.exit_code == 2
    assert done.stderr.startswith("Greenplum is half-set\n")
    assert done.stdout == ""


def test_a_broken_task_is_listed_and_run_with_its_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = SHOP | {"name": "returns", "key": ["order_number"]}
    for attributes in (SHOP, broken):
        path = tmp_path / "tasks" / str(attributes["name"]) / "defs.yaml"
        path.parent.mkdir(parents=True)
        path.write_text(yaml.safe_dump({"type": "pipeline_assets.components.MLTask", "attributes": attributes}))
    monkeypatch.setenv("PIPELINE_TASKS", str(tmp_path / "tasks"))
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    listed = CliRunner().invoke(main, ["task", "list"])
    assert listed.exit_code == 1
    assert "Will the order be returned?" in next(
        line for line in listed.stdout.splitlines() if line.startswith("shop ")
    )
    sound, _, problem = listed.stdout.partition("returns ")
    assert "order_number" in problem
    assert "order_number" not in sound
    for name, said in (("returns", "order_number"), ("return", "did you mean: returns?")):
        done = CliRunner().invoke(main, ["run", name, "train", "2026-01"])
        assert done.exit_code == 2
        assert said in done.stderr
        assert ("no such task" in done.stderr) == (name == "return")


def test_a_list_with_a_broken_task_says_nothing_beside_it(tmp_path: Path) -> None:
    features = {**SHOP["features"], "categorical": {"a\nb": "country"}}
    path = tmp_path / "tasks" / "shop" / "defs.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(
        yaml.safe_dump({"type": "pipeline_assets.components.MLTask", "attributes": {**SHOP, "features": features}})
    )
    line = [sys.executable, "-m", "pipeline_assets.cli", "task", "list"]
    env = {**os.environ, "PIPELINE_TASKS": str(tmp_path / "tasks")}
    done = subprocess.run(line, capture_output=True, text=True, check=False, env=env)
    assert "a line break" in done.stdout
    assert (done.returncode, done.stderr) == (1, "")


def test_a_list_of_tasks_waits_for_none_of_the_heavy_libraries(tmp_path: Path) -> None:
    heavy = ("dagster", "catboost", "mlflow", "pandas", "sklearn", "matplotlib")
    script = f"""
import sys
from pipeline_assets.cli.main import main
main(["task", "list"], standalone_mode=False)
sys.exit(", ".join(set(sys.modules) & set({heavy!r})) or 0)
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
