"""Makes a version once more from its record: the task as it was, the same input and training. No store changes."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline_assets.engine.base import Progress as RowsDone
from pipeline_assets.engine.duckdb.accepted import RawBatch
from pipeline_assets.engine.duckdb.check import check
from pipeline_assets.errors import ContractError, DataError, PipelineError, StoreError, TaskError
from pipeline_assets.ml.dataset import TrainingFrame, training_frame
from pipeline_assets.ml.kinds.base import kind_of
from pipeline_assets.ml.search import OnTrial
from pipeline_assets.ml.split import VALIDATION
from pipeline_assets.ml.trainers.base import OnProgress
from pipeline_assets.ml.training import Trained, train
from pipeline_assets.monitoring.column_hashes import ColumnHashes
from pipeline_assets.monitoring.version_record import PREDICTIONS, RECORD, TASK, VersionRecord, Watched, from_bytes
from pipeline_assets.stores.files.base import FileStore, Found
from pipeline_assets.stores.registry.registry import Registry
from pipeline_assets.stores.registry.training import Training
from pipeline_assets.task.batch import BatchRef, Manifest
from pipeline_assets.task.loading import parsed, tasks_of
from pipeline_assets.task.preparation import features_query
from pipeline_assets.task.spec import TaskSpec


class CannotBeAskedError(PipelineError):
    """A version cannot be made again here; the text says why."""


@dataclass(frozen=True)
class Past:
    """A version as its training left it in the registry.

    Attributes:
        name: of the task.
        version: its number.
        run_id: of the training's MLflow run.
        training: the record of that run.
        task_yaml: the description of the task; ``None`` if the run has none.
        record: ``None`` for a version of former code.
        predictions: of the validation rows, as :func:`.version_record.predictions_table` makes them; likewise.
    """

    name: str
    version: int
    run_id: str
    training: Training
    task_yaml: str | None
    record: VersionRecord | None
    predictions: pa.Table | None

    @property
    def ref(self) -> BatchRef:
        """The batch that it learned from."""
        return BatchRef(self.name, "train", self.training.batch or "")


def past_of(registry: Registry, name: str, version: int) -> Past:
    """A version by its number.

    Raises:
        PipelineError: there is no such version.
        CannotBeAskedError: it does not say what it was made from.
    """
    known = {each.version: each for each in registry.candidates(name)}
    if version not in known:
        raise PipelineError(
            f"there is no version {version} of {name}",
            task=name,
            found=version,
            available=[str(each) for each in known],
        )
    run_id = known[version].run_id
    if not run_id:
        raise CannotBeAskedError("no training is known: the version was registered without an MLflow run")
    training = registry.training(run_id)
    if training.batch is None or training.input_sha256 is None:
        raise CannotBeAskedError("its MLflow run does not say which input it learned from")
    record, predictions = registry.read_text(run_id, RECORD), registry.read_bytes(run_id, PREDICTIONS)
    try:
        return Past(
            name,
            version,
            run_id,
            training,
            task_yaml=registry.read_text(run_id, TASK),
            record=None if record is None else VersionRecord.from_text(record),
            predictions=None if predictions is None else from_bytes(predictions),
        )
    except DataError as error:
        raise CannotBeAskedError(_line(error)) from error


@contextmanager
def task_of(past: Past, scratch: Path) -> Iterator[TaskSpec]:
    """The task as it was; a function of its own in a file is the text that is kept.

    Args:
        past: the version.
        scratch: folder for that file, which is there as long as the block.

    Raises:
        CannotBeAskedError: the description is not kept, or this code reads it in another way.
    """
    if past.task_yaml is None:
        raise CannotBeAskedError("the task's description as it was is not kept with the version")
    scratch.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=scratch, prefix="reproduce-") as folder:
        own = past.record.own_function if past.record is not None else {}
        place = own.get("function", "").partition(":")[0]
        if place.endswith(".py"):
            (Path(folder) / place).write_text(own["source"], encoding="utf-8")
        try:
            found = [each for each in tasks_of(parsed(Path(folder), past.task_yaml)) if each.name == past.name]
        except TaskError as error:
            raise CannotBeAskedError(f"the task as it was cannot be used by this code: {_line(error)}") from error
        if not found:
            raise CannotBeAskedError(f"the kept description has no task {past.name}")
        _check_fingerprints(past, found[0])
        yield found[0]


def _check_fingerprints(past: Past, task: TaskSpec) -> None:
    known = {**(past.training.fingerprints or {}), **(past.record.fingerprints if past.record is not None else {})}
    other = [which for which in ("contract", "features", "target", "training") if _differs(known, task, which)]
    if other:
        raise CannotBeAskedError(
            f"the description as it was has other fingerprints here ({', '.join(other)}): this code reads it in another"
            " way, or the task's own function is another one"
        )


def _differs(known: "dict[str, str]", task: TaskSpec, which: str) -> bool:
    return which in known and known[which] != task.fingerprint(which)  # type: ignore[arg-type] # one of the slices


def input_of(files: FileStore, past: Past) -> Found:
    """The version's input, found by its name in the store.

    Raises:
        CannotBeAskedError: there is no such batch.
        ContractError: its content is another one; names both sha256.
    """
    try:
        found = files.find(past.ref)
    except ContractError as error:
        raise CannotBeAskedError(f"the input is gone: {_line(error)}") from error
    with files.fetch(found) as fetched:
        sha256 = fetched.sha256
    if sha256 != past.training.input_sha256:
        raise ContractError(
            f"the input is not the one that version {past.version} learned from",
            **past.ref.facts(),
            file=found.uri,
            found=f"sha256 {sha256}",
            expected=f"sha256 {past.training.input_sha256}",
            do="put the former file back in its place",
        )
    return found


@dataclass(frozen=True)
class Again:
    """A training that was repeated.

    Attributes:
        task: as it was.
        manifest: of the check.
        trained: the models and their evaluation.
        hashes: of the prepared rows.
        labelled: numbers of the labelled rows.
        frame: those rows.
    """

    task: TaskSpec
    manifest: Manifest
    trained: Trained
    hashes: ColumnHashes
    labelled: npt.NDArray[np.int64]
    frame: TrainingFrame = field(repr=False)
    raw: RawBatch = field(repr=False)

    def features(self) -> pa.RecordBatchReader:
        """The prepared rows, computed once more."""
        return self.raw.stream(features_query)

    @cached_property
    def validation(self) -> npt.NDArray[np.int64]:
        """The numbers of the rows that evaluated, in the order of their predictions."""
        rows = self.frame.rows
        side = self.trained.split.side_of(rows, kind_of(self.task).strata(rows))
        numbers: npt.NDArray[np.int64] = self.labelled[side == VALIDATION]
        return numbers


def made_again(
    files: FileStore,
    past: Past,
    task: TaskSpec,
    scratch: Path,
    *,
    on_rows: RowsDone = lambda _: None,
    on_progress: OnProgress | None = None,
    on_trial: OnTrial | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> Again:
    """Checks and prepares the input and trains; nothing is written but temporary files.

    Args:
        files: hold the input.
        past: the version.
        task: of :func:`task_of`.
        scratch: folder for data that does not fit in memory.
        on_rows: called with the rows checked so far.
        on_progress: as in :func:`pipeline_assets.ml.training.train`.
        on_trial: likewise.
        say: called with a sentence about each step.

    Raises:
        CannotBeAskedError: the batch or the description cannot be trained on here.
    """
    try:
        checked = check(files, task, past.ref, scratch, on_rows)
        rejected = [batch.column(0).to_numpy() for batch in checked.rejected]
        numbers = np.concatenate(rejected) if rejected else np.empty(0, dtype=np.int64)
        say(f"checked: {checked.manifest.accepted} rows accepted, {checked.manifest.rejected} rejected")
        raw = RawBatch(checked.manifest, task, files, numbers, scratch)
        watched = Watched(task)
        frame = training_frame(watched.passing(raw.stream(features_query)), task)
        say(f"prepared: {watched.hashing.rows} rows")
        trained = train(
            task, frame, on_progress, on_trial=on_trial, batch=past.ref.batch, sha256=checked.manifest.sha256
        )
    except StoreError:
        raise
    except PipelineError as error:
        raise CannotBeAskedError(f"training from the record fails here: {_line(error)}") from error
    return Again(task, checked.manifest, trained, watched.hashing.found, watched.labelled, frame, raw)


def _line(error: PipelineError) -> str:
    """An error on one line."""
    return "; ".join(part.strip() for part in str(error).splitlines())
