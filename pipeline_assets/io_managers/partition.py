"""Which batch an IO manager works on, by asset key and partition."""

from typing import cast

import dagster as dg

from pipeline_assets.task.batch import BatchRef
from pipeline_assets.task.spec import Stage


def ref_of(context: dg.OutputContext | dg.InputContext) -> BatchRef:
    """The batch of an asset ``<task>/<stage>_...`` and a partition; ``predictions`` belong to predict."""
    task, asset = context.asset_key.path
    stage = asset.split("_", 1)[0]
    if stage not in ("train", "predict"):
        stage = "predict"
    return BatchRef(task, cast("Stage", stage), context.asset_partition_key)
