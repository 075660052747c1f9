"""A small task that can be learned, and its feature stream, for the tests of everything around models."""

import datetime as dt
import math
from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from pipeline_assets.ml.dataset import TrainingFrame, training_frame
from pipeline_assets.ml.judging import Evaluated, FoldModels
from pipeline_assets.ml.trainers.base import FittedModel
from pipeline_assets.ml.training import Trained, train
from pipeline_assets.task import plugins
from pipeline_assets.task.spec import TaskSpec
from pipeline_assets.task.validation import CheckedTask

ROWS = 900
CARRIERS = ("AA", "", "Аэрофлот", "UA")


# What the task learns, by the objective of its kind: the same raw column says it all.
TARGETS: dict[str, dict[str, Any]] = {
    "binary": {"expression": "delay > 15"},
    "multiclass": {"expression": "case when delay > 15 then 'late' when delay > -5 then 'on time' else 'рано' end"},
    "regression": {"expression": "delay"},
}


def objective_of(kind: str) -> str:
    """What a trainer fits for a kind."""
    return plugins.kind(kind).objective


def task(name: str = "delays", kind: str = "binary", **parts: Any) -> TaskSpec:
    """The task with a target of a kind; ``parts`` replace its own, such as ``training``."""
    return CheckedTask.model_validate(
        {
            "name": name,
            "columns": {
                "day": {"type": "date"},
                "hour": {"type": "float64", "nullable": True},
                "distance": {"type": "float64"},
                "carrier": {"type": "string"},
                "delay": {"type": "float64", "nullable": True, "stage": "train"},
            },
            "target": {**TARGETS[objective_of(kind)], "kind": kind},
            "features": {
                "numeric": {"hour": "hour", "distance": "distance"},
                "categorical": {"carrier": "carrier"},
            },
            "training": training(),
            **parts,
        }
    )


def training(**parts: Any) -> dict[str, Any]:
    """The task's training; ``parts`` replace its own."""
    return {
        "parameters": {"iterations": 30, "depth": 3, "learning_rate": 0.3},
        "validation": {"split": "time", "column": "day", "fraction": 0.25},
        **parts,
    }


@cache
def table(rows: int = ROWS, seed: int = 7, objective: str = "binary") -> pa.Table:
    """Feature rows in file order: hour and carrier decide; some hours are missing, some rows unlabelled."""
    rng = np.random.default_rng(seed)
    hour, distance = rng.uniform(5, 23, rows), rng.uniform(100, 3000, rows)
    carrier = rng.integers(0, len(CARRIERS), rows)
    delay = hour / 6 + carrier + rng.normal(size=rows) - 4
    days = [dt.date(2013, 1, 1) + dt.timedelta(days=number * 30 // rows) for number in range(rows)]
    columns = {
        "row_number": pa.array(np.arange(rows)),
        "hour": pa.array(hour, mask=rng.random(rows) < 0.1),
        "distance": pa.array(distance),
        "carrier": pa.array([CARRIERS[place] for place in carrier]),
        "label": pa.array(_labels(delay, objective), mask=rng.random(rows) < 0.05),
        "__split_hash": pa.array(rng.integers(0, 2**53, rows)),
        "split_by": pa.array(days),
    }
    return pa.table(columns)


def _labels(delay: NDArray[np.float64], objective: str) -> NDArray[Any]:
    if objective == "multiclass":
        names = np.array(["рано", "on time", "late"], dtype=object)
        return np.asarray(names[(delay > -1).astype(int) + (delay > 0)])
    return delay if objective == "regression" else (delay > 0).astype(np.int8)


def stream(source: pa.Table, batch: int = 200) -> pa.RecordBatchReader:
    """The table as a feature stream."""

    def parts() -> Iterator[pa.RecordBatch]:
        for start in range(0, len(source), batch):
            yield from source.slice(start, batch).to_batches()

    return pa.RecordBatchReader.from_batches(source.schema, parts())


def frame(source: pa.Table | None = None, kind: str = "binary") -> TrainingFrame:
    """The training frame of a table, by default of the task's own."""
    rows = table(objective=objective_of(kind)) if source is None else source
    return training_frame(stream(rows), task(kind=kind))


@cache
def trained(kind: str = "binary") -> Trained:
    """One training of the task as it is."""
    return train(task(kind=kind), frame(kind=kind))


def log_odds(probability: float) -> float:
    """The score that a probability stands for."""
    return math.log(probability / (1 - probability))


def single(evaluated: Evaluated) -> FittedModel:
    """What a version was evaluated by, of one that was not evaluated by folds."""
    assert not isinstance(evaluated, FoldModels)
    return evaluated
