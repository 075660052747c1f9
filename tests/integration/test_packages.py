"""One task trained by every package: a champion among them, and what each predicts is what its package says by hand."""

import importlib
import importlib.util
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pipeline_assets.task.spec import TaskSpec
from tests.examples import SHOP, orders, shop
from tests.workbench import Workbench

PACKAGES: dict[str, dict[str, Any]] = {
    "catboost": {"iterations": 20},
    "sklearn": {"max_iter": 20},
    "pytorch": {"epochs": 5, "hidden": [8]},
    "tensorflow": {"epochs": 5, "hidden": [8]},
}
MODULES = {"catboost": "catboost", "sklearn": "sklearn", "pytorch": "torch", "tensorflow": "tensorflow"}


def by_hand(package: str, model: Any, frame: pd.DataFrame) -> Any:
    """Probabilities of label 1 from the package's own object, as MLflow's flavor loads it."""
    found = model.predict(frame) if package in ("pytorch", "tensorflow") else model.predict_proba(frame)
    return found if np.ndim(found) == 1 else found[:, 1]


def task_of(package: str, **changes: Any) -> TaskSpec:
    return shop(training={**SHOP["training"], "package": package, "parameters": PACKAGES[package]}, **changes)


def test_one_task_is_trained_by_every_package_and_the_best_predicts(place: Workbench) -> None:
    missing = [module for module in MODULES.values() if importlib.util.find_spec(module) is None]
    if missing:
        pytest.skip(f"{', '.join(missing)}: not installed, so the packages are not compared here")
    place.put("train", "2026-01", orders(400))
    place.put("predict", "2026-02", orders(60, stage="predict"))
    registry = place.stores["registry"]
    for version, package in enumerate(PACKAGES, 1):
        place.use(task_of(package))
        trained = place.metadata(place.succeed("train", "2026-01"), "model")
        assert trained["model_version"] == version
        assert place.reproduced(version)["verdict"] == "identical", package
    assert [each.package for each in registry.candidates("shop")] == list(PACKAGES)
    record = trained["choice"]
    looked = {each["package"]: each for each in record["candidates"]}
    assert set(looked) == set(PACKAGES)
    assert all(each["eligible"] for each in looked.values())
    assert registry.champion("shop") == record["winner"]

    names = place.task.features.names
    for version, package in enumerate(PACKAGES, 1):
        # A version predicts whatever package the task now trains with.
        place.use(task_of("catboost", selection={"version": version}))
        place.succeed("predict", "2026-02")
        scored, inputs = (place.mart(name, batch="2026-02") for name in ("predict_output", "predict_input"))
        assert {row["model_version"] for row in scored} == {version}
        uri = registry.client.get_model_version_download_uri("shop", str(version))
        model = importlib.import_module(f"mlflow.{package}").load_model(uri)
        frame = pd.DataFrame([{name: row[f"feature_{name}"] for name in names} for row in inputs])
        np.testing.assert_array_equal(by_hand(package, model, frame), [row["probability"] for row in scored])
