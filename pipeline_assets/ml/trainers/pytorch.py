"""The trainer for PyTorch: a tabular network by default, or the user's own module; repeatable on the CPU."""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pipeline_assets.errors import TaskError, needs_extra
from pipeline_assets.ml.dataset import LabelledRows
from pipeline_assets.ml.trainers import network_parameters as parameters
from pipeline_assets.ml.trainers.base import Fit, OnProgress, Progress, Space
from pipeline_assets.ml.trainers.network_encoding import Encoded, learn_encoding
from pipeline_assets.ml.trainers.networks import (
    LOSSES,
    Goal,
    Watch,
    build,
    builder_of,
    goal_of,
    importance,
    sizes_of,
    weights_of,
)
from pipeline_assets.task import plugins
from pipeline_assets.task.spec import TaskSpec

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor, nn

    from pipeline_assets.ml.trainers.pytorch_network import TabularModel

_OWN = "module"
_AVERAGED = 0.999  # weight of the former mean in the mean of the weights over the steps
_ROWS_FOR_THREADS = 20_000  # below, the batches are so small that a second thread costs more than it gains
_LONGEST_STEP = 1.0  # norm of a gradient


@dataclass(frozen=True)
class PytorchModel:
    """A fitted network."""

    native: "TabularModel"
    package: str = "pytorch"
    flavor: str = "pytorch"
    # The module's class is needed to predict from plain columns; torch.export would keep the tensors' part alone.
    save_options: Mapping[str, Any] = field(default_factory=lambda: {"serialization_format": "pickle"})
    explains: bool = False

    @property
    def classes(self) -> tuple[str, ...]:
        """For ``multiclass``, the name of each column of a prediction."""
        return self.native.goal.classes

    def predict(self, frame: "pd.DataFrame") -> NDArray[np.float64]:
        """See :class:`pipeline_assets.ml.trainers.base.FittedModel`."""
        return self.native.predict(frame)

    def contributions(self, frame: "pd.DataFrame", of: int = 0) -> NDArray[np.float64]:
        """A network cannot say what a feature adds."""
        raise NotImplementedError


class PytorchTrainer:
    """Fits networks with PyTorch; see :class:`pipeline_assets.ml.trainers.base.Trainer`."""

    package: str = "pytorch"
    flavor: str = "pytorch"
    objectives: frozenset[str] = frozenset({"binary", "multiclass", "regression"})
    stops_early: bool = True

    def parameter_problems(self, given: Mapping[str, Any], objective: str = "") -> dict[str, str]:  # noqa: ARG002 - every trainer's signature
        """By name; see :func:`pipeline_assets.ml.trainers.network_parameters.problems`."""
        return parameters.problems(given, _OWN)

    def check(self, task: TaskSpec) -> None:
        """Refuses parameters that have no meaning, a device that is not there and a module that cannot be imported."""
        given = task.training.parameters
        for name, sentence in parameters.problems(given, _OWN).items():
            raise TaskError(sentence, task=task.name, found=f"{name}: {given[name]}")
        with needs_extra("torch", f"training.package: {self.package}"):
            import torch
        if given.get("device") == "cuda" and not torch.cuda.is_available():
            raise TaskError(
                "there is no GPU that PyTorch can use",
                task=task.name,
                found="device: cuda",
                do="leave training.parameters.device out to fit on the CPU",
            )
        if _OWN in given:
            builder_of(task, given[_OWN], parameters.own_arguments(given, _OWN))

    def space(self, task: TaskSpec, rows: int) -> Space:  # noqa: ARG002 - every trainer's signature
        """See :class:`pipeline_assets.ml.trainers.base.Searchable`."""
        return parameters.space(task.training.parameters, _OWN)

    def fit(
        self,
        task: TaskSpec,
        training: LabelledRows,
        stopping: LabelledRows,
        on_progress: OnProgress | None = None,
    ) -> Fit:
        """Fits with early stopping on the stopping rows and keeps the best epoch."""
        self.check(task)
        sizes = parameters.sizes(task.training.parameters, len(training))
        goal = goal_of(task, training, plugins.kind(task.target.kind).objective)
        stopping = goal.known(stopping)
        weight = stopping.weight
        watch = Watch(task.training.early_stopping_rounds, LOSSES[goal.objective])
        with _repeatable(task, sizes.device, len(training)):
            model, epochs = _epochs(task, training, goal, sizes)
            judged, labels = model.encode(stopping.features), goal.labels(stopping)
            best = {}
            for loss in epochs:
                if watch.add(goal.shown(loss), goal.loss(model.raw(judged), labels, weight)):
                    best = {name: value.clone() for name, value in model.state_dict().items()}
                if on_progress is not None and watch.due(sizes.epochs):
                    on_progress(Progress(watch.done, sizes.epochs, watch.scores()))
                if watch.over:
                    break
            model.load_state_dict(best)

            def loss_of(encoded: Encoded, rows: NDArray[np.int64]) -> float:
                return goal.loss(model.raw(encoded), labels[rows], None if weight is None else weight[rows])

            shares = importance(model.encoding, judged, loss_of, task.training.seed)
        return Fit(
            model=PytorchModel(model.cpu()),
            parameters={**task.training.parameters, **sizes.shown()},
            curves=watch.curves,
            importance=shares,
            iterations=watch.done,
            best_iteration=watch.best,
        )

    def refit(self, task: TaskSpec, rows: LabelledRows, fit: Fit) -> PytorchModel:
        """Fits all the rows for as many epochs as were best, with the sizes that the fit chose for its rows."""
        sizes = replace(parameters.sizes(fit.parameters, len(rows)), epochs=fit.best_iteration + 1)
        goal = goal_of(task, rows, plugins.kind(task.target.kind).objective)
        with _repeatable(task, sizes.device, len(rows)):
            model, epochs = _epochs(task, rows, goal, sizes)
            for _ in epochs:
                pass
        return PytorchModel(model.cpu())

    def restore(self, native: Any, classes: tuple[str, ...] = ()) -> PytorchModel:  # noqa: ARG002 - the network knows its classes
        """The model around a module that MLflow loaded."""
        return PytorchModel(native)


def _epochs(
    task: TaskSpec, rows: LabelledRows, goal: Goal, sizes: parameters.Sizes
) -> "tuple[TabularModel, Iterator[float]]":
    """A model, and an iterator that fits it: an epoch a step, each with the mean loss of its batches.

    The model's weights are a mean over the steps of the fit (Polyak and Juditsky 1992): without it the last steps
    would decide, and the learning rate would have to fall towards an epoch that is not known beforehand.
    """
    import torch
    from torch.optim.swa_utils import AveragedModel

    from pipeline_assets.ml.trainers.pytorch_network import TabularModel

    encoding = learn_encoding(rows, task, sizes.bins, sizes.rare)
    encoded = encoding.encode(rows.features)
    numbers, codes = torch.from_numpy(encoded.numbers), torch.from_numpy(encoded.codes)
    labels = torch.from_numpy(goal.labels(rows))
    weights = torch.from_numpy(weights_of(rows))
    network = _network(task, encoding, goal, sizes).to(sizes.device)
    averaged = AveragedModel(network, multi_avg_fn=_mean)
    optimiser = torch.optim.AdamW(
        network.parameters(), lr=sizes.learning_rate, weight_decay=sizes.weight_decay, fused=False
    )

    def epochs() -> Iterator[float]:
        for _ in range(sizes.epochs):
            network.train()
            total = torch.zeros((), dtype=torch.float64, device=sizes.device)
            order = torch.randperm(len(labels))
            for start in range(0, len(order), sizes.batch_size):
                chosen = order[start : start + sizes.batch_size]
                part = [each[chosen].to(sizes.device) for each in (numbers, codes, labels, weights)]
                loss = _loss(network, goal, (part[0], part[1].long()), part[2], part[3])
                optimiser.zero_grad()
                loss.backward()
                torch.nn.utils.clip_grad_norm_(network.parameters(), _LONGEST_STEP)
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

    weight = max(1 - _AVERAGED, 9 / (10 + int(steps)))
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
    threads, strict = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    devices = [torch.cuda.current_device()] if device == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(task.training.seed)
        torch.set_num_threads(wanted)
        torch.use_deterministic_algorithms(mode=device == "cpu")
        try:
            yield
        finally:
            torch.set_num_threads(threads)
            torch.use_deterministic_algorithms(mode=strict)
