"""What is said of a row's scores, by kind."""

from typing import Any

import pytest
from htmltools import TagList

from pipeline_assets.mart_page.language import LANGUAGES, Formats, Texts
from pipeline_assets.mart_page.views.passport.scores import classes, facts
from pipeline_assets.task import plugins
from tests.examples import shop
from tests.mart_page.kinds_of_orders import tasks

KINDS = {**tasks(), "shop": shop()}
SCORES: dict[str, dict[str, Any]] = {
    "fates": {
        "predicted_label": "<b>lost</b>",
        "probability": 0.5,
        "probabilities": {**{f"class {place:02}": 0.04 for place in range(12)}, "<b>lost</b>": 0.52},
    },
    "refunds": {"prediction": 1234.5},
    "churn": {"probability": 0.25, "predicted_label": False},
    "shop": {"probability": 0.75, "predicted_label": True},
}


def shown(name: str, language: str = "en") -> dict[str, str]:
    found = facts(Texts(language)("passport"), Formats(language), KINDS[name], SCORES[name])
    return {key: str(TagList(value)) for key, value in found.items()}


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", KINDS)
def test_every_kind_says_its_score_with_every_digit_in_the_page(name: str, language: str) -> None:
    found = shown(name, language)
    value = SCORES[name].get("prediction", SCORES[name].get("probability"))
    assert any(f'="{value!r}"' in text for text in found.values())
    assert "<b>lost" not in "".join(found.values())


def test_a_stated_positive_value_is_named() -> None:
    assert shown("churn")["Predicted label"] == "not returned"
    assert "Probability that “fate” is returned" in shown("churn")["Probability"]
    assert shown("shop")["Predicted label"] == "yes"


def test_a_positive_value_is_written_in_the_readers_language(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(KINDS, "shop", shop(target={"expression": "returned", "positive": True}))
    assert "«returned» — да" in shown("shop", "ru")["Вероятность"]


def test_the_most_probable_classes_come_first_and_the_others_are_one_line() -> None:
    table = str(TagList(classes(Texts("en")("passport"), Formats("en"), KINDS["fates"], SCORES["fates"])))
    assert table.index("&lt;b&gt;lost") < table.index("class 00") < table.index("3 other classes")
    assert "class 11" not in table
    assert classes(Texts("en")("passport"), Formats("en"), KINDS["refunds"], SCORES["refunds"]) is None


def test_columns_of_an_unknown_kind_are_shown_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    kind = plugins.kind(KINDS["churn"].target.kind)
    monkeypatch.setattr(type(kind), "score_types", {"risk": "DOUBLE", "band": "VARCHAR"})
    monkeypatch.setattr(type(kind), "score_descriptions", {"risk": "From 0 to 100"})
    found = facts(Texts("en")("passport"), Formats("en"), KINDS["churn"], {"risk": 12.5, "band": "low"})
    assert {name: str(TagList(value)) for name, value in found.items()} == {
        "risk": "12.5<br/><small>From 0 to 100</small>",
        "band": "low",
    }
