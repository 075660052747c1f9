"""MLTask: one machine-learning problem as a Dagster component, fully described by a ``defs.yaml``."""

from pathlib import Path
from typing import Any

import dagster as dg
from pydantic import BaseModel

from pipeline_assets.assets.definitions import task_definitions
from pipeline_assets.assets.graph import TaskGraph
from pipeline_assets.components.scaffolding import MLTaskScaffolder
from pipeline_assets.task.spec import TaskSpec
from pipeline_assets.task.validation import CheckedTask


@dg.scaffold_with(MLTaskScaffolder)
class MLTask(dg.Component):
    """The assets, checks, jobs and sensors of one task: from a parquet file to a parquet file.

    Args:
        task: the attributes of the YAML, read and checked.
        yaml: the YAML's text, kept with every model version that it makes.
    """

    def __init__(self, task: TaskSpec, yaml: str) -> None:
        self.task = task
        self.yaml = yaml

    @classmethod
    def get_model_cls(cls) -> type[BaseModel]:
        """The schema of ``attributes``."""
        return CheckedTask

    @classmethod
    def load(cls, attributes: Any, context: dg.ComponentLoadContext) -> "MLTask":
        """The component of a ``defs.yaml`` that Dagster has read; errors name its lines."""
        if attributes is None:
            raise dg.DagsterInvalidDefinitionError("the task has no attributes; see TaskSpec for what they are")
        folder = Path(context.path)
        return cls(attributes.in_folder(folder), (folder / "defs.yaml").read_text(encoding="utf-8"))

    @classmethod
    def get_spec(cls) -> dg.ComponentTypeSpec:
        """What ``dg list components`` shows."""
        return dg.ComponentTypeSpec(description="One ML problem: parquet in, parquet out", tags=["ml"])

    def build_defs(self, context: dg.ComponentLoadContext) -> dg.Definitions:  # noqa: ARG002 - Dagster's signature
        """The task's part of the code location; the stores come from the location's resources."""
        return task_definitions(TaskGraph(self.task, self.yaml))
