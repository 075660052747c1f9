"""Task folders as they are read, without Dagster."""

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline_assets.errors import TaskError
from pipeline_assets.settings import PACKAGED_TASKS
from pipeline_assets.task.loading import FILE, find_folder, load_task, load_tasks, read_folder, task_folders
from tests.examples import SHOP


def put(root: Path, folder: str, task: dict[str, Any] | str) -> Path:
    text = task if isinstance(task, str) else written(task)
    place = root / folder
    place.mkdir(parents=True)
    (place / FILE).write_text(text, encoding="utf-8")
    return place


def written(task: dict[str, Any]) -> str:
    body = {"type": "pipeline_assets.components.MLTask", "attributes": task}
    return yaml.safe_dump(body, sort_keys=False, allow_unicode=True)


def named(name: str) -> dict[str, Any]:
    return {**SHOP, "name": name}


def test_the_packaged_example_is_a_task() -> None:
    tasks = load_tasks([PACKAGED_TASKS])
    assert list(tasks.known) == ["flight_delays"]
    assert not tasks.broken


def test_tasks_of_several_roots_in_folders_of_any_name(tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    put(one, "Возвраты", named("returns"))
    put(one, "with a space", named("spaced"))
    put(two, "shop.v2", named("shop"))
    alone = put(tmp_path, "alone", named("alone"))
    (one / "notes").mkdir()
    assert set(load_tasks([one, two, alone]).known) == {"returns", "spaced", "shop", "alone"}
    assert task_folders([one, one]) == task_folders([one])


def test_a_broken_task_says_file_line_and_key_and_leaves_the_others(tmp_path: Path) -> None:
    put(tmp_path, "shop", named("shop"))
    broken = copy.deepcopy(named("other"))
    broken["columns"]["country"]["allowed"] = ["DE", False]
    broken["features"]["numeric"]["price"] = "prise"
    place = put(tmp_path, "other", broken)
    tasks = load_tasks([tmp_path])
    assert list(tasks.known) == ["shop"]
    lines = (place / FILE).read_text(encoding="utf-8").splitlines()
    said = str(tasks.broken[place])
    allowed = next(at for at, line in enumerate(lines, 1) if line.strip() == "allowed:")
    price = next(at for at, line in enumerate(lines, 1) if line.strip() == "price: prise")
    assert f"{place / FILE}:{allowed}: attributes.columns.country.allowed: YAML reads no" in said
    assert f"{place / FILE}:{price}: attributes.features.numeric.price: no column prise" in said


def test_a_task_that_is_there_and_broken_says_what_is_wrong_with_it(tmp_path: Path) -> None:
    put(tmp_path, "shop", named("shop"))
    put(tmp_path, "folder", {**named("other"), "target": {"expression": "retuned"}})
    tasks = load_tasks([tmp_path])
    for name in ("other", "folder"):
        with pytest.raises(TaskError, match=r"task other is broken(.|\n)*did you mean returned"):
            tasks.task(name)
    with pytest.raises(TaskError, match=r"no such task(.|\n)*available: shop\n  did you mean: shop"):
        tasks.task("shup")
    assert tasks.task("shop").name == "shop"


def test_of_two_folders_with_one_name_the_first_stays_and_both_are_named(tmp_path: Path) -> None:
    first, second = put(tmp_path, "returns", named("returns")), put(tmp_path, "returns.bak", named("returns"))
    tasks = load_tasks([tmp_path])
    assert list(tasks.known) == ["returns"]
    assert list(tasks.broken) == [second]
    assert str(first / FILE) in str(tasks.broken[second])
    assert str(second / FILE) in str(tasks.broken[second])
    assert find_folder([tmp_path], "returns").folder == first


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("type: [", "while parsing"),
        ("", "is empty"),
        ("just text", "no type"),
        ("type: pipeline_assets.components.MLTask", "no attributes"),
        (f"{written(SHOP)}---\n{written(SHOP)}", "a second task of this name"),
        ("type: other.Component", "describes 0 tasks"),
    ],
)
def test_what_is_no_task_is_refused(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(TaskError, match="task odd is broken") as refused:
        load_task(put(tmp_path, "odd", text))
    assert said in str(refused.value)
    assert str(tmp_path / "odd" / FILE) in str(refused.value)
    assert "<unicode string>" not in str(refused.value)


def test_text_in_another_encoding_is_refused_with_the_file(tmp_path: Path) -> None:
    place = put(tmp_path, "odd", "")
    (place / FILE).write_bytes("name: Возвраты".encode("cp1251"))
    with pytest.raises(TaskError, match="utf-8") as refused:
        load_task(place)
    assert str(place / FILE) in str(refused.value)


def test_one_task_is_found_beside_broken_ones(tmp_path: Path) -> None:
    put(tmp_path, "a_broken", "type: [")
    put(tmp_path, "b_broken", {**named("other"), "target": {"expression": "retuned"}})
    put(tmp_path, "Магазин", named("shop"))
    assert find_folder([tmp_path], "shop").names == ("shop",)
    with pytest.raises(TaskError, match="a_broken is broken"):
        find_folder([tmp_path], "a_broken")
    with pytest.raises(TaskError, match=r"no such task(.|\n)*available: other, shop"):
        find_folder([tmp_path], "nothing")


def test_days_are_read_as_dagster_reads_them(tmp_path: Path) -> None:
    place = put(tmp_path, "shop", "type: x\nattributes: {day: 2026-01-31, flag: no}")
    (document,) = read_folder(place).documents
    assert document.value["attributes"] == {"day": "2026-01-31", "flag": False}
