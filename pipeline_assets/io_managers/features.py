"""Features: writes a stream of prepared rows to the feature store, and reads it."""

from contextlib import AbstractContextManager

import dagster as dg
import pyarrow as pa

from pipeline_assets.errors import located
from pipeline_assets.io_managers.errors import translate_errors
from pipeline_assets.io_managers.partition import ref_of
from pipeline_assets.io_managers.progress import Progress
from pipeline_assets.stores.features.base import FeatureStore, FeatureTable, feature_table
from pipeline_assets.task.batch import BatchRef
from pipeline_assets.task.spec import TaskSpec


class FeaturesIOManager(dg.IOManager):
    """Replaces a batch of features, whole or not at all."""

    def __init__(self, task: TaskSpec, features: FeatureStore) -> None:
        self._task, self._features = task, features

    def handle_output(self, context: dg.OutputContext, obj: AbstractContextManager[pa.RecordBatchReader]) -> None:
        """Writes the stream that the block gives; after an error the former batch stays."""
        ref = ref_of(context)
        table = self._table(ref)
        progress = Progress(context.log.info, f"features of {ref.batch} to {table.name}")
        with translate_errors(context.step_context.previous_attempt_count), located(ref.facts()), obj as rows:
            progress.rows = self._features.replace(table, ref.batch, rows, progress)
        context.add_output_metadata(
            {**progress.metadata(), "uri": self._features.uri(table, ref.batch), "dagster/table_name": table.name}
        )

    def load_input(self, context: dg.InputContext) -> pa.RecordBatchReader:
        """The batch's rows in the order of the file."""
        ref = ref_of(context)
        with translate_errors(context.step_context.previous_attempt_count), located(ref.facts()):
            return self._features.read(self._table(ref), ref.batch, coded=tuple(self._task.features.categorical))

    def _table(self, ref: BatchRef) -> FeatureTable:
        return feature_table(self._task, ref.stage)


def features_io_manager(task: TaskSpec) -> dg.IOManagerDefinition:
    """The IO manager of one task, over the code location's feature store."""
    return dg.IOManagerDefinition(
        resource_fn=lambda context: FeaturesIOManager(task, context.resources.features),
        required_resource_keys={"features"},
    )
