"""Compares champion and challenger on the same rows: if there are enough, on rows that neither has learned from."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pipeline_assets.ml.dataset import LabelledRows
from pipeline_assets.ml.intervals import bootstrap
from pipeline_assets.ml.judging import Evaluated, judged
from pipeline_assets.ml.kinds.base import kind_of
from pipeline_assets.ml.prediction import HALF
from pipeline_assets.ml.selection import Comparison, JudgedOn
from pipeline_assets.ml.split import SplitRule
from pipeline_assets.task.spec import TaskSpec

ENOUGH = 100  # rows; with fewer the difference may be chance


@dataclass(frozen=True)
class Contestant:
    """A version in a comparison, with its evaluated model: a refit has learned from every row of its batch.

    Attributes:
        model: the evaluated fit, or those of the folds.
        split: its rule; ``None`` if unknown.
        threshold: of the version.
    """

    version: int
    model: Evaluated
    split: SplitRule | None
    threshold: float = HALF


def compare(task: TaskSpec, challenger: Contestant, champion: Contestant, rows: LabelledRows) -> Comparison:
    """Scores both versions on the challenger's validation rows that the champion has not learned from.

    If there are too few of those, both are scored on all validation rows of the challenger. The sentence then says
    how many of them the champion has learned from, because that favours the champion.

    Args:
        rows: the challenger's validation rows.
    """
    learned = _learned(task, challenger, champion, rows)
    unseen = rows.take(np.flatnonzero(~learned))
    count = int(np.count_nonzero(learned))
    batch = challenger.split.batch if challenger.split else ""
    if not count:
        judged_on = JudgedOn(
            len(rows), 0, f"{len(rows)} validation rows of batch {batch}, none of them learned by either"
        )
    elif len(unseen) >= ENOUGH and kind_of(task).label_problem(unseen, "evaluate") is None:
        sentence = f"{len(unseen)} of {len(rows)} validation rows of batch {batch}, none of them learned by either"
        rows, judged_on = unseen, JudgedOn(len(unseen), 0, sentence)
    else:
        sentence = (
            f"all {len(rows)} validation rows of batch {batch}, {count} of which version {champion.version} has or may"
            " have learned from: too few others are left"
        )
        judged_on = JudgedOn(len(rows), count, sentence)
    return _judged(task, (challenger, champion), rows, judged_on)


def alone(task: TaskSpec, challenger: Contestant, rows: LabelledRows) -> Comparison:
    """The scores of a version that has no champion to be compared with, on its own validation rows."""
    return _judged(task, (challenger,), rows, None)


def _judged(
    task: TaskSpec, contestants: Sequence[Contestant], rows: LabelledRows, judged_on: JudgedOn | None
) -> Comparison:
    kind = kind_of(task)
    said = {each.version: judged(task, each.model, rows, each.threshold) for each in contestants}
    scores = {version: kind.evaluate(rows, prediction) for version, prediction in said.items()}
    found = bootstrap(kind, task.training.metric, rows, said)
    return Comparison(contestants[0].version, scores, judged_on, found.of, found.gain)


def _learned(task: TaskSpec, challenger: Contestant, champion: Contestant, rows: LabelledRows) -> NDArray[np.bool_]:
    if champion.split is None or challenger.split is None:
        return np.ones(len(rows), dtype=bool)
    return champion.split.may_have_learned(rows, kind_of(task).strata(rows), challenger.split)
