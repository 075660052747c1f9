"""The commands that draft a task and check a file against one, as a user calls them."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

from pipeline_assets.cli.main import main
from pipeline_assets.task.loading import load_task
from tests.task.drafting.tables import EXAMPLES


def called(*words: str) -> Result:
    return CliRunner().invoke(main, ["task", *words], prog_name="pipeline-assets")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder: an empty folder of tasks, and a labelled file."""
    (tmp_path / "tasks").mkdir()
    monkeypatch.setenv("PIPELINE_TASKS", "tasks")
    monkeypatch.chdir(tmp_path)
    pq.write_table(EXAMPLES["leaks"]().table, tmp_path / "clients.parquet")
    return tmp_path


def drafted() -> None:
    assert called("new", "clients", "--from", "clients.parquet", "--target", "churned").exit_code == 0


def test_a_task_is_drafted_listed_and_checked(folder: Path) -> None:
    done = called("new", "clients", "--from", "clients.parquet", "--target", "churned")
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout.startswith(f"{folder}/tasks/clients/defs.yaml\n  target    churned, binary\n  key       id\n")
    assert f"put clients.parquet to {folder}/data/clients/train/clients.parquet" in done.stdout
    assert "  left out  id, churned_on, final_status, refund\n" in done.stdout
    text = (folder / "tasks" / "clients" / "defs.yaml").read_text()
    assert "pipeline-assets task new clients --from clients.parquet --target churned" in text
    assert "clients  " in called("list").stdout
    checked = called("check", "clients")
    assert (checked.exit_code, "the YAML holds" in checked.stdout) == (0, True)


def test_the_task_goes_where_the_user_says(folder: Path) -> None:
    done = called("new", "clients", "--from", "clients.parquet", "--target", "churned", "--into", "mine")
    assert load_task(folder / "mine" / "clients").name == "clients"
    assert "export PIPELINE_TASKS=mine" in done.stdout


def test_the_folder_of_tasks_is_made_if_it_is_missing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIPELINE_TASKS", "tasks:own/tasks")
    refused = called("new", "clients", "--from", "clients.parquet", "--target", "churn")
    assert (refused.exit_code, (folder / "own").exists()) == (2, False)
    assert called("list").exit_code == 2
    done = called("new", "clients", "--from", "clients.parquet", "--target", "churned")
    assert done.exit_code == 0, done.stderr
    assert load_task(folder / "own" / "tasks" / "clients").name == "clients"
    assert "export" not in done.stdout
    assert called("list").exit_code == 0
    monkeypatch.setenv("PIPELINE_TASKS", "none:tasks")
    assert "names what is no folder" in called("new", "more", "--from", "clients.parquet", "--target", "churned").stderr


def test_the_answer_names_the_steps_of_the_file_to_predict_too(folder: Path) -> None:
    pq.write_table(pq.read_table("clients.parquet").drop_columns(["churned"]), "june.parquet")
    done = called("new", "clients", "--from", "clients.parquet", "--target", "churned", "--predict", "june.parquet")
    assert done.stdout.splitlines()[-4:] == [
        f"  put clients.parquet to {folder}/data/clients/train/clients.parquet",
        f"  put june.parquet to {folder}/data/clients/predict/june.parquet",
        "  pipeline-assets run clients train clients",
        "  pipeline-assets run clients predict june",
    ]


def test_a_task_that_is_there_is_replaced_only_by_force(folder: Path) -> None:
    drafted()
    path = folder / "tasks" / "clients" / "defs.yaml"
    path.write_text(path.read_text() + "# mine\n")
    again = called("new", "clients", "--from", "clients.parquet", "--target", "churned")
    assert again.exit_code == 2
    assert "--force" in again.stderr
    assert path.read_text().endswith("# mine\n")
    assert called("new", "clients", "--from", "clients.parquet", "--target", "churned", "--force").exit_code == 0
    assert not path.read_text().endswith("# mine\n")
    elsewhere = called("new", "clients", "--from", "clients.parquet", "--target", "churned", "--into", "mine")
    assert elsewhere.exit_code == 2
    assert "another folder" in elsewhere.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("new", "Clients!", "--from", "clients.parquet", "--target", "churned"), "a task's name is"),
        (("new", "clients", "--from", "none.parquet", "--target", "churned"), "there is no such file"),
        (("new", "clients", "--from", "clients.parquet", "--target", "churn"), "did you mean churned"),
        (("new", "clients", "--from", "clients.parquet", "--target", "age", "--kind", "binary"), "two values"),
        (("new", "clients", "--from", "clients.parquet", "--target", "churned", "--kind", "nary"), "no such kind"),
        (("check", "client"), "no such task"),
    ],
)
def test_a_refusal_says_why_and_writes_nothing(words: tuple[str, ...], said: str, folder: Path) -> None:
    done = called(*words)
    assert done.exit_code == 2
    assert said in done.stderr
    assert done.stdout == ""
    assert list((folder / "tasks").iterdir()) == []


def test_a_folder_of_parts_is_one_file(folder: Path) -> None:
    table = pq.read_table(folder / "clients.parquet")
    (folder / "parts").mkdir()
    (folder / "parts" / "_SUCCESS").touch()
    for at in range(2):
        pq.write_table(table.slice(at * 2000, 2000), folder / "parts" / f"part-{at}.parquet")
    assert called("new", "clients", "--from", "parts/", "--target", "churned").exit_code == 0
    assert "3,500 rows" in (folder / "tasks" / "clients" / "defs.yaml").read_text()


def test_what_a_file_would_do_is_said_before_anything_runs(folder: Path) -> None:
    drafted()
    table = pq.read_table(folder / "clients.parquet").append_column("extra", pa.array(range(3500)))
    ages = table["age"].to_pylist()
    ages[7:10] = [None] * 3
    table = table.set_column(1, "age", pa.array(ages))
    table = table.set_column(0, "id", pa.array([*table["id"].to_pylist()[:-1], table["id"][0].as_py()]))
    pq.write_table(table, folder / "june.parquet")
    done = called("check", "clients", "--against", "june.parquet")
    assert done.exit_code == 0
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    assert lines[:5] == [
        "june.parquet as a train file of clients, by its columns", "rows 3,500", "accepted 3,496", "rejected 4",
        "no label 0",
    ]  # fmt: skip
    assert "3 age: null" in lines
    assert "row 7: age: null, which the contract forbids" in lines
    assert "row 3,499: key (id): repeats row 0" in lines
    assert lines[lines.index("columns that the contract does not have; they pass to the output") + 1] == "extra"
    contacts = pq.read_table(folder / "june.parquet")["contact"].to_pylist()
    nulls = sum(contact is None for row, contact in enumerate(contacts) if row not in (7, 8, 9, 3499))
    assert any(line.startswith(f"{nulls:,} ") and line.endswith("contact") for line in lines)
    assert lines[-1] == "a run would go through"
    assert not (folder / "data").exists()


def test_a_file_that_would_stop_a_run_is_a_failure(folder: Path) -> None:
    drafted()
    table = pq.read_table(folder / "clients.parquet").drop_columns(["churned"])
    pq.write_table(table.drop_columns(["job"]), folder / "less.parquet")
    less = called("check", "clients", "--against", "less.parquet")
    assert (less.exit_code, "as a predict file" in less.stdout) == (1, True)
    assert "the file lacks 1 of the contract's columns" in less.stdout
    broken = table.set_column(1, "age", pa.nulls(table.num_rows, pa.int64()))
    pq.write_table(broken, folder / "broken.parquet")
    done = called("check", "clients", "--against", "broken.parquet", "--stage", "predict")
    assert done.exit_code == 1
    assert "more than 10% of the rows are rejected" in done.stdout
    assert "no row is accepted" in done.stdout


def test_a_feature_that_cannot_be_computed_is_named_with_its_row(folder: Path) -> None:
    drafted()
    path = folder / "tasks" / "clients" / "defs.yaml"
    path.write_text(path.read_text().replace("    numeric:\n", "    numeric:\n      share: 100 // age\n"))
    table = pq.read_table(folder / "clients.parquet")
    pq.write_table(table.set_column(1, "age", pa.array(np.arange(3500) - 5)), folder / "zero.parquet")
    done = called("check", "clients", "--against", "zero.parquet")
    assert done.exit_code == 1
    assert "the feature share cannot be computed on row 5" in done.stdout
