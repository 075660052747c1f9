"""Reasons in the reader's language, for records that the pipeline's own choice made."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from pipeline_assets.mart_page.choices import Because, ChoiceMade, Looked, because
from pipeline_assets.mart_page.language import Texts
from pipeline_assets.mart_page.reasons import reason, why_not
from pipeline_assets.ml.choosing import choose
from pipeline_assets.ml.selection import Candidate, Comparison, feature_columns
from tests.examples import shop

MOMENT = datetime(2026, 1, 1, tzinfo=UTC)
TASK = shop()
COLUMNS = feature_columns(TASK.features)


def version(number: int, auc: float | None = 0.7, *, champion: bool = False, ready: bool = True) -> Candidate:
    metrics = {} if auc is None else {"roc_auc": auc}
    own = {name: TASK.fingerprint(name) for name in ("features", "target", "training")}
    return Candidate(number, f"run-{number}", ready, COLUMNS, metrics, MOMENT, champion, fingerprints=own)


def made(candidates: Sequence[Candidate], scores: Mapping[int, float] | None = None, **selection: Any) -> ChoiceMade:
    """The record of a real choice, by way of the JSON that the mart keeps."""
    task = shop(selection=selection or {"policy": "champion"}, limits={"metric": 0.6})
    newest = max(each.version for each in candidates)
    compared = Comparison(newest, {number: {"roc_auc": value} for number, value in (scores or {}).items()})
    choice = choose(task, candidates, None if scores is None else compared)
    record = json.loads(json.dumps(choice.to_json()))
    looked = tuple(
        Looked(
            each["version"], each["metrics"], each["why_not"], each["same_rows"], because(each.get("why_not_reason"))
        )
        for each in record["candidates"]
    )
    code = record.get("reason_code")
    return ChoiceMade(
        "r", choice.stage, "b", choice.policy, choice.winner, choice.previous, choice.reason, choice.metric,
        choice.gain, looked, MOMENT, None if code is None else Because(code, record["reason_values"]),
    )  # fmt: skip


def without_codes(choice: ChoiceMade) -> ChoiceMade:
    """The record as former versions of the pipeline wrote it."""
    return replace(choice, because=None, candidates=tuple(replace(each, because=None) for each in choice.candidates))


CHOICES = {
    "the first": made([version(1)], {1: 0.7}),
    "the champion is unfit": made([version(1, champion=True, ready=False), version(2)], {2: 0.7}),
    "nobody before and the newest unfit": made([version(1), version(2, 0.5)], {2: 0.5}),
    "the challenger is unfit": made([version(1, champion=True), version(2, 0.5)], {1: 0.7, 2: 0.5}),
    "no better": made([version(1, champion=True), version(2)], {1: 0.71, 2: 0.7}),
    "too little better": made(
        [version(1, champion=True), version(2)], {1: 0.7, 2: 0.705}, policy="champion", minimum_gain=0.01
    ),
    "better": made([version(1, champion=True), version(2)], {1: 0.7, 2: 0.72}),
    "champion predicts": made([version(1, champion=True), version(2)]),
    "no champion, the newest predicts": made([version(1), version(2)]),
    "the champion cannot predict": made([version(1, champion=True, ready=False), version(2)]),
    "best metric": made([version(1, 0.8), version(2)], policy="best_metric"),
    "latest": made([version(1, 0.8), version(2)], policy="latest"),
    "pinned": made([version(1, 0.8), version(2)], version=1),
}


@pytest.mark.parametrize("case", CHOICES)
@pytest.mark.parametrize("coded", [True, False])
def test_every_reason_is_said_in_russian(case: str, *, coded: bool) -> None:
    choice = CHOICES[case] if coded else without_codes(CHOICES[case])
    said = reason(choice, Texts("ru"))
    assert re.search("[A-Za-z]", said.replace("roc_auc", "")) is None, said
    assert str(choice.model_version) in said
    assert reason(choice, Texts("en")).isascii()


def test_different_reasons_differ_and_numbers_are_the_languages_own() -> None:
    assert len({reason(choice, Texts("ru")) for choice in CHOICES.values()}) == len(CHOICES)
    assert reason(CHOICES["better"], Texts("ru")) == (
        "Версия 2 стала чемпионом: она лучше версии 1, roc_auc 0,72 против 0,7 на одних и тех же строках."
    )
    assert reason(CHOICES["better"], Texts("en")) == (
        "Version 2 becomes champion: it is better than version 1, roc_auc 0.72 against 0.7 on the same rows."
    )


def test_a_code_and_its_values_are_the_sentence() -> None:
    inner = {"code": "other_fingerprint", "values": {"slice": "features", "found": "a", "expected": "b", "task": "t"}}
    coded = Because("champion_unfit", {"winner": 3, "previous": 1, "why_not": inner})
    assert reason(replace(CHOICES["better"], because=coded), Texts("ru")) == (
        "Версия 3 стала чемпионом: прежний чемпион, версия 1, предсказывать не может (она сделана по другому описанию"
        " (признаки): его отпечаток a, а у задачи b; запустите t_train)."
    )
    on = replace(
        CHOICES["better"],
        because=Because("better", {"winner": 2, "previous": 1, "metric": "brier_score", "new": 0.1, "old": 0.25}),
        judged_on={"rows": 1200, "learned": 0, "sentence": "1200 rows"},
    )
    assert "0,1 против 0,25 на проверочных строках, на которых не училась ни одна из двух (1\xa0200)" in reason(
        on, Texts("ru")
    )


@pytest.mark.parametrize("code", [None, "by_vote"])
def test_a_record_that_fits_no_case_is_shown_as_it_is(code: str | None) -> None:
    unknown = replace(
        CHOICES["better"], policy="committee", reason="they said so", because=Because(code, {}) if code else None
    )
    assert reason(unknown, Texts("ru")) == "they said so"


@pytest.mark.parametrize(
    ("text", "russian"),
    [
        ("its training did not finish", "её обучение не закончилось"),
        ("it has no log_loss", "у неё нет log_loss"),
        ("its roc_auc 0.5000 does not reach the limit 0.6", "её roc_auc 0,5 не достигает предела 0,6"),
        (
            "its features differ: not fitted on a, b; c was numeric and is categorical",
            "у неё другие признаки: не училась на a, b; c: был numeric, стал categorical",
        ),
        ("something new", "something new"),
    ],
)
def test_why_a_version_cannot_predict(text: str, russian: str) -> None:
    assert why_not(Looked(1, {}, text, None), Texts("ru")("models")) == russian
