"""How a version is made: the key ``training`` of a task."""

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Discriminator, Field, Tag, model_validator

from pipeline_assets.task.spec_model import SpecModel, Sql

DEFAULT_FOLDS = 5


def label_name(value: Any) -> str:
    """A label of a YAML as text: a boolean in DuckDB's spelling."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _label_names(value: Any) -> Any:
    return {label_name(name): each for name, each in value.items()} if isinstance(value, dict) else value


class Validation(SpecModel):
    """Which labelled rows evaluate a model and which stop its fit; the rest fit it.

    Attributes:
        split: ``time``: rows with the latest values of ``column`` evaluate, the latest of the rest stop; ``share``: a
            share of the rows by a hash of their key, so that a key is on the same side in every batch; ``folds``: for
            small data, every row evaluates one of several models, which has not learned from it; ``fraction`` has no
            meaning then.
        fraction: share of the rows that evaluate.
        stopping_fraction: share of the others that stop the fit.
        folds: how many models are fitted and judged; 5 by default.
    """

    split: Literal["time", "share", "folds"] = "share"
    column: str | None = None
    fraction: float = Field(default=0.2, gt=0, lt=1)
    stopping_fraction: float = Field(default=0.15, gt=0, lt=1)
    folds: int | None = Field(default=None, ge=2, le=20)

    @model_validator(mode="after")
    def _column_goes_with_time(self) -> Self:
        if (self.split == "time") != (self.column is not None):
            raise ValueError("split: time needs column, the raw column to order by; the others take none")
        if self.folds is not None and self.split != "folds":
            raise ValueError("folds: N goes with split: folds")
        return self


class Search(SpecModel):
    """A search for the trainer's parameters, before the fit that is evaluated; those that the task gives stay.

    Attributes:
        trials: fits on the training rows, judged on the stopping rows; the first has the task's parameters alone.
        timeout_minutes: no trial begins later. How many were done by then depends on the machine: a training with a
            timeout may not be repeatable.
    """

    trials: int = Field(default=20, ge=1)
    timeout_minutes: float | None = Field(default=None, gt=0)


class Gain(SpecModel):
    """What a decision about one row is worth, by its outcome; negative numbers are costs."""

    true_positive: float = 0
    false_positive: float = 0
    true_negative: float = 0
    false_negative: float = 0

    @model_validator(mode="after")
    def _worth_something(self) -> Self:
        if self.true_positive == self.false_negative and self.false_positive == self.true_negative:
            raise ValueError("every decision is worth the same, so no threshold is better than another")
        return self


class ThresholdGoal(SpecModel):
    """What the threshold of a version is chosen for, on the rows that stopped its fit: one of these.

    Attributes:
        goal: ``f1``: the best F1, the harmonic mean of precision and recall.
        precision: the highest recall with at least this precision.
        recall: the highest precision with at least this recall.
        gain: the largest sum of what the decisions are worth.
    """

    goal: Literal["f1"] | None = None
    precision: float | None = Field(default=None, gt=0, le=1)
    recall: float | None = Field(default=None, gt=0, le=1)
    gain: Gain | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        given = [name for name in type(self).model_fields if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"give one of {', '.join(type(self).model_fields)}; found {', '.join(given) or 'none'}")
        return self


def _threshold_form(value: Any) -> str:
    return "goal" if isinstance(value, dict | ThresholdGoal) else "number"


AnyThreshold = Annotated[
    Annotated[float, Field(ge=0, le=1), Tag("number")] | Annotated[ThresholdGoal, Tag("goal")],
    Discriminator(_threshold_form),
]


_Factor = Annotated[float, Field(ge=0, allow_inf_nan=False)]
_ByLabel = Annotated[dict[str, _Factor], Field(min_length=1), BeforeValidator(_label_names)]
ClassWeights = Literal["balanced"] | _ByLabel


class Training(SpecModel):
    """How a version is made. Seed and threads are fixed: the same batch gives the same model.

    Attributes:
        package: the trainer: a name, or a dotted path ``module:Class``.
        metric: one of the kind's, the first of them by default; it stops the fit and decides between versions.
        refit: after the evaluation, fit all labelled rows with the best number of iterations, and register that
            model; ``false`` registers the evaluated one.
        weight: the weight of a row in the fit, over the raw columns of train files: a number from 0 up. Metrics are
            not weighted.
        class_weights: for the kinds ``binary`` and ``multiclass``, a factor on the weight of each label's rows:
            ``balanced`` gives every label the same total weight; a mapping gives the factor by label, 1 for the others.
        threshold: for the kind ``binary``, the probability from which on the predicted label is 1: a number, or a goal
            that it is chosen for; 0.5 by default. A version keeps its threshold.
    """

    package: str = "catboost"
    parameters: dict[str, Any] = Field(default_factory=dict)
    validation: Validation = Validation()
    metric: str = ""
    early_stopping_rounds: int = Field(default=50, ge=1)
    refit: bool = True
    seed: int = Field(default=0, ge=0)
    threads: int = Field(default=2, ge=1)
    weight: Sql | None = None
    search: Search | None = None
    class_weights: ClassWeights | None = None
    threshold: AnyThreshold | None = None

    @model_validator(mode="after")
    def _folds_are_refitted(self) -> Self:
        if self.validation.split == "folds" and not self.refit:
            raise ValueError("split: folds needs refit: true, as none of the judged models has learned from every row")
        return self
