"""A search within a training, through Dagster, and predictions of the version that it finds."""

import mlflow.sklearn
import numpy as np
import pandas as pd

from tests.examples import SHOP, orders, shop
from tests.workbench import Workbench


def test_a_version_has_the_parameters_of_the_best_trial_and_speaks_to_whoever_loads_it(place: Workbench) -> None:
    parameters = {"estimator": "sklearn.ensemble.RandomForestClassifier", "n_estimators": 10}
    training = {**SHOP["training"], "package": "sklearn", "parameters": parameters, "search": {"trials": 3}}
    place.use(shop(training=training))
    place.put("train", "2026-01", orders(400))
    shown = place.metadata(place.succeed("train", "2026-01"), "model")
    place.put("predict", "2026-02", orders(60, stage="predict"))
    place.succeed("predict", "2026-02")

    registry = place.stores["registry"]
    (version,) = registry.candidates("shop")
    experiment = registry.experiment("shop")
    found = registry.client.search_runs([experiment], f"tags.`mlflow.parentRunId` = '{version.run_id}'")
    trials = {int(run.data.tags["trial"]): run for run in found}
    assert sorted(trials) == [1, 2, 3]
    assert set(trials[1].data.params) == set()
    assert set(trials[2].data.params) == {"min_samples_leaf", "max_features"}
    kept = registry.training(version.run_id).parameters
    best = trials[int(kept["search.best_trial"])]
    assert best.data.metrics["roc_auc"] == max(run.data.metrics["roc_auc"] for run in found)
    assert {name: kept[name] for name in best.data.params} == best.data.params
    assert (shown["trials"], set(shown["found_parameters"])) == (3, set(best.data.params))
    assert place.reproduced(1)["verdict"] == "identical"

    scored, inputs = (place.mart(name, batch="2026-02") for name in ("predict_output", "predict_input"))
    model = mlflow.sklearn.load_model(registry.client.get_model_version_download_uri("shop", "1"))
    names = place.task.features.names
    frame = pd.DataFrame([{name: row[f"feature_{name}"] for name in names} for row in inputs])
    np.testing.assert_array_equal(model.predict_proba(frame)[:, 1], [row["probability"] for row in scored])
