"""Whether predict prepares rows as train did: some training rows take the path of a predict batch once more.

The sample is a few runs of neighbouring rows. Of the input and of the stored features only the row groups that hold
them are read. The rows are written to a small file that is checked and prepared as a batch of predict, and the result
must be the stored training features, bit for bit.
"""

import hashlib
import random
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from pipeline_assets.engine.duckdb.accepted import RawBatch
from pipeline_assets.engine.duckdb.check import check
from pipeline_assets.engine.record import current_record
from pipeline_assets.errors import ContractError, DataError
from pipeline_assets.ml.split import SplitRule
from pipeline_assets.monitoring.column_hashes import first_unequal
from pipeline_assets.stores.features.base import FeatureStore, feature_table
from pipeline_assets.stores.files.base import FileStore
from pipeline_assets.stores.files.local import LocalFiles
from pipeline_assets.task.batch import BatchRef, Manifest
from pipeline_assets.task.preparation import features_query
from pipeline_assets.task.spec import TaskSpec

_RUNS = 2
_ROWS_OF_RUN = 128
# A row group of somebody else's file may have millions of rows, all of which up to the sample are decoded.
_FIRST_OF_GROUP = 16_384
_BATCH = "sample"


@dataclass(frozen=True)
class Skew:
    """The outcome for one sample.

    Attributes:
        rows: that were compared; 0 if none could be.
        problem: the first row that is not as in training, with column and both values; empty if all are.
        not_asked: why nothing was compared; empty if something was.
        look: whether a person should look at that.
        columns: with any difference.
    """

    rows: int = 0
    problem: str = ""
    not_asked: str = ""
    look: bool = False
    columns: tuple[str, ...] = ()


def skew(
    files: FileStore,
    features: FeatureStore,
    task: TaskSpec,
    split: SplitRule,
    scratch: Path,
    *,
    seed: str,
) -> Skew:
    """Compares a sample of the rows that a version learned from.

    Args:
        files: hold the input.
        features: hold what training prepared from it.
        task: as it is now.
        split: of the version: names the batch that it learned from and the sha256 of the input.
        scratch: folder for the small file.
        seed: chooses the rows; the same text gives the same sample.
    """
    own = [name for name, column in task.columns.items() if column.stage == "predict"]
    if own:
        return Skew(not_asked=f"training rows have no {', '.join(own)}, which the contract of predict asks for")
    learned = BatchRef(task.name, "train", split.batch)
    try:
        record = current_record(files, task, learned)
        if record.manifest.sha256 != split.sha256:
            return Skew(
                not_asked=f"batch {learned.batch} has been replaced since the version learned from it", look=True
            )
        came, prepared = _sample(files, features, task, record.manifest, seed)
    except (ContractError, DataError) as error:
        gone = features.count(feature_table(task, "train"), learned.batch) is None
        return Skew(not_asked=f"{error.what} (batch {learned.batch} of train)", look=not gone)
    if not prepared.num_rows:
        return Skew(not_asked="no row of the sample was accepted in training")
    return _compared(task, came, prepared, scratch)


def _sample(
    files: FileStore, features: FeatureStore, task: TaskSpec, manifest: Manifest, seed: str
) -> tuple[pa.Table, pa.Table]:
    """Some accepted rows as they came, and their stored features."""
    chosen = random.Random(int.from_bytes(hashlib.sha256(seed.encode()).digest()[:8]))  # noqa: S311 - no secret
    table = feature_table(task, "train")
    came, prepared = [], []
    starts = np.cumsum([0, *manifest.rows_of_parts])
    for part, runs in sorted(_runs(chosen, manifest).items()):
        stored = files.part(manifest.parts[part])
        for place in runs:
            first, group_rows = stored.group_of(place)
            at = first + min((place - first) % _FIRST_OF_GROUP, max(group_rows - _ROWS_OF_RUN, 0))
            rows = stored.rows_from(at, _ROWS_OF_RUN)
            number = int(starts[part]) + at
            own = features.rows(table, manifest.ref.batch, number, rows.num_rows)
            came.append(rows.take(pc.subtract(own.column(0), number)))
            prepared.append(own)
    return _distinct(pa.concat_tables(came), pa.concat_tables(prepared))


def _runs(chosen: random.Random, manifest: Manifest) -> dict[int, list[int]]:
    """Places in parts, by the number of the part."""
    ends = np.cumsum(manifest.rows_of_parts)
    found: dict[int, list[int]] = {}
    for number in (chosen.randrange(manifest.rows) for _ in range(_RUNS)):
        part = int(np.searchsorted(ends, number, "right"))
        found.setdefault(part, []).append(number - int(ends[part]) + manifest.rows_of_parts[part])
    return found


def _distinct(came: pa.Table, prepared: pa.Table) -> tuple[pa.Table, pa.Table]:
    """Each row once, in the order of the batch: runs may overlap, and a key must not repeat."""
    _, first = np.unique(prepared.column(0).to_numpy(), return_index=True)
    return came.take(first), prepared.take(first)


def _compared(task: TaskSpec, came: pa.Table, prepared: pa.Table, scratch: Path) -> Skew:
    ref = BatchRef(task.name, "predict", _BATCH)
    only_train = [name for name, column in task.columns.items() if column.stage == "train"]
    scratch.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=scratch, prefix="skew-") as folder:
        path = Path(folder, task.name, "predict", f"{_BATCH}.parquet")
        path.parent.mkdir(parents=True)
        pq.write_table(came.drop_columns([name for name in only_train if name in came.column_names]), path)
        small, numbers = LocalFiles(Path(folder)), prepared.column(0).to_numpy()
        try:
            checked = check(small, task, ref, scratch, lambda _: None)
            rejected = checked.rejected.read_all()
            if rejected.num_rows:
                place, reason = rejected.column(0)[0].as_py(), rejected.column(1)[0].as_py()
                problem = f"training row {numbers[place]} is rejected by the contract of predict: {reason}"
                return Skew(len(numbers), problem)
            raw = RawBatch(checked.manifest, task, small, np.empty(0, dtype=np.int64), scratch)
            again = raw.stream(features_query).read_all()
        except (ContractError, DataError) as error:
            return Skew(len(numbers), f"the path of predict refuses training rows: {error.what}")
    return _first_difference(numbers, prepared, again, task.features.names)


def _first_difference(
    numbers: npt.NDArray[np.int64], prepared: pa.Table, again: pa.Table, names: Sequence[str]
) -> Skew:
    other: dict[str, int] = {}
    for name in names:
        at = first_unequal(prepared[name].combine_chunks(), again[name].combine_chunks())
        if at is not None:
            other[name] = at
    if not other:
        return Skew(len(numbers))
    name = min(other, key=lambda each: other[each])
    found, expected = (table[name][other[name]].as_py() for table in (again, prepared))
    problem = (
        f"training row {numbers[other[name]]}, feature {name}: {found!r} by the path of predict, {expected!r} stored"
    )
    return Skew(len(numbers), problem, columns=tuple(other))
