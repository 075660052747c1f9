import json
import zlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
import requests
from mlflow.artifacts import download_artifacts
from mlflow.models import Model

from pipeline_assets.errors import StoreError, TransientError
from pipeline_assets.ml.choosing import choose, fitting_champion
from pipeline_assets.ml.judging import FoldModels
from pipeline_assets.ml.kinds.binary.plots import plots
from pipeline_assets.ml.selection import Comparison, feature_columns
from pipeline_assets.ml.training import evaluate, train
from pipeline_assets.settings import MlflowSettings
from pipeline_assets.stores.registry.registry import Registry
from pipeline_assets.task.spec import TaskSpec
from tests import trainable
from tests.fixtures import publishers
from tests.fixtures.mlflow import MlflowServer
from tests.fixtures.publishers import MADE_FROM


@pytest.fixture(scope="session")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Registry:
    """One embedded registry for all tests, since making its database takes seconds; each test has its own task."""
    return Registry(tmp_path_factory.mktemp("state") / "mlflow")


@pytest.fixture(params=["embedded", "mlflow_server", "mlflow2_server"])
def registry(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Registry:
    """The embedded one, and those on servers of MLflow 3 and 2 whose artifacts are on S3."""
    if request.param != "embedded":
        server: MlflowServer = request.getfixturevalue(request.param)
        for name, value in server.variables.items():
            monkeypatch.setenv(name, value)
        return Registry(server.settings)
    found: Registry = request.getfixturevalue("embedded")
    return found


@pytest.fixture(scope="session")
def images() -> dict[str, bytes]:
    made = trainable.trained()
    return plots(made.validation, made.prediction, made.fit, "delays")


@pytest.fixture
def task(request: pytest.FixtureRequest) -> TaskSpec:
    return trainable.task(f"t{zlib.crc32(request.node.name.encode())}")


def open_run(registry: Registry, task: TaskSpec, dagster_run: str = "dagster-1") -> str:
    tags = {"dagster_run_id": dagster_run}  # as dagster-mlflow opens it
    return str(registry.client.create_run(registry.experiment(task.name), tags=tags).info.run_id)


def publish(registry: Registry, task: TaskSpec, run_id: str | None = None) -> int:
    return registry.publish(run_id or open_run(registry, task), task, trainable.trained(), MADE_FROM, {})


def model_folder(registry: Registry, task: TaskSpec, version: int) -> str:
    uri = registry.client.get_model_version_download_uri(task.name, str(version))
    return str(download_artifacts(uri, tracking_uri=registry.tracking_uri))


def test_a_published_version_is_a_candidate_with_all_that_a_choice_needs(registry: Registry, task: TaskSpec) -> None:
    assert registry.candidates(task.name) == []
    run_id = open_run(registry, task)
    version = publish(registry, task, run_id)
    [candidate] = registry.candidates(task.name)
    assert (candidate.version, candidate.run_id, candidate.ready) == (version, run_id, True)
    assert candidate.features == feature_columns(task.features)
    assert candidate.metrics == trainable.trained().metrics
    assert candidate.package == "catboost"
    assert not candidate.champion
    assert choose(task, [candidate]).winner == version


def test_texts_are_kept_with_a_training(registry: Registry, task: TaskSpec) -> None:
    run_id = open_run(registry, task)
    registry.publish(run_id, task, trainable.trained(), MADE_FROM, {}, files={"record.json": '{"ключ": 1}'})

    assert registry.read_text(run_id, "record.json") == '{"ключ": 1}'
    assert registry.read_text(run_id, "nothing.json") is None


def test_a_training_is_told_by_its_run(registry: Registry, task: TaskSpec) -> None:
    run_id = open_run(registry, task)
    publish(registry, task, run_id)
    training = registry.training(run_id)
    made = trainable.trained()
    assert (training.batch, training.input_uri, training.input_sha256) == ("2013-01", MADE_FROM.uri, "ab" * 32)
    assert training.dagster_run_id == "dagster-1"
    assert training.started.tzinfo is not None
    assert list(training.importance.items()) == list(made.fit.importance.items())
    assert training.metrics["training_rows"] == made.training_rows
    assert training.parameters["depth"] == "3"
    sides = made.fit.curves
    assert registry.curves(run_id) == {
        name: {side: values[name] for side, values in sides.items() if name in values}
        for name in {name for values in sides.values() for name in values}
    }
    nothing = open_run(registry, task)
    assert registry.curves(nothing) == {}
    inputs = registry.input_sha256(task.name)
    assert (inputs[run_id], nothing in inputs) == ("ab" * 32, False)


def test_a_run_that_holds_no_training_says_nothing(registry: Registry, task: TaskSpec) -> None:
    training = registry.training(open_run(registry, task))
    assert (training.batch, training.importance, training.metrics) == (None, {}, {})
    with pytest.raises(StoreError, match="read the training of run nothing"):
        registry.training("nothing")


def test_a_loaded_model_predicts_as_the_fitted_one_did_to_the_bit(registry: Registry, task: TaskSpec) -> None:
    made = trainable.trained()
    version = publish(registry, task)
    model, evaluated = registry.load(task.name, version), trainable.single(registry.load_evaluated(task.name, version))
    rows = made.validation.features
    np.testing.assert_array_equal(model.predict(rows), made.model.predict(rows))
    np.testing.assert_array_equal(model.contributions(rows.head(20)), made.model.contributions(rows.head(20)))
    # The metrics are those of the fit before its refit on all rows, which is kept beside it.
    np.testing.assert_array_equal(evaluated.predict(rows), made.prediction.output)
    assert evaluate(task, evaluated, made.validation) == made.metrics
    assert not np.array_equal(model.predict(rows), evaluated.predict(rows))


def test_a_version_knows_its_classes_and_what_its_metrics_do_not_say(embedded: Registry) -> None:
    task = trainable.task("by_class", kind="multiclass")
    made = replace(trainable.trained("multiclass"), notes=["one class has no validation row"])
    version = embedded.publish(open_run(embedded, task), task, made, MADE_FROM, {})
    rows = made.validation.features
    for model, saved in (
        (embedded.load(task.name, version), made.model),
        (trainable.single(embedded.load_evaluated(task.name, version)), made.fit.model),
    ):
        assert model.classes == saved.classes == ("late", "on time", "рано")
        np.testing.assert_array_equal(model.predict(rows), saved.predict(rows))
    assert evaluate(task, embedded.load_evaluated(task.name, version), made.validation) == made.metrics
    described = embedded.client.get_model_version(task.name, str(version)).description
    assert str(described).endswith("one class has no validation row.")
    signature = Model.load(model_folder(embedded, task, version)).signature
    assert [str(each) for each in signature.outputs.input_types()] == ["DataType.string"]


@pytest.mark.parametrize("package", ["pytorch", "tensorflow"])
def test_a_network_comes_back_and_predicts_from_plain_columns(package: str, embedded: Registry) -> None:
    pytest.importorskip({"pytorch": "torch"}.get(package, package), reason=f"{package} is not installed")
    how = trainable.training(package=package, parameters={"epochs": 3, "learning_rate": 0.01})
    task = trainable.task(f"net_{package}", kind="multiclass", training=how)
    made = train(task, trainable.frame(kind="multiclass"))
    version = embedded.publish(open_run(embedded, task), task, made, MADE_FROM, {})
    rows, model = made.validation.features, embedded.load(task.name, version)
    assert (model.package, model.classes) == (package, ("late", "on time", "рано"))
    np.testing.assert_array_equal(model.predict(rows), made.model.predict(rows))
    folder = model_folder(embedded, task, version)
    saved = Model.load(folder)
    assert saved.signature is not None
    assert saved.signature.inputs.input_names() == ["hour", "distance", "carrier"]
    example = saved.load_input_example(folder)
    assert example is not None
    native = getattr(mlflow, package).load_model(folder)
    np.testing.assert_array_equal(native.predict(example), made.model.predict(rows.head(len(example))))
    if package == "tensorflow":  # MLflow's common interface gives plain PyTorch modules numbers alone
        np.testing.assert_array_equal(mlflow.pyfunc.load_model(folder).predict(example), native.predict(example))


def test_a_version_of_the_former_code_is_loaded(registry: Registry, task: TaskSpec) -> None:
    made = trainable.trained()
    client = registry.client
    source = client.get_model_version(task.name, str(publish(registry, task))).source
    assert source is not None
    former = client.create_model_version(task.name, source, tags={"ready": "true"})
    model = trainable.single(registry.load_evaluated(task.name, int(former.version)))
    rows = made.validation.features
    np.testing.assert_array_equal(model.predict(rows), made.model.predict(rows))


def test_a_version_without_a_refit_is_the_one_that_was_evaluated(registry: Registry, task: TaskSpec) -> None:
    made = train(trainable.task(training=trainable.training(refit=False)), trainable.frame())
    version = registry.publish(open_run(registry, task), task, made, MADE_FROM, {})
    for model in (registry.load(task.name, version), trainable.single(registry.load_evaluated(task.name, version))):
        np.testing.assert_array_equal(model.predict(made.validation.features), made.prediction.output)


def test_a_version_judged_by_folds_keeps_the_models_of_its_folds(embedded: Registry, task: TaskSpec) -> None:
    folds = trainable.task(task.name, training=trainable.training(validation={"split": "folds", "folds": 2}))
    made = train(folds, trainable.frame(), batch="2013-01", sha256="ab" * 32)
    version = embedded.publish(open_run(embedded, folds), folds, made, MADE_FROM, {})
    evaluated = embedded.load_evaluated(task.name, version)
    assert isinstance(evaluated, FoldModels)
    assert evaluated.split == made.split
    assert evaluate(folds, evaluated, made.validation) == made.metrics
    rows = made.validation.features
    registered = embedded.load(task.name, version).predict(rows)
    np.testing.assert_array_equal(registered, made.model.predict(rows))
    text = embedded.client.get_model_version(task.name, str(version)).description or ""
    assert text.startswith("Judged by 2 folds of batch 2013-01: each of")


def test_the_signature_and_the_example_survive_categories(registry: Registry, task: TaskSpec) -> None:
    folder = model_folder(registry, task, publish(registry, task))
    model = Model.load(folder)
    assert model.signature is not None
    assert model.signature.inputs.input_names() == ["hour", "distance", "carrier"]
    assert [str(kind) for kind in model.signature.inputs.input_types()] == [
        "DataType.double",
        "DataType.double",
        "DataType.string",
    ]
    example = model.load_input_example(folder)
    assert isinstance(example, pd.DataFrame)
    assert [str(kind) for kind in example.dtypes] == ["float64", "float64", "object"]
    made = trainable.trained()
    expected = made.model.predict(made.validation.features.head(len(example))) > 0.5
    assert mlflow.pyfunc.load_model(folder).predict(example).tolist() == expected.astype(int).tolist()


def test_a_run_holds_the_whole_record(registry: Registry, task: TaskSpec, images: dict[str, bytes]) -> None:
    made = trainable.trained()
    run_id = open_run(registry, task)
    registry.publish(run_id, task, made, MADE_FROM, images)
    run = registry.client.get_run(run_id)

    assert run.data.params["depth"] == "3"
    assert run.data.params["validation.column"] == "day"
    assert run.data.params["effective.l2_leaf_reg"] == "3"
    assert run.data.metrics["roc_auc"] == made.metrics["roc_auc"]
    assert run.data.metrics["baseline/log_loss"] == made.baseline["log_loss"]
    assert run.data.metrics["unlabelled_rows"] == made.unlabelled
    curve = registry.client.get_metric_history(run_id, "stopping/AUC")
    points = sorted((point.step, point.value) for point in curve)
    assert points == list(enumerate(made.fit.curves["stopping"]["AUC"]))

    wanted = {
        "task": task.name,
        "batch": "2013-01",
        "input_uri": MADE_FROM.uri,
        "input_sha256": "ab" * 32,
        "dagster_run_id": "dagster-1",
        "mlflow.source.git.commit": "c0ffee",
        "lock_sha256": "cd" * 32,
    }
    assert {key: run.data.tags[key] for key in wanted} == wanted
    assert run.inputs is not None
    [given] = run.inputs.dataset_inputs
    assert (given.dataset.name, given.dataset.source_type) == ("2013-01", "s3")
    assert json.loads(given.dataset.source) == {"uri": MADE_FROM.uri, "sha256": MADE_FROM.sha256}

    folder = Path(registry.client.download_artifacts(run_id, ""))
    assert (folder / "task.yaml").read_text(encoding="utf-8") == MADE_FROM.task_yaml
    assert json.loads((folder / "importance.json").read_text()) == made.fit.importance
    assert {path.stem: path.read_bytes() for path in (folder / "plots").iterdir()} == images


def test_the_run_lists_its_model_and_the_server_shows_the_versions_signature(
    registry: Registry, task: TaskSpec, request: pytest.FixtureRequest
) -> None:
    run_id = open_run(registry, task)
    version = publish(registry, task, run_id)
    run = registry.client.get_run(run_id)
    listed = json.loads(run.data.tags["mlflow.log-model.history"])
    assert [each["artifact_path"] for each in listed] == ["model", "evaluated_model"]
    assert all(each["run_id"] == run_id and "catboost" in each["flavors"] for each in listed)
    made = registry.client.get_model_version(task.name, str(version))
    assert (made.source, made.run_id) == (f"{run.info.artifact_uri}/model", run_id)
    if registry.tracking_uri.startswith("http"):
        # As the page of a version asks for it.
        prefix = "/mlflow" if "mlflow2_server" in request.fixturenames else ""
        address = f"{registry.tracking_uri}{prefix}/model-versions/get-artifact"
        answer = requests.get(address, {"path": "MLmodel", "name": task.name, "version": str(version)}, timeout=60)
        assert answer.status_code == 200
        assert "signature:" in answer.text
        assert "input_example.json" in answer.text


def test_a_step_that_is_tried_again_in_the_same_run_makes_nothing_twice(registry: Registry, task: TaskSpec) -> None:
    run_id = open_run(registry, task)
    assert registry.candidates(task.name) == []
    first, again = publish(registry, task, run_id), publish(registry, task, run_id)
    assert (first, again) == (1, 1)
    assert [(each.version, each.dagster_run) for each in registry.candidates(task.name)] == [(1, "dagster-1")]
    curve = registry.client.get_metric_history(run_id, "training/Logloss")
    assert len(curve) == trainable.trained().fit.iterations
    inputs = registry.client.get_run(run_id).inputs
    assert inputs is not None
    assert len(inputs.dataset_inputs) == 1


def test_a_version_says_by_what_description_and_by_which_run_it_was_made_and_how_its_rows_were_shared_out(
    registry: Registry, task: TaskSpec
) -> None:
    run_id = open_run(registry, task)
    publish(registry, task, run_id)
    wanted = {which: task.fingerprint(which) for which in ("features", "target", "training")}
    [candidate] = registry.candidates(task.name)
    assert candidate.fingerprints == wanted
    assert candidate.split == trainable.trained().split
    assert candidate.dagster_run == "dagster-1"
    assert registry.training(run_id).fingerprints == wanted


def test_a_version_of_a_thousand_features_says_which(registry: Registry) -> None:
    names = [f"средняя_цена_за_{number}_дней" for number in range(1000)]
    numeric = {"hour": "hour", "distance": "distance", **dict.fromkeys(names, "hour")}
    task = trainable.task("wide", features={"numeric": numeric, "categorical": {"carrier": "carrier"}})
    version = publish(registry, task)
    candidate = next(each for each in registry.candidates(task.name) if each.version == version)
    assert candidate.features == feature_columns(task.features)


def test_a_version_that_is_not_ready_is_never_chosen(registry: Registry, task: TaskSpec) -> None:
    whole = publish(registry, task)
    client = registry.client
    made = client.get_model_version(task.name, str(whole))
    assert made.source is not None
    # What the former code left where it was killed just before its last step.
    tags = {key: value for key, value in made.tags.items() if key != "ready"}
    half = int(client.create_model_version(task.name, made.source, made.run_id, tags=tags).version)
    assert [(each.version, each.ready) for each in registry.candidates(task.name)] == [(whole, True), (half, False)]
    assert choose(task, registry.candidates(task.name)).winner == whole


def test_a_publication_that_breaks_off_leaves_no_version(embedded: Registry, task: TaskSpec) -> None:
    run_id = open_run(embedded, task)
    files = Path(embedded.client.get_run(run_id).info.artifact_uri.removeprefix("file://"))
    files.mkdir(parents=True)
    (files / "model").write_text("where the folder of the model should go")
    with pytest.raises(StoreError, match="MLflow refused to log the training"):
        publish(embedded, task, run_id)
    assert embedded.candidates(task.name) == []


def test_a_publisher_killed_at_any_call_leaves_a_whole_version_or_none(registry: Registry, task: TaskSpec) -> None:
    def versions() -> list[int]:
        candidates = registry.candidates(task.name)
        assert all(each.ready for each in candidates)
        return [each.version for each in candidates]

    whole = publish(registry, task)
    run_id = open_run(registry, task, "killed")
    for call in publishers.CALLS:
        publishers.killed_at(place_of(registry), run_id, task, "before", call)
        assert versions() == [whole]
    publishers.killed_at(place_of(registry), run_id, task, "after", publishers.CALLS[-1])
    _, made = versions()
    rows = trainable.trained().validation
    assert evaluate(task, registry.load_evaluated(task.name, made), rows) == trainable.trained().metrics
    # Tried again, the step finds what it has registered before it died.
    assert publish(registry, task, run_id) == made
    assert versions() == [whole, made]


def place_of(registry: Registry) -> MlflowSettings | Path:
    """Where another process finds the registry."""
    if registry.tracking_uri.startswith("sqlite:///"):
        return Path(registry.tracking_uri.removeprefix("sqlite:///")).parent
    return MlflowSettings(registry.tracking_uri, None, None)


@pytest.mark.parametrize("call", ["log_inputs", "log_artifacts", "create_model_version"])
def test_a_server_that_goes_away_under_a_publication_leaves_no_candidate(
    own_mlflow: MlflowServer, task: TaskSpec, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    for name, value in {**own_mlflow.variables, "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1"}.items():
        monkeypatch.setenv(name, value)
    registry = Registry(own_mlflow.settings)
    run_id = open_run(registry, task)
    real = getattr(mlflow.MlflowClient, call)

    def stopped(*arguments: Any, **options: Any) -> Any:
        own_mlflow.stop()
        return real(*arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(mlflow.MlflowClient, call, stopped)
        with pytest.raises(TransientError, match="MLflow could not") as fault:
            publish(registry, task, run_id)
    assert str(own_mlflow.port) in str(fault.value)
    own_mlflow.start()
    assert not any(each.ready for each in registry.candidates(task.name))
    version = publish(registry, task, run_id)
    assert [each.version for each in registry.candidates(task.name) if each.ready] == [version]


def test_versions_that_people_register_by_hand_are_listed_but_cannot_predict(
    registry: Registry, task: TaskSpec
) -> None:
    whole = publish(registry, task)
    client = registry.client
    source = client.get_model_version(task.name, str(whole)).source
    assert source is not None
    odd = ["not json", "[1, 2]", '{"hour": "numeric"}', "[]"]
    for text in odd:
        client.create_model_version(task.name, source, tags={"ready": "true", "features": text, "metrics": text})
    candidates = registry.candidates(task.name)
    assert [each.features for each in candidates[1:]] == [None, None, None, ()]
    choice = choose(task, candidates)
    assert [each.eligible for each in choice.candidates] == [True, False, False, False, False]


def test_the_alias_moves(registry: Registry, task: TaskSpec) -> None:
    assert registry.champion(task.name) is None
    first, second = publish(registry, task), publish(registry, task)
    for version in (first, second):
        registry.set_champion(task.name, version)
        assert registry.champion(task.name) == version
        assert [each.version for each in registry.candidates(task.name) if each.champion] == [version]
    champion = fitting_champion(task, registry.candidates(task.name))
    assert champion is not None
    assert champion.version == second


def test_a_choice_made_against_another_champion_changes_nothing(registry: Registry, task: TaskSpec) -> None:
    first, second = publish(registry, task), publish(registry, task)
    assert not registry.set_champion(task.name, second, expected=first)
    assert registry.champion(task.name) is None
    assert registry.set_champion(task.name, first, expected=None)
    assert not registry.set_champion(task.name, second, expected=None)
    assert registry.champion(task.name) == first
    assert registry.champion_record(task.name) is None
    assert registry.set_champion(task.name, second, "train dagster-1", expected=first)
    assert registry.champion(task.name) == second
    assert registry.champion_record(task.name) == "train dagster-1"


def test_a_choice_that_comes_later_stands_and_the_earlier_one_is_told(
    registry: Registry, task: TaskSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = publish(registry, task), publish(registry, task)
    real = mlflow.MlflowClient.set_registered_model_alias
    other = Registry(place_of(registry))

    def late(self: mlflow.MlflowClient, *arguments: str) -> None:
        monkeypatch.setattr(mlflow.MlflowClient, "set_registered_model_alias", real)
        # Between the choice of one and its alias another chooses, whole; then the one's alias arrives.
        assert other.set_champion(task.name, second, expected=None)
        real(self, *arguments)

    monkeypatch.setattr(mlflow.MlflowClient, "set_registered_model_alias", late)
    assert not registry.set_champion(task.name, first, expected=None)
    assert registry.champion(task.name) == second


def test_processes_that_choose_at_once_end_with_the_choice_that_stood(registry: Registry, task: TaskSpec) -> None:
    versions = [publish(registry, task) for _ in range(3)]
    for _ in range(3):
        stood = publishers.choose_at_once(place_of(registry), task.name, versions)
        winner = registry.champion(task.name)
        assert winner in [version for version, stands in zip(versions, stood, strict=True) if stands]


def test_a_record_of_choice_is_kept_with_its_run(registry: Registry, task: TaskSpec) -> None:
    run_id = open_run(registry, task)
    version = publish(registry, task, run_id)
    choice = choose(task, registry.candidates(task.name), Comparison(version, {version: trainable.trained().metrics}))
    registry.log_choice(run_id, choice)
    kept = Path(registry.client.download_artifacts(run_id, "choice_train.json"))
    assert json.loads(kept.read_text(encoding="utf-8")) == choice.to_json()
    assert registry.client.get_run(run_id).data.tags["choice"] == choice.reason


def test_an_unknown_version_is_refused(registry: Registry, task: TaskSpec) -> None:
    publish(registry, task)
    with pytest.raises(StoreError, match=r"(?s)refused to load version 9 .*not found"):
        registry.load(task.name, 9)
    with pytest.raises(StoreError, match=r"(?s)refused to set the alias champion .*not found"):
        registry.set_champion(task.name, 9)


def test_a_run_ends_as_it_is_told(registry: Registry, task: TaskSpec) -> None:
    run_id = open_run(registry, task)
    registry.end_run(run_id, "FINISHED")
    assert registry.client.get_run(run_id).info.status == "FINISHED"
    assert registry.open_runs(task.name) == {}


def test_the_open_runs_are_those_of_dagster_that_have_not_ended(registry: Registry, task: TaskSpec) -> None:
    assert registry.open_runs(task.name) == {}  # no experiment yet
    first, second, done = (open_run(registry, task, name) for name in ("first", "second", "done"))
    registry.client.create_run(registry.experiment(task.name))  # by hand
    registry.end_run(done, "KILLED")
    assert registry.open_runs(task.name) == {first: "first", second: "second"}


def test_links_lead_to_the_servers_pages_under_their_prefix(
    mlflow2_server: MlflowServer, task: TaskSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in mlflow2_server.variables.items():
        monkeypatch.setenv(name, value)
    registry = Registry(mlflow2_server.settings, f"{mlflow2_server.settings.url}/mlflow/")
    run_id = open_run(registry, task)
    version = publish(registry, task, run_id)
    for url, path in (
        (registry.run_url(run_id), f"/#/experiments/{registry.experiment(task.name)}/runs/{run_id}"),
        (registry.version_url(task.name, version), f"/#/models/{task.name}/versions/{version}"),
    ):
        assert url == f"{mlflow2_server.settings.url}/mlflow{path}"
        page = requests.get(url, timeout=60)
        assert (page.status_code, "<html" in page.text) == (200, True)
    assert requests.get(mlflow2_server.settings.url, timeout=60).status_code == 404


def test_an_experiment_in_the_trash_says_how_to_get_it_back(registry: Registry, task: TaskSpec) -> None:
    registry.client.delete_experiment(registry.experiment(task.name))
    with pytest.raises(StoreError, match="restore it in MLflow"):
        registry.experiment(task.name)


def test_everything_embedded_stays_in_its_folder(
    embedded: Registry, task: TaskSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run_id = open_run(embedded, task)
    version = publish(embedded, task, run_id)
    folder = Path(embedded.tracking_uri.removeprefix("sqlite:///")).parent
    for url in (embedded.run_url(run_id), embedded.version_url(task.name, version)):
        assert Path(url.removeprefix("file://")).is_relative_to(folder)
        assert Path(url.removeprefix("file://")).is_dir()
    assert list(tmp_path.iterdir()) == []
    assert mlflow.active_run() is None
    assert mlflow.get_tracking_uri() != embedded.tracking_uri


def test_two_registries_of_one_folder_see_the_same(embedded: Registry, task: TaskSpec) -> None:
    version = publish(embedded, task)
    other = Registry(Path(embedded.tracking_uri.removeprefix("sqlite:///")).parent)
    assert other.experiment(task.name) == embedded.experiment(task.name)
    assert [each.version for each in other.candidates(task.name)] == [version]
