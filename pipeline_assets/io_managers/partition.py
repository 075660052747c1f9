"""Which batch an IO manager is asked for: asset key and partition, read back."""

from typing import cast

import dagster as dg

from pipeline_assets.task.batch import BatchRef
from pipeline_assets.task.spec import Stage


def ref_of(context: dg.OutputContext | dg.InputContext) -> BatchRef:
    """The batch behind ``<task>/<stage>_...`` and its partition; ``predictions`` belong to predict."""
    task, asset = context.asset_key.path
    stage = asset.split("_", 1)[0]
    if stage not in ("train", "predict"):
        stage = "predict"
    return BatchRef(task, cast("Stage", stage), context.asset_partition_key)
