"""How columns become what a network takes: numbers by quantiles, categories by codes; kept inside the model."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from pipeline_assets.ml.dataset import LabelledRows
from pipeline_assets.task.spec import TaskSpec

if TYPE_CHECKING:
    import pandas as pd

BLOCK = 1024  # rows that a network scores at once; always the same, so that no row depends on its neighbours

_QUANTILE_ROWS = 200_000  # more rows move a quantile by less than a network sees
_TAIL = 3.0  # scaled values beyond it are drawn in
_FAR = 1e9

T = TypeVar("T")


@dataclass(frozen=True)
class Encoded:
    """Rows as a network takes them.

    Attributes:
        numbers: float32, shape (rows, 3 x numeric features): first the scaled values (about -3 to 3, 0 where missing),
            then the quantiles (0 to 1, 0 where missing), then 1 where the value is missing and else 0.
        codes: int32, shape (rows, categorical features): 0 for an unknown or rare category, else its number.
    """

    numbers: NDArray[np.float32]
    codes: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.numbers)

    def take(self, rows: NDArray[np.int64]) -> "Encoded":
        """The rows at these positions."""
        return Encoded(self.numbers[rows], self.codes[rows])


@dataclass(frozen=True)
class Encoding:
    """How columns become numbers, learned from the training rows and kept inside the model.

    Attributes:
        numeric: names of the numeric features.
        categorical: names of the categorical features.
        edges: for each numeric feature, increasing values, at least two: its quantiles. They are the bins of the
            piecewise linear encoding (Gorishniy et al. 2022, On Embeddings for Numerical Features in Tabular Deep
            Learning), which the default networks compute from the quantile.
        centres: for each numeric feature, its median.
        scales: for each numeric feature, its spread, never 0.
        vocabularies: for each categorical feature, its known values; the first has the code 1.
    """

    numeric: tuple[str, ...]
    categorical: tuple[str, ...]
    edges: tuple[tuple[float, ...], ...]
    centres: tuple[float, ...]
    scales: tuple[float, ...]
    vocabularies: tuple[tuple[str, ...], ...]

    @property
    def numbers(self) -> int:
        """Number of columns of :attr:`Encoded.numbers`."""
        return 3 * len(self.numeric)

    @property
    def cardinalities(self) -> tuple[int, ...]:
        """For each categorical feature, the number of codes, with 0 for the unknown."""
        return tuple(len(each) + 1 for each in self.vocabularies)

    @property
    def bins(self) -> tuple[int, ...]:
        """For each numeric feature, the number of bins between its edges."""
        return tuple(len(each) - 1 for each in self.edges)

    def encode(self, columns: "pd.DataFrame | Mapping[str, Any]") -> Encoded:
        """The rows of a frame, or of a mapping of columns, that has all the features."""
        count = len(columns[(*self.numeric, *self.categorical)[0]])
        width = len(self.numeric)
        numbers = np.zeros((count, 3 * width), np.float32)
        for place, name in enumerate(self.numeric):
            values = np.asarray(columns[name], np.float64).reshape(count)
            missing = np.isnan(values)
            edges = np.asarray(self.edges[place])
            scaled = np.clip((values - self.centres[place]) / self.scales[place], -_FAR, _FAR)
            scaled /= np.sqrt(1 + (scaled / _TAIL) ** 2)
            quantile = np.interp(values, edges, np.linspace(0, 1, len(edges)))
            numbers[:, place] = np.where(missing, 0, scaled)
            numbers[:, width + place] = np.where(missing, 0, quantile)
            numbers[:, 2 * width + place] = missing
        codes = np.zeros((count, len(self.categorical)), np.int32)
        for place, name in enumerate(self.categorical):
            codes[:, place] = _codes(columns[name], self.vocabularies[place])
        return Encoded(numbers, codes)


def learn_encoding(rows: LabelledRows, task: TaskSpec, bins: int, rare: int) -> Encoding:
    """The encoding of some rows.

    Args:
        rows: to learn from.
        task: whose features they are.
        bins: the most bins of a numeric feature.
        rare: a category that fewer rows have is as good as unknown.
    """
    features, chosen = task.features, np.linspace(0, len(rows) - 1, min(len(rows), _QUANTILE_ROWS)).astype(np.int64)
    numeric, categorical = tuple(features.numeric), tuple(features.categorical)
    found = [_numeric(np.asarray(rows.features[name], np.float64)[chosen], bins) for name in numeric]
    return Encoding(
        numeric=numeric,
        categorical=categorical,
        edges=tuple(edges for edges, _, _ in found),
        centres=tuple(centre for _, centre, _ in found),
        scales=tuple(scale for _, _, scale in found),
        vocabularies=tuple(_vocabulary(rows.features[name], rare) for name in categorical),
    )


def blocks(encoded: Encoded, score: Callable[[Encoded], NDArray[Any]]) -> NDArray[np.float64]:
    """Raw scores, block by block; the last block is filled up.

    Kernels for another number of rows may round in another way; rows in blocks of one size give the same scores to the
    bit, whatever rows they are read with.
    """
    count = len(encoded)
    if count == 0:
        return score(_filled(encoded))[:0].astype(np.float64)
    parts = []
    for start in range(0, count, BLOCK):
        rows = slice(start, min(start + BLOCK, count))
        part = Encoded(encoded.numbers[rows], encoded.codes[rows])
        parts.append(score(_filled(part))[: len(part)])
    return np.concatenate(parts).astype(np.float64)


def plain(value: Any) -> dict[str, Any]:
    """The fields of a dataclass as lists, numbers and text, which JSON keeps exactly."""
    return {each.name: _listed(getattr(value, each.name)) for each in fields(value)}


def restored(kind: type[T], value: Mapping[str, Any]) -> T:
    """The dataclass of which :func:`plain` gave this."""
    return kind(**{name: _frozen(each) for name, each in value.items()})


def _numeric(values: NDArray[np.float64], bins: int) -> tuple[tuple[float, ...], float, float]:
    """Edges, centre and scale of one feature."""
    known = values[np.isfinite(values)]
    if len(known) == 0:
        return (0.0, 1.0), 0.0, 1.0
    edges = np.unique(np.quantile(known, np.linspace(0, 1, bins + 1)))
    low, centre, high = np.quantile(known, (0.25, 0.5, 0.75))
    scale = float(high - low) / 1.35 or float(np.std(known)) or 1.0  # 1.35: quartiles of the normal distribution
    if len(edges) == 1:
        edges = np.array([edges[0], edges[0] + 1])
    return tuple(edges.tolist()), float(centre), scale if np.isfinite(scale) else 1.0


def _vocabulary(column: "pd.Series[Any]", rare: int) -> tuple[str, ...]:
    """The values that are not rare, in order; those of too few rows teach the network what an unknown one means."""
    codes, values = column.cat.codes.to_numpy(), list(column.cat.categories)
    counts = np.bincount(codes[codes >= 0], minlength=len(values))
    return tuple(sorted(str(value) for value, count in zip(values, counts, strict=True) if count >= rare))


def _codes(column: Any, vocabulary: Sequence[str]) -> NDArray[np.int32]:
    import pandas as pd

    coded = column.array if isinstance(getattr(column, "dtype", None), pd.CategoricalDtype) else pd.Categorical(column)
    places = {value: place for place, value in enumerate(vocabulary, start=1)}
    # A missing value has the code -1: the last place.
    known = [*(places.get(str(value), 0) for value in coded.categories), 0]
    return np.take(np.asarray(known, np.int32), coded.codes)


def _filled(part: Encoded) -> Encoded:
    lacking = BLOCK - len(part)
    if lacking == 0:
        return part
    return Encoded(np.pad(part.numbers, ((0, lacking), (0, 0))), np.pad(part.codes, ((0, lacking), (0, 0))))


def _listed(value: Any) -> Any:
    return [_listed(each) for each in value] if isinstance(value, tuple) else value


def _frozen(value: Any) -> Any:
    return tuple(_frozen(each) for each in value) if isinstance(value, list | tuple) else value
