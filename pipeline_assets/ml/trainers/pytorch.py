"""The trainer for PyTorch: a tabular network by default, or the user's own module; repeatable on the CPU."""

import sys
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Any, ClassVar

from pipeline_assets.errors import TaskError, needs_extra
from pipeline_assets.ml.dataset import LabelledRows
from pipeline_assets.ml.trainers import network_parameters as parameters
from pipeline_assets.ml.trainers.network_encoding import learn_encoding
from pipeline_assets.ml.trainers.network_trainer import AVERAGED, LONGEST_STEP, NetworkModel, NetworkTrainer
from pipeline_assets.ml.trainers.networks import Goal, build, sizes_of, weights_of
from pipeline_assets.task.spec import TaskSpec

if TYPE_CHECKING:
    from torch import Tensor, nn

    from pipeline_assets.ml.trainers.pytorch_network import TabularModel

_OWN = "module"
_ROWS_FOR_THREADS = 20_000  # below, the batches are so small that a second thread costs more than it gains


class PytorchTrainer(NetworkTrainer):
    """Fits networks with PyTorch."""

    package = "pytorch"
    flavor = "pytorch"
    own = _OWN
    title = "PyTorch"
    # The module's class is needed to predict from plain columns; torch.export would keep the tensors' part alone.
    save_options: ClassVar[Mapping[str, Any]] = {"serialization_format": "pickle"}

    def has_gpu(self) -> bool:
        """Whether PyTorch can use a GPU."""
        with needs_extra("torch", f"training.package: {self.package}"):
            import torch
        return bool(torch.cuda.is_available())

    def epochs(
        self, task: TaskSpec, rows: LabelledRows, goal: Goal, sizes: parameters.Sizes
    ) -> "tuple[TabularModel, Iterator[float]]":
        """See :func:`_epochs`."""
        return _epochs(task, rows, goal, sizes)

    def repeatable(self, task: TaskSpec, device: str, rows: int) -> AbstractContextManager[None]:
        """See :func:`_repeatable`."""
        return _repeatable(task, device, rows)

    def weights(self, model: "TabularModel") -> "dict[str, Tensor]":
        """A copy of the module's state."""
        return {name: value.clone() for name, value in model.state_dict().items()}

    def put_weights(self, model: "TabularModel", weights: "dict[str, Tensor]") -> None:
        """Gives the module a state."""
        model.load_state_dict(weights)

    def restore(self, native: Any, classes: tuple[str, ...] = ()) -> NetworkModel:
        """The model around a module, which predicts on the CPU wherever it was fitted."""
        return super().restore(native.cpu(), classes)


def _epochs(
    task: TaskSpec, rows: LabelledRows, goal: Goal, sizes: parameters.Sizes
) -> "tuple[TabularModel, Iterator[float]]":
    """A model, and an iterator that fits it: an epoch a step, each with the mean loss of its batches.

    The model's weights are a mean over the steps of the fit (Polyak and Juditsky 1992): without it the last steps
    would decide, and the learning rate would have to fall towards an epoch that is not known beforehand.
    """
    import torch
    from torch.optim.swa_utils import AveragedModel

    from pipeline_assets.ml.trainers.pytorch_network import AdamW, TabularModel

    encoding = learn_encoding(rows, task, sizes.bins, sizes.rare)
    encoded = encoding.encode(rows.features)
    numbers, codes = torch.from_numpy(encoded.numbers), torch.from_numpy(encoded.codes)
    labels = torch.from_numpy(goal.labels(rows))
    weights = torch.from_numpy(weights_of(rows))
    network = _network(task, encoding, goal, sizes).to(sizes.device)
    averaged = AveragedModel(network, multi_avg_fn=_mean)
    optimiser = AdamW(network, sizes.learning_rate, sizes.weight_decay)

    def epochs() -> Iterator[float]:
        for _ in range(sizes.epochs):
            network.train()
            total = torch.zeros((), dtype=torch.float64, device=sizes.device)
            order = torch.randperm(len(labels))
            for start in range(0, len(order), sizes.batch_size):
                chosen = order[start : start + sizes.batch_size]
                part = [each[chosen].to(sizes.device) for each in (numbers, codes, labels, weights)]
                loss = _loss(network, goal, (part[0], part[1].long()), part[2], part[3])
                network.zero_grad()
                loss.backward()
                torch.nn.utils.clip_grad_norm_(network.parameters(), LONGEST_STEP)
                optimiser.step()
                averaged.update_parameters(network)
                total += loss.detach() * len(chosen)
            yield float(total) / len(order)

    return TabularModel(encoding, goal, averaged.module), epochs()


def _network(task: TaskSpec, encoding: Any, goal: Goal, sizes: parameters.Sizes) -> "nn.Module":
    from torch import nn

    from pipeline_assets.ml.trainers.pytorch_network import TabularNetwork

    given = task.training.parameters
    if _OWN not in given:
        return TabularNetwork(**sizes_of(encoding, sizes), start=goal.start)
    made = build(task, given[_OWN], encoding, goal.outputs, parameters.own_arguments(given, _OWN))
    if not isinstance(made, nn.Module):
        raise TaskError(
            "the task's own network is no module of PyTorch", task=task.name, found=type(made), expected=nn.Module
        )
    return made


def _loss(
    network: "nn.Module", goal: Goal, inputs: "tuple[Tensor, Tensor]", labels: "Tensor", weights: "Tensor"
) -> "Tensor":
    """The mean loss of a batch; each member of the default network has its own."""
    from torch.nn import functional

    from pipeline_assets.ml.trainers.pytorch_network import TabularNetwork

    if isinstance(network, TabularNetwork):
        scores = network.members(*inputs)
        labels, weights = (each.expand(len(scores), -1).flatten() for each in (labels, weights))
        scores = scores.flatten(0, 1)
    else:
        scores = network(*inputs)
    if goal.objective == "binary":
        losses = functional.binary_cross_entropy_with_logits(scores[:, 0], labels, reduction="none")
    elif goal.objective == "regression":
        losses = functional.mse_loss(scores[:, 0], labels, reduction="none")
    else:
        losses = functional.cross_entropy(scores, labels, reduction="none")
    return (losses * weights).mean()


def _mean(averaged: "list[Tensor]", current: "list[Tensor]", steps: "Tensor | int") -> None:
    """The step of the mean; at first it takes more of the new weights, for the first ones were random."""
    import torch

    weight = max(1 - AVERAGED, 9 / (10 + int(steps)))
    torch._foreach_lerp_(averaged, current, weight)


@contextmanager
def _repeatable(task: TaskSpec, device: str, rows: int) -> Iterator[None]:
    """Seed, threads and algorithms of the task; afterwards as they were."""
    import torch

    if "tensorflow" in sys.modules:
        # PyTorch would load its compiler, which a network of this kind does not need. Both contain LLVM, and the
        # process ends where it is loaded after TensorFlow.
        sys.modules.setdefault("triton", None)  # type: ignore[arg-type] # what stands for "cannot be imported"
    wanted = task.training.threads if rows >= _ROWS_FOR_THREADS else 1
    threads, strict = torch.get_num_threads(), torch.get_deterministic_debug_mode()
    devices = [torch.cuda.current_device()] if device == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(task.training.seed)
        torch.set_num_threads(wanted)
        # use_deterministic_algorithms does the same, but it imports PyTorch's compiler.
        torch.set_deterministic_debug_mode("error" if device == "cpu" else "default")
        try:
            yield
        finally:
            torch.set_num_threads(threads)
            torch.set_deterministic_debug_mode(strict)
