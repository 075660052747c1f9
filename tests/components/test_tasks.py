"""Task folders as they are loaded: one YAML a task, a broken one beside sound ones."""

import copy
import importlib
import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import dagster as dg
import pytest
import yaml

from pipeline_assets.components.tasks import load_tasks
from pipeline_assets.errors import TaskError
from pipeline_assets.resources import resources
from pipeline_assets.settings import Settings
from tests.examples import SHOP


class Folder:
    """A package of task folders that a test fills."""

    def __init__(self, place: Path) -> None:
        self.place = place
        place.mkdir()
        (place / "__init__.py").touch()

    def add(self, folder: str, attributes: dict[str, Any] | str) -> Path:
        text = attributes if isinstance(attributes, str) else written(attributes)
        path = self.place / folder / "defs.yaml"
        path.parent.mkdir()
        path.write_text(text, encoding="utf-8")
        return path

    def load(self, *, strict: bool = False) -> dg.Definitions:
        base = dg.Definitions(resources=dict(resources(Settings.from_env({}, self.place))))
        return load_tasks([self.place], base, strict=strict)

    @property
    def module(self) -> ModuleType:
        return importlib.import_module(self.place.name)


def written(attributes: dict[str, Any]) -> str:
    return yaml.safe_dump({"type": "pipeline_assets.components.MLTask", "attributes": attributes}, sort_keys=False)


@pytest.fixture
def tasks(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Folder]:
    name = f"tasks_of_{request.node.originalname}"
    sys.path.insert(0, str(tmp_path))
    yield Folder(tmp_path / name)
    sys.path.remove(str(tmp_path))
    sys.modules.pop(name, None)


def keys(defs: dg.Definitions) -> set[str]:
    return {key.to_user_string() for key in defs.resolve_asset_graph().get_all_asset_keys()}


GRAPH = {
    f"shop/{asset}"
    for asset in [
        "train_raw",
        "train_features",
        "train_input_mart",
        "model",
        "predict_raw",
        "predict_features",
        "predict_input_mart",
        "predictions",
        "predict_output_mart",
    ]
}


def test_a_folder_with_a_yaml_is_a_task(tasks: Folder) -> None:
    tasks.add("shop", SHOP)
    defs = tasks.load(strict=True)
    assert keys(defs) == GRAPH
    assert {job.name for job in defs.jobs or ()} == {"shop_train", "shop_predict"}
    assert {sensor.name for sensor in defs.sensors or ()} == {"shop_train_files", "shop_predict_files"}


def test_a_second_task_is_a_second_folder(tasks: Folder) -> None:
    tasks.add("shop", SHOP)
    tasks.add("shop_too", {**SHOP, "name": "shop_too"})
    assert keys(tasks.load(strict=True)) == GRAPH | {key.replace("shop/", "shop_too/") for key in GRAPH}


def test_a_broken_task_is_marked_and_leaves_the_others(tasks: Folder, caplog: pytest.LogCaptureFixture) -> None:
    tasks.add("shop", SHOP)
    broken = copy.deepcopy(SHOP)
    broken["columns"]["price"]["chek"] = broken["columns"]["price"].pop("check")
    path = tasks.add("broken_one", broken)
    with caplog.at_level(logging.ERROR):
        defs = tasks.load()
    line = next(number for number, text in enumerate(path.read_text().splitlines(), 1) if "chek" in text)
    said = f"{path}:{line}: attributes.columns.price.chek: no such key; there are type, description"
    assert keys(defs) == GRAPH | {"broken_one/broken"}
    assert said in caplog.text
    (marked,) = [spec for spec in defs.resolve_all_asset_specs() if spec.key.path[-1] == "broken"]
    assert said in (marked.description or "")
    result = dg.materialize(
        [asset for asset in defs.assets or () if isinstance(asset, dg.AssetsDefinition) and asset.key == marked.key],
        raise_on_error=False,
    )
    assert not result.success


def test_strict_raises_for_a_broken_task(tasks: Folder) -> None:
    tasks.add("shop", {**SHOP, "target": {"expression": "retuned"}})
    with pytest.raises(TaskError, match="did you mean returned"):
        tasks.load(strict=True)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("type: [", "while parsing"),
        ("type: pipeline_assets.components.MLTsk\nattributes: {}", "MLTsk"),
        ("type: pipeline_assets.components.MLTask", "no attributes"),
        ("just text", "defs.yaml"),
    ],
)
def test_what_is_no_task_at_all_is_marked_too(
    tasks: Folder, text: str, said: str, caplog: pytest.LogCaptureFixture
) -> None:
    tasks.add("shop", SHOP)
    tasks.add("wrong", text)
    with caplog.at_level(logging.ERROR):
        assert keys(tasks.load()) == GRAPH | {"wrong/broken"}
    assert said in caplog.text


def test_two_folders_with_one_name_break_the_later(tasks: Folder, caplog: pytest.LogCaptureFixture) -> None:
    tasks.add("shop", SHOP)
    tasks.add("twin", SHOP)
    with caplog.at_level(logging.ERROR):
        assert keys(tasks.load()) == GRAPH | {"twin/broken"}
    assert "two folders describe a task named shop" in caplog.text
