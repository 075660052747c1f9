"""The networks of the TensorFlow trainer. Imports Keras: only what fits or loads such a model imports this module."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops
from numpy.typing import NDArray

from pipeline_assets.ml.trainers.network_encoding import BLOCK, Encoded, Encoding, blocks, plain, restored
from pipeline_assets.ml.trainers.networks import Goal

if TYPE_CHECKING:
    import pandas as pd

_OF_THE_HOUSE = "pipeline_assets"


@keras.saving.register_keras_serializable(package=_OF_THE_HOUSE)
class TabularModel(keras.Model):  # type: ignore[misc]  # keras has no types here
    """A network with all that it needs to predict from plain columns; what MLflow keeps.

    Attributes:
        encoding: how columns become numbers.
        goal: what the raw scores mean.
        network: takes ``[numbers, codes]``, see :class:`pipeline_assets.ml.trainers.networks.Encoded`, and gives raw
            scores of shape (rows, outputs).
    """

    def __init__(self, encoding: Encoding, goal: Goal, network: Any, **options: Any) -> None:
        super().__init__(**options)
        self.encoding = encoding
        self.goal = goal
        self.network = network
        self.built = True

    def call(self, inputs: Any, training: Any = None) -> Any:
        """Raw scores, shape (rows, outputs)."""
        return self.network(inputs, training=training)

    def raw(self, encoded: Encoded) -> NDArray[np.float64]:
        """Raw scores, shape (rows, outputs); a row's do not depend on the other rows."""
        return blocks(encoded, lambda part: self._score(tf.constant(part.numbers), tf.constant(part.codes)).numpy())

    def predict(self, x: "pd.DataFrame | Mapping[str, Any]", *_: Any, **__: Any) -> NDArray[np.float64]:
        """Predictions for a frame, or a mapping of columns, that has the features, as those of a trainer's model."""
        return self.goal.prediction(self.raw(self.encoding.encode(x)))

    @cached_property
    def _score(self) -> Any:
        numbers = tf.TensorSpec((BLOCK, self.encoding.numbers), tf.float32)
        codes = tf.TensorSpec((BLOCK, len(self.encoding.categorical)), tf.int32)

        def score(*inputs: Any) -> Any:
            with tf.device("/CPU:0"):
                return self.network(list(inputs), training=False)

        return tf.function(score, input_signature=(numbers, codes))

    def get_config(self) -> dict[str, Any]:
        """All that makes the model again, but its weights."""
        network = keras.saving.serialize_keras_object(self.network)
        return {"encoding": plain(self.encoding), "goal": plain(self.goal), "network": network}

    @classmethod
    def from_config(cls, config: Mapping[str, Any], custom_objects: Any = None) -> "TabularModel":
        """The model of :meth:`get_config`."""
        network = keras.saving.deserialize_keras_object(config["network"], custom_objects=custom_objects)
        return cls(restored(Encoding, config["encoding"]), restored(Goal, config["goal"]), network)


@keras.saving.register_keras_serializable(package=_OF_THE_HOUSE)
class TabularNetwork(keras.layers.Layer):  # type: ignore[misc]  # keras has no types here
    """The default network: piecewise linear encoding, embeddings, normalised hidden layers and a linear part beside.

    Several members are fitted side by side, each with weights of its own; the mean of their raw scores predicts.

    Args:
        categories: number of codes of each categorical feature.
        bins: number of bins of each numeric feature.
        embeddings: for each categorical feature, how many numbers stand for a code.
        hidden: units of each hidden layer.
        dropout: share of the units that a step leaves out.
        members: how many.
        start: the first bias of the raw scores, one per output.
        seed: of the first weights and of what a step leaves out.
    """

    def __init__(
        self,
        *,
        categories: Sequence[int],
        bins: Sequence[int],
        embeddings: Sequence[int],
        hidden: Sequence[int],
        dropout: float,
        members: int,
        start: Sequence[float],
        seed: int,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self._config: dict[str, Any] = {
            "categories": list(categories),
            "bins": list(bins),
            "embeddings": list(embeddings),
            "hidden": list(hidden),
            "dropout": dropout,
            "members": members,
            "start": list(start),
            "seed": seed,
        }
        self._bins = np.asarray(bins, np.float32)
        self._steps = np.arange(max(bins, default=1), dtype=np.float32)
        self._used = np.flatnonzero(self._steps[None, :] < self._bins[:, None])
        rng = np.random.default_rng(seed)
        self._embeddings = [
            keras.layers.Embedding(count, size, embeddings_initializer=_first_codes(rng, size))
            for count, size in zip(categories, embeddings, strict=True)
        ]
        width = 2 * len(bins) + sum(bins) + sum(embeddings)
        self._linear = GroupedDense(members, width, len(start))
        self._layers_ = []
        for before, after in zip((width, *hidden), hidden, strict=False):
            dense = GroupedDense(members, before, after, seed=int(rng.integers(2**31)))
            left_out = keras.layers.Dropout(dropout, seed=int(rng.integers(2**31)))
            self._layers_ += [dense, keras.layers.LayerNormalization(epsilon=1e-5), left_out]
        self._last = GroupedDense(members, (width, *hidden)[-1], len(start), start=list(start))

    def build(self, _: Any = None) -> None:
        """Makes every weight, so that those of a file find their place."""
        hidden, places = self._config["hidden"], (self._config["members"], None)
        for each in self._embeddings:
            each.build((None,))
        for each in (self._linear, self._last):
            each.build()
        for place, size in enumerate(hidden):
            dense, norm, left_out = self._layers_[3 * place : 3 * place + 3]
            dense.build()
            norm.build((*places, size))
            left_out.build((*places, size))
        self.built = True

    def members(self, inputs: Any, *, training: bool) -> Any:
        """Raw scores of each member, shape (members, rows, outputs)."""
        first = self._inputs(*inputs)[None]
        hidden = first
        for place in range(0, len(self._layers_), 3):
            dense, norm, left_out = self._layers_[place : place + 3]
            hidden = left_out(ops.gelu(norm(dense(hidden)), approximate=False), training=training)
        return self._last(hidden) + self._linear(first)

    def call(self, inputs: Any, training: Any = None) -> Any:
        """Raw scores, shape (rows, outputs)."""
        return ops.mean(self.members(inputs, training=bool(training)), axis=0)

    def get_config(self) -> dict[str, Any]:
        """The arguments of the network."""
        return dict(self._config)

    def _inputs(self, numbers: Any, codes: Any) -> Any:
        width = len(self._bins)
        scaled, quantile, missing = numbers[:, :width], numbers[:, width : 2 * width], numbers[:, 2 * width :]
        parts = [scaled, missing]
        if width:
            position = (quantile * self._bins)[:, :, None]
            bins = ops.reshape(ops.clip(position - self._steps, 0.0, 1.0), (-1, width * len(self._steps)))
            parts.append(ops.take(bins, self._used, axis=1))
        embedded = [each(codes[:, place]) for place, each in enumerate(self._embeddings)]
        return ops.concatenate([*parts, *embedded], axis=1)


@keras.saving.register_keras_serializable(package=_OF_THE_HOUSE)
class GroupedDense(keras.layers.Layer):  # type: ignore[misc]  # keras has no types here
    """Dense layers side by side: from (members or 1, rows, before) to (members, rows, after).

    Args:
        members: how many.
        before: width of the inputs.
        after: width of the outputs.
        seed: of the first weights, which are 0 without it.
        start: the first bias; 0 without it.
    """

    def __init__(
        self, members: int, before: int, after: int, *, seed: int | None = None, start: Sequence[float] = ()
    ) -> None:
        super().__init__()
        self._shape = (members, before, after)
        self._seed = seed
        self._start = start

    def build(self, _: Any = None) -> None:
        """Makes weights and biases."""
        members, before, after = self._shape
        bound = max(before, 1) ** -0.5
        first = "zeros" if self._seed is None else keras.initializers.RandomUniform(-bound, bound, seed=self._seed)
        self._weight = self.add_weight(shape=self._shape, initializer=first, name="weight")
        self._bias = self.add_weight(shape=(members, 1, after), initializer="zeros", name="bias")
        if len(self._start):
            self._bias.assign(np.broadcast_to(np.asarray(self._start, np.float32), (members, 1, after)))
        self.built = True

    def call(self, inputs: Any) -> Any:
        """Each member's inputs times its weights."""
        return ops.matmul(inputs, self._weight) + self._bias


def _first_codes(rng: np.random.Generator, size: int) -> Any:
    """The first embeddings; an unknown category says nothing until rare ones teach it."""
    seed = int(rng.integers(2**31))

    def first(shape: Any, dtype: Any = None) -> Any:
        values = np.random.default_rng(seed).normal(scale=size**-0.5, size=shape)
        values[0] = 0
        return ops.convert_to_tensor(values, dtype)

    return first
