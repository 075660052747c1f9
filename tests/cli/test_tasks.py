import importlib
import sys
from pathlib import Path

import dagster as dg
import pytest
import yaml

from pipeline_assets.cli import tasks
from pipeline_assets.cli.tasks import load_task, states
from pipeline_assets.components.tasks import load_tasks
from pipeline_assets.errors import TaskError
from pipeline_assets.resources import resources
from pipeline_assets.settings import Settings
from tests.examples import SHOP


@pytest.fixture
def location(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dg.Definitions:
    """A sound task and a broken one."""
    broken = SHOP | {"name": "returns", "key": ["order_number"]}
    for attributes in (SHOP, broken):
        path = tmp_path / "cli_tasks" / str(attributes["name"]) / "defs.yaml"
        path.parent.mkdir(parents=True)
        path.write_text(yaml.safe_dump({"type": "pipeline_assets.components.MLTask", "attributes": attributes}))
    (tmp_path / "cli_tasks" / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "cli_tasks", raising=False)
    base = dg.Definitions(resources=dict(resources(Settings.from_env({}, tmp_path))))
    return load_tasks(importlib.import_module("cli_tasks"), base, strict=False)


def test_a_broken_task_is_listed_with_its_problem(location: dg.Definitions) -> None:
    sound, broken = sorted(states(location), key=lambda state: state.name != "shop")
    assert (sound.name, sound.problem) == ("shop", None)
    assert broken.name == "returns"
    assert "order_number" in str(broken.problem)
    assert "defs.yaml" in str(broken.problem)


def test_a_task_that_is_there_and_broken_is_not_called_unknown(
    location: dg.Definitions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "load", lambda: location)
    with pytest.raises(TaskError, match="order_number") as caught:
        load_task("returns")
    assert "no such task" not in str(caught.value)
    with pytest.raises(TaskError, match=r"no such task(.|\n)*available: returns, shop(.|\n)*did you mean: shop"):
        load_task("shp")
    assert load_task("shop") is location
