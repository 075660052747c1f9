"""The record of choice and the alias agree, whoever else chooses at the same time and wherever a run stops."""

from collections.abc import Callable, Sequence

import pytest

from pipeline_assets.assets.champion import settle, standing_hold
from pipeline_assets.errors import SelectionError, TransientError
from pipeline_assets.ml.choosing import choose
from pipeline_assets.ml.selection import Candidate, Choice, Comparison, Order, Person
from pipeline_assets.operations.champion import OrderConfig, order_champion
from pipeline_assets.resources import Resources, resources
from pipeline_assets.settings import Settings
from pipeline_assets.stores.marts.greenplum import MartStore
from pipeline_assets.stores.registry.registry import Registry
from pipeline_assets.task.spec import TaskSpec
from tests import trainable
from tests.fixtures.publishers import MADE_FROM

Decide = Callable[[Sequence[Candidate]], Choice]


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> Resources:
    return resources(Settings.from_env({}, tmp_path_factory.mktemp("champion")))


@pytest.fixture
def task(request: pytest.FixtureRequest) -> TaskSpec:
    return trainable.task(request.node.name.removeprefix("test_")[:30])


def publish(registry: Registry, task: TaskSpec, dagster_run: str) -> int:
    tags = {"dagster_run_id": dagster_run}
    run = registry.client.create_run(registry.experiment(task.name), tags=tags).info.run_id
    return registry.publish(run, task, trainable.trained(), MADE_FROM, {})


def better(task: TaskSpec, challenger: int) -> Decide:
    """Every later version is better, on the same rows, than every earlier one."""

    def decide(candidates: Sequence[Candidate]) -> Choice:
        scores = {each.version: {"roc_auc": 0.5 + each.version / 100} for each in candidates}
        return choose(task, candidates, Comparison(challenger, scores))

    return decide


def last_record(marts: MartStore, task: TaskSpec) -> int:
    rows = marts.read(f"{task.name}_model_choices", {}).read_all().to_pylist()
    newest: int = max(rows, key=lambda row: row["chosen_at"])["model_version"]
    return newest


def run(
    stores: Resources, task: TaskSpec, run_id: str, decide: Decide, keep: Callable[[Choice], None] = lambda _: None
) -> Choice:
    return settle(stores["registry"], stores["marts"], task, batch="2013-01", run_id=run_id, decide=decide, keep=keep)


def test_two_runs_at_once_end_in_one_champion(stores: Resources, task: TaskSpec) -> None:
    """The second run goes through between the first one's record and its alias."""
    registry, marts = stores["registry"], stores["marts"]
    publish(registry, task, "a")
    run(stores, task, "a", better(task, 1))
    second, third = publish(registry, task, "b"), publish(registry, task, "c")
    done: list[Choice] = []

    def meanwhile(_choice: Choice) -> None:
        if not done:
            done.append(run(stores, task, "c", better(task, third)))

    choice = run(stores, task, "b", better(task, second), keep=meanwhile)
    assert done[0].winner == third
    # The first one finds the alias moved, decides again, and sees that it is no better than the new champion.
    assert (choice.winner, choice.previous) == (third, third)
    assert registry.champion(task.name) == last_record(marts, task) == third


class StoppedError(BaseException):
    """A process that is killed."""


def stop(_choice: Choice) -> None:
    raise StoppedError


def test_a_run_stopped_between_record_and_alias_is_finished_by_the_next(stores: Resources, task: TaskSpec) -> None:
    registry, marts = stores["registry"], stores["marts"]
    publish(registry, task, "a")
    run(stores, task, "a", better(task, 1))
    second = publish(registry, task, "b")
    with pytest.raises(StoppedError):
        run(stores, task, "b", better(task, second), keep=stop)
    assert (registry.champion(task.name), last_record(marts, task)) == (1, second)
    choice = run(stores, task, "c", lambda candidates: choose(task, candidates))
    assert (choice.winner, choice.reason) == (second, f"version {second} is champion")
    assert registry.champion(task.name) == last_record(marts, task) == second


def test_an_alias_that_a_person_moved_back_stays_there(stores: Resources, task: TaskSpec) -> None:
    registry = stores["registry"]
    publish(registry, task, "a")
    run(stores, task, "a", better(task, 1))
    second = publish(registry, task, "b")
    assert run(stores, task, "b", better(task, second)).winner == second
    registry.set_champion(task.name, 1)
    assert run(stores, task, "c", lambda candidates: choose(task, candidates)).winner == 1
    assert registry.champion(task.name) == 1


def test_runs_that_never_agree_are_asked_to_come_back(stores: Resources, task: TaskSpec) -> None:
    registry = stores["registry"]
    versions = [publish(registry, task, name) for name in ("a", "b", "c")]
    turns = iter(versions * 20)

    def someone_moves(_choice: Choice) -> None:
        holder = registry.champion(task.name)
        registry.set_champion(task.name, next(each for each in turns if each not in (holder, _choice.winner)))

    with pytest.raises(TransientError, match="chose a champion at the same time"):
        run(stores, task, "d", better(task, versions[0]), keep=someone_moves)


# A person's decision


def order(stores: Resources, task: TaskSpec, run_id: str, which: Order, version: int | None = None) -> Choice:
    config = OrderConfig(task=task.name, version=version, because="it was better", by="Ann")
    return order_champion(stores["registry"], stores["marts"], task, which, config, run_id=run_id)


def two_versions(stores: Resources, task: TaskSpec) -> None:
    """The second is champion."""
    for version, name in enumerate(("a", "b"), start=1):
        publish(stores["registry"], task, name)
        run(stores, task, name, better(task, version))


def predicting(task: TaskSpec) -> Decide:
    return lambda candidates: choose(task, candidates)


def test_the_champion_before_comes_back_and_stays(stores: Resources, task: TaskSpec) -> None:
    registry, marts = stores["registry"], stores["marts"]
    two_versions(stores, task)
    assert order(stores, task, "r", "rollback").winner == 1
    third = publish(registry, task, "c")
    trained = run(stores, task, "c", better(task, third))
    assert (trained.winner, trained.because.code) == (1, "held_against")
    assert run(stores, task, "p", predicting(task)).winner == registry.champion(task.name) == 1
    held = standing_hold(marts, task)
    assert held is not None
    assert (held.version, held.person) == (1, Person("Ann", "it was better"))
    rows = {
        row["stage"]: row for row in marts.read(f"{task.name}_model_choices", {"run_id": "r"}).read_all().to_pylist()
    }
    assert (rows["rollback"]["chosen_by"], rows["rollback"]["chosen_because"]) == ("Ann", "it was better")

    assert order(stores, task, "q", "promote", third).winner == registry.champion(task.name) == third
    assert standing_hold(marts, task) is None
    fourth = publish(registry, task, "d")
    assert run(stores, task, "d", better(task, fourth)).winner == fourth


def test_a_second_attempt_of_an_order_goes_no_further_back(stores: Resources, task: TaskSpec) -> None:
    two_versions(stores, task)
    third = publish(stores["registry"], task, "c")
    run(stores, task, "c", better(task, third))
    assert order(stores, task, "r", "rollback").winner == 2
    assert order(stores, task, "r", "rollback").winner == 2  # the same Dagster run
    assert order(stores, task, "s", "rollback").winner == 1  # a person, once more


def test_an_order_needs_a_reason(stores: Resources, task: TaskSpec) -> None:
    config = OrderConfig(task=task.name, because=" ", by="Ann")
    with pytest.raises(SelectionError, match="a name and a reason"):
        order_champion(stores["registry"], stores["marts"], task, "rollback", config, run_id="r")


@pytest.mark.parametrize("next_run", ["prediction", "training", "the same order"])
def test_an_order_stopped_between_record_and_alias_is_finished_by_the_next_run(
    stores: Resources, next_run: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = trainable.task(f"stopped_before_{next_run[:4].strip()}")
    publish(stores["registry"], task, "0")
    run(stores, task, "0", better(task, 1))
    registry = stores["registry"]
    for version, name in enumerate(("a", "b"), start=2):
        publish(registry, task, name)
        run(stores, task, name, better(task, version))
    with monkeypatch.context() as patch:
        patch.setattr(Registry, "set_champion", stopped)
        with pytest.raises(StoppedError):
            order(stores, task, "r", "rollback")
    assert (registry.champion(task.name), last_record(stores["marts"], task)) == (3, 2)
    if next_run == "prediction":
        assert run(stores, task, "p", predicting(task)).winner == 2
    elif next_run == "training":
        fourth = publish(registry, task, "c")
        assert run(stores, task, "c", better(task, fourth)).winner == 2
    else:
        assert order(stores, task, "s", "rollback").winner == 2
    assert registry.champion(task.name) == 2


def stopped(*_: object, **__: object) -> bool:
    raise StoppedError


@pytest.mark.parametrize("held", [1, 2])
def test_a_hold_that_begins_while_a_training_chooses_is_kept(stores: Resources, held: int) -> None:
    """Between the training's record and its alias; also where the alias does not move, and nothing else shows it."""
    task = trainable.task(f"held_meanwhile_{held}")
    registry = stores["registry"]
    two_versions(stores, task)
    third = publish(registry, task, "c")
    done: list[Choice] = []

    def meanwhile(_choice: Choice) -> None:
        if not done:
            done.append(order(stores, task, "r", "rollback", held))

    choice = run(stores, task, "c", better(task, third), keep=meanwhile)
    assert done[0].winner == held
    assert (choice.winner, choice.because.code) == (held, "held_against")
    assert registry.champion(task.name) == last_record(stores["marts"], task) == held


def test_a_training_stopped_after_it_broke_a_hold_is_set_right_by_the_next_run(
    stores: Resources, task: TaskSpec
) -> None:
    """It read the history before the hold and moved the alias after it; the hold names its version."""
    registry = stores["registry"]
    two_versions(stores, task)
    third = publish(registry, task, "c")
    order(stores, task, "r", "rollback", 2)
    registry.set_champion(task.name, third, "train c")
    assert run(stores, task, "p", predicting(task)).winner == registry.champion(task.name) == 2


def test_the_moment_of_a_change_survives_a_second_attempt(stores: Resources, task: TaskSpec) -> None:
    two_versions(stores, task)
    where = {"run_id": "b", "stage": "train"}
    (before,) = stores["marts"].read(f"{task.name}_model_choices", where).read_all().to_pylist()
    assert run(stores, task, "b", better(task, 2)).winner == 2
    (after,) = stores["marts"].read(f"{task.name}_model_choices", where).read_all().to_pylist()
    assert after == before
    assert after["previous_version"] == 1
