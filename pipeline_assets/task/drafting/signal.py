"""How much a column tells of the target: by its values, and by their order. Measured on a sample, without a model."""

import numpy as np
import numpy.typing as npt

from pipeline_assets.task.drafting.profile import Signal

Floats = npt.NDArray[np.float64]
Codes = npt.NDArray[np.int64]

# The most frequent classes stand for all of them.
_CLASSES = 12
# Rows of the whole sample's mean that are added to each value's own.
_PRIOR = 1.0
# Up to so many values, neighbours are put together; above, quantiles.
_FEW = 64
_QUANTILES = 32
_FINE_QUANTILES = 256


def labels(values: Codes | Floats, *, classes: bool) -> Floats:
    """What the columns are held against, of shape (rows, outputs).

    Args:
        values: codes of classes, or numbers.
        classes: whether they are codes: then one column a class. Numbers become ranks from 0 to 1, so that a heavy
            tail does not decide alone.
    """
    if not classes:
        order = np.argsort(values, kind="stable")
        ranks = np.empty(len(values))
        _, first, counts = np.unique(values[order], return_index=True, return_counts=True)
        ranks[order] = np.repeat(first + (counts - 1) / 2, counts)
        shares: Floats = (ranks / max(len(values) - 1, 1)).reshape(-1, 1)
        return shares
    codes = values.astype(np.int64)
    counts = np.bincount(codes)
    largest = np.argsort(-counts, kind="stable")[: 1 if len(counts) <= 2 else _CLASSES]  # noqa: PLR2004
    ones: Floats = (codes[:, None] == largest[None, :]).astype(np.float64)
    return ones


def explained(codes: Codes, target: Floats) -> float:
    """The share of the target's variance that the mean of each group predicts of a row that was left out of it.

    Args:
        codes: the group of each row, from 0.
        target: shape (rows, outputs).

    Returns:
        At most 1; 0 where nothing is told.
    """
    rows = len(codes)
    if rows < 2:  # noqa: PLR2004
        return 0.0
    others = np.bincount(codes)[codes] - 1
    error = total = 0.0
    for own in target.T:
        mean = (own.sum() - own) / (rows - 1)
        sums = np.bincount(codes, weights=own)[codes] - own
        error += float((((sums + _PRIOR * mean) / (others + _PRIOR) - own) ** 2).sum())
        total += float(((mean - own) ** 2).sum())
    return max(0.0, 1.0 - error / total) if total > 0 else 0.0


def of_codes(codes: Codes, target: Floats) -> Signal:
    """Of values without an order; nulls have a code of their own."""
    return Signal(by_value=explained(codes, target))


def of_nulls(missing: npt.NDArray[np.bool_], target: Floats) -> float:
    """Of being null."""
    return explained(missing.astype(np.int64), target) if missing.any() and not missing.all() else 0.0


def of_numbers(values: Floats, target: Floats) -> Signal:
    """Of numbers; those that are null are NaN."""
    missing = np.isnan(values)
    known, codes = np.unique(values[~missing], return_inverse=True)
    by_value = explained(_with_missing(codes, missing, len(known)), target)
    if len(known) <= _FEW:
        width = 2 if len(known) < 9 else 3  # noqa: PLR2004
        merged = ((codes + shift) // width for shift in range(width))
        return Signal(by_value, max(explained(_with_missing(each, missing, len(known) + 1), target) for each in merged))
    ordered, finely = (
        explained(_with_missing(_quantiles(values[~missing], many), missing, many + 1), target)
        for many in (_QUANTILES, _FINE_QUANTILES)
    )
    return Signal(by_value, ordered, max(finely, _together(values[~missing], target[~missing]) * (~missing).mean()))


def _together(values: Floats, target: Floats) -> float:
    """The squared correlation of ranks with a target of one column; 0 for several."""
    if target.shape[1] > 1 or len(values) < _FEW:
        return 0.0
    ranks = labels(values, classes=False)[:, 0]
    return float(np.corrcoef(ranks, target[:, 0])[0, 1] ** 2) if target.var() > 0 else 0.0


def _quantiles(values: Floats, many: int) -> Codes:
    edges = np.unique(np.quantile(values, np.linspace(0, 1, many + 1)[1:-1]))
    return np.searchsorted(edges, values, side="right").astype(np.int64)


def _with_missing(codes: Codes, missing: npt.NDArray[np.bool_], code: int) -> Codes:
    if not missing.any():
        return codes.astype(np.int64)
    whole = np.full(len(missing), code, dtype=np.int64)
    whole[~missing] = codes
    return whole


def skew(values: Floats) -> float:
    """The skewness of a sample; 0 where all values are equal."""
    spread = values.std()
    return float((((values - values.mean()) / spread) ** 3).mean()) if spread > 0 else 0.0


def order_share(target: Floats, columns: list[Floats]) -> float | None:
    """How much of what the values of a target tell of the columns their order tells.

    About 1 where the columns rise and fall with the target, as with ratings; about 1 / classes where the values are
    names, as of digits. ``None`` if no column has to do with the target.

    Args:
        target: whole numbers, none missing.
        columns: numbers of the same rows; NaN is missing.
    """
    _, codes = np.unique(target, return_inverse=True)
    counts = np.bincount(codes)
    between = linear = 0.0
    for column in columns:
        filled = np.where(np.isnan(column), np.nanmedian(column) if not np.isnan(column).all() else 0.0, column)
        ranks = labels(filled, classes=False)[:, 0]
        variance = ranks.var()
        if variance == 0:
            continue
        means = np.bincount(codes, weights=ranks) / counts
        told = float((counts * (means - ranks.mean()) ** 2).sum() / len(ranks) / variance)
        chance = (len(counts) - 1) / len(ranks)
        if told < chance + 3 * np.sqrt(2 * chance / len(ranks)) + 0.01:
            continue
        between += told - chance
        linear += float(np.corrcoef(ranks, target)[0, 1] ** 2)
    return min(1.0, linear / between) if between > 0 else None
