"""Names of the pipeline's own columns beside features and columns of the same names."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from pipeline_assets.engine.duckdb.accepted import load
from pipeline_assets.engine.record import ADDED_COLUMNS
from pipeline_assets.task.batch import BatchRef
from pipeline_assets.task.preparation import (
    features_of,
    features_query,
    features_schema,
    input_mart_query,
    input_mart_schema,
    packed_columns,
    prepared_query,
)
from pipeline_assets.task.spec import Column, Feature, Features, TaskSpec
from tests.examples import SHOP, orders, shop, with_column
from tests.fixtures.checked import checked

REF = BatchRef("shop", "train", "b")
OWN = {"label": "string", "batch": "string", "row_number": "int64", "reason": "string", "split_by": "date"}


def with_own_names() -> TaskSpec:
    """The example task with columns and features that have the pipeline's own names."""
    task = shop()
    columns = {**task.columns, **{name: Column(type=kind, nullable=True) for name, kind in OWN.items()}}
    numeric = {**task.features.numeric, "row_number": Feature(expression="row_number * 2")}
    categorical = {**task.features.categorical, "Label": Feature(expression="label")}
    features = Features.model_construct(numeric=numeric, categorical=categorical)
    return task.model_copy(update={"columns": columns, "features": features})


def weighted() -> TaskSpec:
    """The example task with weights and a feature of that name."""
    numeric = {"weight": "order_id * 2"}
    training = {"weight": "price / 2", "validation": {"split": "time", "column": "ordered_on"}}
    return shop(features={"numeric": numeric}, training=training)


def given() -> pa.Table:
    table = orders(6)
    values: dict[str, list[Any]] = {
        "label": list("abcdef"),
        "batch": ["mine"] * 6,
        "row_number": [70, 71, 72, 73, 74, 75],
        "reason": ["none"] * 6,
        "split_by": table["ordered_on"].to_pylist(),
    }
    for name, column in values.items():
        table = with_column(table, name, column)
    return with_column(table, "price", [-1.0, 1.0, 1.0, 1.0, 1.0, 1.0])


def test_the_pipelines_own_columns_step_aside_and_the_users_keep_their_names(tmp_path: Path) -> None:
    task = with_own_names()
    files, found = checked(tmp_path, task, REF, given())
    assert found.rejected.schema.names[:2] == ["pipeline_row_number", "pipeline_reason"]
    assert found.rejected.schema.names[len(ADDED_COLUMNS) :] == given().column_names
    batch = load(files, task, REF, tmp_path / "scratch")
    features = batch.stream(features_query).read_all()
    assert features.schema.names == features_schema(task, "train").names
    assert features["row_number"].to_pylist() == [142.0, 144.0, 146.0, 148.0, 150.0]
    assert features["pipeline_row_number"].to_pylist() == [1, 2, 3, 4, 5]
    assert features["Label"].to_pylist() == list("bcdef")
    assert features["pipeline_label"].to_pylist() == [0, 0, None, 0, 0]
    mart = batch.stream(input_mart_query).read_all()
    assert mart.schema.names == input_mart_schema(task, "train").names
    assert mart["batch"].to_pylist() == ["mine"] * 5
    assert set(mart["pipeline_batch"].to_pylist()) == {"b"}
    assert mart["row_number"].to_pylist() == [71, 72, 73, 74, 75]
    assert mart["label"].to_pylist() == list("bcdef")


def wide(count: int, kind: str = "float64", features: int | None = None) -> TaskSpec:
    """The example task with ``count`` more columns, each of which is a feature as it is."""
    named = [f"w.{place}" for place in range(count)]
    columns = {**SHOP["columns"], **{name: {"type": kind, "nullable": True} for name in named}}
    group = "numeric" if kind == "float64" else "categorical"
    more = {name: f'"{name}"' for name in named[:features]}
    return shop(columns=columns, features={**SHOP["features"], group: {**SHOP["features"][group], **more}})


def wide_table(count: int) -> pa.Table:
    values = pa.array([None, 1.5, -1e300, 0.1, 2.0, 3.0])
    return pa.table({**dict(zip(given().column_names, given().columns, strict=True)), **{
        f"w.{place}": values for place in range(count)
    }})  # fmt: skip


def test_a_mart_packs_features_that_copy_a_column_first_and_never_the_key() -> None:
    assert packed_columns(shop(), "train") == packed_columns(wide(400), "predict") == ()
    assert packed_columns(wide(325), "train") == ()
    some = packed_columns(wide(600), "train")
    # 7,800 bytes hold 975 numbers, those of the example included.
    last = [f"feature_w.{place}" for place in range(601 - len(some), 600)]
    assert some == (*last, "feature_country")
    assert 225 < len(some) < 245
    most = packed_columns(wide(1300), "train")
    assert {"w.1299", "feature_weekday"} <= set(most)
    assert "w.0" not in most
    texts = packed_columns(wide(1500, "string"), "train")
    assert not {"order_id", "batch"} & set(texts)
    schema = input_mart_schema(wide(1500, "string"), "train")
    assert schema.names[-2:] == ["label", "more_columns"]
    assert [field.name for field in schema.field("more_columns").type] == list(texts)


@pytest.mark.parametrize(
    "task", [shop(), with_own_names(), weighted(), wide(700)], ids=["usual", "own names", "weights", "wide"]
)
def test_features_taken_out_of_the_marts_rows_are_those_of_their_own_query(tmp_path: Path, task: TaskSpec) -> None:
    files, _ = checked(tmp_path, task, REF, wide_table(700))
    batch = load(files, task, REF, tmp_path / "scratch")
    # The prepared rows hold what a split needs as well, which the mart does not show.
    (prepared,) = batch.stream(prepared_query)
    (features,) = batch.stream(features_query)
    assert features_of(task, "train", prepared).equals(features)


def test_weights_are_prepared_in_train_alone_and_step_aside_for_a_feature(tmp_path: Path) -> None:
    files, _ = checked(tmp_path, weighted(), REF, given())
    features = load(files, weighted(), REF, tmp_path / "scratch").stream(features_query).read_all()
    assert features["pipeline_weight"].to_pylist() == [0.5] * 5
    assert features["weight"].to_pylist() == [2.0, 4.0, 6.0, 8.0, 10.0]
    assert "pipeline_weight" not in features_schema(weighted(), "predict").names
