from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from catboost import CatBoostClassifier
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline_assets.errors import DataError
from pipeline_assets.ml.dataset import scoring_frame, training_frame
from tests import trainable


def features_of(table: pa.Table) -> pd.DataFrame:
    batch = table.combine_chunks().to_batches()[0]
    return scoring_frame(batch, trainable.task().features)


def plain(table: pa.Table) -> pd.DataFrame:
    """The slow route that the fast one must equal: every cell an object."""
    return pd.DataFrame(
        {
            "hour": table.column("hour").to_pandas(),
            "distance": table.column("distance").to_pandas(),
            "carrier": np.array(table.column("carrier").to_pylist(), dtype=object),
        }
    )


def test_a_scoring_frame_has_the_features_in_the_models_order() -> None:
    frame = features_of(trainable.table().select(["carrier", "distance", "hour"]))
    assert list(frame.columns) == ["hour", "distance", "carrier"]
    assert [str(kind) for kind in frame.dtypes] == ["float64", "float64", "category"]
    pd.testing.assert_frame_equal(frame.astype({"carrier": object}), plain(trainable.table()))


def test_strings_by_code_fit_and_predict_as_plain_strings_do_to_the_bit() -> None:
    table = trainable.table().filter(trainable.table().column("label").is_valid())
    label = table.column("label").to_numpy()
    fast, slow = features_of(table), plain(table)
    learned = slow["carrier"] != "UA"  # so that the fit has a category without rows, and scoring an unknown one
    parameters: dict[str, Any] = {
        "iterations": 40,
        "random_seed": 0,
        "thread_count": 2,
        "allow_writing_files": False,
    }

    def fitted(frame: pd.DataFrame) -> CatBoostClassifier:
        model = CatBoostClassifier(**parameters, logging_level="Silent", cat_features=["carrier"])
        return model.fit(frame[learned], label[learned])

    of_fast, of_slow = fitted(fast), fitted(slow)
    expected = of_slow.predict_proba(slow)
    assert len(np.unique(expected)) > 100
    np.testing.assert_array_equal(of_fast.predict_proba(fast), expected)
    np.testing.assert_array_equal(of_fast.predict_proba(slow), expected)


@settings(max_examples=20)
@given(batch=st.integers(1, 300), seed=st.integers(0, 3))
def test_a_training_frame_is_the_same_however_its_rows_come(batch: int, seed: int) -> None:
    table = trainable.table(rows=300)
    order = np.random.default_rng(seed).permutation(len(table))
    found = training_frame(trainable.stream(table.take(order), batch), trainable.task())
    wanted = training_frame(trainable.stream(table, 300), trainable.task())
    assert found.unlabelled == wanted.unlabelled == table.column("label").null_count > 0
    np.testing.assert_array_equal(found.rows.label, wanted.rows.label)
    assert found.rows.split_by is not None
    assert wanted.rows.split_by is not None
    assert found.rows.split_by.to_pylist() == wanted.rows.split_by.to_pylist()
    as_text = {"carrier": object}
    pd.testing.assert_frame_equal(found.rows.features.astype(as_text), wanted.rows.features.astype(as_text))


def test_strings_that_come_by_code_already_are_the_same_frame() -> None:
    table = trainable.table()
    place = table.schema.get_field_index("carrier")
    coded = table.set_column(place, "carrier", table.column("carrier").dictionary_encode())
    found = training_frame(trainable.stream(coded), trainable.task()).rows.features
    wanted = trainable.frame().rows.features
    assert found["carrier"].astype(str).tolist() == wanted["carrier"].astype(str).tolist()


def test_a_stream_without_rows_is_a_frame_without_rows() -> None:
    found = trainable.frame(trainable.table().slice(0, 0))
    assert (len(found.rows), found.unlabelled) == (0, 0)
    assert list(found.rows.features.columns) == ["hour", "distance", "carrier"]


def test_an_error_in_the_stream_comes_through_as_it_is() -> None:
    def broken() -> Any:
        yield from trainable.table().to_batches()
        raise DataError("the store broke off")

    reader = pa.RecordBatchReader.from_batches(trainable.table().schema, broken())
    with pytest.raises(DataError, match="the store broke off"):
        training_frame(reader, trainable.task())


@pytest.mark.parametrize("column", ["row_number", "hour", "carrier", "label", "split_by"])
def test_a_missing_column_is_named(column: str) -> None:
    with pytest.raises(DataError, match="features lack a column") as caught:
        trainable.frame(trainable.table().drop_columns([column]))
    assert caught.value.facts["column"] == column


@pytest.mark.parametrize(("column", "other"), [("hour", "carrier"), ("carrier", "hour")])
def test_a_feature_of_another_type_is_named(column: str, other: str) -> None:
    table = trainable.table()
    swapped = table.set_column(table.schema.get_field_index(column), column, table.column(other))
    with pytest.raises(DataError, match="feature is no") as caught:
        features_of(swapped)
    assert caught.value.facts["column"] == column


def test_a_null_category_is_refused() -> None:
    table = trainable.table().slice(0, 3)
    nulls = table.set_column(3, "carrier", pa.array(["AA", None, None]))
    with pytest.raises(DataError, match="2 nulls, the first in row 1 of 3"):
        features_of(nulls)


def test_features_may_have_the_names_of_the_pipelines_own_columns() -> None:
    own = {"row_number": "hour", "label": "distance", "split_by": "distance * 2"}
    table, features = trainable.table(), {"numeric": own, "categorical": {"carrier": "carrier"}}
    renamed = pa.table(
        {
            "pipeline_row_number": table["row_number"],
            "row_number": table["hour"],
            "label": table["distance"],
            "split_by": table["distance"],
            "carrier": table["carrier"],
            "pipeline_label": table["label"],
            "__split_hash": table["__split_hash"],
            "pipeline_split_by": table["split_by"],
        }
    )
    found = training_frame(trainable.stream(renamed), trainable.task(features=features)).rows
    expected = trainable.frame().rows
    np.testing.assert_array_equal(found.label, expected.label)
    np.testing.assert_array_equal(found.features["label"], expected.features["distance"])
    assert found.split_by == expected.split_by
