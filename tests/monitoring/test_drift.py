import datetime as dt
from decimal import Decimal
from math import log, log2, sqrt

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline_assets.monitoring.drift import Bins, Reference, Shift, comparable, compare, count_rows, difference
from pipeline_assets.task.drift_spec import WARN


def distance(p: list[float], q: list[float], rows: tuple[int, int]) -> float:
    """From shares by the formula."""
    middle = [(one + other) / 2 for one, other in zip(p, q, strict=True)]
    sides = [
        [share * log2(share / mid) for share, mid in zip(shares, middle, strict=True) if share] for shares in (p, q)
    ]
    degrees = sum(mid > 0 for mid in middle) - 1
    by_chance = degrees * (1 / rows[0] + 1 / rows[1]) / (8 * log(2))
    return sqrt(max(sum(map(sum, sides)) / 2 - by_chance, 0))


def test_numbers_by_hand() -> None:
    """A tenth of the reference in each bin; the others lie in the two lowest and in the missing one."""
    reference = pa.array([float(number) for number in range(100)])
    others = pa.array([0.0] * 50 + [15.0] * 25 + [None] * 25)
    found = compare(reference, others)
    assert [each.kind for each in found.bins] == ["range"] * 10 + ["missing"]
    assert [each.reference for each in found.bins] == pytest.approx([0.1] * 10 + [0])
    assert [each.others for each in found.bins] == pytest.approx([0.5, 0.25, *[0] * 8, 0.25])
    assert found.distance == pytest.approx(distance([0.1] * 10 + [0], [0.5, 0.25, *[0] * 8, 0.25], (100, 100)))
    assert found.shift == Shift.MUCH
    assert (found.bins[0].low, found.bins[0].high, found.bins[1].low) == (None, 9.0, 9.0)


def test_text_by_hand() -> None:
    found = compare(pa.array(["a", "a", "b", None] * 50), pa.array(["a", "c", "c", None] * 50))
    assert [(each.kind, each.value, each.reference, each.others) for each in found.bins] == [
        ("value", "a", 0.5, 0.25),
        ("value", "b", 0.25, 0),
        ("others", None, 0, 0.5),
        ("missing", None, 0.25, 0.25),
    ]
    assert found.distance == pytest.approx(distance([0.5, 0.25, 0, 0.25], [0.25, 0, 0.5, 0.25], (200, 200)))


def test_nothing_in_common_is_a_distance_of_one() -> None:
    found = compare(pa.array(["a"] * 100_000), pa.array(["b"] * 100_000))
    assert found.distance == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize(("deviations", "expected"), [(0.25, 0.1), (0.5, 0.2)])
def test_numbers_that_move_have_the_distance_that_is_documented(deviations: float, expected: float) -> None:
    rng = np.random.default_rng(1)
    before, after = rng.normal(size=200_000), rng.normal(deviations, size=200_000)
    assert compare(pa.array(before), pa.array(after)).distance == pytest.approx(expected, rel=0.1)


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
    assert found.distance == 0
    bound = found.bins[0].high
    assert isinstance(bound, float if pa.types.is_decimal(kind) else type(values[0]))


def test_truth_values_and_nan() -> None:
    assert [each.value for each in compare(pa.array([True, False, True]), pa.array([True])).bins[:2]] == [False, True]
    found = compare(pa.array([1.0, float("nan"), None, 2.0]), pa.array([float("nan")]))
    assert (found.bins[-1].reference, found.bins[-1].others) == (0.5, 1)


@pytest.mark.parametrize("kind", [pa.int64(), pa.string(), pa.float64()])
def test_a_column_without_any_value_can_be_compared(kind: pa.DataType) -> None:
    nothing = pa.array([None, None], kind)
    assert compare(nothing, nothing).distance == 0
    with pytest.raises(ValueError, match="without rows"):
        compare(pa.array([], kind), nothing)


def test_what_cannot_be_compared_is_known() -> None:
    assert [comparable(kind) for kind in (pa.binary(), pa.list_(pa.int8()), pa.string(), pa.bool_())] == [
        False, False, True, True
    ]  # fmt: skip


def of_size(shares: list[float], rows: int, seed: int) -> list[int]:
    """The counts of a sample, by bin."""
    drawn: list[int] = np.random.default_rng(seed).multinomial(rows, shares).tolist()
    return drawn


distributions = st.lists(st.floats(0.01, 1), min_size=2, max_size=12).map(
    lambda some: [each / sum(some) for each in some]
)


@given(distributions, st.integers(0, 2**32))
def test_a_small_and_a_large_sample_of_the_same_rows_get_the_same_verdict(shares: list[float], seed: int) -> None:
    """The root of what is subtracted for 500 rows is up to 0.07, so that raw distances would differ by as much."""
    reference = Reference(Bins("texts", tuple(map(str, shares[2:]))), tuple(of_size(shares, 20_000, seed)))
    for rows in (500, 500_000):
        found = difference(reference, of_size(shares, rows, seed + rows), pa.string())
        assert not found.reaches(WARN)
        assert found.distance < 0.1


@given(distributions, st.integers(0, 2**32))
def test_a_small_and_a_large_sample_of_other_rows_get_the_same_verdict(shares: list[float], seed: int) -> None:
    """Half of the rows of the most frequent bin have moved into one that was empty."""
    most = shares.index(max(shares))
    moved = [share / 2 if place == most else share for place, share in enumerate(shares)]
    before, after = [*shares, 0.0], [*moved, shares[most] / 2]
    reference = Reference(Bins("texts", tuple(map(str, shares[1:]))), tuple(of_size(before, 20_000, seed)))
    known = distance(before, after, (10**9, 10**9))
    for rows in (500, 500_000):
        found = difference(reference, of_size(after, rows, seed + rows), pa.string())
        assert abs(found.distance - known) < 0.08
        assert found.reaches(known - 0.08)
        assert not found.reaches(known + 0.08)


def test_chance_alone_does_on_the_average_what_is_subtracted_and_seldom_more_than_is_said() -> None:
    shares, reached = [0.1] * 10, 0
    squares = []
    for seed in range(400):
        reference = Reference(Bins("texts", tuple(map(str, range(8)))), tuple(of_size(shares, 500, seed)))
        found = difference(reference, of_size(shares, 500, 10_000 + seed), pa.string())
        squares.append(found.distance**2 if found.distance else 0.0)
        reached += found.distance >= found.chance
    # Half of the samples are below the mean and count as 0; the others spread by a standard deviation.
    deviation = sqrt(2 * 9) * (2 / 500) / (8 * log(2))
    assert np.mean(squares) == pytest.approx(0.4 * deviation, rel=0.2)
    assert reached <= 2


def test_few_rows_reach_a_limit_only_by_more_than_chance() -> None:
    reference = Reference.of(pa.array([float(number) for number in range(1000)]))
    few = reference.bins.count(pa.array([float(number) for number in range(0, 1000, 125)]))
    found = difference(reference, few, pa.float64())
    assert found.chance > 0.4
    assert not found.reaches(0.01)
    gone = difference(reference, reference.bins.count(pa.array([1.0] * 8)), pa.float64())
    assert gone.reaches(0.2)
    assert not gone.reaches(None)


def test_counts_of_a_stream_are_those_of_the_whole() -> None:
    rng = np.random.default_rng(3)
    words = pa.array(rng.choice(["a", "b", "c"], 100_000).tolist())
    values = pa.array(np.where(rng.random(100_000) < 0.1, np.nan, rng.normal(size=100_000)))
    whole = pa.record_batch({"word": words, "coded": words.dictionary_encode(), "value": values})
    bins = {"word": Bins("texts", ("a", "b")), "coded": Bins("texts", ("a", "b")), "value": Bins.of(values)}
    counts = count_rows(bins, [whole.slice(start, 7_000) for start in range(0, 100_000, 7_000)])
    assert {name: int(each.sum()) for name, each in counts.items()} == dict.fromkeys(bins, 100_000)
    assert counts["word"].tolist() == counts["coded"].tolist()
    assert counts["word"].tolist() == [*(words.to_pylist().count(each) for each in "abc"), 0]
    assert counts["value"][-1] == np.isnan(values.to_numpy()).sum()
    inner = np.searchsorted(bins["value"].at, values.to_numpy()[~np.isnan(values.to_numpy())], side="left")
    assert counts["value"][:-1].tolist() == np.bincount(inner, minlength=10).tolist()


def test_scores_are_binned_by_steps_that_a_slightly_other_model_does_not_cross() -> None:
    lumps = np.repeat([0.03, 0.97], 450)
    rng = np.random.default_rng(4)
    before, after = (pa.array(lumps + rng.normal(0, 0.005, 900) + shift) for shift in (0, 0.01))
    assert compare(before, after).distance > 0.2
    reference = Reference.of(before, Bins.of_scores(before))
    assert len(reference.counts) == 11
    assert difference(reference, reference.bins.count(after), pa.float64()).distance < 0.05
    one = pa.array([0.2] * 50)
    assert Bins.of_scores(one).count(pa.array([0.3] * 50)).tolist() == [50, 0]


def test_infinite_numbers_are_beyond_every_bound_and_bounds_can_be_kept_as_json() -> None:
    values = pa.array([float("-inf"), *map(float, range(50)), float("inf"), float("inf")])
    bins = Bins.of(values)
    assert np.isfinite(bins.at).all()
    assert bins.count(values)[-2] == 7
    few = Bins.of(pa.array([1.0, float("inf")]))
    assert few.count(pa.array([1.0, float("inf"), None])).tolist() == [1, 1, 1]


columns = st.lists(st.none() | st.floats(allow_infinity=False), min_size=1, max_size=60)


@given(columns, columns)
def test_shares_are_whole_and_the_index_is_never_negative(reference: list[float | None], others: list[float]) -> None:
    found = compare(pa.array(reference, pa.float64()), pa.array(others, pa.float64()))
    assert sum(each.reference for each in found.bins) == pytest.approx(1)
    assert sum(each.others for each in found.bins) == pytest.approx(1)
    assert found.distance >= 0
    same = compare(pa.array(reference, pa.float64()), pa.array(reference, pa.float64()))
    assert same.distance == 0


texts = st.lists(st.none() | st.text(max_size=2), min_size=1, max_size=60)


@given(texts, texts)
def test_text_of_any_kind_keeps_its_shares_whole(reference: list[str | None], others: list[str | None]) -> None:
    found = compare(pa.array(reference, pa.string()), pa.array(others, pa.string()))
    assert sum(each.reference for each in found.bins) == pytest.approx(1)
    assert sum(each.others for each in found.bins) == pytest.approx(1)
    assert found.distance >= 0
