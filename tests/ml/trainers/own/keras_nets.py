"""A builder of one's own for training.package: tensorflow."""

import keras
from keras import layers


def build(numbers: int, categories: tuple[int, ...], outputs: int, width: int = 32) -> keras.Model:
    """One hidden layer over the numbers and an embedding of each category; the arguments are as for pytorch."""
    inputs = [keras.Input((numbers,)), keras.Input((len(categories),), dtype="int32")]
    embedded = [layers.Embedding(count, 4)(inputs[1][:, place]) for place, count in enumerate(categories)]
    hidden = layers.Dense(width, activation="relu")(layers.Concatenate()([inputs[0], *embedded]))
    return keras.Model(inputs, layers.Dense(outputs)(hidden))


def no_model(numbers: int, categories: tuple[int, ...], outputs: int) -> str:
    """No network at all."""
    return f"{numbers} {categories} {outputs}"
