import importlib
import sys
from pathlib import Path

import numpy as np
import pytest

from pipeline_assets.errors import SettingsError, TaskError
from pipeline_assets.ml.trainers.base import trainer
from tests.ml.trainers.network_cases import fitted, fitted_to, in_another_process, rows, saved, task_of

torch = pytest.importorskip("torch", reason="the extra torch is not installed")
OWN = "tests.ml.trainers.own.torch_nets:Wide"


@pytest.mark.server
def test_another_process_makes_the_same_model_to_the_bit_without_tensorflow() -> None:
    mine = fitted("pytorch").model.predict(rows().features)
    assert in_another_process("pytorch", absent="tensorflow") == mine.tobytes().hex()


def test_a_row_is_scored_alike_whatever_rows_it_is_read_with_and_on_any_number_of_threads() -> None:
    model, features = fitted("pytorch").model, rows().features
    whole = model.predict(features)
    parts = [model.predict(features.iloc[start : start + 97]) for start in range(0, len(features), 97)]
    np.testing.assert_array_equal(np.concatenate(parts), whole)
    before = torch.get_num_threads()
    torch.set_num_threads(before + 2)
    np.testing.assert_array_equal(model.predict(features), whole)
    assert torch.get_num_threads() == before + 2
    torch.set_num_threads(before)


def test_a_fit_leaves_seeds_threads_and_algorithms_as_they_were() -> None:
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    threads = torch.get_num_threads()
    fitted("pytorch")
    assert torch.rand(1) == expected
    assert torch.get_num_threads() == threads
    assert not torch.are_deterministic_algorithms_enabled()


@pytest.mark.parametrize("numeric", [True, False])
def test_features_of_one_sort_are_enough(*, numeric: bool) -> None:
    fit, some = fitted_to("pytorch", numeric=numeric)
    assert np.isfinite(fit.model.predict(some.features)).all()
    assert set(fit.importance) == set(some.features)


def test_a_person_who_loads_the_model_predicts_from_plain_columns(tmp_path: Path) -> None:
    import mlflow.pytorch

    model = fitted("pytorch", members=2).model
    folder = saved(model, tmp_path)
    loaded = mlflow.pytorch.load_model(folder)
    plain = rows().features.astype({"carrier": object})
    np.testing.assert_array_equal(loaded.predict(plain), model.predict(rows().features))
    encoded = loaded.encode(plain)
    scores = loaded(torch.from_numpy(encoded.numbers), torch.from_numpy(encoded.codes).long())
    np.testing.assert_allclose(torch.sigmoid(scores[:, 0]).detach(), model.predict(rows().features), atol=1e-5)


def test_the_tasks_own_module_is_fitted_and_travels_with_the_model(tmp_path: Path) -> None:
    import mlflow.pytorch

    fit = fitted("pytorch", module=OWN, width=8)
    assert fit.model.native.network.hidden.out_features == 8
    assert fit.curves["stopping"]["log_loss"][-1] < fit.curves["stopping"]["log_loss"][0]
    folder = saved(fit.model, tmp_path)
    module = OWN.partition(":")[0]
    del sys.modules[module]
    loaded = mlflow.pytorch.load_model(folder)
    assert module not in sys.modules
    np.testing.assert_array_equal(loaded.predict(rows().features), fit.model.predict(rows().features))
    importlib.import_module(module)


@pytest.mark.parametrize(
    ("module", "parameters", "shown"),
    [
        (OWN, {"widht": 8}, "did you mean: width"),
        ("tests.ml.trainers.own.torch_nets:Deep", {}, "cannot be imported"),
        ("nowhere.nets:Wide", {}, "No module named 'nowhere'"),
    ],
)
def test_what_is_wrong_with_an_own_module_is_said_before_the_fit(
    module: str, parameters: dict[str, int], shown: str
) -> None:
    with pytest.raises(TaskError, match=shown):
        trainer("pytorch").check(task_of("pytorch", module=module, **parameters))


def test_an_own_module_that_is_none_is_refused() -> None:
    with pytest.raises(TaskError, match="no module of PyTorch"):
        fitted("pytorch", module="tests.ml.trainers.own.torch_nets:no_module")


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(SettingsError, match=r"pipeline-assets\[torch\]"):
        trainer("pytorch").check(task_of("pytorch"))


def test_a_gpu_fits_and_says_that_it_cannot_be_repeated_to_the_bit() -> None:
    if not torch.cuda.is_available():
        with pytest.raises(TaskError, match="no GPU that PyTorch can use"):
            trainer("pytorch").check(task_of("pytorch", device="cuda"))
        pytest.skip("no GPU at hand: the fit on one is not tested here")
    fit = fitted("pytorch", device="cuda")
    assert fit.parameters["repeatable"] is False
    assert np.isfinite(fit.model.predict(rows().features)).all()
