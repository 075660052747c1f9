"""What the documents name is there, in both languages; the keys and examples are those of the code."""

import re
import tomllib
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml
from click.testing import CliRunner
from pydantic import BaseModel

from benchmarks.lines import LINES
from benchmarks.tables import PAGES, renewed
from pipeline_assets.cli.main import main
from pipeline_assets.engine.duckdb.own_columns import with_own_columns
from pipeline_assets.task.loading import load_task
from pipeline_assets.task.spec import TaskSpec
from tests import trainable

ROOT = Path(__file__).parents[1]
PYTHON = (ROOT / "docs/en/how-to/python.md").read_text()
OF_A_TASK = [
    "reference/task",
    "how-to/train",
    "how-to/python",
    "how-to/add-check",
    "how-to/monitor",
    "tutorial/own-data",
]
FENCES = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NOTES = """type: pipeline_assets.components.MLTask
attributes:
  name: notes
  columns:
    note: {type: string, nullable: true}
    liked: {type: bool, nullable: true, stage: train}
  target: {expression: liked}
"""
PATHS = re.compile(r"`((?:pipeline_assets|tests|docs|deploy|benchmarks)/[\w./-]+|[\w-]+\.(?:toml|md|lock|yaml))`")


@pytest.mark.parametrize("name", ["CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md"])
def test_paths_that_a_document_names_are_there(name: str) -> None:
    named = {path for path in PATHS.findall((ROOT / name).read_text()) if path not in {"defs.yaml", "page.py"}}
    somewhere = {path.name for path in (ROOT / "pipeline_assets").rglob("*.yaml")}
    missing = {path for path in named if not (ROOT / path).exists() and path not in somewhere}
    assert missing == set()


def test_make_verbs_and_sub_commands_that_a_document_names_are_there() -> None:
    pages = [ROOT / "README.md", *(ROOT / "docs" / "en").rglob("*.md"), *ROOT.glob("[CS][A-Z]*.md")]
    text = "".join(page.read_text() for page in pages)
    verbs = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"(?:`|    )(?:REQUIRE_SERVERS=1 )?make ([a-z-]+)", text)) - verbs == set()
    commands = set(main.list_commands(main.make_context("pipeline-assets", ["task"])))
    assert set(re.findall(r"`pipeline-assets ([a-z]+)", text)) - commands == set()


def test_the_changelog_has_the_version_of_the_project() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    text = (ROOT / "CHANGELOG.md").read_text()
    assert f"## [{version}] - " in text
    assert text.index("## [Unreleased]") < text.index(f"## [{version}]")


def test_those_who_import_the_package_get_its_types() -> None:
    assert (ROOT / "pipeline_assets" / "py.typed").is_file()


@pytest.mark.parametrize("name", ["README.md", "README.ru.md"])
def test_the_readme_is_short_and_its_yaml_that_of_a_task(name: str) -> None:
    text = (ROOT / name).read_text()
    assert len(text.splitlines()) <= 150
    (part,) = (body for kind, body in FENCES.findall(text) if kind == "yaml")
    TaskSpec.model_validate({**trainable.task().model_dump(exclude_none=True, mode="json"), **yaml.safe_load(part)})


@pytest.mark.parametrize("language", PAGES)
def test_the_page_on_speed_has_the_newest_results(language: str) -> None:
    assert PAGES[language].read_text() == renewed(language), "run python -m benchmarks.tables"


def test_the_page_on_speed_describes_every_line() -> None:
    text = PAGES["en"].read_text()
    described = re.findall(r"^\| ([^|]+) \|", text[: text.index("## How it is measured")], re.MULTILINE)
    assert {name for name in LINES if name.partition(",")[0] not in described} == set()


def test_the_table_of_keys_has_every_key_of_a_task() -> None:
    text = (ROOT / "docs/en/reference/task.md").read_text()
    table = text[text.index("| `name` |") : text.index("Expressions and checks")]
    for name, field in TaskSpec.model_fields.items():
        assert f"`{name}" in table
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            missing = {key for key in field.annotation.model_fields if key not in table}
            assert (name, missing) == (name, set())


@pytest.mark.parametrize("name", OF_A_TASK)
def test_the_yaml_of_a_page_is_that_of_a_task(name: str) -> None:
    texts = [body for kind, body in FENCES.findall((ROOT / f"docs/en/{name}.md").read_text()) if kind == "yaml"]
    assert texts
    whole = trainable.task().model_dump(exclude_none=True, mode="json")
    for text in texts:
        given = yaml.safe_load(text)
        TaskSpec.model_validate({**whole, **given.get("attributes", given)})


def test_the_function_of_the_page_adds_its_column(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (function,) = (body for kind, body in FENCES.findall(PYTHON) if kind == "python" and "def words" in body)
    (keys,) = (body for kind, body in FENCES.findall(PYTHON) if kind == "yaml" and "prepare.py" in body)
    (tmp_path / "tasks" / "notes").mkdir(parents=True)
    (tmp_path / "tasks" / "notes" / "prepare.py").write_text(function)
    (tmp_path / "tasks" / "notes" / "defs.yaml").write_text(f"{NOTES}{keys}")
    rows = pa.table({"note": ["a b c", None], "liked": [True, False]})
    pq.write_table(rows, tmp_path / "notes.parquet")
    monkeypatch.setenv("PIPELINE_TASKS", "tasks")
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(main, ["task", "check", "notes", "--against", "notes.parquet"])
    assert (done.exit_code, "features are not tried here" in done.output) == (0, True)
    numbered = rows.add_column(0, "row_number", pa.array([0, 1], pa.int64()))
    made = with_own_columns(numbered.to_reader(), load_task(tmp_path / "tasks" / "notes")).read_all()
    assert made["words"].to_pylist() == [3, 0]
