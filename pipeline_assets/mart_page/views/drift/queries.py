"""The columns of a train batch and of a predict batch, compared by samples of both; and the scores of some batches."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from psycopg2.extensions import cursor as Cursor  # noqa: N812 - it is a class

from pipeline_assets.mart_page.catalog import Column, Mart, Role
from pipeline_assets.mart_page.sampled import Sample, sample
from pipeline_assets.mart_page.scored import Scores
from pipeline_assets.monitoring import drift as psi
from pipeline_assets.stores.marts.sql_types import arrow_type


@dataclass(frozen=True)
class ColumnShift:
    """A column, train against predict."""

    column: Column
    stability: psi.Stability


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
        and psi.comparable(arrow_type(column.kind))
    ]
    before = sample(cursor, train, train_batch, shared)
    after = sample(cursor, predict, predict_batch, shared)
    if before is None or after is None or not before.rows or not after.rows:
        return None
    shifts = [
        ColumnShift(column, psi.compare(before.columns[column.name], after.columns[column.name])) for column in shared
    ]
    return Drift(before, after, tuple(sorted(shifts, key=lambda shift: -shift.stability.index)))


def score_shifts(found: Sequence[Scores]) -> list[psi.Stability | None]:
    """How far the scores of each batch are from those of the first one; ``None`` for the first one itself."""
    first = found[0].values if found else None
    return [None if place == 0 else psi.compare(first, each.values) for place, each in enumerate(found)]
