import datetime as dt
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pipeline_assets.errors import DataError
from pipeline_assets.ml.dataset import LabelledRows
from pipeline_assets.ml.split import split
from pipeline_assets.task.spec import Validation

FRACTIONS = st.floats(0.05, 0.95)


def rows(values: list[Any]) -> LabelledRows:
    column = pa.chunked_array([pa.array(values)])
    return LabelledRows(pd.DataFrame(index=range(len(values))), np.zeros(len(values), np.int8), column)


def by_time(fraction: float) -> Validation:
    return Validation(split="time", column="day", fraction=fraction)


ORDERED = st.one_of(
    st.lists(st.dates(dt.date(2013, 1, 1), dt.date(2013, 1, 9)), min_size=2, max_size=60),
    st.lists(st.datetimes(dt.datetime(2013, 1, 1), dt.datetime(2014, 1, 1)), min_size=2, max_size=60),
    st.lists(st.integers(-3, 3), min_size=2, max_size=60),
    st.lists(st.floats(-2, 2), min_size=2, max_size=60),
    st.lists(st.text("абв", max_size=2), min_size=2, max_size=60),
)


@given(values=ORDERED, fraction=FRACTIONS)
def test_by_time_the_later_values_judge_and_equal_values_stay_together(values: list[Any], fraction: float) -> None:
    distinct = sorted(set(values))
    assume(len(distinct) > 1)
    parts = split(rows(values), by_time(fraction), seed=0)
    training, validation = [[values[place] for place in side] for side in (parts.training, parts.validation)]
    assert sorted([*parts.training, *parts.validation]) == list(range(len(values)))
    assert max(training) < min(validation)
    assert parts.boundary == str(min(validation))
    wanted = len(values) * fraction
    possible = [sum(value >= cut for value in values) for cut in distinct[1:]]
    assert abs(len(validation) - wanted) <= min(abs(count - wanted) for count in possible) + 1e-9


def test_by_time_one_value_only_is_refused() -> None:
    with pytest.raises(DataError, match="one value only") as caught:
        split(rows([dt.date(2013, 1, 1)] * 5), by_time(0.2), seed=0)
    assert caught.value.facts["column"] == "day"


@pytest.mark.parametrize("values", [[1, None, 2], [1.0, float("nan"), 2.0]])
def test_by_time_a_labelled_row_without_a_value_is_refused(values: list[Any]) -> None:
    with pytest.raises(DataError, match="1 of 3 rows"):
        split(rows(values), by_time(0.2), seed=0)


@given(count=st.integers(2, 500), fraction=FRACTIONS, seed=st.integers(0, 5))
def test_by_share_the_seed_alone_decides(count: int, fraction: float, seed: int) -> None:
    judging = round(count * fraction)
    assume(0 < judging < count)
    share = Validation(fraction=fraction)
    first, again = split(rows([0] * count), share, seed), split(rows([0] * count), share, seed)
    np.testing.assert_array_equal(first.validation, again.validation)
    assert len(first.validation) == judging
    assert sorted([*first.training, *first.validation]) == list(range(count))


def test_by_share_another_seed_takes_other_rows() -> None:
    first, other = (split(rows([0] * 100), Validation(), seed).validation for seed in (0, 1))
    assert first.tolist() != other.tolist()


def test_by_share_too_few_rows_are_refused() -> None:
    with pytest.raises(DataError, match="2 rows, 0 of them to validate"):
        split(rows([0, 0]), Validation(fraction=0.1), seed=0)
