"""The record of choice and the alias agree, whoever else chooses at the same time and wherever a run stops."""

from collections.abc import Callable, Sequence

import pytest

from pipeline_assets.assets.champion import settle
from pipeline_assets.errors import TransientError
from pipeline_assets.ml.choosing import choose
from pipeline_assets.ml.selection import Candidate, Choice, Comparison
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
