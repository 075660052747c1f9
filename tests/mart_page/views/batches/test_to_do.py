from dataclasses import replace
from datetime import timedelta

import pytest

from pipeline_assets.mart_page.language import LANGUAGES, Texts
from pipeline_assets.mart_page.route import Route
from pipeline_assets.mart_page.views.batches.overview import Monitored
from pipeline_assets.mart_page.views.batches.to_do import judged, summary
from tests.examples import shop
from tests.mart_page.views.batches.test_overview import FORMATS, SAYS, TASK, WHEN, of

AGAIN = "pipeline-assets run shop truth"


def known(*batches: str, days: int = 0) -> Monitored:
    """Judgements of predictions that were made some days after those that are there now."""
    made = WHEN + timedelta(days=days)
    return Monitored(dict.fromkeys(batches, 0.81234), judged=dict.fromkeys(batches, made))


def test_a_batch_that_was_judged_leads_to_its_quality() -> None:
    html = str(judged(Route(task="shop", batch="b"), TASK, of("b"), known("b"), SAYS))
    assert "roc_auc 0.812" in html
    assert "view=quality" in html
    assert AGAIN not in html


def test_a_judgement_of_predictions_that_were_replaced_says_so() -> None:
    html = str(judged(Route(task="shop", batch="b"), TASK, of("b"), known("b", days=-1), SAYS))
    assert SAYS("judged_outdated") in html
    assert f"{AGAIN} b" in html
    assert "roc_auc 0.812" in html


def test_a_judgement_without_the_metric_leads_to_its_quality_too() -> None:
    html = str(judged(Route(), TASK, of("b"), replace(known("b"), quality={}), SAYS))
    assert "roc_auc —" in html
    assert "view=quality" in html


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_task_without_a_key_is_told_of_row_number(language: str) -> None:
    says = Texts(language)("batches")
    assert "row_number" not in str(judged(Route(), TASK, of("b"), known(), says))
    html = str(judged(Route(), shop(key=None), of("b"), known(), says))
    assert "row_number" in html
    assert "shop/truth/b.parquet" in html


def test_what_is_to_be_judged_again_is_listed_with_its_command() -> None:
    batches = [of("b c"), of("d"), of("e", stage="train")]
    html = str(summary(batches, known("b c", "e", days=-1), WHEN, SAYS, FORMATS))
    assert SAYS("judge_again", n=1) in html
    assert f"{AGAIN} &#x27;b c&#x27;" in html or f"{AGAIN} 'b c'" in html
    assert SAYS("nothing_waits") not in html
    html = str(summary(batches, known("b c", "d"), WHEN, SAYS, FORMATS))
    assert SAYS("nothing_waits") in html
    assert AGAIN not in html


def test_a_batch_to_be_predicted_anew_is_not_to_be_judged_again_before() -> None:
    waiting = replace(of("b"), state="outdated")
    html = str(summary([waiting], known("b", days=-1), WHEN, SAYS, FORMATS))
    assert SAYS("wait", n=1) in html
    assert AGAIN not in html
