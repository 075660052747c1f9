"""What the report of the benchmarks says of measured contenders."""

from dataclasses import replace

import pytest

from benchmarks.measure import LIMIT, OURS, Line, Measured
from benchmarks.report import markdown, summary, table

_MB = 1 << 20
LINE = Line(
    "whole", {}, wanted={"script": 2.5, LIMIT: 0.8}, aside="fits", memory={LIMIT: 1.3}
)  # its contenders are not run here
MEASURED = {
    OURS: [Measured(70.0, 1000, 150 * _MB), Measured(80.0, 1000, 140 * _MB)],
    LIMIT: [Measured(77.0, 1000, 100 * _MB), Measured(64.0, 1000, 100 * _MB)],
    "fits": [Measured(50.0, 1000, 90 * _MB), Measured(60.0, 1000, 90 * _MB)],
    "script": [Measured(110.0, 1000, 300 * _MB), Measured(110.0, 1000, 300 * _MB)],
}


def test_what_surrounds_the_common_work_is_compared_round_by_round() -> None:
    told = summary(LINE, MEASURED, {})
    assert told["ours_times_as_fast"]["script"] == pytest.approx((110 / 70 + 110 / 80) / 2, abs=0.001)
    assert told["beside"]["median_seconds"] == {OURS: 20.0, LIMIT: 15.5, "script": 55.0}
    assert told["beside"]["ours_times_as_fast"]["script"] == pytest.approx((60 / 20 + 50 / 20) / 2, abs=0.001)


def test_nothing_is_said_of_a_contender_that_took_no_longer_than_the_common_work() -> None:
    few = {**MEASURED, LIMIT: [Measured(50.0, 1000, _MB), Measured(64.0, 1000, _MB)]}
    assert list(summary(LINE, few, {})["beside"]["median_seconds"]) == [OURS, "script"]
    few = {**MEASURED, OURS: [Measured(49.0, 1000, _MB)] * 2}
    assert summary(LINE, few, {})["beside"]["ours_times_as_fast"] == {}


def test_a_line_says_what_it_missed_in_speed_and_in_memory() -> None:
    told = summary(LINE, MEASURED, {})
    assert told["missed"] == ["script", "memory of limit"]
    assert told["times_the_memory"] == {LIMIT: 1.5}
    assert summary(replace(LINE, memory={LIMIT: 1.6}), MEASURED, {})["missed"] == ["script"]


def test_both_tables_show_it() -> None:
    told = summary(LINE, MEASURED, {})
    shown = table([told])
    assert "script, without fits" in shown
    assert "memory of ours beside limit" in shown
    rows = markdown([told], "ru").splitlines()
    assert "|  | script, without fits |  | 55,00 |  |  | 2,75× |  |" in rows
    assert "|  | memory of ours beside limit |  |  |  |  | 1,50× | ≤ 1,30× ✗ |" in rows


def test_a_line_without_common_work_has_no_more_rows() -> None:
    plain = Line("load", {}, wanted={LIMIT: 0.5})
    told = summary(plain, {name: MEASURED[name] for name in (OURS, LIMIT)}, {})
    assert "beside" not in told
    assert len(markdown([told], "en").splitlines()) == 4
