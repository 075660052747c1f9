"""The trainer for TensorFlow (Keras 3): a tabular network by default, or the user's own; repeatable on the CPU."""

import os
import random
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline_assets.errors import SettingsError, TaskError, needs_extra
from pipeline_assets.ml.dataset import LabelledRows
from pipeline_assets.ml.trainers import network_parameters as parameters
from pipeline_assets.ml.trainers.network_encoding import Encoding, learn_encoding
from pipeline_assets.ml.trainers.network_trainer import AVERAGED, LONGEST_STEP, NetworkTrainer
from pipeline_assets.ml.trainers.networks import Goal, build, sizes_of, weights_of
from pipeline_assets.task.spec import TaskSpec

if TYPE_CHECKING:
    from pipeline_assets.ml.trainers.tensorflow_network import TabularModel

# TensorFlow and Keras read these when they are imported, by whomever: MLflow imports them to load a model. oneDNN's
# kernels round in another way from one number of threads to the next.
_ENVIRONMENT = {"KERAS_BACKEND": "tensorflow", "TF_CPP_MIN_LOG_LEVEL": "2", "TF_ENABLE_ONEDNN_OPTS": "0"}
for _name, _value in _ENVIRONMENT.items():
    os.environ.setdefault(_name, _value)

_OWN = "builder"


class TensorflowTrainer(NetworkTrainer):
    """Fits networks with Keras on TensorFlow."""

    package = "tensorflow"
    flavor = "tensorflow"
    own = _OWN
    title = "TensorFlow"

    def has_gpu(self) -> bool:
        """Whether TensorFlow can use a GPU; refuses a Keras that runs on another package."""
        with needs_extra("tensorflow", f"training.package: {self.package}"):
            import keras
            import tensorflow as tf
        if keras.backend.backend() != "tensorflow":
            raise SettingsError(
                "training.package: tensorflow needs Keras to run on TensorFlow",
                found=f"the backend {keras.backend.backend()}",
                do="unset KERAS_BACKEND, or set it to tensorflow",
            )
        return bool(tf.config.list_physical_devices("GPU"))

    def epochs(
        self, task: TaskSpec, rows: LabelledRows, goal: Goal, sizes: parameters.Sizes
    ) -> "tuple[TabularModel, Iterator[float]]":
        """See :func:`_epochs`."""
        return _epochs(task, rows, goal, sizes)

    def repeatable(self, task: TaskSpec, device: str, rows: int) -> AbstractContextManager[None]:  # noqa: ARG002 - every network's signature
        """See :func:`_repeatable`."""
        return _repeatable(task, device)

    def weights(self, model: "TabularModel") -> list[Any]:
        """A copy of the model's weights."""
        return list(model.get_weights())

    def put_weights(self, model: "TabularModel", weights: list[Any]) -> None:
        """Gives the model weights."""
        model.set_weights(weights)

    def shown(self) -> dict[str, Any]:
        """The number of threads, which TensorFlow keeps for the whole process."""
        return {"threads": _threads()}


def _epochs(
    task: TaskSpec, rows: LabelledRows, goal: Goal, sizes: parameters.Sizes
) -> "tuple[TabularModel, Iterator[float]]":
    """A model, and an iterator that fits it: an epoch a step, each with the mean loss of its batches.

    Between two epochs the model's weights are a mean over the steps of the fit (Polyak and Juditsky 1992): without it
    the last steps would decide, and the learning rate would have to fall towards an epoch that is not known beforehand.
    """
    import tensorflow as tf

    from pipeline_assets.ml.trainers.tensorflow_network import TabularModel

    encoding = learn_encoding(rows, task, sizes.bins, sizes.rare)
    encoded = encoding.encode(rows.features)
    columns = (encoded.numbers, encoded.codes, goal.labels(rows), weights_of(rows))
    network = _network(task, encoding, goal, sizes)
    learned = network.trainable_variables
    averaged = [tf.Variable(each) for each in learned]
    batches = [tf.TensorSpec((None, *each.shape[1:]), tf.as_dtype(each.dtype)) for each in columns]
    step = tf.function(_step(network, goal, sizes, averaged), input_signature=[*batches, tf.TensorSpec((), tf.float32)])
    order = np.random.default_rng(task.training.seed)

    def epochs() -> Iterator[float]:
        steps, former = 0, [each.numpy() for each in learned]
        for _ in range(sizes.epochs):
            _assign(learned, former)
            total, places = 0.0, order.permutation(len(rows))
            for start in range(0, len(places), sizes.batch_size):
                chosen = places[start : start + sizes.batch_size]
                new = max(1 - AVERAGED, 9 / (10 + steps))
                loss = step(*(tf.constant(each[chosen]) for each in columns), tf.constant(new, tf.float32))
                total, steps = total + float(loss) * len(chosen), steps + 1
            former = [each.numpy() for each in learned]
            _assign(learned, averaged)
            yield total / len(places)

    return TabularModel(encoding, goal, network), epochs()


def _network(task: TaskSpec, encoding: Encoding, goal: Goal, sizes: parameters.Sizes) -> Any:
    import keras

    from pipeline_assets.ml.trainers.tensorflow_network import TabularNetwork

    given = task.training.parameters
    if _OWN not in given:
        network = TabularNetwork(**sizes_of(encoding, sizes), start=goal.start, seed=task.training.seed)
        network.build()
        return network
    made = build(task, given[_OWN], encoding, goal.outputs, parameters.own_arguments(given, _OWN))
    if not isinstance(made, keras.Model):
        raise TaskError(
            "the task's own network is no model of Keras", task=task.name, found=type(made), expected=keras.Model
        )
    return made


def _step(network: Any, goal: Goal, sizes: parameters.Sizes, averaged: list[Any]) -> Callable[..., Any]:
    """One step of the fit: a function of numbers, codes, labels, weights and the new weights' part in the mean."""
    import keras
    import tensorflow as tf

    optimiser = keras.optimizers.AdamW(
        sizes.learning_rate, weight_decay=sizes.weight_decay, epsilon=1e-8, global_clipnorm=LONGEST_STEP
    )
    learned = network.trainable_variables
    optimiser.build(learned)

    def step(numbers: Any, codes: Any, labels: Any, weights: Any, new: Any) -> Any:
        with tf.GradientTape() as tape:
            loss = _loss(network, goal, (numbers, codes), labels, weights)
        gradients = [tf.convert_to_tensor(each) for each in tape.gradient(loss, [each.value for each in learned])]
        optimiser.apply(gradients, learned)
        for mean, current in zip(averaged, learned, strict=True):
            mean.assign_add(new * (current.value - mean))
        return loss

    return step


def _loss(network: Any, goal: Goal, inputs: tuple[Any, Any], labels: Any, weights: Any) -> Any:
    """The mean loss of a batch; each member of the default network has its own."""
    import tensorflow as tf

    from pipeline_assets.ml.trainers.tensorflow_network import TabularNetwork

    if isinstance(network, TabularNetwork):
        scores = network.members(list(inputs), training=True)
    else:
        scores = network(list(inputs), training=True)[None]
    labels = tf.broadcast_to(labels[None], tf.shape(scores)[:2])
    if goal.objective == "binary":
        losses = tf.nn.sigmoid_cross_entropy_with_logits(labels, scores[..., 0])
    elif goal.objective == "regression":
        losses = tf.math.squared_difference(labels, scores[..., 0])
    else:
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, scores)
    return tf.reduce_mean(losses * weights[None])


def _assign(variables: list[Any], values: list[Any]) -> None:
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


def _threads() -> int:
    """Threads of one operation; 0 where nobody has set them, which stands for all cores."""
    import tensorflow as tf

    return int(tf.config.threading.get_intra_op_parallelism_threads())


@contextmanager
def _repeatable(task: TaskSpec, device: str) -> Iterator[None]:
    """Seeds of the task, and algorithms that give the same result each time; afterwards the seeds are as before.

    TensorFlow keeps to such algorithms, and to its number of threads, until the process ends: where another task was
    fitted or loaded before, its number stays, which the fit's parameters say.
    """
    import keras
    import tensorflow as tf

    if not _threads():
        with suppress(RuntimeError):  # TensorFlow has begun to compute
            tf.config.threading.set_intra_op_parallelism_threads(task.training.threads)
            tf.config.threading.set_inter_op_parallelism_threads(1)

    tf.config.experimental.enable_op_determinism()
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002 - Keras seeds this generator as well
    keras.utils.set_random_seed(task.training.seed)
    try:
        with tf.device("/GPU:0" if device == "cuda" else "/CPU:0"):
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002 - as above
