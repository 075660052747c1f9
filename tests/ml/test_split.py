import datetime as dt
import json
from dataclasses import replace
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.typing import NDArray

from pipeline_assets.errors import DataError
from pipeline_assets.ml.dataset import LabelledRows
from pipeline_assets.ml.split import STOPPING, TRAINING, VALIDATION, SplitRule, Strata, split_rule
from pipeline_assets.task.spec import TaskSpec
from tests import trainable
from tests.examples import shop

FRACTIONS = st.floats(0.05, 0.95)


def rows(count: int, *, seed: int = 0, label: NDArray[Any] | None = None, values: Any = None) -> LabelledRows:
    hashes = np.random.default_rng(seed).integers(0, 2**53, count)
    ordered = None if values is None else pa.chunked_array([pa.array(values)])
    return LabelledRows(
        pd.DataFrame(index=range(count)), np.zeros(count, np.int8) if label is None else label, hashes, ordered
    )


def strata(of: LabelledRows, *, on_every_side: bool = True) -> Strata:
    return Strata(of.label.astype(np.int64), ("0", "1"), on_every_side)


def task(seed: int = 0, **validation: Any) -> TaskSpec:
    return shop(training={"seed": seed, "validation": validation})


def keyless(seed: int = 0) -> TaskSpec:
    return trainable.task(training=trainable.training(seed=seed, validation={"split": "share"}))


def rule_of(of: LabelledRows, how: TaskSpec, batch: str = "2026-01", sha256: str = "aa") -> SplitRule:
    rule = split_rule(of, how, strata(of), batch=batch, sha256=sha256)
    assert SplitRule.from_json(json.loads(json.dumps(rule.to_json()))) == rule
    return rule


def sides(of: LabelledRows, how: TaskSpec) -> NDArray[np.int8]:
    return rule_of(of, how).side_of(of, strata(of))


def by_time(fraction: float = 0.2, stopping: float = 0.15) -> TaskSpec:
    return task(split="time", column="ordered_on", fraction=fraction, stopping_fraction=stopping)


# By time

ORDERED = st.one_of(
    st.lists(st.dates(dt.date(2013, 1, 1), dt.date(2013, 1, 9)), min_size=3, max_size=60),
    st.lists(st.datetimes(dt.datetime(2013, 1, 1), dt.datetime(2014, 1, 1)), min_size=3, max_size=60),
    st.lists(st.times(), min_size=3, max_size=60),
    st.lists(st.decimals(0, 9, places=2), min_size=3, max_size=60),
    st.lists(st.integers(-3, 3), min_size=3, max_size=60),
    st.lists(st.floats(-2, 2), min_size=3, max_size=60),
    st.lists(st.text("абв", max_size=2), min_size=3, max_size=60),
)


@given(values=ORDERED, fraction=FRACTIONS, stopping=FRACTIONS)
def test_by_time_the_latest_evaluate_the_next_stop_and_equal_values_stay_together(
    values: list[Any], fraction: float, stopping: float
) -> None:
    distinct = sorted(set(values))
    assume(len(distinct) > 2)
    side = sides(rows(len(values), values=values), by_time(fraction, stopping))
    fits, stops, evaluates = ([v for v, s in zip(values, side, strict=True) if s == which] for which in range(3))
    assert max(fits) < min(stops) <= max(stops) < min(evaluates)
    wanted = len(values) * fraction
    possible = [sum(value >= cut for value in values) for cut in distinct[2:]]
    assert abs(len(evaluates) - wanted) <= min(abs(count - wanted) for count in possible) + 1e-9


@pytest.mark.parametrize(
    "kind",
    [
        pa.time64("ns"), pa.time64("us"), pa.timestamp("ns"), pa.timestamp("ns", "UTC"), pa.timestamp("us", "UTC"),
        pa.uint64(), pa.int8(), pa.float32(),
    ],
    ids=str,
)  # fmt: skip
def test_by_time_each_cut_is_exact_to_the_last_digit_of_the_type(kind: pa.DataType) -> None:
    most = 2**64 - 1 if kind == pa.uint64() else 86_399_999_999
    last = {pa.int8(): 127, pa.float32(): 2**24}.get(kind, most)
    counted = {pa.float32(): pa.float64(), pa.uint64(): pa.uint64()}.get(kind, pa.int64())
    values = pa.array(range(last - 9, last + 1), counted).cast(kind)
    assert sides(rows(10, values=values), by_time()).tolist() == [TRAINING] * 7 + [STOPPING] + [VALIDATION] * 2


@pytest.mark.parametrize("days", [1, 2])
def test_by_time_fewer_than_three_values_are_refused(days: int) -> None:
    values = [dt.date(2013, 1, 1 + place % days) for place in range(6)]
    with pytest.raises(DataError, match="too few values") as caught:
        sides(rows(6, values=values), by_time())
    assert caught.value.facts["column"] == "ordered_on"


@pytest.mark.parametrize("values", [[1, None, 2], [1.0, float("nan"), 2.0]])
def test_by_time_a_labelled_row_without_a_value_is_refused(values: list[Any]) -> None:
    with pytest.raises(DataError, match="1 of 3 rows"):
        sides(rows(3, values=values), by_time())


# By share


@given(seed=st.integers(0, 5), fraction=st.floats(0.1, 0.6), stopping=st.floats(0.1, 0.6))
def test_by_share_each_side_has_about_its_share(seed: int, fraction: float, stopping: float) -> None:
    of = rows(5000, seed=seed)
    counts = np.bincount(sides(of, task(fraction=fraction, stopping_fraction=stopping)), minlength=3)
    wanted = [(1 - fraction) * (1 - stopping), (1 - fraction) * stopping, fraction]
    np.testing.assert_allclose(counts / 5000, wanted, atol=0.04)


def test_by_share_a_key_is_on_the_same_side_in_every_batch_and_order() -> None:
    first, later = rows(4000, seed=1), rows(4000, seed=2)
    both = LabelledRows(
        pd.DataFrame(index=range(8000)),
        np.zeros(8000, np.int8),
        np.concatenate([later.split_hash, first.split_hash[::-1]]),
    )
    np.testing.assert_array_equal(sides(both, task())[4000:][::-1], sides(first, task()))


def test_by_share_another_seed_takes_other_rows() -> None:
    of = rows(1000)
    assert sides(of, task(seed=0)).tolist() != sides(of, task(seed=1)).tolist()


@given(rare=st.integers(3, 40), count=st.integers(50, 400), seed=st.integers(0, 20))
def test_a_rare_label_is_on_every_side(rare: int, count: int, seed: int) -> None:
    label = np.zeros(count, np.int8)
    label[:rare] = 1
    side = sides(rows(count, seed=seed, label=label), task())
    assert set(side[label == 1].tolist()) == {TRAINING, STOPPING, VALIDATION}
    assert set(side[label == 0].tolist()) == {TRAINING, STOPPING, VALIDATION}
    assert abs(np.count_nonzero(side[label == 1] == VALIDATION) - rare * 0.2) <= 1


def test_two_rows_without_groups_are_too_few() -> None:
    of = rows(2)
    with pytest.raises(DataError, match=r"found: +2 rows\n"):
        split_rule(of, task(), Strata(np.zeros(2, np.int64), ("all",)), batch="b", sha256="")


def test_two_rows_of_a_label_are_too_few_for_three_sides() -> None:
    label = np.array([1, 1, *[0] * 50], np.int8)
    with pytest.raises(DataError, match="2 rows of label 1"):
        sides(rows(52, label=label), task())


@given(rare=st.integers(1, 2), seed=st.integers(0, 20))
def test_rows_of_a_group_that_need_not_be_on_every_side_are_learned_where_they_are_too_few(
    rare: int, seed: int
) -> None:
    label = np.zeros(200, np.int8)
    label[:rare] = 1
    of = rows(200, seed=seed, label=label)
    groups = strata(of, on_every_side=False)
    rule = split_rule(of, task(), groups, batch="b", sha256="")
    assert set(rule.side_of(of, groups)[:rare].tolist()) == {TRAINING}


def test_a_rule_finds_a_group_by_its_name_whatever_its_code_in_a_batch() -> None:
    label = (np.arange(400) < 40).astype(np.int8)
    of = rows(400, label=label)
    rule = split_rule(of, task(), Strata(label.astype(np.int64), ("common", "rare")), batch="b", sha256="")
    again = Strata(1 + label.astype(np.int64) % 2 * 2, ("before", "common", "between", "rare"))
    named = Strata(label.astype(np.int64), ("common", "rare"))
    np.testing.assert_array_equal(rule.side_of(of, again), rule.side_of(of, named))
    unknown = Strata(np.zeros(400, np.int64), ("new",))
    assert set(rule.side_of(of, unknown).tolist()) == {TRAINING, STOPPING, VALIDATION}


# What a version has learned from


def learned(of: SplitRule, batch: LabelledRows, rule: SplitRule) -> NDArray[np.bool_]:
    return of.may_have_learned(batch, strata(batch), rule)


def test_on_the_same_file_by_the_same_rule_no_validation_row_was_learned() -> None:
    of = rows(2000, label=(np.arange(2000) < 20).astype(np.int8))
    rule = rule_of(of, task())
    validation = rule.side_of(of, strata(of)) == VALIDATION
    np.testing.assert_array_equal(learned(rule, of, rule), ~validation)


def test_a_key_that_came_in_another_batch_too_is_told_by_its_hash() -> None:
    old, new = rows(2000, seed=1), rows(3000, seed=1)  # the same keys and more
    assert (old.split_hash == new.split_hash[:2000]).all()
    first, second = rule_of(old, task()), rule_of(new, task(), batch="2026-02", sha256="bb")
    fitted = first.side_of(old, strata(old)) != VALIDATION
    assert learned(first, new, second)[:2000][fitted].all()
    evaluated = second.side_of(new, strata(new)) == VALIDATION
    assert not learned(first, new, second)[evaluated].any()


def test_groups_with_few_rows_cost_few_rows_of_the_comparison() -> None:
    """Many classes with few rows each are divided by count; the rows that this moves are known one by one."""
    count, classes = 2000, 100
    code = np.arange(count) % classes
    of = rows(count, label=code.astype(np.int32))
    groups = Strata(code.astype(np.int64), tuple(map(str, range(classes))), on_every_side=False)
    first = split_rule(of, task(), groups, batch="a", sha256="a")
    assert SplitRule.from_json(json.loads(json.dumps(first.to_json()))) == first
    second = split_rule(of, task(), groups, batch="b", sha256="b")
    learned_first = first.side_of(of, groups) != VALIDATION
    seen = first.may_have_learned(of, groups, second)
    assert seen[learned_first].all()
    assert np.mean(seen[~learned_first]) < 0.2


def test_a_rule_of_former_code_is_read_and_may_have_learned_more() -> None:
    label = (np.arange(2000) < 20).astype(np.int8)
    of = rows(2000, label=label)
    rule = rule_of(of, task())
    former = {name: value for name, value in rule.to_json().items() if name != "low"}
    old, later = SplitRule.from_json(former), replace(rule, batch="2026-02", sha256="bb")
    assert (old.side_of(of, strata(of)) == rule.side_of(of, strata(of))).all()
    assert learned(old, of, later)[learned(rule, of, later)].all()


def test_another_seed_leaves_the_rows_that_both_keep_for_evaluation() -> None:
    of = rows(5000)
    first, second = rule_of(of, task(seed=1)), rule_of(of, task(seed=2))
    evaluated = second.side_of(of, strata(of)) == VALIDATION
    share = np.mean(learned(first, of, second)[evaluated])
    assert 0.75 < share < 0.85


def test_without_a_key_rows_of_another_batch_are_other_rows_and_of_a_changed_file_may_be_any() -> None:
    of = rows(500)
    rule = rule_of(of, keyless(), batch="2026-01", sha256="aa")
    assert not rule.key
    assert not learned(rule, of, rule_of(of, keyless(), batch="2026-02", sha256="bb")).any()
    assert learned(rule, of, rule_of(of, keyless(), batch="2026-01", sha256="bb")).all()
    assert learned(rule, of, rule_of(of, keyless(), batch="2026-02", sha256="aa")).all()


def test_by_time_rows_from_the_champions_evaluation_on_and_before_its_first_are_unseen() -> None:
    days = [dt.date(2026, 1, 1) + dt.timedelta(days=day) for day in range(100)]
    old = rows(60, values=days[20:80])
    rule = rule_of(old, by_time(), batch="old")
    assert (rule.first, rule.stopping_from, rule.validation_from) == ("2026-01-21", "2026-03-03", "2026-03-10")
    new = rows(100, values=days)
    seen = learned(rule, new, rule_of(new, by_time(), batch="new", sha256="bb"))
    assert [day for day, each in zip(days, seen, strict=True) if each] == days[20:68]


def test_a_split_by_time_says_nothing_of_rows_without_its_column() -> None:
    days = [dt.date(2026, 1, 1) + dt.timedelta(days=day) for day in range(30)]
    rule = rule_of(rows(30, values=days), by_time())
    other = rows(30)
    assert learned(rule, other, rule_of(other, task())).all()
    amounts = rows(30, values=[Decimal(day) for day in range(30)])
    assert learned(rule, amounts, rule_of(amounts, by_time())).all()
