import numpy as np
import pytest

from pipeline_assets.ml.comparison import ENOUGH, Contestant, compare
from pipeline_assets.ml.dataset import training_frame
from pipeline_assets.ml.training import Trained, evaluate, train
from pipeline_assets.task.spec import TaskSpec
from tests import trainable


def shared(seed: int = 0, fraction: float = 0.25) -> TaskSpec:
    validation = {"split": "share", "fraction": fraction}
    return trainable.task(key=["distance"], training=trainable.training(seed=seed, validation=validation))


def made(task: TaskSpec, batch: str = "b", rows: int = 3000, seed: int = 7) -> Trained:
    table = trainable.table(rows, seed).drop_columns(["split_by"])
    return train(task, training_frame(trainable.stream(table), task), batch=batch, sha256=batch)


def contestant(version: int, trained: Trained) -> Contestant:
    return Contestant(version, trained.fit.model, trained.split)


def test_on_the_same_batch_by_the_same_rule_all_validation_rows_count() -> None:
    task = shared()
    first, second = made(task), made(task)
    found = compare(task, contestant(2, second), contestant(1, first), second.validation)
    assert found.judged_on is not None
    assert (found.judged_on.rows, found.judged_on.learned) == (len(second.validation), 0)
    assert found.scores[1] == found.scores[2] == second.metrics


def test_rows_that_the_champion_fitted_are_left_out() -> None:
    champion, challenger = made(shared(seed=1, fraction=0.4)), made(shared(seed=2, fraction=0.4))
    task, rows = shared(seed=2, fraction=0.4), challenger.validation
    found = compare(task, contestant(2, challenger), contestant(1, champion), rows)
    assert found.judged_on is not None
    assert ENOUGH <= found.judged_on.rows < len(rows)
    assert found.judged_on.learned == 0
    hashes = set(champion.validation.split_hash.tolist())
    unseen = rows.take(np.array([place for place, value in enumerate(rows.split_hash) if value in hashes]))
    assert found.judged_on.rows == len(unseen)
    assert found.scores[1] == evaluate(task, champion.fit.model, unseen)
    assert f"{len(unseen)} of {len(rows)} validation rows of batch b" in found.judged_on.sentence


def test_too_few_unseen_rows_are_said_so() -> None:
    champion, challenger = made(shared(seed=1), rows=900), made(shared(seed=2), rows=900)
    rows = challenger.validation
    found = compare(shared(seed=2), contestant(2, challenger), contestant(1, champion), rows)
    assert found.judged_on is not None
    assert found.judged_on.rows == len(rows)
    assert found.judged_on.learned > 0
    assert f"{found.judged_on.learned} of which version 1 has or may have learned from" in found.judged_on.sentence
    assert found.scores[2] == challenger.metrics


@pytest.mark.parametrize("side", ["champion", "challenger"])
def test_a_version_that_does_not_say_its_split_may_have_learned_from_every_row(side: str) -> None:
    task, trained = shared(), made(shared())
    champion, challenger = contestant(1, trained), contestant(2, trained)
    unknown = Contestant(0, trained.fit.model, None)
    found = (
        compare(task, challenger, unknown, trained.validation)
        if side == "champion"
        else compare(task, unknown, champion, trained.validation)
    )
    assert found.judged_on is not None
    assert found.judged_on.learned == len(trained.validation)
