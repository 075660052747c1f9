"""The marts of a task whose file uses names that the pipeline or the database has itself."""

from typing import Any

import pyarrow as pa
import pytest

from pipeline_assets.stores.marts.definition import MartTable
from pipeline_assets.stores.marts.model_choices import model_choices
from pipeline_assets.stores.marts.tables import input_mart, lineage, output_mart
from pipeline_assets.task.spec import TaskSpec
from tests.examples import SHOP, shop
from tests.fixtures.postgres import Marts

ODD = ["batch", "label", "Probability", "reason", "xmin", "Ставка, %", "ю" * 40]


@pytest.fixture
def odd_task() -> TaskSpec:
    columns = {**SHOP["columns"], **{name: {"type": "int32", "nullable": True} for name in ODD}}
    return shop(columns=columns)


def fill(marts: Marts, table: MartTable, batch: str, rows: int) -> None:
    def value(column: pa.Field, row: int) -> Any:
        if column.name == table.batch_column:
            return batch
        if pa.types.is_integer(column.type):
            return row % 2 if column.type.bit_width == 8 else row
        return None if column.nullable else {"run_id": "r", "stage": "predict"}.get(column.name)

    content = [{column.name: value(column, row) for column in table.schema} for row in range(rows)]
    if "predicted_at" in table.schema.names:
        content = [{**row, "predicted_at": 0, "probability": 0.5, "decision": True} for row in content]
    written = pa.Table.from_pylist(content, table.schema)
    assert marts.store.replace(table, {table.batch_column: batch}, written.to_reader()) == rows


def test_the_user_s_columns_keep_their_names_and_the_pipeline_s_own_step_aside(odd_task: TaskSpec) -> None:
    table = input_mart(odd_task, "train")
    names = table.schema.names
    assert names[:2] == ["pipeline_batch", "row_number"]
    assert set(ODD) <= set(names)
    assert names[-1] == "pipeline_label"
    assert table.key == ("pipeline_batch", "row_number")
    assert table.batch_column == "pipeline_batch"
    assert table.column_descriptions["pipeline_batch"] == "Input file or folder that the row came in"
    assert input_mart(shop(), "train").schema.names[:2] == ["batch", "row_number"]


def test_rows_go_in_and_are_linked_whatever_the_columns_are_called(marts: Marts, odd_task: TaskSpec) -> None:
    inputs, outputs, view = input_mart(odd_task, "predict"), output_mart(odd_task), lineage(odd_task)
    fill(marts, inputs, "b", 4)
    fill(marts, outputs, "b", 3)
    marts.store.ensure_view(view)
    assert marts.store.count(view.name, {inputs.batch_column: "b"}) == 3
    found = marts.store.read(view.name, {inputs.batch_column: "b"}, order=["row_number"]).read_all()
    assert found["row_number"].to_pylist() == [0, 1, 2]
    for name in ODD:
        assert found[inputs.stored_names[name]].to_pylist() == [0, 1, 2]
    assert found["pipeline_probability"].to_pylist() == [0.5] * 3
    assert {"pipeline_batch", "model_version", "choice_reason", "choice_policy", "xmin_"} <= set(found.schema.names)
    comments = marts.query(
        "SELECT col_description(c.oid, a.attnum) FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid"
        " JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = %s AND relname = %s AND attname = 'xmin_'",
        marts.schema,
        inputs.name,
    )
    assert comments == [("Column «xmin» of the file.",)]


def test_a_mart_demands_the_fingerprints_that_its_rows_rest_on() -> None:
    task = shop()
    assert input_mart(task, "train").fingerprints == {
        which: task.fingerprint(which) for which in ("contract", "features", "target")
    }
    assert set(input_mart(task, "predict").fingerprints) == {"contract", "features"}
    assert model_choices(task).fingerprints == {}
