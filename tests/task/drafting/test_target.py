"""Which kind a target gets, and which value is positive."""

from typing import Any, Literal

import pytest

from pipeline_assets.errors import TaskError
from pipeline_assets.task.drafting.profile import ColumnProfile, Sample, TargetProfile
from pipeline_assets.task.drafting.target import TargetGuess, guess_target


def target(
    counts: dict[Any, int],
    found: str = "BIGINT",
    name: str = "y",
    *,
    whole: bool = True,
    spells: Literal["number"] | None = None,
    **more: Any,
) -> TargetProfile:
    rows = sum(counts.values())
    sample = Sample(rows, len(counts), whole=whole, spells=spells)
    facts = ColumnProfile(
        name=name,
        found=found,
        rows=rows,
        nulls=0,
        distinct=len(counts),
        exact=True,
        odd=more.pop("odd", 0),
        sample=sample,
    )
    ordered = tuple(sorted(counts.items(), key=lambda each: (-each[1], str(each[0]))))
    return TargetProfile(name, (name,), facts, ordered, **more)


def kind(*args: Any, **more: Any) -> str:
    return guess_target(target(*args, **more)).kind


LEVELS = dict.fromkeys(range(1, 6), 100)


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (target({True: 5, False: 9}, "BOOLEAN"), "binary"),
        (target({0: 900, 1: 100}), "binary"),
        (target({"a": 30, "b": 20, "c": 10}, "VARCHAR"), "multiclass"),
        (target({f"c{at}": 50 for at in range(200)}, "VARCHAR"), "multiclass"),
        (target({str(at): 50 for at in range(5)}, "VARCHAR", spells="number"), "multiclass"),
        (target({str(at): 2 for at in range(500)}, "VARCHAR", spells="number"), "regression"),
        (target({float(at): 100 for at in range(1, 6)}, "DOUBLE"), "regression"),
        (target(LEVELS, name="rating"), "regression"),
        (target(LEVELS, name="cover_type"), "multiclass"),
        (target(LEVELS, order=0.9), "regression"),
        (target(LEVELS, order=0.2), "multiclass"),
        (target(LEVELS), "multiclass"),
        (target({0: 500, 1: 300, 2: 90, 3: 30, 4: 5}), "regression"),
        (target({0: 500, 1: 300, 2: 90, 3: 30, 4: 5}, order=0.1), "multiclass"),
        (target({0: 59, 1: 71, 2: 48}), "multiclass"),
        (target(dict.fromkeys(range(100), 9)), "regression"),
        (target({0.5: 9, 1.5: 9, 2.5: 9}, "DOUBLE", whole=False), "regression"),
    ],
)
def test_the_kind_follows_from_the_values(made: TargetProfile, expected: str) -> None:
    guess = guess_target(made)
    assert guess.kind == expected
    assert guess.reason


@pytest.mark.parametrize(
    ("counts", "found", "positive"),
    [
        ({"no": 90, "yes": 10}, "VARCHAR", "yes"),
        ({"нет": 90, "да": 10}, "VARCHAR", "да"),
        ({"No": 10, "Churned": 90}, "VARCHAR", "Churned"),
        ({"<=50K": 10, ">50K": 90}, "VARCHAR", ">50K"),
        ({"good": 90, "fraud": 10}, "VARCHAR", "fraud"),
        ({0: 5, 1: 95}, "BIGINT", 1),
        ({-1: 5, 1: 95}, "BIGINT", 1),
        ({2: 95, 4: 5}, "BIGINT", 4),
    ],
)
def test_the_positive_value_is_stated_with_its_reason(counts: dict[Any, int], found: str, positive: Any) -> None:
    guess = guess_target(target(counts, found))
    assert guess.positive == positive
    assert "; or " in guess.positive_reason


def test_what_cannot_be_a_label_is_taken_out() -> None:
    guess = guess_target(target({at + 0.5: 1 for at in range(99)}, "DOUBLE", whole=False, odd=3))
    assert guess.expression == "case when isfinite({}) then {} end"
    assert "3 values" in guess.notes[0]


def test_a_heavy_tail_is_told_and_not_decided() -> None:
    guess = guess_target(target({at + 0.5: 1 for at in range(99)}, "DOUBLE", whole=False, skew=(9.0, 0.2)))
    assert "transform: log1p" in guess.notes[-1]
    assert guess.expression == "{}"


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (target({}, "BIGINT"), "null in every row"),
        (target({7: 100}), "one value: 7"),
        (target({"2024-01-01": 5, "2024-01-02": 5}, "DATE"), "DATE"),
        (target({f"t{at}": 1 for at in range(100)}, "VARCHAR"), "hardly repeats"),
    ],
)
def test_what_cannot_be_learned_is_refused(made: TargetProfile, said: str) -> None:
    with pytest.raises(TaskError, match=said):
        guess_target(made)


def test_a_kind_that_does_not_fit_is_refused() -> None:
    with pytest.raises(TaskError, match="two values"):
        guess_target(target(LEVELS), "binary")
    with pytest.raises(TaskError, match="regression"):
        guess_target(target({"a": 30, "b": 20}, "VARCHAR"), "regression")
    assert guess_target(target(LEVELS), "multiclass") == TargetGuess("multiclass", "as the command says")
