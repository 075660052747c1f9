"""All of one task for Dagster: assets, checks, jobs, sensors. The stores are the code location's resources."""

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

from pipeline_assets.assets.checks import predict_checks, train_checks
from pipeline_assets.assets.graph import TaskGraph
from pipeline_assets.assets.mlflow_run import mlflow_run
from pipeline_assets.assets.model import model_asset
from pipeline_assets.assets.output_mart import output_mart_asset
from pipeline_assets.assets.predictions import predictions_asset
from pipeline_assets.assets.prepared import prepared_assets
from pipeline_assets.assets.raw import raw_asset
from pipeline_assets.assets.sensors import files_sensor
from pipeline_assets.io_managers.features import features_io_manager
from pipeline_assets.io_managers.marts import mart_io_manager
from pipeline_assets.io_managers.predictions import predictions_io_manager
from pipeline_assets.io_managers.raw import raw_io_manager
from pipeline_assets.task.spec import STAGES, Stage


def task_definitions(graph: TaskGraph) -> dg.Definitions:
    """The graph of DESIGN: two chains that share their preparation."""
    assets = {
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
        ],
    }
    jobs = {stage: _job(graph, stage, assets[stage]) for stage in STAGES}
    return dg.Definitions(
        assets=[*assets["train"], *assets["predict"]],
        asset_checks=[*train_checks(graph), *predict_checks(graph)],
        resources={
            graph.resource("raw_io"): raw_io_manager(graph.task),
            graph.resource("features_io"): features_io_manager(graph.task),
            graph.resource("mart_io"): mart_io_manager(graph.task),
            graph.resource("predictions_io"): predictions_io_manager(),
            graph.resource("mlflow"): mlflow_run(graph.task.name),
        },
        jobs=list(jobs.values()),
        sensors=[files_sensor(graph, stage, jobs[stage]) for stage in STAGES],
    )


def _job(graph: TaskGraph, stage: Stage, assets: list[dg.AssetsDefinition]) -> UnresolvedAssetJobDefinition:
    what = {
        "train": "a labelled file becomes a model version, and the champion is chosen",
        "predict": "a file becomes predictions by the champion",
    }
    return dg.define_asset_job(
        graph.job_name(stage),
        selection=dg.AssetSelection.assets(*assets),
        description=f"{graph.task.name}, {stage}: {what[stage]}. {graph.task.description}",
        tags={"task": graph.task.name, "stage": stage},
        # Steps of one batch follow each other and start in seconds this way; a process a step costs ten times that.
        executor_def=dg.in_process_executor,
    )
