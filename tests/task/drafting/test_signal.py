"""What a column tells of a target, by its values and by their order."""

import numpy as np
import pytest

from pipeline_assets.task.drafting.signal import explained, labels, of_codes, of_numbers, order_share

RNG = np.random.Generator(np.random.PCG64(0))
ROWS = 4000


def test_noise_tells_nothing_even_where_each_value_comes_a_few_times() -> None:
    label = labels(RNG.integers(0, 2, ROWS), classes=True)
    assert of_codes(RNG.integers(0, 1500, ROWS), label).best < 0.02
    assert of_numbers(RNG.normal(size=ROWS), label).best < 0.02


def test_a_copy_of_the_target_tells_everything() -> None:
    classes = RNG.integers(0, 7, ROWS)
    assert of_codes(classes, labels(classes, classes=True)).best > 0.98
    numbers = np.exp(RNG.normal(size=ROWS) * 3)
    assert of_numbers(numbers * 2.54, labels(numbers, classes=False)).best > 0.999


def test_the_order_of_names_tells_little_and_that_of_quantities_nearly_all() -> None:
    value = RNG.integers(0, 300, ROWS)
    name = of_numbers(
        value.astype(np.float64),
        labels((RNG.normal(size=300)[value] + RNG.normal(size=ROWS) > 0).astype(np.int64), classes=True),
    )
    assert name.ordered < 0.5 * name.by_value
    quantity = of_numbers(
        value.astype(np.float64), labels((value + RNG.normal(size=ROWS) * 50 > 150).astype(np.int64), classes=True)
    )
    assert quantity.ordered > 0.95 * quantity.by_value


def test_that_a_value_is_missing_tells_too() -> None:
    label = RNG.integers(0, 2, ROWS)
    column = np.where(label == 1, np.nan, RNG.normal(size=ROWS))
    assert of_numbers(column, labels(label, classes=True)).best > 0.98


def test_one_row_and_one_class_tell_nothing() -> None:
    assert explained(np.zeros(1, dtype=np.int64), np.ones((1, 1))) == 0
    assert explained(np.zeros(9, dtype=np.int64), np.ones((9, 1))) == 0


def test_ratings_have_an_order_and_digits_have_none() -> None:
    stars = RNG.integers(1, 6, ROWS).astype(float)
    ordered = order_share(stars, [stars + RNG.normal(size=ROWS), RNG.normal(size=ROWS)])
    assert ordered is not None
    assert ordered > 0.9
    means = RNG.normal(size=(5, 10))[:, :]
    named = order_share(stars, [each[stars.astype(int) * 2 - 1] + RNG.normal(size=ROWS) * 0.3 for each in means])
    assert named is not None
    assert named < 0.6
    assert order_share(stars, [RNG.normal(size=ROWS)]) is None


@pytest.mark.parametrize("rows", [0, 1, 3])
def test_very_few_rows_are_no_problem(rows: int) -> None:
    values = np.arange(rows, dtype=np.float64)
    assert 0 <= of_numbers(values, labels(values, classes=False)).best <= 1
