"""What is said of the predictions of a batch, and of their quality, by kind."""

from typing import Any

import pytest
from htmltools import TagList

from pipeline_assets.mart_page.language import LANGUAGES, Formats, Texts
from pipeline_assets.mart_page.problem import attempt
from pipeline_assets.mart_page.views.batches.predictions import quality
from pipeline_assets.mart_page.views.batches.queries import Truth
from pipeline_assets.monitoring.truth import evaluation
from pipeline_assets.task.spec import TaskSpec
from tests.examples import shop
from tests.mart_page.kinds_of_orders import tasks

KINDS = {**tasks(), "shop": shop()}


def truth(labels: list[Any], scores: dict[str, list[Any]]) -> Truth:
    return Truth(labels, scores, [None] * len(labels), ("t",), partly=False)


def shown(task: TaskSpec, found: Truth, language: str = "en") -> str:
    evaluated = attempt(evaluation, task, found.labels, found.scores)
    return str(TagList(quality(task, found, evaluated, Texts(language)("batches"), Formats(language))))


OF_CLASSES = truth(
    ["kept", "kept", "<b>lost</b>"],
    {
        "predicted_label": ["kept", "returned", "returned"],
        "probability": [0.9, 0.6, 0.7],
        "probabilities": [{"kept": share, "returned": 1 - share} for share in (0.9, 0.4, 0.3)],
    },
)
NUMBERS = truth([10.0, 20.0, 40.0], {"prediction": [11.0, 19.0, 30.0]})
EVENTS = truth([1, 0, 1], {"probability": [0.9, 0.6, 0.1], "predicted_label": [True, True, False]})


@pytest.mark.parametrize("language", LANGUAGES)
def test_metrics_of_the_kind_come_with_their_direction(language: str) -> None:
    assert "log_loss ↓" in shown(KINDS["fates"], OF_CLASSES, language)
    assert "f1_macro ↑" in shown(KINDS["fates"], OF_CLASSES, language)
    assert "rmse ↓" in shown(KINDS["refunds"], NUMBERS, language)
    assert "roc_auc ↑" in shown(KINDS["shop"], EVENTS, language)
    assert "accuracy ↑" in shown(KINDS["churn"], EVENTS, language)


def test_every_class_has_its_own_line_also_one_that_was_never_predicted() -> None:
    text = shown(KINDS["fates"], OF_CLASSES)
    lines = [line for line in text.split("<tr>") if "</td>" in line]
    assert [line.count("</td>") for line in lines] == [4, 4, 4]
    assert "<b>lost" not in text
    assert "—" in next(line for line in lines if "lost" in line)  # nothing was predicted to be it
    assert "50%" in lines[0]  # one of two was found


def test_numbers_have_means_and_events_have_precision_and_recall() -> None:
    assert "23.333" in shown(KINDS["refunds"], NUMBERS)
    assert shown(KINDS["shop"], EVENTS).count("50%") == 2


def test_rows_that_cannot_evaluate_say_why() -> None:
    alone = truth([1, 1], {"probability": [0.9, 0.6], "predicted_label": [True, True]})
    text = shown(KINDS["shop"], alone)
    assert "notice-error" in text
    assert "100%" in text  # recall is still known
