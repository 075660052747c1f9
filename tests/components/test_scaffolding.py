"""``dg scaffold defs`` drafts the task that ``pipeline-assets task new`` drafts."""

from pathlib import Path
from typing import Literal

import dagster as dg
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner
from dagster.components.component_scaffolding import parse_params_model
from dagster.components.scaffold.scaffold import ScaffoldRequest, get_scaffolder

from pipeline_assets.cli.main import main
from pipeline_assets.components import MLTask
from pipeline_assets.components.scaffolding import ScaffoldParams
from pipeline_assets.errors import TaskError
from tests.task.drafting.tables import EXAMPLES


def scaffold(folder: Path, json: str, scaffold_format: Literal["yaml", "python"] = "yaml") -> None:
    params = parse_params_model(MLTask, json)
    assert isinstance(params, ScaffoldParams)
    scaffolder = get_scaffolder(MLTask)
    assert isinstance(scaffolder, dg.Scaffolder)
    name = "pipeline_assets.components.MLTask"
    scaffolder.scaffold(
        ScaffoldRequest(
            type_name=name, target_path=folder, scaffold_format=scaffold_format, project_root=None, params=params
        )
    )


def test_it_is_the_same_task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    pq.write_table(EXAMPLES["leaks"]().table, tmp_path / "clients.parquet")
    (tmp_path / "clients").mkdir()
    scaffold(tmp_path / "clients", '{"from": "clients.parquet", "target": "churned"}')
    words = ["task", "new", "clients", "--from", "clients.parquet", "--target", "churned", "--into", "other"]
    assert CliRunner().invoke(main, words).exit_code == 0
    text = (tmp_path / "clients" / "defs.yaml").read_text()
    assert text == (tmp_path / "other" / "clients" / "defs.yaml").read_text()


def test_a_task_is_no_python(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match=r"defs\.yaml of its own"):
        scaffold(tmp_path, '{"from": "x.parquet", "target": "y"}', "python")
