"""Raw batches: writes the rejected rows and the record of the check; reads the batch with that result."""

from pathlib import Path

import dagster as dg

from pipeline_assets.engine.base import CheckedBatch
from pipeline_assets.engine.duckdb.accepted import RawBatch, load
from pipeline_assets.engine.record import to_metadata
from pipeline_assets.errors import ContractError, located
from pipeline_assets.io_managers.errors import translate_errors
from pipeline_assets.io_managers.partition import ref_of
from pipeline_assets.stores.files.base import Area, FileStore
from pipeline_assets.task.spec import TaskSpec


class RawIOManager(dg.IOManager):
    """Stores the result of a batch's check beside the batch; the file itself stays unchanged."""

    def __init__(self, task: TaskSpec, files: FileStore, scratch: Path) -> None:
        self._task, self._files, self._scratch = task, files, scratch

    def handle_output(self, context: dg.OutputContext, obj: CheckedBatch) -> None:
        """Writes the rejected rows; then fails the batch if no row was accepted."""
        ref = obj.manifest.ref
        with translate_errors(context.step_context.previous_attempt_count), located(ref.facts()):
            with self._files.sink(Area.REJECTED, ref, obj.rejected.schema) as sink:
                sink.metadata.update(to_metadata(obj.manifest))
                for batch in obj.rejected:
                    sink.write(batch)
            context.add_output_metadata({"rejected_rows_uri": self._files.uri_of(Area.REJECTED, ref)})
            if obj.manifest.accepted == 0:
                raise ContractError(
                    f"all {obj.manifest.rows} rows break the contract; nothing downstream was changed",
                    file=obj.manifest.uri,
                    found="; ".join(
                        f"{reason} ({rows} rows)" for reason, rows in list(obj.manifest.reasons.items())[:5]
                    ),
                    do=f"see the rejected rows with their reasons in {self._files.uri_of(Area.REJECTED, ref)}",
                )

    def load_input(self, context: dg.InputContext) -> RawBatch:
        """The batch with the result of its last check."""
        with translate_errors(context.step_context.previous_attempt_count):
            return load(self._files, self._task, ref_of(context), self._scratch)


def raw_io_manager(task: TaskSpec) -> dg.IOManagerDefinition:
    """The IO manager of one task, over the code location's file store."""
    return dg.IOManagerDefinition(
        resource_fn=lambda context: RawIOManager(task, context.resources.files, context.resources.scratch),
        required_resource_keys={"files", "scratch"},
    )
