import datetime as dt

import pytest

from pipeline_assets.mart_page.language import Formats, Texts
from pipeline_assets.mart_page.render import Picture
from pipeline_assets.mart_page.views.marts.charts import distribution
from pipeline_assets.mart_page.views.marts.distribution import Distribution

SAYS = {language: Texts(language)("marts") for language in ("en", "ru")}


def drawn(name: str, seen: Distribution, language: str = "en") -> Picture:
    picture = distribution(name, seen, SAYS[language], Formats(language))
    assert picture is not None
    return picture


def test_without_values_there_is_nothing_to_draw() -> None:
    assert distribution("x", Distribution(5, sampled=False, nulls=5, different=0), SAYS["en"], Formats("en")) is None


def test_numbers_are_bins() -> None:
    seen = Distribution(3, False, 0, 3, edges=(0.0, 1.0, 2.0), counts=(1, 2), lowest=0.0, highest=2.0)
    picture = drawn("x", seen, "ru")
    (bars,) = picture.figure.data
    assert (list(bars.x), list(bars.y)) == ([0.5, 1.5], [1, 2])
    assert "от 0 до 2" in picture.says


def test_dates_are_bins_of_days() -> None:
    first = dt.date(2026, 1, 1).toordinal()
    seen = Distribution(
        2, False, 0, 2, edges=(first, first + 2.0), counts=(2,), lowest=dt.date(2026, 1, 1), highest=dt.date(2026, 1, 3)
    )
    (bars,) = drawn("day", seen).figure.data
    assert [moment.date() for moment in bars.x] == [dt.date(2026, 1, 2)]


@pytest.mark.parametrize("value", ["<script>alert(1)</script>", "<b>bold</b>"])
def test_words_are_shown_as_they_are(value: str) -> None:
    seen = Distribution(9, False, 0, 4, counts=(5, 3), values=(value, "b"), others=1)
    figure = drawn("<i>name</i>", seen).figure
    (bars,) = figure.data
    assert list(bars.x) == [5, 3, 1]
    ticks = list(figure.layout.yaxis.ticktext)
    assert ticks[0] == value.replace("<", "&lt;").replace(">", "&gt;")
    assert ticks[2] == "other values"
    assert "<" not in "".join(bars.hovertext)
