import sys
from pathlib import Path

import numpy as np
import pytest

from pipeline_assets.errors import SettingsError, TaskError
from pipeline_assets.ml.trainers.base import trainer
from tests.ml.trainers.network_cases import fitted, fitted_to, in_another_process, rows, saved, task_of

OWN = "tests.ml.trainers.own.keras_nets:build"
trainer("tensorflow")  # sets the environment that TensorFlow and Keras read
tensorflow = pytest.importorskip("tensorflow", reason="the extra tensorflow is not installed")


@pytest.mark.server
def test_two_processes_make_the_same_model_to_the_bit_without_torch() -> None:
    """Not this process: TensorFlow keeps the number of threads that a test before this one has asked for."""
    one, other = (in_another_process("tensorflow", absent={"torch"}) for _ in range(2))
    assert one == other


def test_a_row_is_scored_alike_whatever_rows_it_is_read_with() -> None:
    model, features = fitted("tensorflow").model, rows().features
    parts = [model.predict(features.iloc[start : start + 97]) for start in range(0, len(features), 97)]
    np.testing.assert_array_equal(np.concatenate(parts), model.predict(features))


@pytest.mark.parametrize("numeric", [True, False])
def test_features_of_one_sort_are_enough(*, numeric: bool) -> None:
    fit, some = fitted_to("tensorflow", numeric=numeric)
    assert np.isfinite(fit.model.predict(some.features)).all()
    assert set(fit.importance) == set(some.features)


def test_a_person_who_loads_the_model_predicts_from_plain_columns(tmp_path: Path) -> None:
    import mlflow.tensorflow

    model = fitted("tensorflow", members=2).model
    folder = saved(model, tmp_path)
    loaded = mlflow.tensorflow.load_model(folder)
    plain = rows().features.astype({"carrier": object})
    np.testing.assert_array_equal(loaded.predict(plain), model.predict(rows().features))
    columns = {name: plain[name].to_numpy() for name in plain}
    np.testing.assert_array_equal(loaded.predict(columns), model.predict(rows().features))


def test_the_tasks_own_builder_is_fitted_and_its_model_comes_back(tmp_path: Path) -> None:
    import mlflow.tensorflow

    fit = fitted("tensorflow", builder=OWN, width=8)
    assert fit.model.native.network.layers[-2].units == 8
    assert fit.curves["stopping"]["log_loss"][-1] < fit.curves["stopping"]["log_loss"][0]
    folder = saved(fit.model, tmp_path)
    loaded = mlflow.tensorflow.load_model(folder)
    np.testing.assert_array_equal(loaded.predict(rows().features), fit.model.predict(rows().features))


def test_what_is_wrong_with_an_own_builder_is_said() -> None:
    with pytest.raises(TaskError, match="did you mean: width"):
        trainer("tensorflow").check(task_of("tensorflow", builder=OWN, widht=8))
    with pytest.raises(TaskError, match="no model of Keras"):
        fitted("tensorflow", builder="tests.ml.trainers.own.keras_nets:no_model")


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keras", None)
    with pytest.raises(SettingsError, match=r"pipeline-assets\[tensorflow\]"):
        trainer("tensorflow").check(task_of("tensorflow"))


def test_a_gpu_fits_and_says_that_it_cannot_be_repeated_to_the_bit() -> None:
    if not tensorflow.config.list_physical_devices("GPU"):
        with pytest.raises(TaskError, match="no GPU that TensorFlow can use"):
            trainer("tensorflow").check(task_of("tensorflow", device="cuda"))
        pytest.skip("no GPU at hand: the fit on one is not tested here")
    fit = fitted("tensorflow", device="cuda")
    assert fit.parameters["repeatable"] is False
    assert np.isfinite(fit.model.predict(rows().features)).all()
