"""A working pipeline in a folder of a test's own: embedded stores, its own Dagster instance."""

from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa
import pyarrow.parquet as pq
import yaml

from pipeline_assets.assets.definitions import task_definitions
from pipeline_assets.assets.graph import TaskGraph
from pipeline_assets.cli.run import failures, run_batch
from pipeline_assets.operations.jobs import operation_jobs
from pipeline_assets.resources import Resources, resources
from pipeline_assets.settings import Settings
from pipeline_assets.task.batch import BatchRef, InputFolder, input_ref
from pipeline_assets.task.loading import COMPONENT
from pipeline_assets.task.spec import Stage, TaskSpec


class Workbench:
    """Puts files in, runs batches, and looks at what is there afterwards."""

    def __init__(
        self, root: Path, task: TaskSpec, instance: dg.DagsterInstance, env: dict[str, str] | None = None
    ) -> None:
        self.root = root
        self.settings = Settings.from_env(env or {}, root)
        self.instance = instance
        self.use(task)

    def use(self, task: TaskSpec) -> None:
        """Goes on with another description of the task, as after an edit of its YAML."""
        self.task = task
        self.stores: Resources = resources(self.settings)
        text = yaml.safe_dump({"type": COMPONENT, "attributes": task.model_dump(mode="json")})
        shared = dg.Definitions(resources=dict(self.stores), executor=dg.in_process_executor)
        self.defs = dg.Definitions.merge(shared, task_definitions(TaskGraph(task, text)))

    def path(self, stage: InputFolder, batch: str) -> Path:
        path = Path(self.settings.data_uri) / self.task.name / stage / f"{batch}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def put(self, stage: InputFolder, batch: str, table: pa.Table) -> Path:
        path = self.path(stage, batch)
        pq.write_table(table, path)
        return path

    def ref(self, stage: Stage, batch: str) -> BatchRef:
        return BatchRef(self.task.name, stage, batch)

    def run(self, stage: InputFolder, batch: str) -> dg.ExecuteInProcessResult:
        """Runs the job; its outcome is the test's to judge."""
        quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
        return run_batch(self.defs, self.instance, input_ref(self.task.name, stage, batch), quiet)

    def succeed(self, stage: InputFolder, batch: str) -> dg.ExecuteInProcessResult:
        """Runs the job, which must succeed with every check."""
        result = self.run(stage, batch)
        assert result.success, failures(result)
        assert failures(result) == []
        return result

    def fail(self, stage: InputFolder, batch: str) -> str:
        """Runs the job, which must fail; gives what it says."""
        result = self.run(stage, batch)
        assert not result.success
        return "\n".join(failures(result))

    def operate(self, name: str, **config: object) -> dg.ExecuteInProcessResult:
        """Runs a job of the operations; its outcome is the test's to judge."""
        shared = dg.Definitions(resources=dict(self.stores), jobs=operation_jobs())
        run_config = {"ops": {name: {"config": config}}, "loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
        job = shared.resolve_job_def(name)
        return job.execute_in_process(run_config=run_config, instance=self.instance, raise_on_error=False)

    def reproduced(self, version: int) -> dict[str, Any]:
        """Makes a version again; the row of the mart that says how that went."""
        result = self.operate("reproduce", task=self.task.name, version=version)
        (row,) = self.mart("reproductions", run_id=result.run_id)
        good = row["verdict"] in ("identical", "equal within tolerance")
        assert result.success == good, failures(result)
        assert good or row["because"] in "".join(failures(result))
        return row

    def make(self, asset: str, batch: str) -> dg.ExecuteInProcessResult:
        """Makes one asset of the job train alone, its outcome is the test's to judge."""
        job = self.defs.resolve_job_def(f"{self.task.name}_train")
        return job.execute_in_process(
            run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
            instance=self.instance,
            partition_key=batch,
            asset_selection=[dg.AssetKey([self.task.name, asset])],
            raise_on_error=False,
        )

    def metadata(self, result: dg.ExecuteInProcessResult, asset: str) -> dict[str, Any]:
        """Metadata of one asset's materialisation in a run."""
        key = dg.AssetKey([self.task.name, asset])
        (found,) = [
            event.step_materialization_data.materialization
            for event in result.get_asset_materialization_events()
            if event.asset_key == key
        ]
        return {name: value.value for name, value in found.metadata.items()}

    def mart(self, name: str, **where: object) -> list[dict[str, Any]]:
        """Rows of a mart table or view, as plain values."""
        rows: list[dict[str, Any]] = self.stores["marts"].read(f"{self.task.name}_{name}", where).read_all().to_pylist()
        return rows

    def output(self, batch: str) -> pa.Table:
        return pq.read_table(Path(self.settings.data_uri) / self.task.name / "predictions" / f"{batch}.parquet")

    def rejected(self, stage: Stage, batch: str) -> pa.Table:
        return pq.read_table(Path(self.settings.data_uri) / self.task.name / "rejected" / stage / f"{batch}.parquet")

    def everything(self) -> dict[str, Any]:
        """What is there of every batch, to be compared before and after."""
        data = Path(self.settings.data_uri)
        kept = [path for path in sorted(data.rglob("*.parquet")) if path.parts[-2] not in ("train", "predict")]
        kept += sorted((self.settings.state / "features").rglob("*.parquet"))
        names = ("train_input", "predict_input", "predict_output")
        return {
            **{str(path): path.read_bytes() for path in kept if "rejected" not in path.parts},
            **{name: self.mart(name) for name in names if self.stores["marts"].count(f"{self.task.name}_{name}", {})},
        }
