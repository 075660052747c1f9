from pathlib import Path

import dagster as dg

from pipeline_assets.operations.jobs import operation_jobs
from pipeline_assets.resources import resources
from pipeline_assets.settings import Settings


def test_dagster_loads_all_operations_together(tmp_path: Path) -> None:
    stores = resources(Settings.from_env({}, tmp_path))
    location = dg.Definitions(jobs=operation_jobs(), resources=dict(stores), executor=dg.in_process_executor)
    dg.Definitions.validate_loadable(location)
    for job in operation_jobs():  # the CLI configures an op by the name of its job
        assert [node.name for node in job.nodes] == [job.name]
