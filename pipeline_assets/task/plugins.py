"""Kinds and trainers by name: the built-in ones, those of installed packages (entry points), and dotted paths.

A task names them, so the language has to find them. What the language needs from them is here; what training needs is
in :mod:`pipeline_assets.ml.kinds.base` and :mod:`pipeline_assets.ml.trainers.base`. Finding one imports no large
library.
"""

import importlib
from collections.abc import Callable, Mapping
from functools import cache
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, Literal, Protocol, cast

from pipeline_assets.errors import TaskError

if TYPE_CHECKING:
    from pipeline_assets.task.spec import Target

Plugin = Literal["kind", "trainer"]

GROUPS: Mapping[Plugin, str] = {"kind": "pipeline_assets.kinds", "trainer": "pipeline_assets.trainers"}
BUILT_IN: Mapping[Plugin, Mapping[str, str]] = {
    "kind": {
        "binary": "pipeline_assets.ml.kinds.binary:Binary",
        "multiclass": "pipeline_assets.ml.kinds.multiclass:Multiclass",
        "regression": "pipeline_assets.ml.kinds.regression:Regression",
    },
    "trainer": {
        "catboost": "pipeline_assets.ml.trainers.catboost:CatBoostTrainer",
        "pytorch": "pipeline_assets.ml.trainers.pytorch:PytorchTrainer",
        "sklearn": "pipeline_assets.ml.trainers.sklearn:SklearnTrainer",
        "tensorflow": "pipeline_assets.ml.trainers.tensorflow:TensorflowTrainer",
    },
}


class KindTerms(Protocol):
    """What the language of a task needs from a kind of target.

    Attributes:
        name: the value of ``target.kind`` in a task.
        objective: that a trainer fits for it, such as ``binary``.
        label_type: DuckDB type of the label.
        score_types: DuckDB types of the score columns by name, in order.
        score_descriptions: the meaning of each score column.
        metrics: by name, whether greater is better; the first is the default.
    """

    name: str
    objective: str
    label_type: str
    score_types: Mapping[str, str]
    score_descriptions: Mapping[str, str]
    metrics: Mapping[str, bool]

    def target_problems(self, target: "Target", duckdb_type: str) -> dict[str, str]:
        """What is wrong with a target whose expression has this DuckDB type, by the target's key."""

    def label(self, target: "Target", duckdb_type: str) -> str:
        """SQL of the label over the raw columns, of type ``label_type``.

        It is null where a row has no label, and raises where the target's value can be no label. It must not use a
        function that SQL calls volatile, such as ``error``.
        """


class TrainerTerms(Protocol):
    """What the language of a task needs from a trainer.

    Attributes:
        package: its name, the value of ``training.package`` in a task.
        objectives: that it can fit.
    """

    package: str
    objectives: frozenset[str]

    def parameter_problems(self, parameters: Mapping[str, Any], objective: str) -> dict[str, str]:
        """What is wrong with ``training.parameters``, by name; imports no large library.

        Args:
            parameters: as the task gives them.
            objective: of the task's kind, one of :attr:`objectives`.
        """


def names(plugin: Plugin) -> list[str]:
    """The names that a task may use, without the dotted paths."""
    return sorted({*BUILT_IN[plugin], *(point.name for point in entry_points(group=GROUPS[plugin]))})


@cache
def find(plugin: Plugin, name: str) -> Any:
    """The kind or trainer of a name or of a dotted path ``package.module:Class``; always the same instance.

    Raises:
        TaskError: there is none, or it cannot be imported.
    """
    path = name if ":" in name else BUILT_IN[plugin].get(name)
    factory: Callable[[], Any]
    try:
        if path is not None:
            module, _, attribute = path.partition(":")
            factory = getattr(importlib.import_module(module), attribute)
        else:
            (point,) = entry_points(group=GROUPS[plugin], name=name)
            factory = point.load()
    except (ImportError, AttributeError, ValueError) as error:
        raise TaskError(
            f"there is no such {plugin}",
            found=name,
            expected=f"one of {', '.join(names(plugin))}, or a dotted path module:Class"
            + (f" ({error})" if ":" in name else ""),
            available=names(plugin),
        ) from error
    return factory()


def kind(name: str) -> KindTerms:
    """The kind of target with a name; see :func:`find`."""
    return cast("KindTerms", find("kind", name))


def first_metric(name: str) -> str:
    """The kind's first metric, which a task that names none has; empty for an unknown kind."""
    try:
        return next(iter(kind(name).metrics))
    except TaskError:  # the check of the whole task says what is wrong with the kind
        return ""


def trainer(name: str) -> TrainerTerms:
    """The trainer with a name; see :func:`find`."""
    return cast("TrainerTerms", find("trainer", name))
