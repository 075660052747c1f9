import datetime as dt
from decimal import Decimal
from math import log

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline_assets.monitoring.drift import Shift, comparable, compare


def test_numbers_by_hand() -> None:
    """A tenth of the reference in each bin; the others lie in the two lowest and in the missing one."""
    reference = pa.array([float(number) for number in range(100)])
    others = pa.array([0.0] * 50 + [15.0] * 25 + [None] * 25)
    found = compare(reference, others)
    assert [each.kind for each in found.bins] == ["range"] * 10 + ["missing"]
    assert [each.reference for each in found.bins] == pytest.approx([0.1] * 10 + [0])
    assert [each.others for each in found.bins] == pytest.approx([0.5, 0.25, *[0] * 8, 0.25])
    floor = 0.0001
    by_hand = (
        (0.5 - 0.1) * log(0.5 / 0.1)
        + (0.25 - 0.1) * log(0.25 / 0.1)
        + 8 * (floor - 0.1) * log(floor / 0.1)
        + (0.25 - floor) * log(0.25 / floor)
    )
    assert found.index == pytest.approx(by_hand)
    assert found.shift == Shift.MUCH
    assert (found.bins[0].low, found.bins[0].high, found.bins[1].low) == (None, 9.0, 9.0)


def test_text_by_hand() -> None:
    found = compare(pa.array(["a", "a", "b", None]), pa.array(["a", "c", "c", None]))
    assert [(each.kind, each.value, each.reference, each.others) for each in found.bins] == [
        ("value", "a", 0.5, 0.25),
        ("value", "b", 0.25, 0),
        ("others", None, 0, 0.5),
        ("missing", None, 0.25, 0.25),
    ]
    floor = 0.0001
    by_hand = -0.25 * log(0.5) + (floor - 0.25) * log(floor / 0.25) + (0.5 - floor) * log(0.5 / floor)
    assert found.index == pytest.approx(by_hand)


def test_few_distinct_numbers_are_a_bin_each_and_new_ones_a_bin_of_their_own() -> None:
    found = compare(pa.array([1, 2, 2, 7]), pa.array([2, 2, 7, 8]))
    assert [(each.kind, each.value, each.reference, each.others) for each in found.bins] == [
        ("value", 1, 0.25, 0),
        ("value", 2, 0.5, 0.5),
        ("value", 7, 0.25, 0.25),
        ("others", None, 0, 0.25),
        ("missing", None, 0, 0),
    ]


def test_only_the_twenty_most_frequent_values_have_a_bin() -> None:
    values = [f"value {number:02}" for number in range(30) for _ in range(40 - number)]
    bins = compare(pa.array(values), pa.array(values)).bins
    assert [each.value for each in bins[:-2]] == [f"value {number:02}" for number in range(20)]
    assert bins[-2].reference == pytest.approx(sum(range(11, 21)) / len(values))


def test_a_lump_of_one_value_leaves_fewer_bins_and_loses_no_row() -> None:
    reference = pa.array([0.0] * 950 + [float(number) for number in range(50)])
    found = compare(reference, pa.array([0.0, 60.0]))
    assert sum(each.reference for each in found.bins) == pytest.approx(1)
    assert sum(each.others for each in found.bins) == pytest.approx(1)


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([dt.date(2013, 1, 1) + dt.timedelta(days=day) for day in range(40)], pa.date32()),
        ([dt.datetime(2013, 1, 1) + dt.timedelta(hours=hour) for hour in range(40)], pa.timestamp("us")),
        ([dt.time(hour) for hour in range(24)], pa.time64("us")),
        ([Decimal(number) / 7 for number in range(40)], pa.decimal128(20, 10)),
        (list(range(40)), pa.int64()),
    ],
)
def test_bounds_are_values_of_the_column(values: list[object], kind: pa.DataType) -> None:
    column = pa.array([value if not isinstance(value, Decimal) else round(value, 10) for value in values], kind)
    found = compare(column, column)
    assert found.index == 0
    bound = found.bins[0].high
    assert isinstance(bound, float if pa.types.is_decimal(kind) else type(values[0]))


def test_truth_values_and_nan() -> None:
    assert [each.value for each in compare(pa.array([True, False, True]), pa.array([True])).bins[:2]] == [True, False]
    found = compare(pa.array([1.0, float("nan"), None, 2.0]), pa.array([float("nan")]))
    assert (found.bins[-1].reference, found.bins[-1].others) == (0.5, 1)


@pytest.mark.parametrize("kind", [pa.int64(), pa.string(), pa.float64()])
def test_a_column_without_any_value_can_be_compared(kind: pa.DataType) -> None:
    nothing = pa.array([None, None], kind)
    assert compare(nothing, nothing).index == 0
    with pytest.raises(ValueError, match="without rows"):
        compare(pa.array([], kind), nothing)


def test_what_cannot_be_compared_is_known() -> None:
    assert [comparable(kind) for kind in (pa.binary(), pa.list_(pa.int8()), pa.string(), pa.bool_())] == [
        False, False, True, True
    ]  # fmt: skip


def test_chance_alone_gives_an_index_of_the_size_that_is_documented() -> None:
    rng = np.random.default_rng(1)
    found = [
        compare(pa.array(rng.normal(size=5_000)), pa.array(rng.normal(size=5_000))).index for _ in range(200)
    ]  # fmt: skip
    assert np.mean(found) == pytest.approx(9 * 2 / 5_000, rel=0.15)


columns = st.lists(st.none() | st.floats(allow_infinity=False), min_size=1, max_size=60)


@given(columns, columns)
def test_shares_are_whole_and_the_index_is_never_negative(reference: list[float | None], others: list[float]) -> None:
    found = compare(pa.array(reference, pa.float64()), pa.array(others, pa.float64()))
    assert sum(each.reference for each in found.bins) == pytest.approx(1)
    assert sum(each.others for each in found.bins) == pytest.approx(1)
    assert found.index >= 0
    same = compare(pa.array(reference, pa.float64()), pa.array(reference, pa.float64()))
    assert same.index == 0


texts = st.lists(st.none() | st.text(max_size=2), min_size=1, max_size=60)


@given(texts, texts)
def test_text_of_any_kind_keeps_its_shares_whole(reference: list[str | None], others: list[str | None]) -> None:
    found = compare(pa.array(reference, pa.string()), pa.array(others, pa.string()))
    assert sum(each.reference for each in found.bins) == pytest.approx(1)
    assert sum(each.others for each in found.bins) == pytest.approx(1)
    assert found.index >= 0
