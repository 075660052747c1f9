"""A file of a thousand columns under names that people give, from file to mart."""

import json
import time
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa
import yaml

from pipeline_assets.components.tasks import load_tasks
from pipeline_assets.resources import resources
from pipeline_assets.settings import Settings
from pipeline_assets.stores.marts.definition import shortened
from pipeline_assets.task import sql
from pipeline_assets.task.validation import CheckedTask
from tests.workbench import Workbench

ROWS = 60
NAMES = [
    "цена, ₽", "with space", "a.b", 'say "so"', "it's", "🛫 emoji", "x" * 200, "ж" * 200, "label", "batch",
    "row_number", "probability", "more_columns", "select", "100%", "{curly}", "a\\b", "[0]", "-", "%s", "key:value",
    "Aa", "ВЕРХ", ";drop", "`tick`", "$1", "\u00e9", "e\u0301", " lead", "trail ", "xmin", "feature",
]  # fmt: skip
# In the file and not in the contract: by the case alone they differ from columns that are.
OTHERS = {"aA": "text", "верх": "text", "ID": "text"}
WIDE = [*NAMES, *(f"measure {place}" for place in range(1_000 - len(NAMES)))]
FEATURES = WIDE[:899]


def description() -> dict[str, Any]:
    """A task of a thousand columns and 900 features."""
    return {
        "name": "wide",
        "key": ["id", "цена, ₽"],
        "columns": {
            "id": {"type": "int64"},
            **{name: {"type": "float64", "description": f"What {name} means"} for name in WIDE},
            "a": {"type": "struct<b: float64>"},
            "y": {"type": "bool", "stage": "train"},
        },
        "checks": {"правило «🛫»": '"a.b" >= 0'},
        "target": {"expression": "y"},
        "features": {"numeric": {**{name: sql.name(name) for name in FEATURES}, "within": "a.b"}},
        "training": {"parameters": {"iterations": 2}, "validation": {"split": "time", "column": "a.b"}},
        "output": {"where": '"a.b" < 12', "append": ["pipeline_probability"]},
    }


def table(stage: str) -> pa.Table:
    columns: dict[str, Any] = {
        "id": list(range(ROWS)),
        **{name: [float((row * 7 + place) % 13) for row in range(ROWS)] for place, name in enumerate(WIDE)},
        "a": [{"b": float(row)} for row in range(ROWS)],
        **{name: [value] * ROWS for name, value in OTHERS.items()},
    }
    if stage == "train":
        columns["y"] = [row % 2 == 0 for row in range(ROWS)]
    return pa.table(columns)


def test_a_thousand_columns_of_any_name_go_from_file_to_mart(place: Workbench) -> None:
    place.use(CheckedTask.model_validate(description()))
    place.put("train", "b", table("train"))
    place.succeed("train", "b")
    given = table("predict")
    place.put("predict", "b", given)
    place.succeed("predict", "b")

    output = place.output("b")
    kept = given.filter(pa.array([value < 12 for value in given["a.b"].to_pylist()]))
    own = ["pipeline_probability", "pipeline_batch", "pipeline_row_number"]
    assert output.column_names == [*given.column_names, *own]
    assert output.select(given.column_names).equals(kept)

    (first,) = given.slice(1, 1).to_pylist()
    (row,) = (row for row in place.mart("predict_input") if row["pipeline_row_number"] == 1)
    more = json.loads(row["pipeline_more_columns"])
    for name in WIDE:
        assert (more[name] if name in more else row[stored(name)]) == first[name]
    assert {f"feature_{name}" for name in FEATURES[-100:]} <= more.keys()
    lineage = place.mart("lineage")
    assert len(lineage) == ROWS
    assert sorted(row["цена, ₽"] for row in lineage) == sorted(given["цена, ₽"].to_pylist())


def stored(name: str) -> str:
    """The name of a column in a mart."""
    return {"xmin": "xmin_"}.get(name, shortened(name))


def test_the_definitions_of_a_thousand_columns_load_within_five_seconds(tmp_path: Path) -> None:
    file = tmp_path / "tasks" / "wide" / "defs.yaml"
    file.parent.mkdir(parents=True)
    content = {"type": "pipeline_assets.components.MLTask", "attributes": description()}
    file.write_text(yaml.safe_dump(content, allow_unicode=True, sort_keys=False), encoding="utf-8")
    base = dg.Definitions(resources=dict(resources(Settings.from_env({}, tmp_path))))
    start = time.process_time()
    defs = load_tasks([file.parent.parent], base, strict=True)
    assert len(list(defs.resolve_all_asset_specs())) > 5
    assert time.process_time() - start < 5
