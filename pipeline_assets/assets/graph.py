"""The names of one task's graph: keys, partitions, groups, and what every asset of the task has in common."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import dagster as dg

from pipeline_assets.task.batch import BatchRef, InputFolder
from pipeline_assets.task.fingerprints import SLICES, Slice, weight_fingerprint
from pipeline_assets.task.spec import Stage, TaskSpec

Decorator = Callable[[Callable[..., Any]], dg.AssetsDefinition]

# The slices of a task's description that each asset depends on. A change in how a champion is chosen makes no model
# stale: a prediction chooses again.
_RESTS_ON: Mapping[str, tuple[Slice, ...]] = {
    "train_raw": ("contract",),
    "train_features": ("contract", "features", "target"),
    "train_input_mart": ("contract", "features", "target"),
    "model": ("features", "target", "training"),
    "predict_raw": ("contract",),
    "predict_features": ("contract", "features"),
    "predict_input_mart": ("contract", "features"),
    "predictions": ("features", "output", "selection"),
    "predict_output_mart": ("output",),
    "drift": ("features",),
    "truth": ("target",),
}

# The assets that a task's monitoring.freshness is about: what comes in and what comes out.
_WATCHED = ("train_raw", "model", "predict_raw", "predictions", "predict_output_mart")
_RESTS_ON_WEIGHT = ("train_raw", "train_features")


@dataclass(frozen=True)
class TaskGraph:
    """One task as Dagster sees it.

    Attributes:
        task: what the YAML says.
        yaml: the YAML's text; a model version keeps the text it was made from.
        file: path of the YAML, so that the UI can link to it; ``None`` where Dagster itself knows.
    """

    task: TaskSpec
    yaml: str
    file: Path | None = None

    def key(self, asset: str) -> dg.AssetKey:
        """``<task>/<asset>``."""
        return dg.AssetKey([self.task.name, asset])

    def partitions(self, stage: Stage) -> dg.DynamicPartitionsDefinition:
        """The batches of a stage."""
        return dg.DynamicPartitionsDefinition(name=self.partitions_name(stage))

    def partitions_name(self, stage: Stage) -> str:
        """``<task>_<stage>_batches``."""
        return f"{self.task.name}_{stage}_batches"

    def job_name(self, stage: InputFolder) -> str:
        """``<task>_train``, ``<task>_predict`` or ``<task>_truth``."""
        return f"{self.task.name}_{stage}"

    def ref(self, stage: Stage, batch: str) -> BatchRef:
        """The batch of a partition key."""
        return BatchRef(self.task.name, stage, batch)

    def resource(self, name: str) -> str:
        """Key of a resource that belongs to this task alone."""
        return f"{self.task.name}_{name}"

    @cached_property
    def fingerprints(self) -> dict[Slice, str]:
        """The fingerprints of every slice of the task's description."""
        return {which: self.task.fingerprint(which) for which in SLICES}

    def code_version(self, asset: str) -> str:
        """Changes with the slices that an asset depends on: Dagster then shows what an older description made.

        Args:
            asset: its name below the task.
        """
        made_under = [self.fingerprints[which] for which in _RESTS_ON[asset]]
        if asset in _RESTS_ON_WEIGHT:
            made_under += weight_fingerprint(self.task, "train").values()
        return hashlib.sha256(" ".join(made_under).encode()).hexdigest()[:12]

    def asset(self, stage: Stage, asset: str, *, kinds: Sequence[str], description: str, **more: Any) -> Decorator:
        """``@dg.asset`` with what all assets of the task have in common.

        Args:
            asset: its name below the task.
            more: further arguments of ``@dg.asset``.
        """
        decorator: Decorator = dg.asset(
            **self.attributes(stage, asset, more.pop("metadata", {})),
            partitions_def=self.partitions(stage),
            kinds=set(kinds),
            description=description,
            **more,
        )
        return decorator

    def attributes(self, stage: Stage, asset: str, metadata: Mapping[str, Any]) -> dict[str, Any]:
        """What ``@dg.asset`` and ``dg.AssetOut`` both take, for one asset of the task.

        Args:
            asset: its name below the task.
            metadata: of this asset only.
        """
        return {
            "key": self.key(asset),
            "group_name": self.task.name,
            "owners": list(self.task.owners) or None,
            "tags": {"task": self.task.name, "stage": stage, **self.task.tags},
            "code_version": self.code_version(asset),
            "metadata": {**metadata, **self._source()},
            "freshness_policy": self._freshness(stage) if asset in _WATCHED else None,
        }

    def _freshness(self, stage: Stage) -> dg.FreshnessPolicy | None:
        within = self.task.monitoring.freshness.within(stage)
        return None if within is None else dg.FreshnessPolicy.time_window(fail_window=within)

    def _source(self) -> dict[str, Any]:
        if self.file is None:
            return {}
        here = dg.LocalFileCodeReference(file_path=str(self.file), line_number=1)
        return {"dagster/code_references": dg.CodeReferencesMetadataValue(code_references=[here])}
