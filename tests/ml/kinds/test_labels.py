"""Labels of targets of every type, as DuckDB computes them, and targets that are refused when a task is loaded."""

import datetime as dt
from decimal import Decimal
from typing import Any

import duckdb
import pyarrow as pa
import pytest
from pydantic import ValidationError

from pipeline_assets.task import sql
from pipeline_assets.task.spec import TaskSpec
from pipeline_assets.task.validation import CheckedTask, label_sql


def task_of(kind: str, column: str, **target: Any) -> TaskSpec:
    return CheckedTask.model_validate(
        {
            "name": "t",
            "columns": {"y": {"type": column, "nullable": True, "stage": "train"}, "x": {"type": "float64"}},
            "target": {"expression": "y", "kind": kind, **target},
            "features": {"numeric": {"x": "x"}},
        }
    )


def labels(kind: str, column: str, values: list[Any], **target: Any) -> list[Any]:
    task = task_of(kind, column, **target)
    rows = pa.table({"y": pa.array(values, pa_type(column))})  # noqa: F841 - DuckDB reads it by its name
    found = sql.connect().sql(f"select {label_sql(task)} from rows").to_arrow_table()
    computed: list[Any] = found.column(0).to_pylist()
    return computed


def pa_type(column: str) -> pa.DataType:
    from pipeline_assets.task.types import arrow_type

    return arrow_type(column)


@pytest.mark.parametrize(
    ("column", "positive", "values", "expected"),
    [
        ("bool", None, [True, False, None], [1, 0, None]),
        ("bool", False, [True, False, None], [0, 1, None]),
        ("string", "yes", ["yes", "no", "maybe", "Yes", None], [1, 0, 0, 0, None]),
        ("string", ">50K", [">50K", "<=50K"], [1, 0]),
        ("string", "it's", ["it's", "its"], [1, 0]),
        ("string", 1, ["1", "01", "x"], [1, 0, 0]),
        ("int8", 1, [1, 0, 2, None], [1, 0, 0, None]),
        ("int8", 1.0, [1, 0], [1, 0]),
        ("uint64", 2**64 - 1, [2**64 - 1, 0], [1, 0]),
        ("float64", 1, [1.0, float("nan"), 0.0, None], [1, None, 0, None]),
        ("float32", 0.1, [0.1, 0.2], [1, 0]),
        ("decimal(5, 2)", 1.5, [Decimal("1.50"), Decimal("1.51")], [1, 0]),
        ("date", "2026-01-31", [dt.date(2026, 1, 31), dt.date(2026, 2, 1)], [1, 0]),
        ("date", dt.date(2026, 1, 31), [dt.date(2026, 1, 31), dt.date(2026, 2, 1)], [1, 0]),
    ],
)
def test_binary_every_other_value_is_label_0(
    column: str, positive: Any, values: list[Any], expected: list[Any]
) -> None:
    assert labels("binary", column, values, positive=positive) == expected


@pytest.mark.parametrize(
    ("column", "positive", "says"),
    [
        ("string", None, 'as in positive: "yes"'),
        ("int64", None, "as in positive: 1"),
        ("float64", None, "true or false, as in delay > 15, or the target says"),
        ("date", None, 'as in positive: "2026-01-31"'),
        ("string", True, 'quote it if the text is meant, as in "yes"'),
        ("int64", "yes", "'yes' is no value of the target, whose type is BIGINT"),
        ("int64", 1.5, "1.5 is no value of the target"),
        ("uint8", 300, "300 is no value"),
        ("bool", "perhaps", "'perhaps' is no value"),
        ("string", ["a", "b"], "is no single value"),
    ],
)
def test_binary_a_target_that_does_not_say_its_positive_value_is_refused(column: str, positive: Any, says: str) -> None:
    with pytest.raises(ValidationError) as caught:
        task_of("binary", column, positive=positive)
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("column", "values", "expected"),
    [
        ("string", ["b", "", "Ж", None], ["b", "", "Ж", None]),
        ("int32", [10, 2, None], ["10", "2", None]),
        ("bool", [True, False], ["true", "false"]),
        ("float64", [1.0, 2.5, float("nan")], ["1.0", "2.5", None]),
        ("decimal(5, 2)", [Decimal("1.50")], ["1.50"]),
        ("date", [dt.date(2026, 1, 31)], ["2026-01-31"]),
    ],
)
def test_multiclass_a_class_is_the_text_of_the_value(column: str, values: list[Any], expected: list[Any]) -> None:
    assert labels("multiclass", column, values) == expected


@pytest.mark.parametrize(
    ("column", "values", "expected"),
    [
        ("int64", [3, 0, -2, None], [3.0, 0.0, -2.0, None]),
        ("uint8", [255], [255.0]),
        ("decimal(5, 2)", [Decimal("1.25")], [1.25]),
        ("float32", [0.5, float("nan")], [0.5, None]),
        ("float64", [1e300, float("nan"), None], [1e300, None, None]),
    ],
)
def test_regression_a_label_is_a_number(column: str, values: list[Any], expected: list[Any]) -> None:
    assert labels("regression", column, values) == expected


@pytest.mark.parametrize(
    ("value", "target", "says"),
    [
        (float("inf"), {}, "inf is no label: it is infinite"),
        (float("-inf"), {"transform": "log1p"}, "-inf is no label: it is infinite"),
        (-1.0, {"transform": "log1p"}, "-1.0 is no label: transform log1p needs more than -1"),
    ],
)
def test_regression_a_number_that_is_no_label_says_why(value: float, target: dict[str, Any], says: str) -> None:
    with pytest.raises(duckdb.ConversionException, match=says):
        labels("regression", "float64", [1.0, value], **target)
    assert labels("regression", "float64", [-0.5], **target) == [-0.5]


@pytest.mark.parametrize(
    ("kind", "column", "target", "says"),
    [
        ("multiclass", "string", {"positive": "yes"}, r"target\.positive\n.*leave it out"),
        ("regression", "int64", {"positive": 1}, r"target\.positive\n.*leave it out"),
        ("binary", "bool", {"transform": "log1p"}, r"target\.transform\n.*leave it out"),
        ("multiclass", "string", {"transform": "log1p"}, r"target\.transform\n.*leave it out"),
        ("regression", "bool", {}, "which the kind binary is for"),
        ("regression", "string", {}, "gives VARCHAR; it must be a number: cast it"),
        ("regression", "timestamp", {}, r"take epoch\(\.\.\.\) of a time"),
        ("multiclass", "string", {"expression": "[y]"}, r"gives VARCHAR\[\]; a class is one value"),
        ("binary", "string", {"expression": "{'a': y}", "positive": "x"}, "it must be one value"),
    ],
)
def test_what_a_kind_cannot_learn_is_refused(kind: str, column: str, target: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        task_of(kind, column, **target)
