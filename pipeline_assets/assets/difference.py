"""Scores the latest predict batch with champion and challenger, before the challenger takes the alias."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow as pa

from pipeline_assets.assets import describe
from pipeline_assets.engine.duckdb.accepted import load
from pipeline_assets.errors import ContractError, DataError
from pipeline_assets.ml.dataset import scoring_frame
from pipeline_assets.ml.difference import (
    ChangedRow,
    Difference,
    Scored,
    by_decision,
    difference,
    main_features,
    sampled,
)
from pipeline_assets.ml.difference_plot import difference_plot
from pipeline_assets.ml.kinds.base import kind_of, predict
from pipeline_assets.ml.prediction import Prediction
from pipeline_assets.ml.scoring import Scorer
from pipeline_assets.ml.selection import Choice
from pipeline_assets.ml.trainers.base import FittedModel
from pipeline_assets.stores.features.base import FeatureStore, feature_table
from pipeline_assets.stores.files.base import FileStore
from pipeline_assets.stores.marts.greenplum import MartStore
from pipeline_assets.stores.marts.tables import input_mart
from pipeline_assets.task.batch import BatchRef
from pipeline_assets.task.spec import DECISION, TaskSpec

MOST_ROWS = 100_000  # of a batch that are scored; the share of flips of so many is within 0.3 % of that of all
_BATCHES = 5  # that are tried, the one loaded last first


@dataclass(frozen=True)
class Rival:
    """A version that scores: the model that predicts, which a refit has made of the evaluated one."""

    version: int
    model: FittedModel
    threshold: float


@dataclass(frozen=True)
class Stores:
    """Where the latest predict batch is."""

    files: FileStore
    features: FeatureStore
    marts: MartStore
    scratch: Path


@dataclass(frozen=True)
class Versions:
    """The two versions that are compared.

    Attributes:
        champion: the version that predicts.
        challenger: the version that would.
        importance: of features by name, for the segments.
    """

    champion: Rival
    challenger: Rival
    importance: Mapping[str, float]


@dataclass(frozen=True)
class _Sample:
    """Rows of a batch that are scored: their features; ``of`` so many."""

    ref: BatchRef
    of: int
    rows: pa.RecordBatch


def latest_difference(
    stores: Stores, task: TaskSpec, versions: Versions, say: Callable[[str], None]
) -> Difference | None:
    """The difference between two versions on the predict batch that was loaded last.

    The stored features are scored: all rows of up to 100,000, of a larger batch every n-th row. A batch whose features
    were made under another description of the task, or whose file is needed for ``output.where`` and has changed, is
    passed over; of the five batches that were loaded last, the first that can be scored is taken.

    Args:
        stores: of the code location.
        task: of both versions.
        versions: to compare.
        say: is told why a batch was passed over.

    Returns:
        ``None`` if there is no batch that both can score.

    Raises:
        TransientError: a store does not answer.
    """
    table = feature_table(task, "predict")
    for batch in list(stores.marts.batches(input_mart(task, "predict").name))[:_BATCHES]:
        count = stores.features.count(table, batch)
        if not count:
            continue
        coded = tuple(task.features.categorical)
        try:
            with stores.features.read(table, batch, coded=coded) as stream:
                rows = sampled(stream, -(-count // MOST_ROWS))
            return _difference(stores, task, versions, _Sample(BatchRef(task.name, "predict", batch), count, rows))
        except (ContractError, DataError) as why:
            say(f"versions are not compared on batch {batch}: {why}")
    return None


def _difference(stores: Stores, task: TaskSpec, versions: Versions, sample: _Sample) -> Difference:
    kind, rivals = kind_of(task), (versions.champion, versions.challenger)
    frame = scoring_frame(sample.rows, task.features)
    said = [predict(task, each.model, frame, each.threshold) for each in rivals]
    shown = [pa.record_batch(kind.columns(each), names=list(kind.score_types)) for each in said]
    found = kind.differences(*said)
    if task.output.where is not None:
        shown = _decided(stores, task, rivals, sample, said)
        found = by_decision(shown[0].column(DECISION), shown[1].column(DECISION), found.moved)
    main = main_features(list(task.features.categorical), versions.importance)
    scored = Scored(
        batch=sample.ref.batch,
        of=sample.of,
        champion=(rivals[0].version, shown[0]),
        challenger=(rivals[1].version, shown[1]),
        numbers=sample.rows.column(0).to_numpy(),
        differences=found,
        categories={name: sample.rows.column(name) for name in main},
    )
    return difference(scored)


def _decided(
    stores: Stores, task: TaskSpec, rivals: Sequence[Rival], sample: _Sample, said: Sequence[Prediction]
) -> list[pa.RecordBatch]:
    """The scores of both versions with the decision of ``output.where``, which may use columns of the raw file."""
    raw = load(stores.files, task, sample.ref, stores.scratch)
    with raw.rows() as by_number:
        scorers = [
            Scorer(by_number.contract, sample.ref.batch, partial(_said, prediction), rival.version)
            for rival, prediction in zip(rivals, said, strict=True)
        ]
        came = None
        if scorers[0].deciding_columns:
            taken = by_number.take(sample.rows.column(0).to_numpy(), scorers[0].deciding_columns)
            came = pa.Table.from_batches(list(taken)).combine_chunks().to_batches()[0]
    scored = [scorer.score(sample.rows, came).scores for scorer in scorers]
    return [each.select(each.schema.names[1:]) for each in scored]


def _said(prediction: Prediction, _rows: pa.RecordBatch) -> Prediction:
    return prediction


def plots_of(task: TaskSpec, choice: Choice) -> dict[str, bytes]:
    """The picture of the choice's difference, if it has one, as a PNG image by its name."""
    if choice.difference is None:
        return {}
    return {"difference": difference_plot(choice.difference, f"{task.name}, {choice.difference.batch}")}


def metadata_of(task: TaskSpec, choice: Choice) -> dict[str, Any]:
    """Metadata of what a challenger changes in the latest predict batch."""
    found = choice.difference
    if found is None:
        return {}
    segments = [dg.TableRecord({**asdict(each), "share": each.flipped / each.rows}) for each in found.segments]
    changed = [dg.TableRecord(_flat(each)) for each in found.changed]
    return {
        "flip_share": found.share,
        "difference": found.sentence,
        **({"difference_by_segment": dg.MetadataValue.table(segments)} if segments else {}),
        **({"most_changed_rows": dg.MetadataValue.table(changed)} if changed else {}),
        **{name: describe.picture(png, name) for name, png in plots_of(task, choice).items()},
    }


def _flat(row: ChangedRow) -> dict[str, Any]:
    of = {"champion": row.champion, "challenger": row.challenger}
    scores = {f"{name} of {whose}": value for whose, each in of.items() for name, value in each.items()}
    return {"row_number": row.row_number, "flipped": row.flipped, **scores}
