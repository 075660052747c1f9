from math import log

import pytest

from pipeline_assets.mart_page.language import LANGUAGES, Formats, Texts
from pipeline_assets.mart_page.render import Picture
from pipeline_assets.mart_page.views.passport.charts import contributions
from pipeline_assets.ml.explanation import Contribution, Explanation, probability

SCRIPT = "<script>alert(1)</script>"


def drawn(explanation: Explanation, language: str = "en") -> Picture:
    said = {each.feature: str(each.value) for each in explanation.contributions}
    return contributions(explanation, said, Texts(language)("passport"), Formats(language))


def explanation(*values: float) -> Explanation:
    parts = (Contribution(f"feature {place}", place, value) for place, value in enumerate(values))
    return Explanation(1, -1.0, tuple(parts))


def test_the_bars_go_from_the_base_to_the_score() -> None:
    found = explanation(1.5, -0.5)
    (bars,) = drawn(found).figure.data
    assert list(bars.measure) == ["absolute", "relative", "relative", "total"]
    assert list(bars.x) == [-1.0, 1.5, -0.5, 0]
    assert sum(bars.x) == pytest.approx(found.log_odds)
    assert list(bars.text) == ["26.9%", "+1.5", "−0.5", "50%"]


def test_base_and_score_are_marks_and_no_bars_that_the_axis_cuts() -> None:
    figure = drawn(explanation(1.5, -0.5)).figure
    assert [(mark.x0, mark.x1) for mark in figure.layout.shapes] == [(-1.0, -1.0), (0.0, 0.0)]
    assert figure.data[0].totals.marker.color == "rgba(0,0,0,0)"


def test_on_a_phone_names_take_two_lines_and_numbers_have_more_room() -> None:
    picture = drawn(explanation(1.5, -0.5))
    assert picture.narrow["yaxis"]["ticktext"][1] == "feature 0<br>= 0"
    (low, high), (least, most) = picture.figure.layout.xaxis.range, picture.narrow["xaxis"]["range"]
    assert least < low < high < most


def test_the_small_ones_are_one_bar_and_none_is_lost() -> None:
    found = explanation(*(1 / (place + 1) for place in range(30)))
    (bars,) = drawn(found).figure.data
    assert len(bars.x) == 1 + 12 + 1 + 1
    assert sum(bars.x) == pytest.approx(found.log_odds)
    assert bars.customdata[-2] == "18 other features"


def test_the_axis_is_labelled_with_probabilities() -> None:
    axis = drawn(explanation(2.0, -0.5)).figure.layout.xaxis
    assert list(axis.tickvals) == [log(share / (1 - share)) for share in (0.2, 0.35, 0.5, 0.65, 0.8)]
    assert list(axis.ticktext) == ["20%", "35%", "50%", "65%", "80%"]
    assert axis.range[0] < -1.0 < 1.0 < axis.range[1]


def test_text_of_data_is_text() -> None:
    parts = (Contribution("note", SCRIPT, 1.0), Contribution(SCRIPT, 1.0, 0.5))
    picture = drawn(Explanation(1, 0.0, parts))
    for text in (*picture.figure.data[0].customdata, *picture.figure.layout.yaxis.ticktext):
        assert "<" not in text
    assert SCRIPT in picture.says  # the page sets it as text


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_words_say_what_one_sees(language: str) -> None:
    formats = Formats(language)
    says = drawn(explanation(1.25, -0.5), language).says
    for part in (formats.share(probability(-1.0)), formats.share(probability(-0.25)), "feature 0 = 0"):
        assert part in says
    assert ("+1,25" if language == "ru" else "+1.25") in says


def test_values_of_the_target_are_labelled_in_its_unit() -> None:
    found = Explanation(1, 100.0, (Contribution("a", 1.0, 25.0), Contribution("b", "x", -5.0)), unit="target")
    picture = drawn(found)
    (bars,) = picture.figure.data
    assert list(bars.text) == ["100", "+25", "−5", "120"]
    assert picture.figure.layout.xaxis.title.text == "predicted value"
    assert "120" in picture.says


def test_logarithms_of_the_target_are_labelled_with_the_values_they_stand_for() -> None:
    found = Explanation(1, log(11), (Contribution("a", 1.0, log(101) - log(11)),), unit="log_target")
    picture = drawn(found)
    (bars,) = picture.figure.data
    assert (bars.text[0], bars.text[-1]) == ("10", "100")
    ticks = [float(text.replace(",", "")) for text in picture.figure.layout.xaxis.ticktext]
    assert ticks == sorted(ticks)
    assert ticks[0] < 10
    assert ticks[-1] > 100


def test_effects_by_permutation_are_bars_from_zero() -> None:
    parts = tuple(Contribution(f"f{place}", 1.0, value) for place, value in enumerate((0.5, -0.25)))
    picture = drawn(Explanation(1, 0.0, parts, kind="permutation", of="kept", scored=1.0))
    (bars,) = picture.figure.data
    assert bars.type == "bar"
    assert (list(bars.x), list(bars.text)) == ([0.5, -0.25], ["+0.5", "−0.25"])
    assert formats_share(probability(1.0)) in picture.says


def formats_share(value: float) -> str:
    return Formats("en").share(value)
