"""A small task that tests vary, and rows that keep its contract."""

import copy
from datetime import date
from typing import Any

import pyarrow as pa

from pipeline_assets.task.spec import TaskSpec
from pipeline_assets.task.validation import CheckedTask

SHOP: dict[str, Any] = {
    "name": "shop",
    "description": "Will the order be returned?",
    "owners": ["team:shop"],
    "key": ["order_id"],
    "columns": {
        "order_id": {"type": "int64", "description": "Number of the order"},
        "ordered_on": {"type": "date"},
        "country": {"type": "string", "allowed": ["DE", "FR", "RU"]},
        "price": {"type": "float64", "check": "price > 0", "description": "In euros"},
        "note": {"type": "string", "nullable": True},
        "returned": {"type": "bool", "nullable": True, "stage": "train"},
    },
    "checks": {"no_free_notes": "note <> 'free'"},
    "target": {"expression": "returned"},
    "features": {
        "numeric": {"price": "price", "weekday": "isodow(ordered_on)"},
        "categorical": {"country": "country", "note": {"expression": "lower(note)", "description": "Spelled small"}},
    },
    "training": {"parameters": {"iterations": 20}, "validation": {"split": "time", "column": "ordered_on"}},
    "output": {"where": "probability >= 0.5"},
}


def shop(**changes: Any) -> TaskSpec:
    """The task, with top-level keys replaced; ``None`` takes a key out."""
    data = copy.deepcopy(SHOP)
    for key, value in changes.items():
        if value is None:
            data.pop(key)
        else:
            data[key] = value
    return CheckedTask.model_validate(data)


def orders(count: int = 6, *, stage: str = "train") -> pa.Table:
    """``count`` orders that keep the contract; some are returned, every fourth has no label, most have no note."""
    columns: dict[str, pa.Array] = {
        "order_id": pa.array(range(count), pa.int64()),
        "ordered_on": pa.array([date(2026, 1, 1 + row % 28) for row in range(count)], pa.date32()),
        "country": pa.array([("DE", "FR", "RU")[row % 3] for row in range(count)]),
        "price": pa.array([1.5 + row for row in range(count)], pa.float64()),
        "note": pa.array(["Gift" if row % 5 == 0 else None for row in range(count)]),
    }
    if stage == "train":
        returned = [None if row % 4 == 3 else row % 3 == 0 for row in range(count)]
        columns["returned"] = pa.array(returned, pa.bool_())
    return pa.table(columns)


def with_column(table: pa.Table, name: str, values: list[Any], kind: pa.DataType | None = None) -> pa.Table:
    """The table with one column's values and type replaced, or added."""
    column = pa.array(values, kind)
    place = table.schema.get_field_index(name)
    return table.append_column(name, column) if place < 0 else table.set_column(place, name, column)
