"""Marts: writes a stream of rows to a mart; one transaction replaces a batch."""

from collections.abc import Callable

import dagster as dg
import pyarrow as pa

from pipeline_assets.errors import located
from pipeline_assets.io_managers.alongside import Alongside
from pipeline_assets.io_managers.errors import translate_errors
from pipeline_assets.io_managers.partition import ref_of
from pipeline_assets.io_managers.progress import Progress
from pipeline_assets.stores.marts.definition import MartTable
from pipeline_assets.stores.marts.drift_table import drift_mart
from pipeline_assets.stores.marts.greenplum import MartStore
from pipeline_assets.stores.marts.tables import input_mart, lineage, output_mart
from pipeline_assets.task.spec import TaskSpec


class MartIOManager(dg.IOManager):
    """Replaces a batch of mart rows, whole or not at all, and keeps the task's lineage view up to date."""

    def __init__(self, task: TaskSpec, marts: MartStore) -> None:
        self._task, self._marts = task, marts

    def handle_output(self, context: dg.OutputContext, obj: pa.RecordBatchReader | Alongside) -> None:
        """Writes the stream, or commits what a thread has written; after an error the former batch stays."""
        ref = ref_of(context)
        table = mart_of(self._task, context.asset_key.path[-1])
        progress = Progress(context.log.info, f"rows of {ref.batch} to {table.name}")
        with translate_errors(context.step_context.previous_attempt_count), located(ref.facts()):
            before = self._marts.batches(table.name) if table.keep else {}
            if isinstance(obj, Alongside):
                progress.started, progress.rows = obj.started, obj.commit()
            else:
                progress.rows = self._marts.replace(table, {table.batch_column: ref.batch}, obj, progress)
            if table.name == output_mart(self._task).name:
                self._marts.ensure_view(lineage(self._task))
            dropped = sorted(before.keys() - self._marts.batches(table.name)) if before else []
        context.add_output_metadata(
            {**progress.metadata(), "uri": self._marts.uri(table.name), "dagster/table_name": table.name}
        )
        if dropped:
            names = [mart.name for mart in (table, *table.beside)]
            said = ", ".join(dropped)
            context.log.info("dropped %s from %s: the task keeps %d batches", said, " and ".join(names), table.keep)
            context.add_output_metadata({"dropped_batches": said})

    def load_input(self, context: dg.InputContext) -> pa.RecordBatchReader:
        """The batch's rows in the order of the file."""
        ref = ref_of(context)
        table = mart_of(self._task, context.asset_key.path[-1])
        with translate_errors(context.step_context.previous_attempt_count), located(ref.facts()):
            stored = table.stored
            return self._marts.read(table.name, {stored.batch_column: ref.batch}, stored.schema.names, stored.key)


def mart_of(task: TaskSpec, asset: str) -> MartTable:
    """The table behind a mart asset."""
    tables: dict[str, Callable[[], MartTable]] = {
        "train_input_mart": lambda: input_mart(task, "train"),
        "predict_input_mart": lambda: input_mart(task, "predict"),
        "predict_output_mart": lambda: output_mart(task),
        "drift": lambda: drift_mart(task),
    }
    return tables[asset]()


def mart_io_manager(task: TaskSpec) -> dg.IOManagerDefinition:
    """The IO manager of one task, over the code location's mart store."""
    return dg.IOManagerDefinition(
        resource_fn=lambda context: MartIOManager(task, context.resources.marts),
        required_resource_keys={"marts"},
    )
