from dataclasses import replace

import pytest

from pipeline_assets.mart_page.language import LANGUAGES, Formats, Texts
from pipeline_assets.mart_page.views.models.charts import curves, importance, metric_by_version
from pipeline_assets.ml.selection import Candidate
from tests.mart_page.filled import START

FIRST = Candidate(1, "run", ready=True, features=None, metrics={"roc_auc": 0.7}, created=START)
VERSIONS = [FIRST, replace(FIRST, version=2, metrics={"roc_auc": 0.75}, champion=True), replace(FIRST, metrics={})]


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_champion_is_told_by_its_shape_and_in_words(language: str) -> None:
    picture = metric_by_version(VERSIONS, "roc_auc", Texts(language)("models"), Formats(language))
    (line,) = picture.figure.data
    assert (list(line.x), list(line.y), list(line.customdata)) == (["1", "2"], [0.7, 0.75], [1, 2])
    assert list(line.marker.symbol) == ["circle", "star"]
    assert Formats(language).number(0.75) in picture.says


def test_without_a_champion_the_words_say_so() -> None:
    texts, formats = Texts("en")("models"), Formats("en")
    alone = metric_by_version([FIRST], "roc_auc", texts, formats).says
    assert alone == "1 version by roc_auc; it is not champion."
    both = [FIRST, replace(FIRST, version=2)]
    assert "none is champion" in metric_by_version(both, "roc_auc", texts, formats).says


@pytest.mark.parametrize("language", LANGUAGES)
def test_curves_have_a_panel_a_metric_and_end_where_they_ended(language: str) -> None:
    values = [1 / (1 + step) for step in range(1501)]
    found = {"Logloss": {"training": values, "stopping": values[::-1]}, "<b>AUC</b>": {"stopping": values}}
    picture = curves(found, 1500.0, Texts(language)("models"), Formats(language))
    lines = picture.figure.data
    assert len(lines) == 3
    assert (lines[0].x[-1], lines[0].y[-1]) == (1500, values[-1])
    assert len(lines[0].x) < 600
    assert not any("<" in each.text for each in picture.figure.layout.annotations)
    assert Formats(language).number(1.0) in picture.says
    assert len({each.line.dash for each in lines[:2]}) == 2


def test_importance_is_drawn_from_the_first_feature_down_and_its_names_are_text() -> None:
    found = {"<i>a</i>": 60.0, **{f"feature {place}": 1.0 for place in range(30)}}
    picture = importance(found, 3, Texts("en")("models"), Formats("en"))
    (bars,) = picture.figure.data
    assert len(bars.x) == 20
    assert bars.text[0] == "60%"
    assert picture.figure.layout.yaxis.ticktext[0] == "&lt;i&gt;a&lt;/i&gt;"
    assert picture.says.startswith("Version 3 goes by these first: <i>a</i> 60%")
