"""What the trainers of neural networks share: labels and losses, when a fit stops, importance, the user's own."""

import importlib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline_assets.errors import DataError, TaskError
from pipeline_assets.ml.dataset import LabelledRows
from pipeline_assets.ml.trainers.network_encoding import Encoded, Encoding
from pipeline_assets.ml.trainers.network_parameters import Sizes
from pipeline_assets.task.spec import TaskSpec

LOSSES = {"binary": "log_loss", "multiclass": "log_loss", "regression": "rmse"}

_REPORTS = 20  # progress reports per fit, approximately
_CELLS = 400_000  # of the sample that importance permutes, over all features
_SAMPLE = (200, 2000)  # its fewest and most rows


@dataclass(frozen=True)
class Goal:
    """The labels that a network learns.

    Attributes:
        objective: ``binary``, ``multiclass`` or ``regression``.
        classes: for ``multiclass``, the name of each output.
        codes: for ``multiclass``, the code of each output in the labels of the rows.
        start: what a network without features would say, one raw score per output: its first bias.
        centre: for ``regression``, the mean of the labels; otherwise 0.
        spread: for ``regression``, their standard deviation; otherwise 1. A network learns (label - centre) / spread.
    """

    objective: str
    classes: tuple[str, ...]
    codes: tuple[int, ...]
    start: tuple[float, ...]
    centre: float
    spread: float

    @property
    def outputs(self) -> int:
        """Number of raw scores per row."""
        return len(self.start)

    def known(self, rows: LabelledRows) -> LabelledRows:
        """The rows whose class the network has."""
        if self.objective != "multiclass":
            return rows
        return rows.take(np.flatnonzero(np.isin(rows.label, self.codes)))

    def labels(self, rows: LabelledRows) -> NDArray[Any]:
        """What the network learns: int64 positions of classes for ``multiclass``, otherwise float32."""
        if self.objective == "multiclass":
            return np.searchsorted(self.codes, rows.label).astype(np.int64)
        return ((rows.label - self.centre) / self.spread).astype(np.float32)

    def prediction(self, raw: NDArray[Any]) -> NDArray[np.float64]:
        """The prediction, as a trainer's model gives it, from raw scores of shape (rows, outputs)."""
        scores = np.asarray(raw, np.float64)
        if self.objective == "binary":
            return np.asarray(0.5 * (1 + np.tanh(0.5 * scores[:, 0])))
        if self.objective == "regression":
            return np.asarray(scores[:, 0] * self.spread + self.centre)
        odds = np.exp(scores - scores.max(axis=1, keepdims=True))
        return np.asarray(odds / odds.sum(axis=1, keepdims=True))

    def loss(self, raw: NDArray[Any], labels: NDArray[Any], weight: NDArray[np.float64] | None = None) -> float:
        """The loss of raw scores: mean log loss, or the root of the mean squared error in the label's unit."""
        scores = np.asarray(raw, np.float64)
        if self.objective == "binary":
            losses = np.logaddexp(0, scores[:, 0]) - labels * scores[:, 0]
        elif self.objective == "regression":
            losses = (scores[:, 0] - labels) ** 2
        else:
            top = scores.max(axis=1)
            whole = top + np.log(np.exp(scores - top[:, None]).sum(axis=1))
            losses = whole - scores[np.arange(len(labels)), labels]
        return self.shown(float(np.average(losses, weights=weight)))

    def shown(self, loss: float) -> float:
        """A mean loss as the curves show it."""
        return float(np.sqrt(loss)) * self.spread if self.objective == "regression" else loss


def goal_of(task: TaskSpec, rows: LabelledRows, objective: str) -> Goal:
    """What a network learns from these rows.

    Raises:
        DataError: classes are to be told apart, and there is only one.
    """
    weight = np.ones(len(rows)) if rows.weight is None else rows.weight
    if objective == "regression":
        centre = float(np.average(rows.label, weights=weight))
        spread = float(np.sqrt(np.average((rows.label - centre) ** 2, weights=weight)))
        return Goal(objective, (), (), (0.0,), centre, spread if spread > 0 else 1.0)
    codes, places = np.unique(rows.label, return_inverse=True)
    if len(codes) < 2:  # noqa: PLR2004 - two classes are the fewest that can be told apart
        raise DataError("a network cannot learn from rows of one label", task=task.name, found=f"{len(rows)} rows")
    shares = np.bincount(places, weight) / weight.sum()
    if objective == "binary":
        return Goal(objective, (), (), (float(np.log(shares[1] / shares[0])),), 0.0, 1.0)
    classes = tuple(rows.classes[code] for code in codes)
    return Goal(objective, classes, tuple(codes.tolist()), tuple(np.log(shares).tolist()), 0.0, 1.0)


def weights_of(rows: LabelledRows) -> NDArray[np.float32]:
    """The weight of each row in the loss; their mean is 1, so that the learning rate means the same."""
    if rows.weight is None:
        return np.ones(len(rows), np.float32)
    return np.asarray(rows.weight / rows.weight.mean(), np.float32)


@dataclass
class Watch:
    """Which epoch of a fit is the best, and when to stop.

    Attributes:
        patience: the fit stops after so many epochs in a row that are no better.
        curves: as in :class:`pipeline_assets.ml.trainers.base.Fit`.
        best: the best epoch so far, from 0.
    """

    patience: int
    metric: str
    best: int = 0
    curves: dict[str, dict[str, list[float]]] = field(init=False)

    def __post_init__(self) -> None:
        self.curves = {"training": {self.metric: []}, "stopping": {self.metric: []}}

    @property
    def done(self) -> int:
        """Number of epochs."""
        return len(self.curves["stopping"][self.metric])

    @property
    def over(self) -> bool:
        """Whether the fit has to stop."""
        return self.done > self.best + self.patience

    def add(self, training: float, stopping: float) -> bool:
        """Notes the losses of an epoch; says whether it is the best one."""
        if not np.isfinite(stopping):
            raise DataError(
                "the network diverged: its loss on the stopping rows is no number",
                found=f"{stopping} after {self.done + 1} epochs",
                do="set a smaller training.parameters.learning_rate",
            )
        values = self.curves["stopping"][self.metric]
        self.curves["training"][self.metric].append(training)
        values.append(stopping)
        if self.done == 1 or stopping < values[self.best]:
            self.best = self.done - 1
        return self.best == self.done - 1

    def due(self, planned: int) -> bool:
        """Whether progress should be reported now."""
        return self.done % max(1, planned // _REPORTS) == 0 or self.done == planned

    def scores(self) -> dict[str, float]:
        """The latest value of every curve."""
        return {f"{side}/{name}": values[-1] for side, of in self.curves.items() for name, values in of.items()}


def importance(
    encoding: Encoding, encoded: Encoded, loss: Callable[[Encoded, NDArray[np.int64]], float], seed: int
) -> dict[str, float]:
    """How much worse a model is without each feature, in percent of all features, largest first.

    The values of one feature are permuted among a sample of the rows (Breiman 2001, Random Forests).

    Args:
        encoding: names the features.
        encoded: rows that the model has not learned from.
        loss: of a model, for changed rows and their positions in ``encoded``.
        seed: of the permutations.
    """
    names = (*encoding.numeric, *encoding.categorical)
    fewest, most = _SAMPLE
    size = min(len(encoded), max(fewest, min(most, _CELLS // len(names))))
    chosen = np.unique(np.linspace(0, len(encoded) - 1, size).astype(np.int64))
    sample, width = encoded.take(chosen), len(encoding.numeric)
    whole, rng = loss(sample, chosen), np.random.default_rng(seed)
    found = {}
    for place, name in enumerate(names):
        order = rng.permutation(len(sample))
        changed = Encoded(sample.numbers.copy(), sample.codes.copy())
        if place < width:
            changed.numbers[:, place::width] = sample.numbers[order, place::width]
        else:
            changed.codes[:, place - width] = sample.codes[order, place - width]
        found[name] = max(0.0, loss(changed, chosen) - whole)
    total = sum(found.values())
    shares = {name: 100 * value / total if total else 100 / len(names) for name, value in found.items()}
    return dict(sorted(shares.items(), key=lambda item: -item[1]))


def build(task: TaskSpec, own: str, encoding: Encoding, outputs: int, arguments: Mapping[str, Any]) -> Any:
    """The user's own network, made by what an import path names.

    It is called with ``numbers`` (columns of :attr:`Encoded.numbers`), ``categories`` (the number of codes of each
    categorical feature), ``outputs`` (raw scores per row) and the other training parameters, all by name.

    Raises:
        TaskError: there is nothing of that name, or it takes no such parameters.
    """
    import cloudpickle

    builder = builder_of(task, own, arguments)
    # MLflow keeps a model's classes by cloudpickle: those of this module then travel with the model, so that a version
    # stays as it was when the module changes, and loads where the module is not installed.
    cloudpickle.register_pickle_by_value(importlib.import_module(own.partition(":")[0]))
    return builder(numbers=encoding.numbers, categories=encoding.cardinalities, outputs=outputs, **arguments)


def builder_of(task: TaskSpec, own: str, arguments: Mapping[str, Any]) -> Callable[..., Any]:
    """What an import path ``package.module:Name`` names; see :func:`build`."""
    module, _, name = own.partition(":")
    try:
        builder: Callable[..., Any] = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise TaskError(
            "the task's own network cannot be imported", task=task.name, found=own, expected=f"module:Name ({error})"
        ) from error
    given = {"numbers": 0, "categories": (), "outputs": 1, **arguments}
    try:
        inspect.signature(builder).bind(**given)
    except TypeError as error:
        known = list(inspect.signature(builder).parameters)
        unknown = next((each for each in given if each not in known), own)
        raise TaskError(
            f"the task's own network does not take its parameters: {error}",
            task=task.name,
            found=unknown,
            available=known,
        ) from error
    return builder


def sizes_of(encoding: Encoding, sizes: Sizes) -> dict[str, Any]:
    """The arguments of a default network, beside its outputs."""
    return {
        "categories": encoding.cardinalities,
        "bins": encoding.bins,
        "hidden": sizes.hidden,
        "dropout": sizes.dropout,
        "members": sizes.members,
        "embeddings": tuple(embedding(each, sizes.embedding) for each in encoding.cardinalities),
    }


def embedding(cardinality: int, most: int) -> int:
    """Numbers that stand for a category: more where there are more categories (the rule of fastai)."""
    return int(min(most, max(2, round(1.6 * cardinality**0.56))))
