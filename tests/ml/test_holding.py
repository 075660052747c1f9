"""A person's decision over the champion, and what it holds against."""

import dataclasses
import datetime as dt

import pytest

from pipeline_assets.errors import SelectionError
from pipeline_assets.ml.choosing import choose
from pipeline_assets.ml.holding import Change, Hold, champion_before, decided, under_hold
from pipeline_assets.ml.selection import Candidate, Choice, Order, Person
from tests.ml.test_choosing import compared, task, version

ANN = Person("Ann", "it was better")
HOLD = Hold(1, ANN, dt.datetime(2026, 11, 28, 9, 30, tzinfo=dt.UTC))
BOTH = [version(1), version(2, champion=True)]


def ordered(order: Order, number: int, versions: list[Candidate], policy: str = "champion") -> Choice:
    return decided(task(policy), versions, number, order, ANN)


def test_a_rollback_gives_the_alias_and_says_who_and_why() -> None:
    choice = ordered("rollback", 1, BOTH)
    assert (choice.stage, choice.winner, choice.previous, choice.person) == ("rollback", 1, 2, ANN)
    assert choice.reason == (
        "version 1 becomes champion: Ann set it back from version 2 (it was better); it stays until someone promotes a"
        " version"
    )


def test_the_present_champion_can_be_held_and_let_go() -> None:
    assert "stays champion until someone promotes a version: Ann holds it" in ordered("rollback", 2, BOTH).reason
    assert "trainings may replace it again" in ordered("promote", 2, BOTH).reason


def test_a_promotion_names_the_version_before_if_there_was_one() -> None:
    assert ordered("promote", 1, BOTH).reason.startswith("version 1 becomes champion: Ann promoted it over version 2")
    first = ordered("promote", 1, [version(1)])
    assert first.reason.endswith("no version was champion before")


@pytest.mark.parametrize("order", ["rollback", "promote"])
def test_a_version_that_cannot_predict_is_refused_with_those_that_can(order: Order) -> None:
    unfinished = [version(1, ready=False), version(2, champion=True), version(3, fingerprints={"target": "0" * 16})]
    for number, why in ((1, "its training did not finish"), (3, "it was made under other target"), (9, "")):
        with pytest.raises(SelectionError) as caught:
            ordered(order, number, unfinished)
        assert why in str(caught.value.facts["found"])
        assert caught.value.facts["do"] == f"{order} one of the available versions"


@pytest.mark.parametrize("order", ["rollback", "promote"])
def test_a_version_that_the_task_names_is_the_tasks_to_change(order: Order) -> None:
    with pytest.raises(SelectionError, match="the task names the version") as caught:
        decided(task("version", version=2), BOTH, 1, order, ANN)
    assert caught.value.facts["do"] == "name the version under selection in the task, or choose another policy there"


@pytest.mark.parametrize("policy", ["latest", "best_metric"])
def test_a_policy_that_chooses_each_time_is_held_but_keeps_to_no_promotion(policy: str) -> None:
    versions = [version(1, 0.6), version(2, 0.9, champion=True)]
    assert ordered("rollback", 1, versions, policy).winner == 1
    held = under_hold(task(policy), choose(task(policy), versions), HOLD)
    assert (held.winner, held.because.code) == (1, "held")
    assert ordered("promote", 2, versions, policy).winner == 2
    with pytest.raises(SelectionError, match=f"the policy {policy} would not keep to this version") as caught:
        ordered("promote", 1, versions, policy)
    assert "rollback delays --version 1" in str(caught.value.facts["do"])


def test_a_training_under_a_hold_says_what_it_would_have_chosen() -> None:
    versions = [version(1, champion=True), version(2)]
    choice = under_hold(task(), choose(task(), versions, compared(2, v1=0.7, v2=0.8)), HOLD)
    assert choice.winner == 1
    assert choice.gain == pytest.approx(0.1)
    assert choice.reason == (
        "version 1 stays champion: Ann holds it since 2026-11-28 09:30 UTC (it was better), until someone runs"
        " pipeline-assets promote delays; otherwise: version 2 becomes champion: it is better than 1, roc_auc 0.8000"
        " against 0.7000 on the same validation rows"
    )


def test_a_training_that_leaves_the_held_version_needs_no_hold() -> None:
    versions = [version(1, champion=True), version(2)]
    choice = choose(task(), versions, compared(2, v1=0.8, v2=0.7))
    assert under_hold(task(), choice, HOLD) is choice


def test_a_prediction_uses_the_held_version_wherever_the_alias_is() -> None:
    choice = under_hold(task(), choose(task(), BOTH), HOLD)
    assert (choice.winner, choice.previous) == (1, 2)
    assert choice.reason == "version 1 is champion: Ann holds it since 2026-11-28 09:30 UTC (it was better)"


def test_a_held_version_that_cannot_predict_is_not_replaced_in_silence() -> None:
    versions = [version(1, ready=False), version(2, champion=True)]
    with pytest.raises(SelectionError, match="a person holds") as caught:
        under_hold(task(), choose(task(), versions), HOLD)
    assert caught.value.facts["available"] == [2]
    trained = under_hold(task(), choose(task(), versions, compared(2, v2=0.8)), HOLD)
    assert trained.winner == 1


def test_a_hold_ends_with_its_version_and_where_the_task_names_one() -> None:
    choice = choose(task(), [version(2, champion=True)])
    assert under_hold(task(), choice, HOLD) is choice
    named = choose(task("version", version=2), BOTH)
    assert under_hold(task("version", version=2), named, HOLD) is named
    assert under_hold(task(), choice, None) is choice


UP = [Change(1, None), Change(2, 1), Change(3, 2)]


@pytest.mark.parametrize(
    ("changes", "present", "before"),
    [
        (UP, 3, 2),
        ([*UP, Change(2, 3, back=True)], 2, 1),  # once more goes further back
        ([*UP, Change(2, 3, back=True), Change(4, 2)], 4, 2),
        ([*UP, Change(1, 3, back=True), Change(3, 1)], 3, 1),
        ([Change(5, 4)], 5, 4),  # the history of former code begins in the middle
        (UP[:2], 7, 2),  # someone moved the alias by hand
    ],
)
def test_the_champion_before(changes: list[Change], present: int, before: int) -> None:
    assert champion_before(task(), changes, present) == before


@pytest.mark.parametrize(("changes", "present"), [([], None), (UP[:1], 1), ([*UP, Change(1, 3, back=True)], 1)])
def test_no_champion_before(changes: list[Change], present: int | None) -> None:
    with pytest.raises(SelectionError, match="no champion before") as caught:
        champion_before(task(), changes, present)
    assert caught.value.facts["do"] == "name the version with --version"


def test_a_record_by_a_person_is_plain_data() -> None:
    record = ordered("rollback", 1, BOTH).to_json()
    assert record["person"] == {"name": "Ann", "words": "it was better"}
    assert record["stage"] == "rollback"
    assert dataclasses.asdict(ANN) == record["person"]
