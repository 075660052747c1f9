"""Task folders as they are loaded: one YAML a task, a broken one beside sound ones."""

import copy
import cProfile
import logging
import pstats
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml

from pipeline_assets.components.tasks import load_task_definitions, load_tasks
from pipeline_assets.errors import TaskError
from pipeline_assets.resources import resources
from pipeline_assets.settings import Settings
from pipeline_assets.task import validation
from pipeline_assets.task.spec import TaskSpec
from pipeline_assets.task.spec_model import Problem
from tests.examples import SHOP


class Folder:
    """A folder of task folders that a test fills; no package of Python's."""

    def __init__(self, place: Path) -> None:
        self.place = place
        place.mkdir()

    @property
    def base(self) -> dg.Definitions:
        return dg.Definitions(resources=dict(resources(Settings.from_env({}, self.place))))

    def add(self, folder: str, attributes: dict[str, Any] | str) -> Path:
        text = attributes if isinstance(attributes, str) else written(attributes)
        path = self.place / folder / "defs.yaml"
        path.parent.mkdir()
        path.write_text(text, encoding="utf-8")
        return path

    def load(self, *, strict: bool = False) -> dg.Definitions:
        return load_tasks([self.place], self.base, strict=strict)


def written(attributes: dict[str, Any]) -> str:
    return yaml.safe_dump({"type": "pipeline_assets.components.MLTask", "attributes": attributes}, sort_keys=False)


@pytest.fixture
def tasks(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "tasks")


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
        "truth",
    ]
}


def test_a_folder_with_a_yaml_is_a_task(tasks: Folder) -> None:
    tasks.add("shop", SHOP)
    defs = tasks.load(strict=True)
    assert keys(defs) == GRAPH
    assert {job.name for job in defs.jobs or ()} == {"shop_train", "shop_predict", "shop_truth"}
    assert {sensor.name for sensor in defs.sensors or ()} == {
        "shop_train_files",
        "shop_predict_files",
        "shop_truth_files",
    }


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
        [asset for asset in defs.assets or () if isinstance(asset, dg.AssetsDefinition) and marked.key in asset.keys],
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
    first, second = tasks.add("shop", SHOP), tasks.add("shop.bak", SHOP)
    with caplog.at_level(logging.ERROR):
        assert keys(tasks.load()) == GRAPH | {"shop.bak/broken"}
    assert "two folders describe a task named shop" in caplog.text
    assert str(first) in caplog.text
    assert str(second) in caplog.text


def test_folders_of_any_name_are_loaded_and_marked(tasks: Folder, tmp_path: Path) -> None:
    tasks.add("Мой магазин", SHOP)
    for folder in ("сломанная задача", "a b", "a-b"):
        tasks.add(folder, "type: [")
    other = Folder(tmp_path / "other")
    other.add("a b", "type: [")
    defs = load_tasks([tasks.place, other.place], tasks.base, strict=False)
    broken = {f"{tasks.place}/a b/broken", f"{other.place}/a b/broken", "a-b/broken", "сломанная задача/broken"}
    assert keys(defs) == GRAPH | broken
    dg.Definitions.validate_loadable(defs)


@pytest.mark.parametrize("change", [{"owners": ["nobody at all"]}, {"tags": {"a tag": "b"}}])
def test_what_dagster_refuses_of_a_task_breaks_that_task_alone(tasks: Folder, change: dict[str, Any]) -> None:
    tasks.add("odd", {**SHOP, "name": "odd", **change})
    tasks.add("shop", SHOP)
    assert keys(tasks.load()) == GRAPH | {"odd/broken"}


def test_other_components_of_dagster_live_beside_tasks(tasks: Folder, caplog: pytest.LogCaptureFixture) -> None:
    tasks.add("shop", SHOP)
    again = f"{written({**SHOP, 'name': 'again'})}---\ntype: dagster.DefsFolderComponent\n"
    tasks.add("two_documents", again)
    meets = f"{written({**SHOP, 'name': 'meets'})}post_processing:\n  assets: [{{attributes: {{tags: {{a: b}}}}}}]\n"
    tasks.add("tagged", meets)
    defs = tasks.load()
    assert not caplog.text
    assert keys(defs) == GRAPH | {key.replace("shop/", f"{name}/") for key in GRAPH for name in ("again", "meets")}
    tags = {spec.key.path[0]: spec.tags.get("a") for spec in defs.resolve_all_asset_specs()}
    assert tags == {"shop": None, "again": None, "meets": "b"}


def test_a_broken_task_beside_another_component_says_its_line_too(
    tasks: Folder, caplog: pytest.LogCaptureFixture
) -> None:
    text = written({**SHOP, "target": {"expression": "retuned"}})
    path = tasks.add("shop", f"{text}---\ntype: dagster.DefsFolderComponent\n")
    with caplog.at_level(logging.ERROR):
        assert keys(tasks.load()) == {"shop/broken"}
    line = next(number for number, text in enumerate(path.read_text().splitlines(), 1) if "retuned" in text)
    assert f"{path}:{line}: attributes.target.expression: no column retuned" in caplog.text


def test_one_task_is_loaded_without_the_others(tasks: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    tasks.add("broken", {**SHOP, "name": "broken", "target": {"expression": "retuned"}})
    tasks.add("shop", SHOP)
    tasks.add("third", {**SHOP, "name": "third"})
    checked: list[str] = []
    problems = validation.problems

    def counting(task: TaskSpec) -> list[Problem]:
        checked.append(task.name)
        return problems(task)

    monkeypatch.setattr(validation, "problems", counting)
    defs = load_task_definitions([tasks.place], "shop", tasks.base)
    assert keys(defs) == GRAPH
    assert checked == ["shop"]
    assert defs.resolve_job_def("shop_predict").name == "shop_predict"
    with pytest.raises(TaskError, match="did you mean returned"):
        load_task_definitions([tasks.place], "broken", tasks.base)
    with pytest.raises(TaskError, match="there is no such task"):
        load_task_definitions([tasks.place], "fourth", tasks.base)


def test_the_ui_leads_from_an_asset_to_its_yaml(tasks: Folder) -> None:
    path = tasks.add("shop", SHOP)
    for spec in tasks.load().resolve_all_asset_specs():
        (reference,) = spec.metadata["dagster/code_references"].code_references
        assert (reference.file_path, reference.line_number) == (str(path), 1)


def test_the_work_grows_with_the_number_of_tasks_and_not_with_its_square(
    tasks: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dagster holds every asset against the code location's resources: a task must not add to them."""
    asked: list[int] = []
    requirements = dg.ResourceDefinition.get_resource_requirements

    def counting(resource: dg.ResourceDefinition, *arguments: Any, **more: Any) -> Any:
        asked.append(1)
        return requirements(resource, *arguments, **more)

    monkeypatch.setattr(dg.ResourceDefinition, "get_resource_requirements", counting)
    merges: list[int] = []
    merge = dg.Definitions.merge

    def merging(*parts: dg.Definitions) -> dg.Definitions:
        merges.append(len(parts))
        return merge(*parts)

    monkeypatch.setattr(dg.Definitions, "merge", merging)

    def work(count: int) -> tuple[int, int]:
        """How often resources are asked, and how many parts are merged, for so many tasks."""
        for at in range(len(list(tasks.place.iterdir())), count):
            tasks.add(f"shop_{at}", {**SHOP, "name": f"shop_{at}"})
        asked.clear()
        merges.clear()
        tasks.load(strict=True).get_repository_def()
        return len(asked), sum(merges)

    few, many = work(3), work(6)
    assert many[0] < 2.2 * few[0]
    assert many[1] < 2.2 * few[1]


def test_the_work_of_loading_grows_with_the_tasks_and_not_faster(tmp_path: Path) -> None:
    def calls(count: int) -> int:
        folder = Folder(tmp_path / str(count))
        for number in range(count):
            folder.add(f"task_{number}", {**SHOP, "name": f"task_{number}"})
        profile = cProfile.Profile()
        profile.runcall(folder.load)
        return pstats.Stats(profile).total_calls  # type: ignore[attr-defined,no-any-return] # typeshed leaves it out

    calls(1)  # what is made once in a process
    few = calls(6)
    assert calls(18) < 3.3 * few
