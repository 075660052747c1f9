from pathlib import Path

import yaml

from pipeline_assets.mart_page import catalog
from pipeline_assets.stores.marts.tables import input_mart, lineage, output_mart
from tests.examples import SHOP, shop
from tests.fixtures.postgres import Marts
from tests.mart_page.filled import cursor_of


def write(folder: Path, text: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "defs.yaml").write_text(text)


def test_tasks_are_read_and_broken_ones_told(tmp_path: Path) -> None:
    component = {"type": "pipeline_assets.components.MLTask", "attributes": SHOP}
    write(tmp_path / "shop", yaml.safe_dump(component))
    write(tmp_path / "unreadable", "{")
    write(tmp_path / "a_list", "- 1")
    write(tmp_path / "unknown", yaml.safe_dump({**component, "attributes": {**SHOP, "name": "other", "colums": {}}}))
    write(tmp_path / "foreign", "type: dagster.Whatever\nattributes: {}")
    found = catalog.tasks([tmp_path])
    assert found.known == {"shop": shop().in_folder(tmp_path / "shop")}
    assert set(found.broken) == {"unreadable", "a_list", "unknown"}
    assert "did you mean columns" in found.broken["unknown"]


def test_a_task_that_changed_is_read_anew(tmp_path: Path) -> None:
    component = {"type": "pipeline_assets.components.MLTask", "attributes": SHOP}
    write(tmp_path / "shop", yaml.safe_dump(component))
    assert list(catalog.tasks([tmp_path]).known) == ["shop"]
    write(tmp_path / "shop", yaml.safe_dump({**component, "attributes": {**SHOP, "name": "market"}}))
    assert list(catalog.tasks([tmp_path]).known) == ["market"]


def test_tasks_of_several_folders_are_found_and_a_name_given_twice_is_told(tmp_path: Path) -> None:
    component = {"type": "pipeline_assets.components.MLTask", "attributes": SHOP}
    write(tmp_path / "one" / "shop", yaml.safe_dump(component))
    write(tmp_path / "two" / "market", yaml.safe_dump({**component, "attributes": {**SHOP, "name": "market"}}))
    write(tmp_path / "two" / "shop_again", yaml.safe_dump(component))
    found = catalog.tasks([tmp_path / "one", tmp_path / "two"])
    assert set(found.known) == {"shop", "market"}
    assert set(found.broken) == {"shop_again"}
    assert str(tmp_path / "one" / "shop") in found.broken["shop_again"]


def test_the_packages_own_tasks_are_found() -> None:
    assert "flight_delays" in catalog.tasks().known


def test_marts_are_what_the_server_has(marts: Marts) -> None:
    task = shop()
    with cursor_of(marts) as cursor:
        assert catalog.mart(cursor, marts.schema, task, "train_input") is None
    marts.store.ensure_view(lineage(task))
    for table in (input_mart(task, "train"), output_mart(task)):
        marts.store.replace(table, {"batch": "b"}, table.schema.empty_table().to_reader())
    with cursor_of(marts) as cursor:
        found = catalog.mart(cursor, marts.schema, task, "train_input")
        output = catalog.mart(cursor, marts.schema, task, "predict_output")
    assert found is not None
    assert output is not None
    roles = {name: column.role for name, column in found.columns.items()}
    assert roles == {
        "batch": "address", "row_number": "address", "order_id": "raw", "ordered_on": "raw", "country": "raw",
        "price": "raw", "note": "raw", "returned": "raw", "feature_price": "feature", "feature_weekday": "feature",
        "feature_country": "feature", "feature_note": "feature", "label": "label",
    }  # fmt: skip
    assert {name for name, column in found.columns.items() if column.key} == {"batch", "row_number", "order_id"}
    assert found.columns["price"].description == "In euros"
    assert found.columns["price"].numeric
    assert output.columns["probability"].role == "score"
    assert output.columns["run_id"].role == "technical"
