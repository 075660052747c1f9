"""Class weights: a factor on the weight of each label's rows in a fit."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from pipeline_assets.errors import DataError
from pipeline_assets.ml.dataset import LabelledRows
from pipeline_assets.task.names import listed
from pipeline_assets.task.spec import TaskSpec, binary_label

Factors = NDArray[np.float64]


def class_factors(task: TaskSpec, rows: LabelledRows) -> Factors | None:
    """The factor of each label, by its number; ``None`` where the task has no class weights.

    Args:
        task: its ``training.class_weights`` says which.
        rows: that a model is fitted to; balanced weights are those that give each of their labels the same total.

    Raises:
        DataError: the task weighs a label that the batch does not have.
    """
    wanted = task.training.class_weights
    if wanted is None:
        return None
    count = len(rows.classes) or 2
    if wanted == "balanced":
        total = np.bincount(rows.label, weights=_weight(rows), minlength=count)
        there = total > 0
        # The mean weight of the rows stays as it is.
        return np.where(there, total.sum() / (there.sum() * np.where(there, total, 1.0)), 1.0)
    factors = np.ones(count)
    for name, factor in wanted.items():
        factors[_number(task, rows, name)] = factor
    return factors


def weighted(rows: LabelledRows, factors: Factors | None) -> LabelledRows:
    """The rows with the factors of their labels in their weights."""
    return rows if factors is None else replace(rows, weight=_weight(rows) * factors[rows.label])


def _weight(rows: LabelledRows) -> NDArray[np.float64]:
    return np.ones(len(rows)) if rows.weight is None else rows.weight


def _number(task: TaskSpec, rows: LabelledRows, name: str) -> int:
    if not rows.classes:
        return int(binary_label(task.target, name) or 0)
    if name not in rows.classes:
        raise DataError(
            "training.class_weights weighs a label that the batch does not have",
            task=task.name,
            found=name,
            expected=f"one of {listed(rows.classes)}",
        )
    return rows.classes.index(name)
