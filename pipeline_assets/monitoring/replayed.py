"""What was predicted for rows that were rejected formerly and are accepted now."""

from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from pipeline_assets.engine.replay import SCHEMA, StoredReplay
from pipeline_assets.monitoring.batch_status import predictions_made_from
from pipeline_assets.stores.files.base import Area, FileStore, StoredFile
from pipeline_assets.task.batch import BatchRef, Manifest
from pipeline_assets.task.spec import DECISION, ROW_ADDRESS

_OUTCOME, _NOW = SCHEMA.get_field_index("outcome"), SCHEMA.get_field_index("row_number_now")


@dataclass(frozen=True)
class FormerRow:
    """A formerly rejected row.

    Attributes:
        values: as :data:`pipeline_assets.engine.replay.SCHEMA` names them, then its key.
        score: its score columns, by name; empty where it has no prediction.
    """

    values: dict[str, Any]
    score: dict[str, Any]


def scores_of(files: FileStore, ref: BatchRef, now: Manifest) -> StoredFile | None:
    """The scores of a batch; ``None`` if there are none of what was checked last.

    Raises:
        DataError: the file is damaged.
    """
    scores = files.read(Area.SCORES, ref) if ref.stage == "predict" else None
    made = None if scores is None else predictions_made_from(scores.metadata)
    current = made is not None and made.sha256 == now.sha256 and made.fingerprints.items() >= _contract(now).items()
    return scores if current else None


def _contract(now: Manifest) -> dict[str, str]:
    return {"contract": now.fingerprints["contract"]}


def written(found: StoredReplay, scores: StoredFile) -> int | None:
    """How many of the rows that are accepted now the output file has; ``None`` for a task that decides nothing."""
    if DECISION not in scores.schema.names:
        return None
    accepted = _accepted(found.stored)
    return sum(
        int(np.count_nonzero(np.isin(rows.column(0).to_numpy(), accepted) & _true(rows.column(1))))
        for rows in scores.batches([ROW_ADDRESS[1], DECISION])
    )


def _accepted(stored: StoredFile) -> npt.NDArray[np.int64]:
    names = stored.schema.names
    chunks = [
        batch.column(1).filter(pc.equal(batch.column(0), "accepted")).to_numpy()
        for batch in stored.batches([names[_OUTCOME], names[_NOW]])
    ]
    return np.concatenate(chunks) if chunks else np.empty(0, dtype=np.int64)


def _true(column: pa.Array) -> npt.NDArray[np.bool_]:
    return np.asarray(pc.fill_null(column, fill_value=False).to_numpy(zero_copy_only=False), dtype=bool)


def first_rows(found: StoredReplay, scores: StoredFile | None, count: int) -> list[FormerRow]:
    """The first formerly rejected rows, by number, with their predictions.

    Args:
        found: a comparison.
        scores: of the batch, if there are any.
        count: how many rows.
    """
    own, all_names = SCHEMA.names, found.stored.schema.names
    rows = (dict(zip([*own, *all_names[len(own) :]], row.values(), strict=True)) for batch in found.stored.batches()
            for row in batch.slice(0, count).to_pylist())  # fmt: skip
    return [FormerRow(row, _score(row, scores)) for row in islice(rows, count)]


def _score(row: dict[str, Any], scores: StoredFile | None) -> dict[str, Any]:
    if scores is None or row["outcome"] != "accepted":
        return {}
    found = scores.find(ROW_ADDRESS[1], row["row_number_now"])
    return (
        {} if found is None else {name: value for name, value in found.to_pylist()[0].items() if name != ROW_ADDRESS[1]}
    )
