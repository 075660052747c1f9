"""Predictions: writes the output file and, beside it, the scores of all rows; reads those scores."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

import dagster as dg
import pyarrow as pa

from pipeline_assets.engine.scoring import Scoring
from pipeline_assets.errors import DataError, TransientError, located
from pipeline_assets.io_managers.errors import translate_errors
from pipeline_assets.io_managers.partition import ref_of
from pipeline_assets.io_managers.progress import Progress
from pipeline_assets.stores.files.base import Area, FileStore
from pipeline_assets.task.batch import BatchRef
from pipeline_assets.task.fingerprints import Slice
from pipeline_assets.task.spec import TaskSpec

PREFIX = "pipeline_assets."
# What the files say of the task that they were made under: one fingerprint per slice.
FINGERPRINT = "fingerprint_"
MADE_UNDER: tuple[Slice, ...] = ("contract", "features", "target", "output")


@dataclass(frozen=True)
class ScoredBatch:
    """A batch to be written.

    Attributes:
        scoring: scores the rows while they are taken.
        scores_schema: of the scores.
        provenance: metadata of the files: input uri and sha256, task, batch, model version, run id, and the
            fingerprints of the task.
        expected: how many rows will be scored.
    """

    scoring: AbstractContextManager[Scoring] = field(repr=False)
    scores_schema: pa.Schema
    provenance: dict[str, str]
    expected: int


@dataclass(frozen=True)
class StoredScores:
    """The scores of all rows of a batch, and the provenance in the file's metadata."""

    rows: pa.RecordBatchReader
    provenance: dict[str, str]


class PredictionsIOManager(dg.IOManager):
    """Writes the scores and then the output file; each appears whole or not at all."""

    def __init__(self, task: TaskSpec, files: FileStore) -> None:
        self._task, self._files = task, files

    def handle_output(self, context: dg.OutputContext, obj: ScoredBatch) -> None:
        """Scores the rows while it writes them."""
        ref = ref_of(context)
        progress = Progress(context.log.info, f"scores of {ref.batch}", obj.expected)
        metadata = {f"{PREFIX}{name}": value for name, value in obj.provenance.items()}
        with (
            translate_errors(context.step_context.previous_attempt_count),
            located(ref.facts()),
            obj.scoring as scoring,
            self._files.sink(Area.OUTPUT, ref, scoring.output_schema) as output,
            self._files.sink(Area.SCORES, ref, obj.scores_schema) as scores,
        ):
            sinks = {Area.OUTPUT: output, Area.SCORES: scores}
            for sink in sinks.values():
                sink.metadata.update(metadata)
            for area, rows in scoring.rows:
                sinks[area].write(rows)
                progress(scores.rows)
        with translate_errors(context.step_context.previous_attempt_count), located(ref.facts()):
            # The two files change one after the other. The run that wrote the output last checks here that the scores
            # are its own; if not, it writes both again, so that two simultaneous runs end as one of them.
            check_still_those_of(self._files, ref, obj.provenance)
        context.add_output_metadata(
            {
                **progress.metadata(),
                "dagster/row_count": output.rows,
                "scored_rows": scores.rows,
                "output_rows": output.rows,
                "uri": self._files.uri_of(Area.OUTPUT, ref),
                "dagster/uri": self._files.uri_of(Area.OUTPUT, ref),
                "scores_uri": self._files.uri_of(Area.SCORES, ref),
            }
        )

    def load_input(self, context: dg.InputContext) -> StoredScores:
        """The scores of the last run; refused if they were made under another description of the output."""
        ref = ref_of(context)
        with translate_errors(context.step_context.previous_attempt_count), located(ref.facts()):
            scores = read_scores(self._files, ref)
            what = "the batch was scored under another output than the task has now"
            check_scored_under(self._task, ref, scores.provenance, "output", what)

        def rows() -> Iterator[pa.RecordBatch]:
            yield from scores.rows
            # Checked before the reader commits, so that the mart ends with the scores that are stored.
            check_still_those_of(self._files, ref, scores.provenance)

        return StoredScores(pa.RecordBatchReader.from_batches(scores.rows.schema, rows()), scores.provenance)


def read_scores(files: FileStore, ref: BatchRef, columns: Sequence[str] | None = None) -> StoredScores:
    """The scores of a batch; all columns by default.

    Raises:
        DataError: the batch was not scored yet.
    """
    stored = files.read(Area.SCORES, ref)
    if stored is None:
        raise DataError("the batch has not been scored yet", do=f"materialise {ref.task}/predictions")
    provenance = {
        name.removeprefix(PREFIX): value for name, value in stored.metadata.items() if name.startswith(PREFIX)
    }
    return StoredScores(stored.batches(columns), provenance)


def check_scored_under(task: TaskSpec, ref: BatchRef, provenance: Mapping[str, str], which: Slice, what: str) -> None:
    """Refuses scores that were made under another description than the task has now.

    Args:
        which: the slice whose fingerprint is compared.
        what: the sentence of the error.

    Raises:
        DataError: names the fingerprint that was found and the one expected.
    """
    found, expected = provenance.get(f"{FINGERPRINT}{which}"), task.fingerprint(which)
    if found != expected:
        raise DataError(
            what,
            found=f"fingerprint of {which}: {found or 'none, the scores are of an earlier version of the pipeline'}",
            expected=expected,
            do=f"materialise {ref.task}/predictions for this batch again",
        )


def check_still_those_of(files: FileStore, ref: BatchRef, provenance: dict[str, str]) -> None:
    """Refuses to go on once another run has replaced these scores of the batch.

    Raises:
        TransientError: names the other run.
    """
    there = read_scores(files, ref).provenance
    if there.get("run_id") != provenance.get("run_id"):
        raise TransientError(
            "another run of this batch wrote its scores meanwhile",
            found=f"scores of run {there.get('run_id')}",
            expected=f"scores of run {provenance.get('run_id')}",
            do="run the batch again when no other run of it is under way",
        )


def predictions_io_manager(task: TaskSpec) -> dg.IOManagerDefinition:
    """The IO manager of one task, over the code location's file store."""
    return dg.IOManagerDefinition(
        resource_fn=lambda context: PredictionsIOManager(task, context.resources.files),
        required_resource_keys={"files"},
    )
