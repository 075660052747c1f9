"""The tasks for the command line: which there are, what is wrong with a broken one, and the definitions of one."""

import logging
from dataclasses import dataclass

import dagster as dg

from pipeline_assets.components import tasks as loader
from pipeline_assets.errors import TaskError


@dataclass(frozen=True)
class TaskState:
    """One task folder.

    Attributes:
        name: of the task, or of the folder where the task cannot be read.
        problem: why it cannot be loaded; ``None`` where it can.
    """

    name: str
    problem: str | None = None


def states(location: dg.Definitions) -> list[TaskState]:
    """Every task of a code location, by name."""
    whole = [TaskState(job.name.removesuffix("_train")) for job in location.jobs or () if job.name.endswith("_train")]
    broken = [
        TaskState(spec.key.path[0], _problem(spec.description or ""))
        for spec in location.resolve_all_asset_specs()
        if spec.tags.get("broken") == "true"
    ]
    return sorted([*whole, *broken], key=lambda state: state.name)


def load() -> dg.Definitions:
    """The code location with all tasks; broken ones are in it as marked assets and are not logged."""
    # The command says itself what is wrong with the task that it was asked for, once.
    logging.getLogger(loader.__name__).setLevel(logging.CRITICAL)
    from pipeline_assets.definitions import defs

    return defs()


def load_task(name: str) -> dg.Definitions:
    """A code location that holds the task.

    Raises:
        TaskError: there is no such task, or it is broken; says what is wrong with it.
    """
    location = load()
    found = {state.name: state for state in states(location)}
    if name not in found:
        raise TaskError("there is no such task", found=name, available=found)
    if found[name].problem is not None:
        raise TaskError(str(found[name].problem))
    return location


def _problem(description: str) -> str:
    """The problem in a marked asset's description, where it stands between two fences."""
    return description.partition("```\n")[2].rpartition("\n```")[0]
