import datetime as dt

import pytest

from pipeline_assets.mart_page.views.marts.statistics import statistics


def test_numbers_have_mean_deviation_quantiles_and_mode() -> None:
    found = statistics([(10.0, 1), (1.0, 6), (2.0, 3)])
    assert found is not None
    assert (found.mode, found.mode_rows) == (1.0, 6)
    assert found.mean == pytest.approx(2.2)
    assert found.deviation == pytest.approx(2.638, abs=1e-3)
    assert found.quantiles == (1.0, 1.0, 1.0, 2.0, 10.0)


def test_infinities_and_nan_are_in_no_mean() -> None:
    found = statistics([(float("inf"), 3), (float("nan"), 1), (4.0, 1)])
    assert found is not None
    assert (found.mode, found.mean, found.quantiles) == (float("inf"), 4.0, (4.0,) * 5)
    only = statistics([(float("inf"), 1)])
    assert only is not None
    assert (only.mean, only.quantiles) == (None, ())


def test_dates_have_quantiles_and_words_only_a_mode() -> None:
    first = dt.date(2026, 1, 1)
    days = statistics([(first + dt.timedelta(days=day), 1) for day in range(9)])
    assert days is not None
    assert (days.mean, days.quantiles[2]) == (None, dt.date(2026, 1, 5))
    words = statistics([("a", 2), ("b", 5)])
    assert words is not None
    assert (words.mode, words.mode_rows, words.quantiles) == ("b", 5, ())
    truth = statistics([(True, 2), (False, 1)])
    assert truth is not None
    assert (truth.mode, truth.mean) == (True, None)
    assert statistics([]) is None
