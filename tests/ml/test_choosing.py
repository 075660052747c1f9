import dataclasses
import datetime as dt
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline_assets.errors import SelectionError
from pipeline_assets.ml.choosing import choose, fitting_champion
from pipeline_assets.ml.selection import (
    Candidate,
    Choice,
    Comparison,
    FeatureColumns,
    JudgedOn,
    feature_columns,
)
from pipeline_assets.task.spec import TaskSpec
from tests import trainable

FITTING = feature_columns(trainable.task().features)
FINGERPRINTS = {which: trainable.task().fingerprint(which) for which in ("features", "target", "training")}


def task(policy: str = "champion", limit: float | None = None, metric: str = "roc_auc", **selection: Any) -> TaskSpec:
    return trainable.task(
        selection={"policy": policy, **selection},
        limits={"metric": limit},
        training=trainable.training(metric=metric),
    )


def version(
    number: int,
    value: float = 0.7,
    *,
    ready: bool = True,
    champion: bool = False,
    features: FeatureColumns | None = FITTING,
    metric: str = "roc_auc",
    fingerprints: dict[str, str] | None = None,
) -> Candidate:
    created = dt.datetime(2026, 1, 1, tzinfo=dt.UTC) + dt.timedelta(days=number)
    prints = FINGERPRINTS if fingerprints is None else {**FINGERPRINTS, **fingerprints}
    return Candidate(number, f"run{number}", ready, features, {metric: value}, created, champion, prints)


def compared(challenger: int, **values: float) -> Comparison:
    return Comparison(challenger, {int(name[1:]): {"roc_auc": value} for name, value in values.items()})


def why_not(choice: Choice, number: int) -> str:
    return str(next(each.why_not for each in choice.candidates if each.version == number))


def test_feature_columns_are_in_the_models_order() -> None:
    assert FITTING == (("hour", "numeric"), ("distance", "numeric"), ("carrier", "categorical"))


# A challenger against the champion, at the end of a training


def test_a_better_challenger_becomes_champion() -> None:
    choice = choose(task(), [version(1, champion=True), version(2)], compared(2, v1=0.70, v2=0.75))
    assert (choice.winner, choice.previous, choice.stage) == (2, 1, "train")
    assert choice.gain == pytest.approx(0.05)
    assert choice.reason == (
        "version 2 becomes champion: it is better than 1, roc_auc 0.7500 against 0.7000 on the same validation rows"
    )


def test_only_the_same_rows_count_not_what_each_version_once_reached() -> None:
    versions = [version(1, 0.99, champion=True), version(2, 0.75)]
    assert choose(task(), versions, compared(2, v1=0.70, v2=0.75)).winner == 2


@pytest.mark.parametrize("value", [0.70, 0.69])
def test_a_challenger_that_is_no_better_leaves_the_champion(value: float) -> None:
    choice = choose(task(), [version(1, champion=True), version(2)], compared(2, v1=0.70, v2=value))
    assert choice.winner == 1
    assert choice.reason.startswith("version 1 stays champion: version 2 is no better, roc_auc")


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0, 0.2))
def test_the_alias_moves_only_for_a_gain_of_at_least_the_minimum(new: float, old: float, minimum: float) -> None:
    choice = choose(task(minimum_gain=minimum), [version(1, champion=True), version(2)], compared(2, v1=old, v2=new))
    assert (choice.winner == 2) == (new > old and new - old >= minimum)


def test_a_gain_below_the_minimum_is_said_so() -> None:
    versions = [version(1, champion=True), version(2)]
    choice = choose(task(minimum_gain=0.1), versions, compared(2, v1=0.70, v2=0.75))
    assert choice.winner == 1
    assert "is better by less than 0.1" in choice.reason


def test_less_is_better_for_a_loss() -> None:
    versions = [version(1, champion=True, metric="log_loss"), version(2, metric="log_loss")]
    comparison = Comparison(2, {1: {"log_loss": 0.5}, 2: {"log_loss": 0.4}})
    assert choose(task(metric="log_loss"), versions, comparison).winner == 2


def test_the_first_version_becomes_champion() -> None:
    choice = choose(task(), [version(1)], compared(1, v1=0.7))
    assert (choice.winner, choice.previous, choice.gain) == (1, None, None)
    assert choice.reason == "version 1 becomes champion: no version was champion before"


def test_a_champion_that_no_longer_fits_gives_way() -> None:
    versions = [version(1, 0.9, champion=True, features=FITTING[:2]), version(2, 0.6)]
    assert fitting_champion(task(), versions) is None
    choice = choose(task(), versions, compared(2, v2=0.6))
    assert choice.winner == 2
    assert choice.reason == (
        "version 2 becomes champion: the champion before, version 1, cannot predict"
        " (its features differ: not fitted on carrier)"
    )


def test_a_challenger_below_the_limit_leaves_the_champion() -> None:
    versions = [version(1, 0.8, champion=True), version(2, 0.5)]
    choice = choose(task(limit=0.6), versions, compared(2, v1=0.4, v2=0.5))
    assert choice.winner == 1
    assert choice.reason == (
        "version 1 stays champion: version 2 cannot predict (its roc_auc 0.5000 does not reach the limit 0.6)"
    )


def test_without_champion_or_fit_challenger_the_newest_that_can_follows() -> None:
    versions = [version(1, 0.8), version(2, 0.8), version(3, 0.5)]
    choice = choose(task(limit=0.6), versions, compared(3, v3=0.5))
    assert choice.winner == 2
    assert "no version was champion before, and version 3, just trained, cannot predict" in choice.reason


def test_another_policy_decides_after_a_training_too() -> None:
    versions = [version(1, 0.9, champion=True), version(2, 0.7)]
    assert choose(task("best_metric"), versions, compared(2, v1=0.5, v2=0.9)).winner == 1
    assert choose(task("latest"), versions, compared(2, v1=0.9, v2=0.5)).winner == 2


# Predicting


def test_the_champion_predicts() -> None:
    choice = choose(task(), [version(1, champion=True), version(2, 0.9)])
    assert (choice.winner, choice.stage, choice.reason) == (1, "predict", "version 1 is champion")


def test_without_a_champion_the_newest_that_can_predicts_and_the_record_says_why() -> None:
    choice = choose(task(), [version(3, ready=False), version(1), version(2)])
    assert choice.winner == 2
    assert choice.reason == "no version is champion, and version 2 is the newest that can predict"


def test_a_champion_that_cannot_predict_is_replaced_and_the_record_says_why() -> None:
    choice = choose(task(), [version(1), version(2, champion=True, ready=False)])
    assert (choice.winner, choice.previous) == (1, 2)
    assert choice.reason == (
        "the champion, version 2, cannot predict (its training did not finish), and version 1 is the newest that can"
    )


def test_the_best_metric_wins_and_of_equals_the_newest() -> None:
    choice = choose(task("best_metric"), [version(1, 0.8), version(2, 0.9), version(3, 0.9), version(4, 0.7)])
    assert choice.winner == 3
    assert choice.reason == "version 3 has the best roc_auc 0.9000 of 4 that can predict"


def test_the_best_loss_is_the_smallest() -> None:
    versions = [version(1, 0.3, metric="log_loss"), version(2, 0.4, metric="log_loss")]
    assert choose(task("best_metric", metric="log_loss"), versions).winner == 1


def test_a_version_without_the_metric_cannot_be_the_best() -> None:
    choice = choose(task("best_metric"), [version(1), version(2, metric="brier_score")])
    assert choice.winner == 1
    assert why_not(choice, 2) == "it has no roc_auc"


def test_the_latest_that_can_wins() -> None:
    assert choose(task("latest"), [version(2), version(1), version(3, ready=False)]).winner == 2


def test_the_version_that_the_task_names_wins() -> None:
    choice = choose(task("version", version=1), [version(1), version(2, champion=True)])
    assert choice.winner == 1
    assert choice.reason == "version 1 is the one that the task names"


def test_an_unknown_version_is_an_error_with_those_there_are() -> None:
    with pytest.raises(SelectionError, match="no such model version") as caught:
        choose(task("version", version=7), [version(1), version(2)])
    assert caught.value.facts["found"] == 7
    assert caught.value.facts["available"] == [1, 2]


def test_a_named_version_that_cannot_predict_is_an_error_with_those_that_can() -> None:
    with pytest.raises(SelectionError, match="version 2: its training did not finish") as caught:
        choose(task("version", version=2), [version(1), version(2, ready=False)])
    assert caught.value.facts["available"] == [1]


# Who is a candidate


@pytest.mark.parametrize(
    ("features", "reason"),
    [
        (None, "it was made by an older version of the pipeline; run delays_train"),
        (FITTING[1:], "its features differ: not fitted on hour"),
        (
            (*FITTING, ("gate", "numeric")),
            "its features differ: fitted on gate, which the task no longer has",
        ),
        ((FITTING[0], FITTING[2], FITTING[1]), "its features differ: another order"),
        (
            (FITTING[0], ("distance", "categorical"), FITTING[2]),
            "its features differ: distance was categorical and is numeric",
        ),
    ],
)
def test_other_features_are_told_apart(features: FeatureColumns | None, reason: str) -> None:
    choice = choose(task(), [version(1, champion=True), version(2, features=features)])
    assert why_not(choice, 2) == reason
    assert [each.eligible for each in choice.candidates] == [True, False]


@pytest.mark.parametrize("which", ["features", "target"])
def test_a_version_made_under_another_fingerprint_cannot_predict(which: str) -> None:
    versions = [version(1, champion=True, fingerprints={which: "0123456789abcdef"})]
    with pytest.raises(SelectionError) as caught:
        choose(task(), versions)
    expected = trainable.task().fingerprint("features" if which == "features" else "target")
    assert caught.value.facts["found"] == (
        f"version 1: it was made under other {which}: their fingerprint is 0123456789abcdef and the task's is"
        f" {expected}; run delays_train"
    )
    assert caught.value.facts["do"] == "materialise delays/model, or run the job delays_train"


def test_another_training_makes_no_version_unfit() -> None:
    choice = choose(task(), [version(1, champion=True, fingerprints={"training": "0123456789abcdef"})])
    assert choice.winner == 1


def test_a_version_without_fingerprints_was_made_by_former_code() -> None:
    former = dataclasses.replace(version(1, champion=True), fingerprints=None)
    choice = choose(task(), [former, version(2)])
    assert (choice.winner, why_not(choice, 1)) == (
        2,
        "it was made by an older version of the pipeline; run delays_train",
    )


def test_the_record_says_on_which_rows_and_why_as_data() -> None:
    judged_on = JudgedOn(500, 20, "all 500 validation rows of batch b, 20 of which ...")
    comparison = Comparison(2, {1: {"roc_auc": 0.7}, 2: {"roc_auc": 0.8}}, judged_on)
    record = choose(task(), [version(1, champion=True), version(2)], comparison).to_json()
    assert record["judged_on"] == {"rows": 500, "learned": 20, "sentence": judged_on.sentence}
    assert record["reason"].endswith(judged_on.sentence)
    assert record["reason_code"] == "better"
    assert record["reason_values"] == {
        "winner": 2, "previous": 1, "metric": "roc_auc", "new": 0.8, "old": 0.7, "on": judged_on.sentence
    }  # fmt: skip


def test_a_reason_within_a_reason_is_data_too() -> None:
    choice = choose(task(limit=0.6), [version(1, 0.8, champion=True), version(2, 0.5)], compared(2, v1=0.4, v2=0.5))
    assert choice.to_json()["reason_values"]["why_not"] == {
        "code": "below_limit",
        "values": {"metric": "roc_auc", "value": 0.5, "limit": 0.6},
    }


def test_a_challenger_that_holds_the_alias_already_stays_champion() -> None:
    choice = choose(task(), [version(1), version(2, champion=True)], compared(2, v2=0.8))
    assert (choice.winner, choice.reason) == (2, "version 2 is champion")


def test_a_limit_is_reached_by_equality_and_needs_a_metric() -> None:
    versions = [version(1, 0.7), version(2, 0.69), version(3, metric="brier_score")]
    choice = choose(task(limit=0.7), versions)
    assert choice.winner == 1
    assert why_not(choice, 2) == "its roc_auc 0.6900 does not reach the limit 0.7"
    assert why_not(choice, 3) == "it has no roc_auc"


def test_no_version_at_all_says_what_to_run() -> None:
    with pytest.raises(SelectionError, match="no model version of delays can predict") as caught:
        choose(task(), [])
    assert caught.value.facts["do"] == "materialise delays/model, or run the job delays_train"
    assert caught.value.facts["found"] == "no version registered"


def test_no_version_that_can_predict_lists_each_with_its_reason() -> None:
    with pytest.raises(SelectionError) as caught:
        choose(task(limit=0.9), [version(1, ready=False), version(2, 0.8, champion=True)])
    assert caught.value.facts["found"] == (
        "version 1: its training did not finish; version 2: its roc_auc 0.8000 does not reach the limit 0.9"
    )


def test_a_record_of_choice_is_plain_json() -> None:
    choice = choose(task(), [version(2), version(1, champion=True)], compared(2, v1=0.7, v2=0.8))
    record = json.loads(json.dumps(choice.to_json()))
    assert record == choice.to_json()
    assert [each["version"] for each in record["candidates"]] == [1, 2]
    assert record["candidates"][1] == {
        "version": 2,
        "package": None,
        "run_id": "run2",
        "created": "2026-01-03T00:00:00+00:00",
        "metrics": {"roc_auc": 0.7},
        "why_not": None,
        "why_not_reason": None,
        "same_rows": 0.8,
        "interval": None,
        "eligible": True,
    }
    assert {key: record[key] for key in ("task", "policy", "metric", "winner", "previous")} == {
        "task": "delays",
        "policy": "champion",
        "metric": "roc_auc",
        "winner": 2,
        "previous": 1,
    }
