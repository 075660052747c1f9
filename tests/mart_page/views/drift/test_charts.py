from collections.abc import Sequence
from datetime import date

import pyarrow as pa
import pytest

from pipeline_assets.mart_page.catalog import Column
from pipeline_assets.mart_page.language import LANGUAGES, Formats, Texts
from pipeline_assets.mart_page.views.drift import charts as drift
from pipeline_assets.mart_page.views.drift.queries import ColumnShift, Point
from pipeline_assets.monitoring.drift import compare

SCRIPT = "<script>alert(1)</script>"


def shift(name: str, before: Sequence[object], after: Sequence[object]) -> ColumnShift:
    return ColumnShift(Column(name, "text", "", "raw", key=False), compare(pa.array(before), pa.array(after)))


SHIFTS = [
    shift("moved", ["a"] * 40, ["b"] * 40),
    shift(SCRIPT, [SCRIPT, "a"] * 1000, [SCRIPT] * 1400 + ["a"] * 600),
    shift("same", [1, 2], [1, 2]),
]


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_bar_says_its_verdict_by_a_sign_too(language: str) -> None:
    picture = drift.indexes(SHIFTS, Texts(language)("drift"), Formats(language))
    (bars,) = picture.figure.data
    assert [text[0] for text in bars.text] == ["●", "◐", "○"]
    assert list(bars.x) == [each.difference.distance for each in SHIFTS]
    assert list(bars.customdata) == ["moved", SCRIPT, "same"]  # goes to the server, which looks it up
    assert not any("<" in text for text in (*bars.hovertext, *picture.figure.layout.yaxis.ticktext))
    assert picture.says.count("●") == 1


def test_limits_are_those_of_the_task_but_never_below_chance() -> None:
    column, found = SHIFTS[1].column, SHIFTS[1].difference
    judged = ColumnShift(column, found, "ok", warn_from=0.001, fail_from=0.3)
    unlimited = ColumnShift(column, found, "ok")
    figure = drift.indexes([judged, unlimited], Texts("en")("drift"), Formats("en")).figure
    _, warns, fails = figure.data
    assert list(warns.x) == [found.chance, found.chance, None]
    assert list(fails.x) == [0.3, 0.3, None]
    assert not figure.layout.shapes  # the bounds of words are drawn only where no task judged
    assert figure.layout.xaxis.range[1] > 0.3


def test_bins_show_both_batches_and_tell_them_apart_by_pattern() -> None:
    picture = drift.bins(SHIFTS[1], "train <b>old</b>", "new", Texts("en")("drift"), Formats("en"))
    train, predict = picture.figure.data
    assert list(train.y) == [0.5, 0.5, 0, 0]
    assert list(predict.y) == [0.7, 0.3, 0, 0]
    assert train.marker.pattern.shape != predict.marker.pattern.shape
    assert train.name == "train &lt;b&gt;old&lt;/b&gt;"
    assert not any("<" in text for text in (*train.customdata, *picture.figure.layout.xaxis.ticktext))
    assert "50% of train <b>old</b> and " in picture.says


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_column_batch_by_batch_has_the_limits_that_the_task_had(language: str) -> None:
    points = [Point("2026-01", 0.05, 0.2), Point(SCRIPT, 0.31, None)]
    picture = drift.history(SCRIPT, points, Texts(language)("drift"), Formats(language))
    distances, limits = picture.figure.data
    assert (list(distances.y), list(limits.y)) == ([0.05, 0.31], [0.2, None])
    assert not any("<" in text for text in (distances.name, *picture.figure.layout.xaxis.ticktext))
    assert Formats(language).number(0.31) in picture.says


def test_bins_are_named_in_the_readers_language() -> None:
    days = pa.array([date(2013, 1, 1 + day) for day in range(20)])
    bins = compare(days, days).bins
    names = [drift.bin_name(each, Texts("ru")("drift"), Formats("ru")) for each in bins]
    assert names[0] == f"≤ {Formats('ru').value(date(2013, 1, 2))}"
    assert names[-2].startswith("> ")
    assert names[-1] == "пропуск"
    numbers = compare(pa.array([0.5 * number for number in range(20)]), pa.array([1.0])).bins
    assert drift.bin_name(numbers[1], Texts("ru")("drift"), Formats("ru")) == "0,5 … 1,5"
