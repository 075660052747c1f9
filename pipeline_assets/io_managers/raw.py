"""Raw batches: writes the record of the check and what became of formerly rejected rows; reads the batch with it."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import dagster as dg

from pipeline_assets.engine.base import CheckedBatch
from pipeline_assets.engine.duckdb.accepted import RawBatch, load
from pipeline_assets.engine.duckdb.replay import RejectedNow, compare, rejected_now
from pipeline_assets.engine.record import CheckRecord, record_of, to_metadata
from pipeline_assets.engine.replay import OUTCOMES, Replay
from pipeline_assets.errors import ContractError, DataError, located
from pipeline_assets.io_managers.errors import translate_errors
from pipeline_assets.io_managers.partition import ref_of
from pipeline_assets.stores.files.base import Area, FileStore
from pipeline_assets.stores.marts.greenplum import MartStore
from pipeline_assets.stores.marts.rejections import rejection_rows, rejections_mart
from pipeline_assets.task.batch import Manifest
from pipeline_assets.task.spec import TaskSpec


class RawIOManager(dg.IOManager):
    """Stores the result of a batch's check beside the batch; the file itself stays unchanged."""

    def __init__(self, task: TaskSpec, files: FileStore, marts: MartStore, scratch: Path) -> None:
        self._task, self._files, self._marts, self._scratch = task, files, marts, scratch

    def handle_output(self, context: dg.OutputContext, obj: CheckedBatch) -> None:
        """Writes the rejected rows, and what became of those of the check before; then fails if no row was accepted.

        The comparison is written before the new record takes the place of the former one: a run that is killed in
        between has lost neither, and the next one compares again.
        """
        ref = obj.manifest.ref
        with translate_errors(context.step_context.previous_attempt_count), located(ref.facts()):
            former = self._former(context, obj.manifest)
            with (
                rejected_now(self._scratch) as aside,
                self._files.sink(Area.REJECTED, ref, obj.rejected.schema) as sink,
            ):
                sink.metadata.update(to_metadata(obj.manifest))
                for batch in obj.rejected:
                    sink.write(batch)
                    if former is not None:
                        aside.add(batch)
                if former is not None:
                    self._compare(context, former, obj.manifest, aside)
            rejections = rejections_mart(self._task)
            self._marts.replace(rejections, *rejection_rows(self._task, obj.manifest, context.run_id))
            context.add_output_metadata(
                {
                    "rejected_rows_uri": self._files.uri_of(Area.REJECTED, ref),
                    "rejections_table": self._marts.uri(rejections.name),
                }
            )
            if obj.manifest.accepted == 0:
                raise ContractError(
                    f"all {obj.manifest.rows} rows break the contract; nothing downstream was changed",
                    file=obj.manifest.uri,
                    found="; ".join(
                        f"{reason} ({rows} rows)" for reason, rows in list(obj.manifest.reasons.items())[:5]
                    ),
                    do=f"see the rejected rows with their reasons in {self._files.uri_of(Area.REJECTED, ref)}",
                )

    def _former(self, context: dg.OutputContext, now: Manifest) -> CheckRecord | None:
        """The record that this check replaces; ``None`` if there is none, or the same came out of it."""
        try:
            if self._files.read(Area.REJECTED, now.ref) is None:
                return None
            former = record_of(self._files, now.ref)
        except DataError as error:
            context.log.warning("what became of the formerly rejected rows is not known: %s", error)
            return None
        # A run again from the same file and contract changes nothing; what the last change brought stays on record.
        return None if former.manifest.same_as(now) else former

    def _compare(self, context: dg.OutputContext, former: CheckRecord, now: Manifest, aside: RejectedNow) -> None:
        with (
            compare(former, now, aside, files=self._files, task=self._task, spill=self._scratch) as compared,
            self._files.sink(Area.REPLAYED, now.ref, compared.rows.schema) as sink,
        ):
            sink.metadata.update(compared.replay.to_metadata())
            for batch in compared.rows:
                sink.write(batch)
        context.add_output_metadata(describe_replay(compared.replay))

    def load_input(self, context: dg.InputContext) -> RawBatch:
        """The batch with the result of its last check."""
        with translate_errors(context.step_context.previous_attempt_count):
            return load(self._files, self._task, ref_of(context), self._scratch)


def describe_replay(replay: Replay) -> dict[str, Any]:
    """What became of formerly rejected rows, for Dagster's UI: rows by outcome, and by former rule."""
    by_rule = [dg.TableRecord(asdict(each)) for each in replay.by_rule]
    columns = [dg.TableColumn("rule"), dg.TableColumn("outcome"), dg.TableColumn("rows", "int")]
    return {
        "formerly_rejected": replay.former.rejected,
        **{f"formerly_rejected_{each}": replay.outcomes[each] for each in OUTCOMES},
        "newly_rejected": replay.newly_rejected,
        **({"formerly_rejected_by_rule": dg.MetadataValue.table(by_rule, dg.TableSchema(columns))} if by_rule else {}),
    }


def raw_io_manager(task: TaskSpec) -> dg.IOManagerDefinition:
    """The IO manager of one task, over the code location's file store."""
    return dg.IOManagerDefinition(
        resource_fn=lambda context: RawIOManager(
            task, context.resources.files, context.resources.marts, context.resources.scratch
        ),
        required_resource_keys={"files", "marts", "scratch"},
    )
