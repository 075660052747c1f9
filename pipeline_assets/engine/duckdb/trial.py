"""What a file would do under a contract: rows rejected by rule, columns, nulls of features. Nothing is stored."""

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from pipeline_assets.engine.base import CheckedBatch, Inputs, Progress
from pipeline_assets.engine.duckdb.check import check
from pipeline_assets.engine.duckdb.failures import computable, feature_failure
from pipeline_assets.engine.duckdb.scan import Scan, scan
from pipeline_assets.engine.record import examples
from pipeline_assets.errors import DataError, located
from pipeline_assets.task.batch import BatchRef, Manifest
from pipeline_assets.task.contract import of_file
from pipeline_assets.task.preparation import AcceptedRows
from pipeline_assets.task.spec import Stage, TaskSpec

_RULES = 20  # rules that get an example


@dataclass(frozen=True)
class Trial:
    """What a file would do.

    Attributes:
        manifest: the counts, as the check of a run would have them.
        examples: for each of the rules broken most, a row with its reason.
        nulls: of each feature among the accepted rows: null, or the category of null. Empty for a task with a function
            of its own, which is not called here.
        problem: why a feature cannot be computed, which would stop a run; ``None`` if all can.
    """

    manifest: Manifest
    examples: Mapping[str, tuple[int, str]]
    nulls: Mapping[str, int]
    problem: str | None


def try_file(files: Inputs, task: TaskSpec, ref: BatchRef, spill: Path, progress: Progress) -> Trial:
    """Checks a file as a run would, and computes the features of its accepted rows, without storing anything.

    Raises:
        ContractError: the file as a whole breaks the contract.
    """
    checked = check(files, task, ref, spill, progress)
    rows: list[npt.NDArray[np.int64]] = []
    rejected_rows = _rows(checked, rows)
    found = examples(rejected_rows, list(checked.manifest.reasons)[:_RULES])
    deque(rejected_rows, maxlen=0)  # the rest, for the numbers of all rejected rows
    rejected = np.concatenate([np.empty(0, dtype=np.int64), *rows])
    with located(ref.facts()), files.open(files.find(ref)) as paths, scan(paths, spill) as view:
        if len(rejected):
            view.mark("rejected", rejected)
        contract = of_file(task, ref.stage, view.columns)
        accepted = AcceptedRows(contract, ref.batch, any_rejected=len(rejected) > 0)
        nulls, problem = _features(view, accepted)
    return Trial(checked.manifest, found, nulls, problem)


def likely_stage(files: Inputs, task: TaskSpec, ref: BatchRef, spill: Path) -> Stage:
    """The stage whose file this is: train if it has every column that only train files have.

    Raises:
        ContractError: the file cannot be read.
    """
    alone = {name for name, column in task.columns.items() if column.stage == "train"}
    with located(ref.facts()), files.open(files.find(ref)) as paths, scan(paths, spill) as view:
        return "train" if alone <= set(view.columns) else "predict"


def _rows(checked: CheckedBatch, rows: list[npt.NDArray[np.int64]]) -> Iterator[pa.RecordBatch]:
    """The rejected rows as they come; their numbers are added to ``rows``."""
    for batch in checked.rejected:
        rows.append(batch.column(0).to_numpy())
        yield batch


def _features(view: Scan, accepted: AcceptedRows) -> tuple[dict[str, int], str | None]:
    """Nulls of each feature, or why one cannot be computed."""
    features = accepted.contract.task.features.all
    if accepted.contract.task.preparation is not None:
        return {}, None
    counted = ", ".join(f"count_if((\n{each.expression}\n) is null)" for each in features.values())
    try:
        with computable("a feature"):
            (row,) = view.connection.sql(f"select {counted} from ({accepted.typed})").fetchall()
    except DataError as error:
        return {}, str(feature_failure(view, accepted) or error)
    return dict(zip(features, row, strict=True)), None
