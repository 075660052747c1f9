"""Marts of wide tasks: whatever the types of a thousand columns, the fullest row has room."""

import json
import secrets
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from pipeline_assets.stores.marts.tables import input_mart, lineage
from pipeline_assets.task.spec import TaskSpec
from tests.examples import shop
from tests.fixtures.postgres import Marts

# The longest text that PostgreSQL does not store elsewhere, and the shortest that it does.
LENGTHS = (23, 24)
FULL = {"float64": 0.1, "decimal(38, 2)": Decimal("9" * 36 + ".99"), "int8": 127}


def wide(*kinds: str) -> TaskSpec:
    """A task of a thousand columns of types that take turns, each of which is a feature as well."""
    named = {f"column {place}": kinds[place % len(kinds)] for place in range(1_000)}
    return shop(
        checks=None,
        training=None,
        output=None,
        key=["id"],
        columns={"id": {"type": "string"}, **{name: {"type": kind, "nullable": True} for name, kind in named.items()}},
        target={"expression": "id > ''"},
        features={"categorical": {name: f'"{name}"' for name in [*named][:900]}},
    )


def full(field: pa.Field, kinds: dict[str, str]) -> Any:
    """A value of a column that takes as much of a row as any can."""
    if pa.types.is_struct(field.type):
        return {each.name: full(each, kinds) for each in field.type}
    if pa.types.is_string(field.type):
        return secrets.token_hex(12)[: secrets.choice(LENGTHS)]
    return FULL.get(kinds.get(field.name, ""), 1)


@pytest.mark.parametrize("kinds", [("string",), ("float64",), ("float64", "string", "decimal(38, 2)", "int8")])
def test_the_fullest_row_of_a_wide_task_has_room(marts: Marts, kinds: tuple[str, ...]) -> None:
    task = wide(*kinds)
    table = input_mart(task, "predict")
    typed = {name: column.type for name, column in task.columns.items()}
    row = {field.name: full(field, typed) for field in table.schema}
    row |= {"batch": "b", "row_number": 0}
    rows = pa.RecordBatchReader.from_batches(table.schema, [pa.RecordBatch.from_pylist([row], table.schema)])
    assert marts.store.replace(table, {"batch": "b"}, rows) == 1
    (there,) = marts.store.read(table.name, {"batch": "b"}).read_all().to_pylist()
    more = json.loads(there.pop("more_columns"))
    features = [f"feature_{name}" for name in task.features.names]
    assert {*there, *more} == {"batch", "row_number", *task.columns, *features}
    assert more["feature_column 0"] == row["more_columns"]["feature_column 0"]
    marts.store.ensure_view(lineage(task))
