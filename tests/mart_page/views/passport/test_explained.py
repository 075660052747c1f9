"""Whether an explanation is of the stored score, for each unit that explanations have."""

from datetime import UTC, datetime
from math import log1p

import pytest
from htmltools import TagList

from pipeline_assets.mart_page.language import LANGUAGES, Formats, Texts
from pipeline_assets.mart_page.views.passport.explained import agreement, contributions, lead
from pipeline_assets.mart_page.views.passport.queries import Prediction
from pipeline_assets.ml.explanation import Contribution, Explanation, probability
from tests.mart_page.kinds_of_orders import tasks

SAYS, FORMATS = Texts("en")("passport"), Formats("en")
PART = (Contribution("price", 2.0, 0.5),)
CLASSES: dict[str, object] = {
    "predicted_label": "kept",
    "probability": probability(1.5),
    "probabilities": {"kept": 0.8, "lost": 0.2},
}
FOUND: dict[str, tuple[Explanation, dict[str, object]]] = {
    "log_odds": (Explanation(1, 1.0, PART), {"probability": probability(1.5)}),
    "target": (Explanation(1, 100.0, PART, unit="target"), {"prediction": 100.5}),
    "log_target": (Explanation(1, log1p(9.0), PART, unit="log_target"), {"prediction": 10 * 1.6487212707 - 1}),
    "score": (Explanation(1, 1.0, PART, unit="score", of="kept"), CLASSES),
    "permutation": (Explanation(1, 1.0, PART, kind="permutation", of="kept", scored=1.5), CLASSES),
}
OTHER: dict[str, object] = {
    "probability": 0.1,
    "prediction": 3.0,
    "predicted_label": "lost",
    "probabilities": {"lost": 1.0},
}


def said(found: Explanation, scores: dict[str, object]) -> str:
    prediction = Prediction(scores, 1, "run", datetime(2026, 1, 1, tzinfo=UTC))
    return str(TagList(agreement(SAYS, FORMATS, found, prediction)))


@pytest.mark.parametrize("unit", FOUND)
def test_an_explanation_agrees_with_the_score_it_is_of_and_with_no_other(unit: str) -> None:
    found, scores = FOUND[unit]
    assert 'data-agrees="yes"' in said(found, scores)
    assert 'data-agrees="no"' in said(found, {name: OTHER[name] for name in scores})


def test_scores_that_the_page_does_not_know_are_not_compared() -> None:
    assert said(FOUND["log_odds"][0], {"risk": 0.5}) == ""


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("unit", FOUND)
def test_the_unit_is_said_in_words(unit: str, language: str) -> None:
    texts, formats = Texts(language)("passport"), Formats(language)
    found, _ = FOUND[unit]
    words = lead(texts, formats, found)
    assert "{" not in words
    assert (found.of or "") in words
    table = str(contributions(texts, formats, tasks()["fates"], found))
    assert 'value="0.5"' in table
