"""What the tests of the trainers pytorch and tensorflow share."""

import importlib
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from pipeline_assets.ml.dataset import LabelledRows
from pipeline_assets.ml.trainers.base import Fit, FittedModel, trainer
from pipeline_assets.ml.trainers.network_encoding import Encoding, learn_encoding
from pipeline_assets.task.spec import TaskSpec
from tests import trainable

QUICK: dict[str, Any] = {"epochs": 3, "learning_rate": 0.01}


def task_of(package: str, **parameters: Any) -> TaskSpec:
    return trainable.task(training=trainable.training(package=package, parameters={**QUICK, **parameters}))


def rows() -> LabelledRows:
    return trainable.frame().rows


def fitted(package: str, **parameters: Any) -> Fit:
    found, count = rows(), len(rows())
    training, stopping = found.take(np.arange(0, count, 2)), found.take(np.arange(1, count, 2))
    return trainer(package).fit(task_of(package, **parameters), training, stopping)


def fitted_to(package: str, *, numeric: bool) -> tuple[Fit, LabelledRows]:
    """A fit to features of one sort."""
    sort, names = ("numeric", ["hour", "distance"]) if numeric else ("categorical", ["carrier"])
    how = trainable.training(package=package, parameters=QUICK)
    task = trainable.task(training=how, features={sort: {name: name for name in names}})
    some = replace(rows(), features=rows().features[names])
    return trainer(package).fit(task, some, some), some


def saved(model: FittedModel, folder: Path) -> str:
    """Where MLflow has saved the model."""
    flavor = importlib.import_module(f"mlflow.{model.flavor}")
    # Without requirements MLflow would start a second Python to find them.
    flavor.save_model(model.native, folder / "model", pip_requirements=["mlflow"], **model.save_options)
    return str(folder / "model")


def in_another_process(package: str, *, absent: str) -> str:
    """The sum of a fit's predictions, written exactly, from a new process that never imports ``absent``."""
    code = (
        "import sys; from tests.ml.trainers.network_cases import fitted, rows;"
        f"print(fitted({package!r}).model.predict(rows().features).tobytes().hex());"
        f"assert {absent!r} not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def rows_of(distance: Any, carrier: list[str], label: Any = None) -> LabelledRows:
    count = len(carrier)
    frame = pd.DataFrame({"hour": np.full(count, np.nan), "distance": distance, "carrier": carrier})
    frame["carrier"] = frame["carrier"].astype("category")
    given = np.arange(count) % 2 if label is None else label
    return LabelledRows(frame, np.asarray(given), np.arange(count))


def learned(distance: Any, carrier: list[str], bins: int = 4) -> Encoding:
    return learn_encoding(rows_of(distance, carrier), trainable.task(), bins, rare=2)
