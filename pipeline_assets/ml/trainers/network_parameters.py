"""Training parameters of the networks: their names and values, and defaults that suit the number of rows."""

import difflib
import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from pipeline_assets.ml.trainers.base import Range, Space

_DEVICES = ("cpu", "cuda")

_FEW, _MANY = 2_000, 50_000  # rows
_VISITS = 8_000_000  # rows that all epochs of a fit see together


def _whole(least: int) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, int) and not isinstance(value, bool) and value >= least


def _number(least: float, below: float, *, open_: bool = False) -> Callable[[Any], bool]:
    def right(value: Any) -> bool:
        plain = isinstance(value, int | float) and not isinstance(value, bool)
        return plain and (value > least if open_ else value >= least) and value < below

    return right


def _layers(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(_whole(1)(each) for each in value)


_ABOUT: Mapping[str, tuple[str, Callable[[Any], bool]]] = {
    "learning_rate": ("a number above 0", _number(0, float("inf"), open_=True)),
    "weight_decay": ("a number, at least 0", _number(0, float("inf"))),
    "batch_size": ("a whole number, at least 1", _whole(1)),
    "epochs": ("a whole number, at least 1", _whole(1)),
    "bins": ("a whole number, at least 1", _whole(1)),
    "rare": ("a whole number, at least 1", _whole(1)),
    "device": (f"one of {', '.join(_DEVICES)}", lambda value: value in _DEVICES),
    "hidden": ("a list of whole numbers, one a layer, such as [256, 256]", _layers),
    "dropout": ("a number from 0, below 1", _number(0, 1)),
    "embedding": ("a whole number, at least 1", _whole(1)),
    "members": ("a whole number, at least 1", _whole(1)),
}
_OF_THE_DEFAULT_NETWORK = ("hidden", "dropout", "embedding", "members")
_REFUSED = {
    "seed": "training.seed sets it",
    "random_seed": "training.seed sets it",
    "threads": "training.threads sets it",
    "patience": "training.early_stopping_rounds sets it",
    "early_stopping_rounds": "training.early_stopping_rounds sets it",
    "iterations": "an iteration is an epoch: set epochs",
}


@dataclass(frozen=True)
class Sizes:
    """How a network is built and fitted.

    Attributes:
        learning_rate: of AdamW.
        weight_decay: of AdamW.
        batch_size: rows per step.
        epochs: the most passes over the rows.
        bins: the most bins of a numeric feature.
        rare: a category that fewer rows have is as good as unknown.
        device: ``cpu`` or ``cuda``.
        hidden: units of each hidden layer.
        dropout: share of units that a step leaves out.
        embedding: the most numbers that stand for one category.
        members: networks that are fitted side by side; their mean predicts.
    """

    learning_rate: float
    weight_decay: float
    batch_size: int
    epochs: int
    bins: int
    rare: int
    device: str
    hidden: tuple[int, ...]
    dropout: float
    embedding: int
    members: int

    def shown(self) -> dict[str, Any]:
        """By name, as plain values; whether the fit can be repeated to the bit stands beside."""
        return {**asdict(self), "hidden": list(self.hidden), "repeatable": self.device == "cpu"}


def sizes(parameters: Mapping[str, Any], rows: int) -> Sizes:
    """The sizes for a number of training rows; the task's own parameters go before the defaults.

    The default number of epochs keeps a million rows under ten minutes on two cores.
    """
    few, many = rows < _FEW, rows >= _MANY
    chosen: dict[str, Any] = {
        "learning_rate": 2e-3,
        "weight_decay": 1e-2,
        "batch_size": 2 ** max(4, min(11, round(math.log2(max(rows / 32, 1))))),
        "epochs": max(8, min(500, _VISITS // max(rows, 1))),
        "bins": max(2, min(48, round(rows**0.5 / 4))),
        "rare": 2 if few else 5,
        "device": "cpu",
        "hidden": (32,) if few else (256, 256) if many else (128, 128),
        "dropout": 0.1,
        "embedding": 24,
        "members": 4 if few else 1,
    }
    given = {name: value for name, value in parameters.items() if name in chosen}
    chosen.update(given)
    return Sizes(**{**chosen, "hidden": tuple(chosen["hidden"])})


def space(given: Mapping[str, Any], own: str) -> Space:
    """Parameters worth trying that the task does not give; of a network of its own, those of the fit alone."""
    fit = {"learning_rate": Range(3e-4, 1e-2, log=True), "weight_decay": Range(1e-4, 1e-1, log=True)}
    network = {"dropout": Range(0.0, 0.5), "embedding": Range(4, 32, log=True)}
    worth: Space = fit if own in given else {**fit, **network}
    return {name: values for name, values in worth.items() if name not in given}


def own_arguments(parameters: Mapping[str, Any], own: str) -> dict[str, Any]:
    """The parameters that go to the user's own network: all but those of the fit.

    Args:
        parameters: the task's.
        own: the name of the parameter that names the network, ``module`` or ``builder``.
    """
    fit = {*_ABOUT, own} - {*_OF_THE_DEFAULT_NETWORK}
    return {name: value for name, value in parameters.items() if name not in fit}


def problems(parameters: Mapping[str, Any], own: str) -> dict[str, str]:
    """What is wrong with each parameter, by name, as far as it can be checked without the package.

    Args:
        parameters: the task's.
        own: as for :func:`own_arguments`. Where the task names its own network, that decides about other names.
    """
    found = {}
    for name, value in parameters.items():
        if sentence := _problem(name, value, own, named=own in parameters):
            found[name] = sentence
    return found


def _problem(name: str, value: Any, own: str, *, named: bool) -> str | None:
    if name == own:
        right = isinstance(value, str) and all(value.partition(":"))
        return None if right else f"training.parameters.{own} is no import path such as my_package.nets:Wide"
    if named and name not in _ABOUT:
        return None
    if name in _REFUSED:
        return f"training.parameters may not set {name}: {_REFUSED[name]}"
    if name not in _ABOUT:
        near = difflib.get_close_matches(name, [*_ABOUT, own], n=1, cutoff=0.5)
        hint = f"; did you mean: {near[0]}?" if near else f"; there are {', '.join((*_ABOUT, own))}"
        return f"there is no such training parameter of a network{hint}"
    if named and name in _OF_THE_DEFAULT_NETWORK:
        return None
    expected, right_value = _ABOUT[name]
    return None if right_value(value) else f"training.parameters.{name} must be {expected}"
