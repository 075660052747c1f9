"""Raw: fingerprints the file, checks it against its contract, and stores rejected rows with their reasons."""

from pathlib import Path

import dagster as dg

from pipeline_assets.assets import describe
from pipeline_assets.assets.graph import TaskGraph
from pipeline_assets.engine.base import CheckedBatch
from pipeline_assets.engine.duckdb.check import check
from pipeline_assets.io_managers.errors import translate_errors
from pipeline_assets.io_managers.progress import Progress
from pipeline_assets.stores.files.base import FileStore
from pipeline_assets.task.spec import Stage


def raw_asset(graph: TaskGraph, stage: Stage) -> dg.AssetsDefinition:
    """``<task>/<stage>_raw``."""

    @graph.asset(
        stage,
        f"{stage}_raw",
        kinds=["parquet", "s3"],
        description=f"The {stage} file as it came: fingerprinted, checked against the contract; rejected rows"
        f" are written aside with their reasons. {graph.task.description}",
        metadata={**describe.column_schema(graph.task, stage)},
        io_manager_key=graph.resource("raw_io"),
    )
    def raw(
        context: dg.AssetExecutionContext, files: dg.ResourceParam[FileStore], scratch: dg.ResourceParam[Path]
    ) -> dg.Output[CheckedBatch]:
        ref = graph.ref(stage, context.partition_key)
        progress = Progress(context.log.info, f"check of {ref.batch}")
        with translate_errors(context.retry_number):
            checked = check(files, graph.task, ref, scratch, progress, run_id=context.run.run_id)
        # A run started by CLI or GraphQL may name a batch that is no partition yet; its file exists, so we add it.
        context.instance.add_dynamic_partitions(graph.partitions_name(stage), [ref.batch])
        context.set_data_version(context.asset_key, dg.DataVersion(checked.manifest.sha256))
        return dg.Output(checked, metadata={**progress.metadata(), **describe.manifest(checked.manifest)})

    return raw
