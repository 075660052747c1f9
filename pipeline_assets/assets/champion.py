"""Applies a choice: writes its record, then moves the alias, until the last record names the version with the alias."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import dagster as dg

from pipeline_assets.errors import TransientError
from pipeline_assets.ml.holding import Change, Hold, under_hold
from pipeline_assets.ml.selection import ORDERS, Candidate, Choice, Person
from pipeline_assets.stores.marts.greenplum import MartStore
from pipeline_assets.stores.marts.model_choices import choice_row, model_choices
from pipeline_assets.stores.registry.registry import Registry
from pipeline_assets.task.spec import TaskSpec

Records = list[dict[str, Any]]

_ROUNDS = 10
_READ = ("run_id", "stage", "model_version", "previous_version", "chosen_at")
_BY = ("chosen_by", "chosen_because")  # columns that tables of former code lack


def made_by(candidates: Sequence[Candidate], run: dg.DagsterRun) -> Candidate | None:
    """The finished version made by a run or by the run that it continues; the newest if there are several."""
    runs = {run.run_id, run.parent_run_id, run.root_run_id} - {None}
    made = [each for each in candidates if each.ready and each.dagster_run in runs]
    return max(made, key=lambda each: each.version, default=None)


def settle(
    registry: Registry,
    marts: MartStore,
    task: TaskSpec,
    *,
    batch: str,
    run_id: str,
    decide: Callable[[Sequence[Candidate]], Choice],
    keep: Callable[[Choice], None] = lambda _: None,
) -> Choice:
    """Decides, records the choice in the mart, then moves the alias if no other process has moved it.

    A run that finds the choice of another run in between decides or records again, until the last record of choice
    names the version that has the alias: two simultaneous runs end with one champion. If a run stops between record
    and alias, the next run moves the alias. While a person holds a version, a run keeps to it; it looks again after
    each record, so that a hold that begins meanwhile is kept too.

    Args:
        batch: of the run; empty for a person's order.
        run_id: of the Dagster run.
        decide: chooses from the present versions; called again after another run's choice.
        keep: stores the record in another place too, before the alias moves.

    Raises:
        SelectionError: as :func:`pipeline_assets.ml.choosing.choose` and :func:`pipeline_assets.ml.holding.under_hold`.
        TransientError: other runs kept choosing at the same time.
    """
    before = _records(marts, task)
    _finish(registry, task, before)
    hold = _hold(marts, task, before)

    def again() -> Choice:
        choice = decide(registry.candidates(task.name))
        return choice if choice.stage in ORDERS else under_hold(task, choice, hold)

    choice = again()
    stands = _stands_already(before, run_id, choice)
    for _ in range(_ROUNDS):
        if not stands:
            row = choice_row(task, batch, run_id, choice)
            marts.replace(model_choices(task), {"run_id": run_id, "stage": choice.stage}, row)
        stands = False
        keep(choice)
        now, held = registry.champion(task.name), _hold(marts, task, _records(marts, task))
        if now not in (choice.previous, choice.winner) or (held != hold and choice.stage not in ORDERS):
            hold = held
            choice = again()
            continue
        record = _record_id(run_id, choice.stage)
        if choice.winner != choice.previous and not registry.set_champion(
            task.name, choice.winner, record, expected=now
        ):
            choice = again()
            continue
        last = _records(marts, task)[-1]
        if last["model_version"] == choice.winner == registry.champion(task.name):
            return choice
    raise TransientError(
        "other runs chose a champion at the same time, again and again",
        task=task.name,
        found=f"{_ROUNDS} rounds",
        do="run again when fewer runs of the task are under way",
    )


def finish_interrupted(registry: Registry, marts: MartStore, task: TaskSpec) -> int | None:
    """Moves the alias as the last record says, if its run was stopped before it did so.

    If the alias was already moved by that record and is elsewhere now, a person has moved it, and it stays.

    Returns:
        The version that has the alias now; ``None`` if nothing was left to do.
    """
    return _finish(registry, task, _records(marts, task))


def _finish(registry: Registry, task: TaskSpec, records: Records) -> int | None:
    if not records or records[-1]["model_version"] == records[-1]["previous_version"]:
        return None
    last = records[-1]
    record = _record_id(last["run_id"], last["stage"])
    if registry.champion_record(task.name) == record or registry.champion(task.name) != last["previous_version"]:
        return None
    if any(each.version == last["model_version"] and each.ready for each in registry.candidates(task.name)):
        registry.set_champion(task.name, int(last["model_version"]), record)
        return int(last["model_version"])
    return None


def standing_hold(marts: MartStore, task: TaskSpec) -> Hold | None:
    """The hold that a person's last order began; ``None`` if it ended one, or there was none."""
    return _hold(marts, task, _records(marts, task))


def _hold(marts: MartStore, task: TaskSpec, records: Records) -> Hold | None:
    orders = [each for each in records if each["stage"] in ORDERS]
    if not orders or orders[-1]["stage"] != "rollback":
        return None
    last = orders[-1]
    where = {"run_id": last["run_id"], "stage": last["stage"]}
    (by,) = marts.read(model_choices(task).name, where, list(_BY)).read_all().to_pylist()
    since: datetime = last["chosen_at"]
    return Hold(int(last["model_version"]), Person(by["chosen_by"], by["chosen_because"]), since)


def ordered_by(marts: MartStore, task: TaskSpec, run_id: str) -> int | None:
    """The version that an order of a person named in a run, if an earlier attempt of that run recorded it."""
    mine = [each for each in _records(marts, task) if each["run_id"] == run_id and each["stage"] in ORDERS]
    return int(mine[-1]["model_version"]) if mine else None


def changes(marts: MartStore, task: TaskSpec) -> list[Change]:
    """Every record of choice by which another version became champion, in the order of time."""
    return [
        Change(each["model_version"], each["previous_version"], back=each["stage"] == "rollback")
        for each in _records(marts, task)
        if each["model_version"] != each["previous_version"]
    ]


def _stands_already(records: Records, run_id: str, choice: Choice) -> bool:
    """Whether an earlier attempt of this run has made the winner champion: that moment stays on record."""
    mine = [each for each in records if (each["run_id"], each["stage"]) == (run_id, choice.stage)]
    return any(each["model_version"] == choice.winner == choice.previous != each["previous_version"] for each in mine)


def _record_id(run_id: str, stage: str) -> str:
    return f"{stage} {run_id}"


def _records(marts: MartStore, task: TaskSpec) -> Records:
    """Every record of choice in the order of time."""
    name = model_choices(task).name
    if not marts.count(name, {}):
        return []
    records: Records = marts.read(name, {}, list(_READ)).read_all().to_pylist()
    return sorted(records, key=lambda each: each["chosen_at"])
