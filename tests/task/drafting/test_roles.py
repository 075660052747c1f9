"""What columns become, where a snapshot would not show the limit."""

from typing import Any

import pytest

from pipeline_assets.task.drafting.profile import ColumnProfile, Sample, Signal
from pipeline_assets.task.drafting.roles import Names, Role, Setting, guess_role

ROWS = 10_000
SETTING = Setting(classes=True, target="y", sampled=ROWS)


def column(name: str = "x", found: str = "BIGINT", distinct: int = 500, **more: Any) -> ColumnProfile:
    sample = Sample(
        ROWS, distinct, whole=True, **{key: more.pop(key) for key in ("signal", "words", "rising") if key in more}
    )
    facts = {"low": 0, "high": distinct, "type": "int64", "rows": ROWS, "nulls": 0, **more}
    return ColumnProfile(name=name, found=found, distinct=distinct, sample=sample, **facts)


def group(role: Role) -> str:
    return role.features[0].group if role.features else "left out"


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (column(), "numeric"),
        (column(signal=Signal(0.30, 0.02)), "categorical"),
        (column(signal=Signal(0.30, 0.28)), "numeric"),
        (column(signal=Signal(0.012, 0.001)), "numeric"),  # little, and little more than chance
        (column(nulls=100, signal=Signal(0.7, 0.7, 0.7, missing=0.6)), "left out"),
        (column("store_id"), "categorical"),
        (column("store_id", signal=Signal(0.30, 0.28)), "numeric"),
        (column("customer_id", distinct=9_990), "left out"),
        (column("amount", distinct=9_990), "numeric"),
        (column("anything", distinct=ROWS, rising=True), "left out"),
        (column(signal=Signal(0.98, 0.98)), "left out"),
        (column(nulls=ROWS), "left out"),
        (column(low=3, high=3), "left out"),
        (column(low=3, high=3, nulls=10), "numeric"),
        (column("s", "VARCHAR", distinct=9_990), "left out"),
        (column("s", "VARCHAR", distinct=3_000, words=9.0), "left out"),
        (column("s", "VARCHAR", distinct=3_000, words=1.0), "categorical"),
        (column("s", "VARCHAR", distinct=7_000, words=1.0), "left out"),
        (column("s", "VARCHAR", distinct=7_000, words=1.0, signal=Signal(0.2)), "categorical"),
        (column("s", "STRUCT(a BIGINT)"), "left out"),
    ],
)
def test_the_role_follows_from_what_was_seen(made: ColumnProfile, expected: str) -> None:
    role = guess_role(made, SETTING)
    assert group(role) == expected
    assert role.left_out or all(feature.comment for feature in role.features)


def test_a_series_may_tell_nearly_all_of_its_next_number() -> None:
    numbers = Setting(classes=False, target="y", sampled=ROWS)
    assert guess_role(column(found="DOUBLE", signal=Signal(0, 0.99, 0.9995)), numbers).features
    assert guess_role(column(found="DOUBLE", signal=Signal(0, 0.99, 0.99999)), numbers).leaks


def test_no_feature_takes_the_name_of_another_or_of_a_raw_column_in_marts() -> None:
    names = Names(frozenset({"feature_a"}))
    assert [names.of(name) for name in ("a", "b", "B")] == ["a_value", "b", "B_value"]
