"""The judgements of a task's predictions, as the mart of quality keeps them, and when the champion changed."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg2.extensions import cursor as Cursor  # noqa: N812 - it is a class
from psycopg2.sql import SQL, Composable, Identifier, Literal

from pipeline_assets.mart_page.catalog import Mart
from pipeline_assets.mart_page.choices import ChoiceMade, choices_where
from pipeline_assets.stores.marts.quality import metric_columns
from pipeline_assets.task.spec import TaskSpec

_MOST_ROWS = 2_000
_CHANGES = 100
_PLAIN = (
    "model_version", "batch", "segment", "segment_value", "predictions", "judged_rows", "problem", "label_mean",
    "calibration", "matching", "truth_from", "predicted_at", "judged_at",
)  # fmt: skip


@dataclass(frozen=True)
class Judgement:
    """How good the predictions of some rows of a batch were.

    Attributes:
        segment: the feature whose rows of one value these are; empty for all rows.
        value: that value.
        predictions: predicted rows.
        rows: those of them whose label was known.
        metrics: those that have a value, by name.
        baseline: the same of the constant baseline.
        problem: why there are none.
        label_mean: share of label 1, or mean label.
        calibration: by bins, ``rows``, ``predicted`` and ``came_true``; empty for a segment.
        matching: counts, see :class:`pipeline_assets.engine.duckdb.truth.Matching`; empty for a segment.
    """

    version: int
    batch: str
    segment: str
    value: str
    predictions: int
    rows: int
    metrics: Mapping[str, float]
    baseline: Mapping[str, float]
    problem: str | None
    label_mean: float | None
    calibration: Sequence[Mapping[str, float]]
    matching: Mapping[str, int | None]
    truth_from: str
    predicted_at: datetime
    judged_at: datetime


def of_batches(cursor: Cursor, task: TaskSpec, mart: Mart, segment: str = "") -> list[Judgement]:
    """The judgements of every batch, the one predicted first first: of all rows, or by a segment's value."""
    return _judgements(cursor, task, mart, SQL("segment = {}").format(Literal(segment)))


def of_segments(cursor: Cursor, task: TaskSpec, mart: Mart, batch: str, version: int) -> list[Judgement]:
    """The judgements of every segment of a batch that a version predicted."""
    which = SQL("segment <> '' AND batch = {} AND model_version = {}").format(Literal(batch), Literal(version))
    return _judgements(cursor, task, mart, which)


def segment_names(cursor: Cursor, mart: Mart) -> list[str]:
    """The features whose values were judged apart."""
    cursor.execute(SQL("SELECT DISTINCT segment FROM {} WHERE segment <> '' ORDER BY segment").format(mart.sql))
    return [name for (name,) in cursor.fetchall()]


def champion_changes(cursor: Cursor, choices: Mart) -> list[ChoiceMade]:
    """The choices by which another version became champion, the first one left out; the earliest first."""
    another = SQL("previous_version IS NOT NULL AND model_version <> previous_version")
    return choices_where(cursor, choices, another, _CHANGES)[::-1]


def latest(found: Sequence[Judgement]) -> list[Judgement]:
    """Of each batch the judgement of the version that predicted it last."""
    by_batch: dict[tuple[str, str], Judgement] = {}
    for each in sorted(found, key=lambda one: one.predicted_at):
        by_batch.pop((each.batch, each.value), None)
        by_batch[each.batch, each.value] = each
    return list(by_batch.values())


def _judgements(cursor: Cursor, task: TaskSpec, mart: Mart, condition: Composable) -> list[Judgement]:
    metrics = {name: pair for name, pair in metric_columns(task).items() if all(each in mart.columns for each in pair)}
    columns = [*_PLAIN, *(column for pair in metrics.values() for column in pair)]
    query = SQL("SELECT {} FROM {} WHERE {} ORDER BY predicted_at DESC, batch, segment, segment_value LIMIT {}")
    cursor.execute(query.format(SQL(", ").join(map(Identifier, columns)), mart.sql, condition, Literal(_MOST_ROWS)))
    rows = [dict(zip(columns, row, strict=True)) for row in cursor.fetchall()]
    return sorted((_judgement(row, metrics) for row in rows), key=lambda each: each.predicted_at)


def _judgement(row: Mapping[str, Any], metrics: Mapping[str, tuple[str, str]]) -> Judgement:
    return Judgement(
        version=row["model_version"],
        batch=row["batch"],
        segment=row["segment"],
        value=row["segment_value"],
        predictions=row["predictions"],
        rows=row["judged_rows"],
        metrics={name: row[own] for name, (own, _) in metrics.items() if row[own] is not None},
        baseline={name: row[base] for name, (_, base) in metrics.items() if row[base] is not None},
        problem=row["problem"],
        label_mean=row["label_mean"],
        calibration=json.loads(row["calibration"] or "[]"),
        matching=json.loads(row["matching"] or "{}"),
        truth_from=row["truth_from"],
        predicted_at=row["predicted_at"],
        judged_at=row["judged_at"],
    )
