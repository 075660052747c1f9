from pathlib import Path

import pytest
from pydantic import ValidationError

from pipeline_assets.errors import TaskError
from pipeline_assets.task import plugins
from tests import trainable
from tests.ml.third_party import KIND, TRAINER


def installed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package that brings a kind and a trainer, as pip leaves it."""
    metadata = folder / "churn_models-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: churn-models\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(
        f"[pipeline_assets.kinds]\nchurn = {KIND}\n[pipeline_assets.trainers]\nlogistic = {TRAINER}\n"
    )
    monkeypatch.syspath_prepend(folder)


def test_an_installed_packages_kind_and_trainer_are_known_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed(tmp_path, monkeypatch)
    assert {"binary", "churn"} <= set(plugins.names("kind"))
    assert {"catboost", "logistic"} <= set(plugins.names("trainer"))
    task = trainable.task(
        target={"expression": "delay > 15", "kind": "churn"},
        training={"package": "logistic", "metric": "accuracy", "parameters": {"iterations": 3}},
    )
    assert plugins.kind(task.target.kind).metrics == {"accuracy": True, "log_loss": False}
    plugins.find.cache_clear()


def test_a_dotted_path_is_enough() -> None:
    task = trainable.task(
        target={"expression": "delay > 15", "kind": KIND}, training={"package": TRAINER, "metric": "accuracy"}
    )
    assert plugins.trainer(task.training.package).package == TRAINER


@pytest.mark.parametrize("name", ["mxnet", "tests.ml.third_party:Nobody", "no.such.module:Thing"])
def test_an_unknown_trainer_is_an_error_with_those_there_are(name: str) -> None:
    with pytest.raises(TaskError, match="there is no such trainer") as caught:
        plugins.trainer(name)
    assert caught.value.facts["available"] == ["catboost", "pytorch", "sklearn", "tensorflow"]
    there = "there is one of catboost, pytorch, sklearn, tensorflow, or a dotted path"
    with pytest.raises(ValidationError, match=rf"training\.package\n.*{there}"):
        trainable.task(training={"package": name})


def test_a_misspelt_kind_is_asked_about() -> None:
    with pytest.raises(ValidationError, match=r"target\.kind\n.*did you mean binary\?"):
        trainable.task(target={"expression": "delay > 15", "kind": "binari"})


def test_a_metric_of_another_kind_is_refused_with_those_of_this_one() -> None:
    with pytest.raises(ValidationError, match=r"training\.metric\n.*the kind has accuracy, log_loss"):
        trainable.task(target={"expression": "delay > 15", "kind": KIND}, training={"metric": "roc_auc"})
