"""The drift of a batch as its mart keeps it; and any train batch beside any predict batch, by samples of both."""

import json
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from psycopg2.extensions import cursor as Cursor  # noqa: N812 - it is a class
from psycopg2.sql import SQL, Literal

from pipeline_assets.mart_page.catalog import Column, Mart, Role
from pipeline_assets.mart_page.sampled import Sample, sample
from pipeline_assets.monitoring.drift import Bin, Difference, comparable, compare
from pipeline_assets.stores.marts.sql_types import arrow_type
from pipeline_assets.task import plugins
from pipeline_assets.task.spec import TaskSpec


@dataclass(frozen=True)
class ColumnShift:
    """A column of a predict batch beside the same of other rows.

    Attributes:
        verdict: ``ok``, ``warn`` or ``fail``, by the task's limits; ``None`` where none was given.
        warn_from: distance from which on the task warned of the column.
        fail_from: distance from which on the task failed the run.
    """

    column: Column
    difference: Difference
    verdict: str | None = None
    warn_from: float | None = None
    fail_from: float | None = None


@dataclass(frozen=True)
class Kept:
    """The drift of a batch as the mart keeps it: all rows beside those that evaluated its version, the worst first."""

    batch: str
    version: int
    columns: tuple[ColumnShift, ...]


@dataclass(frozen=True)
class Point:
    """The distance of one column in one batch, and the one from which on it warns, chance included."""

    batch: str
    distance: float
    warn_from: float | None


@dataclass(frozen=True)
class Drift:
    """Columns of two batches compared, the worst first."""

    train: Sample
    predict: Sample
    columns: tuple[ColumnShift, ...]


def drift(
    cursor: Cursor,
    train: Mart,
    predict: Mart,
    train_batch: str,
    predict_batch: str,
    *,
    roles: Collection[Role] = ("raw", "feature"),
) -> Drift | None:
    """The columns that both marts have, compared by :mod:`~pipeline_assets.monitoring.drift`, the worst first.

    ``None`` if one of the batches has no row.

    Args:
        cursor: of the marts.
        train: the mart of rows with labels.
        predict: the mart of rows to predict.
        train_batch: in the first.
        predict_batch: in the second.
        roles: which columns; no other is read.
    """
    shared = [
        column
        for name, column in train.columns.items()
        if column.role in roles
        and name in predict.columns
        and predict.columns[name].kind == column.kind
        and not column.json
        and comparable(arrow_type(column.kind))
    ]
    before = sample(cursor, train, train_batch, shared)
    after = sample(cursor, predict, predict_batch, shared)
    if before is None or after is None or not before.rows or not after.rows:
        return None
    shifts = [
        ColumnShift(column, compare(before.columns[column.name], after.columns[column.name])) for column in shared
    ]
    return Drift(before, after, tuple(sorted(shifts, key=lambda shift: -shift.difference.distance)))


def kept(cursor: Cursor, mart: Mart, task: TaskSpec, batch: str) -> Kept | None:
    """The drift of a batch; ``None`` where the mart does not have it: its version keeps no reference."""
    query = SQL(
        "SELECT role, column_name, distance, chance, row_count, reference_rows, bins, verdict,"
        " warn_from, fail_from, model_version FROM {} WHERE batch = {} ORDER BY distance DESC, role, column_name"
    )
    cursor.execute(query.format(mart.sql, Literal(batch)))
    rows = cursor.fetchall()
    if not rows:
        return None
    shifts = []
    for role, name, distance, chance, count, before, bins, verdict, warn, fail, _ in rows:
        found = Difference(distance, chance, before, count, tuple(map(_bin, json.loads(bins))))
        shifts.append(ColumnShift(_column(task, role, name), found, verdict, warn, fail))
    return Kept(batch, rows[0][-1], tuple(shifts))


def history(cursor: Cursor, mart: Mart, role: str, name: str) -> list[Point]:
    """The distance of one column in every batch, in the order of batches."""
    query = SQL(
        "SELECT batch, distance, CASE WHEN warn_from IS NOT NULL THEN greatest(warn_from, chance) END FROM {}"
        " WHERE role = {} AND column_name = {} ORDER BY batch"
    )
    cursor.execute(query.format(mart.sql, Literal(role), Literal(name)))
    return [Point(*row) for row in cursor.fetchall()]


def _column(task: TaskSpec, role: Role, name: str) -> Column:
    if role == "feature":
        feature = task.features.all.get(name)
        said = "" if feature is None else _meaning(feature.description, feature.expression)
        return Column(name, "", said, role, key=False)
    return Column(name, "", plugins.kind(task.target.kind).score_descriptions.get(name, ""), role, key=False)


def _meaning(description: str, expression: str) -> str:
    return f"{description} ({expression})" if description else expression


def _bin(found: dict[str, Any]) -> Bin:
    bounds = {name: found.get(name) for name in ("low", "high", "value")}
    return Bin(found["kind"], found["reference"], found["batch"], **bounds)
