"""Commands, variables and SQL that the documents show are those that there are."""

import re
import shlex
import textwrap
from collections.abc import Iterator
from pathlib import Path

import click
import duckdb
import pytest
from click.testing import CliRunner

from pipeline_assets.cli.main import main
from pipeline_assets.settings import PACKAGED_TASKS, VARIABLES
from pipeline_assets.stores.marts.drift_table import drift_mart
from pipeline_assets.stores.marts.model_choices import model_choices
from pipeline_assets.stores.marts.quality import quality
from pipeline_assets.stores.marts.rejections import rejections_mart
from pipeline_assets.stores.marts.tables import input_mart, lineage, output_mart
from pipeline_assets.task.loading import load_task
from tests.docs import pages
from tests.docs.pages import DOCS, ROOT

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *pages.pages("en")]
_SQL = ["explanation/rejected-rows", "guides/marts", "how-to/monitor", "how-to/operate", "tutorial/first-run"]
_MARTS = (model_choices, quality, drift_mart, rejections_mart)
_COMMAND = re.compile(r"^ {4,}(?:\.venv/bin/)?(pipeline-assets [^#\n]*)|`(pipeline-assets [^`]+)`", re.MULTILINE)


def commands() -> Iterator[tuple[str, str]]:
    for page in PAGES:
        for block, inline in _COMMAND.findall(page.read_text(encoding="utf-8")):
            yield page.name, (block or inline).strip()


@pytest.mark.parametrize(("page", "command"), sorted(set(commands())))
def test_a_command_of_a_page_has_that_verb_and_those_options(page: str, command: str) -> None:
    words = shlex.split(re.sub(r"\[.*\]|\.\.\.", " ", command))[1:]
    verb: click.Command = main
    context = main.make_context("pipeline-assets", ["task"])
    while words and isinstance(verb, click.Group):
        found = verb.get_command(context, words.pop(0))
        assert found is not None, f"{page}: {command}"
        verb = found
    if command.startswith("pipeline-assets sql"):
        return  # its options are those of psql
    known = {option for parameter in verb.params for option in parameter.opts} | {"--help"}
    given = {word.partition("=")[0].rstrip(",") for word in words if word.startswith("--")}
    assert given - known == set(), f"{page}: {command}"


def test_variables_that_a_page_names_are_described() -> None:
    text = (DOCS / "en/reference/environment.md").read_text(encoding="utf-8")
    known = {*VARIABLES, *re.findall(r"^\| `([A-Z_0-9]+)` \|", text, re.MULTILINE)}
    owners = "|".join(sorted({name.partition("_")[0] for name in VARIABLES}))
    for page in PAGES:
        named = set(re.findall(rf"`((?:{owners})_[A-Z_]+)`", page.read_text(encoding="utf-8")))
        assert (page.name, named - known) == (page.name, set())


@pytest.mark.parametrize("page", _SQL)
def test_the_sql_of_a_page_fits_the_marts_of_the_demo(page: str) -> None:
    task = load_task(PACKAGED_TASKS / "flight_delays")
    view = lineage(task)
    text = (DOCS / "en" / f"{page}.md").read_text(encoding="utf-8")
    blocks = re.findall(r"(?:^    .*\n|^\n(?=    ))+", text, re.MULTILINE)
    shown = [sql for block in blocks for sql in block.split(";") if re.search(r"\bfrom marts\.", sql)]
    assert shown
    with duckdb.connect() as connection:
        connection.sql("create schema marts")
        for table in (input_mart(task, "predict").stored, output_mart(task), *(mart(task) for mart in _MARTS)):
            empty = table.schema.empty_table()  # noqa: F841 - DuckDB reads it by its name
            connection.sql(f'create table marts."{table.name}" as from empty')
        names = {table.name: f'marts."{table.name}"' for table in view.tables}
        connection.sql(f'create view marts."{view.name}" as {view.sql.format_map(names)}')
        connection.sql("create schema reports")
        for sql in shown:
            connection.execute(sql[sql.index("create view") if "create view" in sql else sql.index("select") :])


def test_addresses_of_pages_are_those_of_this_machine_or_examples() -> None:
    for page in [*PAGES, *pages.pages("ru"), ROOT / "README.ru.md"]:
        hosts = set(re.findall(r"https?://(\w[\w.-]*)", page.read_text(encoding="utf-8")))
        odd = {host for host in hosts if not re.search(r"^127\.0\.0\.1$|^(?:dagster|user)$|example|astral\.sh$", host)}
        assert (page.name, odd) == (page.name, set())


def test_no_page_is_left_from_before() -> None:
    text = "".join(Path(page).read_text(encoding="utf-8") for page in [*PAGES, *pages.pages("ru")])
    assert re.findall(r"[\w/]*\.ru\.md", text.replace("README.ru.md", "")) == []


def test_the_tutorial_drafts_the_task_that_it_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (DOCS / "en" / "tutorial" / "own-data.md").read_text(encoding="utf-8")
    (tmp_path / "tasks").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PIPELINE_TASKS", "tasks")
    code, mistakes = re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    exec(code, {})  # noqa: S102 - the page's own
    (command,) = re.findall(r"^    pipeline-assets (task new .*)$", text, re.MULTILINE)
    done = CliRunner().invoke(main, shlex.split(command))
    said = textwrap.dedent(text[text.index("    tasks/diamonds/defs.yaml\n") : text.index("| option |")]).strip()
    assert (done.exit_code, done.output.replace(f"{tmp_path}/", "").strip()) == (0, said)
    drafted = (tmp_path / "tasks" / "diamonds" / "defs.yaml").read_text(encoding="utf-8")
    shown = text[text.index("```yaml") : text.index("What is guessed")]
    for line in ("kind: regression ", "carat: carat ", "depth: depth "):
        (on_page,) = (each for each in shown.splitlines() if line in each)
        assert on_page.strip() in [each.strip() for each in drafted.splitlines()]
    exec(mistakes, {})  # noqa: S102 - the page's own
    (command,) = re.findall(r"^    pipeline-assets (task check .*)$", text, re.MULTILINE)
    done = CliRunner().invoke(main, shlex.split(command))
    said = textwrap.dedent(text[text.index("    july.parquet as a") : text.index("Nothing is stored.")]).strip()
    assert (done.exit_code, done.output.strip()) == (0, said)
