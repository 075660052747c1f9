"""The asset check that predict prepares rows as train did: a sample of training rows takes the path of predict."""

from pathlib import Path

import dagster as dg

from pipeline_assets.assets.checks import batch_of_run
from pipeline_assets.assets.graph import TaskGraph
from pipeline_assets.io_managers.errors import translate_errors
from pipeline_assets.io_managers.predictions import read_scores
from pipeline_assets.monitoring.skew import Skew, skew
from pipeline_assets.stores.features.base import FeatureStore
from pipeline_assets.stores.files.base import FileStore
from pipeline_assets.stores.registry.registry import Registry


def skew_check(graph: TaskGraph) -> dg.AssetChecksDefinition:
    """``prepared_as_in_training`` of ``<task>/predictions``.

    It is a check of the predictions, which say their version and with it the batch that the version learned from.
    """

    @dg.asset_check(
        asset=graph.key("predictions"),
        name="prepared_as_in_training",
        description="Some rows that the version learned from, checked and prepared as a batch of predict, have the"
        " features that it learned from, bit for bit",
    )
    def prepared_as_in_training(
        context: dg.AssetCheckExecutionContext,
        files: dg.ResourceParam[FileStore],
        features: dg.ResourceParam[FeatureStore],
        registry: dg.ResourceParam[Registry],
        scratch: dg.ResourceParam[Path],
    ) -> dg.AssetCheckResult:
        ref = batch_of_run(graph, "predict", context)
        with translate_errors(0):
            version = int(read_scores(files, ref).provenance["model_version"])
            made = registry.candidate(graph.task.name, version)
            if made is None or made.split is None or not made.split.batch:
                found = Skew(not_asked=f"version {version} does not say which batch it learned from")
            else:
                found = skew(files, features, graph.task, made.split, scratch, seed=f"{ref.batch} {version}")
        return result(found, version)

    return prepared_as_in_training


def result(found: Skew, version: int) -> dg.AssetCheckResult:
    """The outcome as Dagster shows it: what could not be asked passes with a note."""
    if found.not_asked:
        said = f"not asked, because {found.not_asked}"
    elif found.problem:
        said = f"predict does not prepare rows as version {version} learned them: {found.problem}"
    else:
        said = f"{found.rows} training rows of version {version} have the same features by the path of predict"
    return dg.AssetCheckResult(
        passed=not found.problem,
        severity=dg.AssetCheckSeverity.WARN if found.look else dg.AssetCheckSeverity.ERROR,
        description=said,
        metadata={
            "rows": found.rows,
            "model_version": version,
            "asked": not found.not_asked,
            "look": found.look,
            **({"features": ", ".join(found.columns)} if found.columns else {}),
        },
    )
