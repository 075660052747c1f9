"""Applies a choice: writes its record, then moves the alias, until the last record names the version with the alias."""

from collections.abc import Callable, Sequence
from typing import Any

import dagster as dg

from pipeline_assets.errors import TransientError
from pipeline_assets.ml.selection import Candidate, Choice
from pipeline_assets.stores.marts.greenplum import MartStore
from pipeline_assets.stores.marts.model_choices import choice_row, model_choices
from pipeline_assets.stores.registry.registry import Registry
from pipeline_assets.task.batch import BatchRef
from pipeline_assets.task.spec import TaskSpec

_ROUNDS = 10
_LAST = ("run_id", "stage", "model_version", "previous_version", "chosen_at")


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
    ref: BatchRef,
    run_id: str,
    decide: Callable[[Sequence[Candidate]], Choice],
    keep: Callable[[Choice], None] = lambda _: None,
) -> Choice:
    """Decides, records the choice in the mart, then moves the alias if no other process has moved it.

    A run that finds the choice of another run in between decides or records again, until the last record of choice
    names the version that has the alias: two simultaneous runs end with one champion. If a run stops between record
    and alias, the next run moves the alias.

    Args:
        ref: the batch of the run.
        run_id: of the Dagster run.
        decide: chooses from the present versions; called again after another run's choice.
        keep: stores the record in another place too, before the alias moves.

    Raises:
        SelectionError: as :func:`pipeline_assets.ml.selection.choose`.
        TransientError: other runs kept choosing at the same time.
    """
    finish_interrupted(registry, marts, task)
    choice = decide(registry.candidates(task.name))
    for _ in range(_ROUNDS):
        marts.replace(
            model_choices(task), {"run_id": run_id, "stage": ref.stage}, choice_row(task, ref, run_id, choice)
        )
        keep(choice)
        now = registry.champion(task.name)
        if now not in (choice.previous, choice.winner):
            choice = decide(registry.candidates(task.name))
            continue
        record = _record_id(run_id, ref.stage)
        if choice.winner != choice.previous and not registry.set_champion(
            task.name, choice.winner, record, expected=now
        ):
            choice = decide(registry.candidates(task.name))
            continue
        last = _last_record(marts, task)
        if last is not None and last["model_version"] == choice.winner == registry.champion(task.name):
            return choice
    raise TransientError(
        "other runs chose a champion at the same time, again and again",
        task=task.name,
        found=f"{_ROUNDS} rounds",
        do="run again when fewer runs of the task are under way",
    )


def finish_interrupted(registry: Registry, marts: MartStore, task: TaskSpec) -> None:
    """Moves the alias as the last record says, if its run was stopped before it did so.

    If the alias was already moved by that record and is elsewhere now, a person has moved it, and it stays.
    """
    last = _last_record(marts, task)
    if last is None or last["model_version"] == last["previous_version"]:
        return
    record = _record_id(last["run_id"], last["stage"])
    if registry.champion_record(task.name) == record or registry.champion(task.name) != last["previous_version"]:
        return
    if any(each.version == last["model_version"] and each.ready for each in registry.candidates(task.name)):
        registry.set_champion(task.name, int(last["model_version"]), record)


def _record_id(run_id: str, stage: str) -> str:
    return f"{stage} {run_id}"


def _last_record(marts: MartStore, task: TaskSpec) -> dict[str, Any] | None:
    name = model_choices(task).name
    if not marts.count(name, {}):
        return None
    records: list[dict[str, Any]] = marts.read(name, {}, list(_LAST)).read_all().to_pylist()
    return max(records, key=lambda each: each["chosen_at"], default=None)
