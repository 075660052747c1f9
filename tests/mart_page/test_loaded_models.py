"""Explanations by versions in a real registry, beside CatBoost's own numbers."""

from pathlib import Path

import pyarrow as pa
import pytest

from pipeline_assets.errors import DataError
from pipeline_assets.mart_page.loaded_models import Inexplicable, LoadedModels
from pipeline_assets.ml.dataset import scoring_frame
from pipeline_assets.ml.explanation import Explanation
from pipeline_assets.ml.trainers.base import FittedModel
from pipeline_assets.stores.registry.log import Provenance
from pipeline_assets.stores.registry.registry import Registry
from pipeline_assets.task.validation import CheckedTask
from tests import trainable

MADE_FROM = Provenance("2013-01", "data/delays.parquet", "ab" * 32, trainable.ROWS, "name: delays\n", "dagster-1")


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Registry:
    """With one version of the task."""
    registry = Registry(tmp_path_factory.mktemp("state") / "mlflow")
    run = registry.client.create_run(registry.experiment(trainable.task().name)).info.run_id
    assert registry.publish(run, trainable.task(), trainable.trained(), MADE_FROM, {}) == 1
    return registry


def features(row: int) -> pa.RecordBatch:
    (batch,) = trainable.table().slice(row, 1).select(["row_number", "hour", "distance", "carrier"]).to_batches()
    return batch


def missing_hour() -> int:
    return int(trainable.table()["hour"].is_null().index(pa.scalar(True)).as_py())


@pytest.mark.parametrize("row", [0, 17, missing_hour()])
def test_contributions_are_catboosts_own_and_sum_up_to_the_score(registry: Registry, row: int) -> None:
    found = LoadedModels(registry).explain(trainable.task(), 1, features(row))
    assert isinstance(found, Explanation)
    fitted = trainable.trained().model
    frame = scoring_frame(features(row), trainable.task().features)
    own = fitted.contributions(frame)[0]
    names = ["hour", "distance", "carrier"]
    assert {each.feature: each.effect for each in found.contributions} == dict(zip(names, own[:3], strict=True))
    assert found.base == own[3]
    assert found.probability == pytest.approx(fitted.predict(frame)[0], abs=1e-12)
    assert [abs(each.effect) for each in found.contributions] == sorted(map(abs, own[:3]), reverse=True)
    values = features(row).to_pylist()[0]
    assert {each.feature: each.value for each in found.contributions} == {name: values[name] for name in names}


def test_a_model_that_cannot_explain_is_explained_by_permutation_on_request(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(type(trainable.trained().model), "explains", False)
    models = LoadedModels(registry)
    assert models.explain(trainable.task(), 1, features(0)) == Inexplicable("catboost")
    (sample,) = trainable.table().slice(100, 50).combine_chunks().to_batches()
    found = models.explain(trainable.task(), 1, features(0), sample)
    assert isinstance(found, Explanation)
    assert found.kind == "permutation"
    assert found.probability == pytest.approx(predicted(0))


def predicted(row: int) -> float:
    return float(trainable.trained().model.predict(scoring_frame(features(row), trainable.task().features))[0])


def test_a_version_is_loaded_once_and_the_oldest_is_let_go(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[int] = []
    load = registry.load

    def noted(task: str, version: int) -> FittedModel:
        loaded.append(version)
        return load(task, version)

    monkeypatch.setattr(registry, "load", noted)
    run = registry.client.create_run(registry.experiment(trainable.task().name)).info.run_id
    second = registry.publish(run, trainable.task(), trainable.trained(), MADE_FROM, {})
    models = LoadedModels(registry, kept=1)
    for version in (1, 1, second, second, 1):
        models.explain(trainable.task(), version, features(0))
    assert loaded == [1, second, 1]


def test_a_version_that_is_not_there_is_told_from_those_that_are(registry: Registry) -> None:
    with pytest.raises(DataError, match="no such version") as missing:
        LoadedModels(registry).explain(trainable.task(), 99, features(0))
    assert missing.value.facts["available"]


def test_a_version_of_other_features_is_not_asked(registry: Registry) -> None:
    changed = CheckedTask.model_validate(
        {
            **trainable.task().model_dump(),
            "features": {"numeric": {"hour": "hour"}, "categorical": {"carrier": "carrier"}},
        }
    )
    with pytest.raises(DataError, match="fitted on other features") as other:
        LoadedModels(registry).explain(changed, 1, features(0))
    assert other.value.facts["expected"] == "hour, carrier"


def test_nothing_is_loaded_before_it_is_asked_for(tmp_path: Path) -> None:
    LoadedModels(Registry(tmp_path / "mlflow"))
    assert not (tmp_path / "mlflow").exists()
