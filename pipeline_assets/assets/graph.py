"""The names of one task's graph: keys, partitions, groups, and what every asset of the task has in common."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import dagster as dg

from pipeline_assets.task.batch import BatchRef
from pipeline_assets.task.spec import Stage, TaskSpec

Decorator = Callable[[Callable[..., Any]], dg.AssetsDefinition]


@dataclass(frozen=True)
class TaskGraph:
    """One task as Dagster sees it.

    Attributes:
        task: what the YAML says.
        yaml: the YAML itself; a model version carries the text it was made from.
    """

    task: TaskSpec
    yaml: str

    def key(self, asset: str) -> dg.AssetKey:
        """``<task>/<asset>``."""
        return dg.AssetKey([self.task.name, asset])

    def partitions(self, stage: Stage) -> dg.DynamicPartitionsDefinition:
        """The batches of a stage."""
        return dg.DynamicPartitionsDefinition(name=self.partitions_name(stage))

    def partitions_name(self, stage: Stage) -> str:
        """``<task>_<stage>_batches``."""
        return f"{self.task.name}_{stage}_batches"

    def job_name(self, stage: Stage) -> str:
        """``<task>_train`` or ``<task>_predict``."""
        return f"{self.task.name}_{stage}"

    def ref(self, stage: Stage, batch: str) -> BatchRef:
        """The batch of a partition key."""
        return BatchRef(self.task.name, stage, batch)

    def resource(self, name: str) -> str:
        """Key of a resource that belongs to this task alone."""
        return f"{self.task.name}_{name}"

    @property
    def code_version(self) -> str:
        """Changes with the task's description, so that Dagster shows what was made from an older one."""
        return hashlib.sha256(self.task.model_dump_json().encode()).hexdigest()[:12]

    def asset(self, stage: Stage, asset: str, *, kinds: Sequence[str], description: str, **more: Any) -> Decorator:
        """``@dg.asset`` with what all assets of the task have in common.

        Args:
            asset: its name below the task.
            more: further arguments of ``@dg.asset``.
        """
        decorator: Decorator = dg.asset(
            key=self.key(asset),
            group_name=self.task.name,
            partitions_def=self.partitions(stage),
            kinds=set(kinds),
            description=description,
            owners=list(self.task.owners) or None,
            tags={"task": self.task.name, "stage": stage, **self.task.tags},
            code_version=self.code_version,
            **more,
        )
        return decorator
