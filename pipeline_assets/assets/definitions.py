"""The Dagster definitions of one task: assets, checks, jobs, sensors. The stores are the code location's resources."""

from collections.abc import Mapping
from typing import TypeVar

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from pipeline_assets.assets.checks import predict_checks, train_checks
from pipeline_assets.assets.checks_drift import drift_checks
from pipeline_assets.assets.checks_skew import skew_check
from pipeline_assets.assets.checks_truth import truth_checks
from pipeline_assets.assets.drift import drift_asset
from pipeline_assets.assets.graph import TaskGraph
from pipeline_assets.assets.mlflow_run import mlflow_run
from pipeline_assets.assets.model import model_asset
from pipeline_assets.assets.output_mart import output_mart_asset
from pipeline_assets.assets.predictions import predictions_asset
from pipeline_assets.assets.prepared import prepared_assets
from pipeline_assets.assets.raw import raw_asset
from pipeline_assets.assets.sensors import files_sensor
from pipeline_assets.assets.truth import truth_asset
from pipeline_assets.io_managers.features import features_io_manager
from pipeline_assets.io_managers.marts import mart_io_manager
from pipeline_assets.io_managers.predictions import predictions_io_manager
from pipeline_assets.io_managers.raw import raw_io_manager
from pipeline_assets.task.batch import InputFolder

Asset = TypeVar("Asset", bound=dg.AssetsDefinition)


def task_definitions(graph: TaskGraph) -> dg.Definitions:
    """The graph of DESIGN: two chains that share their preparation, and the truth of what the second one predicted."""
    own = {
        graph.resource("raw_io"): raw_io_manager(graph.task),
        graph.resource("features_io"): features_io_manager(graph.task),
        graph.resource("mart_io"): mart_io_manager(graph.task),
        graph.resource("predictions_io"): predictions_io_manager(graph.task),
        graph.resource("mlflow"): mlflow_run(graph.task.name),
    }
    assets: dict[InputFolder, list[dg.AssetsDefinition]] = {
        "train": [
            raw_asset(graph, "train"),
            prepared_assets(graph, "train"),
            model_asset(graph),
        ],
        "predict": [
            raw_asset(graph, "predict"),
            prepared_assets(graph, "predict"),
            predictions_asset(graph),
            output_mart_asset(graph),
            drift_asset(graph),
        ],
        "truth": [truth_asset(graph)],
    }
    checks = (
        *train_checks(graph),
        *predict_checks(graph),
        skew_check(graph),
        *drift_checks(graph),
        *truth_checks(graph),
    )
    jobs = {stage: _job(graph, stage, made) for stage, made in assets.items()}
    return dg.Definitions(
        assets=[_with_own(asset, own) for made in assets.values() for asset in made],
        asset_checks=[_with_own(check, own) for check in checks],
        jobs=list(jobs.values()),
        sensors=[files_sensor(graph, stage, jobs[stage]) for stage in assets],
    )


def _with_own(asset: Asset, own: Mapping[str, dg.ResourceDefinition]) -> Asset:
    """An asset or check with the task's own resources bound to it.

    If these were resources of the code location, Dagster would compare every asset with the resources of every task:
    half a minute with 200 tasks. ``AssetsDefinition.with_resources`` needs the shared ones bound as well.
    """
    return type(asset)(**{**asset.get_attributes_dict(), "resource_defs": own})


def _job(graph: TaskGraph, stage: InputFolder, assets: list[dg.AssetsDefinition]) -> UnresolvedAssetJobDefinition:
    what: dict[InputFolder, str] = {
        "train": "a labelled file becomes a model version, and the champion is chosen",
        "predict": "a file becomes predictions by the champion",
        "truth": "labels that came later judge the predictions of a batch",
    }
    return dg.define_asset_job(
        graph.job_name(stage),
        selection=dg.AssetSelection.assets(*assets),
        description=f"{graph.task.name}, {stage}: {what[stage]}. {graph.task.description}",
        tags={"task": graph.task.name, "stage": stage},
        # Steps of a batch run one after another in one process; one process per step would start ten times as slowly.
        executor_def=dg.in_process_executor,
    )
