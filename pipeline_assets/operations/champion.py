"""A person decides which version is champion: the jobs ``rollback`` and ``promote``."""

from functools import partial
from typing import Any

import dagster as dg
from pydantic import Field

from pipeline_assets.assets import describe
from pipeline_assets.assets.champion import changes, finish_interrupted, ordered_by, settle, standing_hold
from pipeline_assets.errors import SelectionError
from pipeline_assets.io_managers.errors import translate_errors
from pipeline_assets.ml.holding import champion_before, decided
from pipeline_assets.ml.selection import Choice, Order, Person
from pipeline_assets.settings import Settings
from pipeline_assets.stores.marts.greenplum import MartStore
from pipeline_assets.stores.registry.registry import Registry
from pipeline_assets.task.loading import find_folder, task_named
from pipeline_assets.task.spec import TaskSpec

_WHAT: dict[Order, str] = {
    "rollback": "Sets the champion of a task back, to the version before it or to a given one, and holds it: no"
    " training and no policy takes the alias until someone promotes a version. The next prediction uses it.",
    "promote": "Gives the alias champion to a version of a task and ends a hold: later trainings may replace it again.",
}


class OrderConfig(dg.Config):
    """What a person decides."""

    task: str = Field(description="Name of the task")
    version: int | None = Field(default=None, description="The new champion; rollback without it: the one before")
    because: str = Field(description="Why, for the record of choice")
    by: str = Field(description="Who decides, for the record of choice")


def champion_jobs() -> list[dg.JobDefinition]:
    """``rollback`` and ``promote``."""
    return [_job("rollback"), _job("promote")]


def _job(order: Order) -> dg.JobDefinition:
    # Dagster wants other names for ops than for jobs.
    @dg.op(name=f"{order}_version", description=_WHAT[order])
    def decide(
        context: dg.OpExecutionContext,
        config: OrderConfig,
        marts: dg.ResourceParam[MartStore],
        registry: dg.ResourceParam[Registry],
    ) -> str:
        with translate_errors(context.retry_number):
            task = task_named(find_folder(Settings.from_env().tasks, config.task), config.task)
            choice = order_champion(registry, marts, task, order, config, run_id=context.run_id)
        context.log.info(choice.reason)
        context.log_event(dg.AssetObservation(dg.AssetKey([task.name, "model"]), metadata=_metadata(registry, choice)))
        return choice.reason

    @dg.job(name=order, description=_WHAT[order], executor_def=dg.in_process_executor)
    def job() -> None:
        decide.alias(order)()

    return job


def order_champion(
    registry: Registry, marts: MartStore, task: TaskSpec, order: Order, config: OrderConfig, *, run_id: str
) -> Choice:
    """Records a person's decision and moves the alias.

    Raises:
        SelectionError: the version cannot predict, or there is none before the present one, or no name or reason
            is given.
        TransientError: a store does not answer, or trainings kept choosing at the same time.
    """
    person = Person(config.by.strip(), config.because.strip())
    if not person.name or not person.words:
        raise SelectionError(
            "a decision over the champion has a name and a reason",
            task=task.name,
            found=f"by {person.name!r}, because {person.words!r}",
            do=f'pipeline-assets {order} {task.name} --because "..."',
        )
    finished, hold = finish_interrupted(registry, marts, task), standing_hold(marts, task)
    version = config.version
    if version is None and order == "rollback":
        if hold is not None and hold.version == finished:
            # An order of someone who was stopped: whoever repeats it does not mean the champion before that one.
            version = finished
        else:
            # Once, before anything is written: what a training chooses meanwhile does not change what the person saw.
            version = ordered_by(marts, task, run_id) or champion_before(
                task, changes(marts, task), registry.champion(task.name)
            )
    decide = partial(decided, task, version=version, order=order, person=person)
    return settle(registry, marts, task, batch="", run_id=run_id, decide=decide)


def _metadata(registry: Registry, choice: Choice) -> dict[str, Any]:
    return {
        "champion": choice.winner,
        "previous": "none" if choice.previous is None else choice.previous,
        "reason": choice.reason,
        "mlflow_version": describe.link(registry.version_url(choice.task, choice.winner)),
    }
