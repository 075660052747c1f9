"""Judging by folds: each row by a model that has not learned from it, for every kind."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from pipeline_assets.errors import DataError
from pipeline_assets.ml.comparison import Contestant, compare
from pipeline_assets.ml.dataset import LabelledRows, TrainingFrame
from pipeline_assets.ml.judging import FoldModels, Judgement, fitting_sides, judge, judged
from pipeline_assets.ml.kinds.base import kind_of
from pipeline_assets.ml.split import SplitRule, split_rule
from pipeline_assets.ml.trainers.base import trainer
from pipeline_assets.ml.training import Trained, evaluate, train, validation_rows
from pipeline_assets.task.spec import TaskSpec
from tests import trainable

KINDS = ("binary", "multiclass", "regression")
FOLDS = 3


def task_of(kind: str = "binary", **training: Any) -> TaskSpec:
    how = {"validation": {"split": "folds", "folds": FOLDS}, **training}
    return trainable.task(kind=kind, key=["distance"], training=trainable.training(**how))


def frame_of(kind: str = "binary") -> TrainingFrame:
    frame = trainable.frame(kind=kind)
    return replace(frame, rows=replace(frame.rows, split_by=None))


def rule_of(task: TaskSpec, rows: LabelledRows) -> SplitRule:
    return split_rule(rows, task, kind_of(task).strata(rows), batch="b", sha256="b")


def judgement(task: TaskSpec, rows: LabelledRows, rule: SplitRule) -> Judgement:
    return judge(task, rows, rule, fitting_sides(task, rows, rule))


def made(task: TaskSpec, frame: TrainingFrame | None = None, batch: str = "b") -> Trained:
    return train(task, frame or frame_of(task.target.kind), batch=batch, sha256=batch)


def folds_of(task: TaskSpec, rows: LabelledRows) -> NDArray[np.int64]:
    return rule_of(task, rows).fold_of(rows, kind_of(task).strata(rows))


@pytest.mark.parametrize("kind", KINDS)
def test_every_labelled_row_is_judged_and_the_refit_learns_from_all(kind: str) -> None:
    task, rows = task_of(kind), frame_of(kind).rows
    found = made(task)
    assert isinstance(found.evaluated, FoldModels)
    assert len(found.evaluated.models) == FOLDS
    assert len(found.validation) == len(found.prediction) == found.labelled_rows == len(rows)
    metric = task.training.metric
    better = found.metrics[metric] - found.baseline[metric]
    assert better > 0 if kind_of(task).metrics[metric] else better < 0
    assert evaluate(task, found.evaluated, found.validation) == found.metrics
    assert found.details == kind_of(task).details(found.validation, found.prediction)
    learned = kind_of(task).learned(task.target, rows)
    by_hand = trainer("catboost").refit(task, learned, found.fit)
    np.testing.assert_array_equal(found.model.predict(rows.features), by_hand.predict(rows.features))


@pytest.mark.parametrize("kind", KINDS)
def test_the_labels_of_a_fold_reach_only_the_models_that_do_not_judge_it(kind: str) -> None:
    task, rows = task_of(kind), frame_of(kind).rows
    rule, fold = rule_of(task, rows), folds_of(task, rows)
    first = judgement(task, rows, rule)
    # Turned around within the fold: its share of each label, and so every cut, stays.
    label = rows.label.copy()
    label[fold == 1] = label[fold == 1][::-1]
    other = judgement(task, replace(rows, label=label), replace(rule, cuts=dict.fromkeys(rule.cuts, rule.even)))
    same = judgement(task, rows, replace(rule, cuts=dict.fromkeys(rule.cuts, rule.even)))
    even = replace(rule, cuts={}).fold_of(rows, kind_of(task).strata(rows))
    turned = label != rows.label
    whole = [number for number in range(FOLDS) if not turned[even != number].any()]
    assert isinstance(first.evaluated, FoldModels)
    for number in whole:
        here = even == number
        np.testing.assert_array_equal(other.prediction.output[here], same.prediction.output[here])
    assert whole or kind != "regression"


def test_no_model_judges_a_row_that_it_learned_from_or_that_stopped_it() -> None:
    task, rows = task_of(), frame_of().rows
    seen: list[tuple[set[int], set[int]]] = []
    real = trainer("catboost")

    class Watched(type(real)):  # type: ignore[misc]  # the trainer as it is, watched
        def fit(self, task: TaskSpec, training: LabelledRows, stopping: LabelledRows, *more: Any) -> Any:
            seen.append((set(training.split_hash.tolist()), set(stopping.split_hash.tolist())))
            return super().fit(task, training, stopping, *more)

    watched = pytest.MonkeyPatch()
    watched.setattr("pipeline_assets.ml.judging.trainer", lambda _: Watched())
    found = judgement(task, rows, rule_of(task, rows))
    watched.undo()
    fold = folds_of(task, rows)
    assert len(seen) == FOLDS
    for number, (training, stopping) in enumerate(seen):
        own = set(rows.split_hash[fold == number].tolist())
        assert own
        assert stopping
        assert not own & (training | stopping)
        assert not training & stopping
        assert own | training | stopping == set(rows.split_hash.tolist())
    ordered = sorted(each.native.tree_count_ for each, _ in found.stopped)
    assert found.fit.best_iteration + 1 == ordered[FOLDS // 2]


def test_a_rule_read_back_tells_the_fold_of_a_row() -> None:
    task, rows = task_of("multiclass"), frame_of("multiclass").rows
    rule = rule_of(task, rows)
    again = SplitRule.from_json(rule.to_json())
    assert again == rule
    strata = kind_of(task).strata(rows)
    np.testing.assert_array_equal(again.fold_of(rows, strata), rule.fold_of(rows, strata))
    assert len(validation_rows(task, frame_of("multiclass"), again)) == len(rows)


def few(count: int) -> LabelledRows:
    """Rows of which only some have label 1."""
    rows = frame_of().rows
    label = np.zeros(len(rows), np.int8)
    label[:: len(rows) // count][:count] = 1
    return replace(rows, label=label)


@pytest.mark.parametrize("count", [3, 7, 40])
def test_rows_of_a_rare_label_are_shared_out_among_the_folds(count: int) -> None:
    task, rows = task_of(), few(count)
    fold = folds_of(task, rows)
    ones = np.bincount(fold[rows.label == 1], minlength=FOLDS)
    assert ones.max() - ones.min() <= 1
    assert np.bincount(fold).min() > len(rows) / FOLDS / 2


def test_too_few_rows_of_a_label_are_said_so() -> None:
    with pytest.raises(DataError, match="too few labelled rows") as refused:
        rule_of(task_of(), few(2))
    assert refused.value.facts["found"] == "2 rows of label 1"


def test_a_class_of_one_row_is_judged_by_a_model_that_does_not_know_it() -> None:
    frame = frame_of("multiclass")
    label = frame.rows.label.copy()
    label[5] = 3
    rows = replace(frame.rows, label=label, classes=(*frame.rows.classes, "я"))
    found = made(task_of("multiclass"), replace(frame, rows=rows))
    assert found.prediction.classes == rows.classes
    assert found.prediction.output[5, 3] == 0
    np.testing.assert_allclose(found.prediction.output.sum(axis=1), 1)


def contestant(version: int, trained: Trained) -> Contestant:
    return Contestant(version, trained.evaluated, trained.split)


def test_two_versions_of_one_batch_are_compared_on_every_row_and_neither_has_learned_any() -> None:
    first, second = made(task_of(seed=1)), made(task_of(seed=2))
    found = compare(task_of(seed=2), contestant(2, second), contestant(1, first), second.validation)
    assert found.judged_on is not None
    assert (found.judged_on.rows, found.judged_on.learned) == (len(second.validation), 0)
    assert found.scores == {2: second.metrics, 1: first.metrics}


def test_against_a_champion_that_held_rows_out_only_those_count() -> None:
    held = task_of(validation={"split": "share", "fraction": 0.3})
    champion, challenger = made(held), made(task_of())
    found = compare(task_of(), contestant(2, challenger), contestant(1, champion), challenger.validation)
    assert found.judged_on is not None
    assert (found.judged_on.rows, found.judged_on.learned) == (len(champion.validation), 0)
    assert found.scores[1] == pytest.approx(champion.metrics)


def test_keys_of_another_batch_are_judged_by_the_model_that_never_had_them() -> None:
    champion, rows = made(task_of(seed=1)), frame_of().rows
    strata = kind_of(task_of()).strata(rows)
    other = replace(rule_of(task_of(), rows), batch="c", sha256="c")
    assert not champion.split.may_have_learned(rows, strata, other).any()
    # Where few rows have a label, its folds begin elsewhere, and a key may have had another label then.
    rare = replace(rule_of(task_of(), few(7)), seed=1)
    unsure = rare.may_have_learned(rows, strata, other)
    assert 0 < np.count_nonzero(unsure) < len(rows)
    assert champion.split.may_have_learned(rows, strata, replace(other, key=())).all()


def test_the_threshold_is_chosen_on_the_rows_that_stopped_the_folds() -> None:
    found = made(task_of(threshold={"goal": "f1"}))
    assert isinstance(found.evaluated, FoldModels)
    task, rows = task_of(threshold={"goal": "f1"}), frame_of().rows
    stopping = sum(len(stopped) for _, stopped in judgement(task, rows, rule_of(task, rows)).stopped)
    assert f"chosen on {stopping} stopping rows" in found.threshold.sentence
    assert found.prediction.threshold == judged(task, found.evaluated, rows, found.threshold.value).threshold
