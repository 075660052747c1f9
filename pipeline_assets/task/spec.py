"""What a task is: the structure of one ``defs.yaml``, as typed models without Dagster."""

import re
import unicodedata
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PrivateAttr,
    WithJsonSchema,
    model_validator,
)

from pipeline_assets.task import plugins, sql
from pipeline_assets.task.fingerprints import Slice, fingerprint
from pipeline_assets.task.monitoring_spec import Monitoring
from pipeline_assets.task.own_code import OwnFunction, own_function
from pipeline_assets.task.spec_model import SpecModel, Sql
from pipeline_assets.task.training_spec import Training, label_name
from pipeline_assets.task.types import arrow_type

Stage = Literal["train", "predict"]
STAGES: tuple[Stage, Stage] = ("train", "predict")

# Names of columns that the pipeline itself writes beside a task's own columns.
ROW_ADDRESS = ("batch", "row_number")
LABEL = "label"
SPLIT_BY = "split_by"
SPLIT_HASH = "__split_hash"
WEIGHT = "weight"
DECISION = "decision"
MODEL_VERSION = "model_version"
THRESHOLD = "threshold"
# What DuckDB itself adds to a file's columns; it has no other way to say which row it reads.
READERS_OWN = ("file_row_number", "file_index")
# Marts have raw columns and features together; the prefix distinguishes ``distance`` from a feature of that name.
FEATURE_PREFIX = "feature_"

# PostgreSQL cuts identifiers at 63 bytes; the longest suffix of a task's tables is "_predict_output".
_TASK_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")


def task_name_problem(value: str) -> str | None:
    """Why a text cannot be a task's name; ``None`` if it can."""
    if _TASK_NAME.fullmatch(value):
        return None
    return "a task's name is 1 to 40 of a-z, 0-9 and _, a letter first: it names tables, jobs and folders"


def _task_name(value: str) -> str:
    if problem := task_name_problem(value):
        raise ValueError(problem)
    return value


def column_name_problem(value: str) -> str | None:
    """Why a text cannot be a column's name; ``None`` if it can."""
    if not value:
        return "a column's name has one character at least"
    if value.startswith("__"):
        return f"names that start with __ are the pipeline's own; call {value!r} otherwise"
    if any(unicodedata.category(character) == "Cc" for character in value):
        return (
            f"{value!r} has a line break, a tab or another control character in it, which not every store can keep;"
            " use a name without"
        )
    return None


def _column_name(value: str) -> str:
    if problem := column_name_problem(value):
        raise ValueError(problem)
    return value


def _known_type(value: str) -> str:
    arrow_type(value)
    return value


ColumnName = Annotated[str, AfterValidator(_column_name)]


class Column(SpecModel):
    """One column of the raw file: part of the contract."""

    type: Annotated[str, AfterValidator(_known_type)]
    description: str = ""
    nullable: bool = False
    check: Sql | None = None
    allowed: tuple[Any, ...] | None = Field(default=None, min_length=1)
    stage: Stage | None = Field(default=None, description="Only in this stage's files; in both when left out")


class Target(SpecModel):
    """What the model learns: an expression over the raw columns; null means that the row has no label.

    Attributes:
        positive: for the kind ``binary``, the value of the expression that is label 1; every other value is label 0. An
            expression that is true or false needs none.
        transform: for the kind ``regression``, ``log1p``: the model learns ``ln(1 + target)``. Scores and metrics are
            in the target's own unit.
    """

    expression: Sql
    kind: str = Field(default="binary", description="A name, or a dotted path module:Class")
    positive: Any = None
    transform: Literal["log1p"] | None = None
    description: str = ""

    @property
    def shown(self) -> str:
        """What a label says, for people: the expression and, where there is one, the value that is label 1."""
        return self.expression if self.positive is None else f"{self.expression} = {sql.literal(self.positive)}"


# What class weights call the two labels of the kind ``binary``, beside the target's positive value.
_BINARY_LABELS = {"0": 0, "false": 0, "negative": 0, "1": 1, "true": 1, "positive": 1}


def binary_label(target: Target, name: str) -> int | None:
    """The label that a name means for the kind ``binary``: 0, 1 or, for an unknown name, ``None``."""
    return 1 if target.positive is not None and name == label_name(target.positive) else _BINARY_LABELS.get(name)


class Feature(SpecModel):
    """One prepared column: an expression over the raw columns that both stages have."""

    expression: Sql
    description: str = ""


def _as_feature(value: Any) -> Any:
    return {"expression": value} if isinstance(value, str) else value


# ``name: expression`` is short for ``name: {expression: ...}``; Dagster checks a YAML by the schema, so it has both.
AnyFeature = Annotated[
    Feature,
    BeforeValidator(_as_feature),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string"},
                {
                    "type": "object",
                    "properties": {"expression": {"type": "string"}, "description": {"type": "string"}},
                    "required": ["expression"],
                    "additionalProperties": False,
                },
            ]
        }
    ),
]


class Features(SpecModel):
    """The model's input columns: numeric (float64, null is missing) and categorical (string, no null)."""

    numeric: dict[ColumnName, AnyFeature] = Field(default_factory=dict)
    categorical: dict[ColumnName, AnyFeature] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _some_and_distinct(self) -> Self:
        if not self.numeric and not self.categorical:
            raise ValueError("a task needs at least one feature")
        twice = sorted({name.lower() for name in self.numeric} & {name.lower() for name in self.categorical})
        if twice:
            raise ValueError(f"{', '.join(twice)}: numeric and categorical at once")
        return self

    @property
    def names(self) -> tuple[str, ...]:
        """Feature columns in the order of the model's input: numeric first, each group as written."""
        return (*self.numeric, *self.categorical)

    @property
    def all(self) -> dict[str, Feature]:
        """Every feature by name, in the order of :attr:`names`."""
        return {**self.numeric, **self.categorical}


class Preparation(SpecModel):
    """A Python function that adds columns to the accepted rows, for the expressions of features.

    It gets an iterator of Arrow record batches: ``row_number`` and the raw columns that both stages have, typed by the
    contract. It yields record batches with ``row_number`` and the declared columns: every row, in the same order. It
    must depend on nothing but the rows.

    Attributes:
        function: ``file.py:function`` in the task's folder, or ``package.module:function``.
        columns: that it adds, with their contract types.
    """

    function: Annotated[str, Field(pattern=r"^[^:]+:\w+$")]
    columns: dict[ColumnName, Annotated[str, AfterValidator(_known_type)]] = Field(min_length=1)


class Selection(SpecModel):
    """The algorithm that chooses the version that predicts.

    Attributes:
        minimum_gain: that a challenger needs over the champion, in the metric's unit.
        version: of the policy ``version``.
        max_flip_share: a challenger that would change a larger share of the decisions about the latest predict batch
            does not take the alias: a person promotes it.
    """

    policy: Literal["champion", "best_metric", "latest", "version"] = "champion"
    minimum_gain: float = Field(default=0.0, ge=0)
    version: int | None = Field(default=None, ge=1)
    max_flip_share: float | None = Field(default=None, ge=0, le=1)

    @model_validator(mode="before")
    @classmethod
    def _version_alone(cls, data: Any) -> Any:
        """``{version: 3}`` is short for ``{policy: version, version: 3}``."""
        if isinstance(data, dict) and "version" in data and "policy" not in data:
            return {"policy": "version", **data}
        return data

    @model_validator(mode="after")
    def _version_with_policy(self) -> Self:
        if (self.policy == "version") != (self.version is not None):
            raise ValueError("policy: version and version: N come together")
        if self.max_flip_share is not None and self.policy != "champion":
            raise ValueError(
                "max_flip_share goes with policy: champion, the only one that leaves the alias where it is"
            )
        return self


class Output(SpecModel):
    """The output file: the input's own columns of the rows that ``where`` keeps, unless ``select`` is given.

    Attributes:
        where: a condition over raw columns and score columns; a row where it is null is not kept. Without it every
            row is kept, and there is no ``decision``.
        append: score columns, ``decision`` or ``model_version``, put after the input's columns; all score columns if
            ``append``, ``where`` and ``select`` are absent.
        select: the file's columns as ``name: expression``, instead of the input's own.
    """

    where: Sql | None = None
    append: tuple[str, ...] | None = None
    select: dict[str, Sql] | None = Field(default=None, min_length=1)


class Limits(SpecModel):
    """Limits that stop a run or exclude a version.

    Attributes:
        rejected_share: a larger share of rejected rows stops the run before anything downstream changes.
        metric: the value of the validation metric that a version must reach to be able to predict.
    """

    rejected_share: float = Field(default=0.1, ge=0, le=1)
    metric: float | None = None


class FeatureStore(SpecModel):
    """How Tarantool keeps the task's features: in memory, or on disk if they are too large."""

    engine: Literal["memtx", "vinyl"] = "memtx"


class TaskSpec(SpecModel):
    """The complete description of one ML problem.

    Each key is valid by itself; :class:`pipeline_assets.task.validation.CheckedTask` checks that they fit together.
    """

    name: Annotated[str, AfterValidator(_task_name)]
    description: str = ""
    owners: tuple[str, ...] = ()
    tags: dict[str, str] = Field(default_factory=dict)
    key: tuple[str, ...] = ()
    columns: dict[ColumnName, Column] = Field(min_length=1)
    unexpected_columns: Literal["allow", "error"] = "allow"
    checks: dict[str, Sql] = Field(default_factory=dict, description="Row rules over several columns, by name")
    target: Target
    preparation: Preparation | None = None
    features: Features
    training: Training = Training()
    selection: Selection = Selection()
    output: Output = Output()
    limits: Limits = Limits()
    feature_store: FeatureStore = FeatureStore()
    monitoring: Monitoring = Monitoring()
    keep: int | None = Field(default=None, ge=1, description="Batches of a stage that the marts keep; all without it")

    # Where a function that is named by its file is looked for; no part of the description.
    _folder: Path | None = PrivateAttr(default=None)

    def in_folder(self, folder: Path) -> Self:
        """The task as read from a folder.

        Raises:
            TaskError: its own function is not there, or cannot be loaded.
        """
        located = self.model_copy()
        located._folder = folder  # noqa: SLF001 - of its own class
        located.own_function()
        return located

    def own_function(self) -> OwnFunction | None:
        """The function of ``preparation``; ``None`` for a task without one.

        Raises:
            TaskError: there is none of this name.
        """
        return None if self.preparation is None else own_function(self.preparation.function, self._folder)

    @model_validator(mode="after")
    def _metric_of_the_kind(self) -> Self:
        """Fills in the metric: the first of the kind's, where the task names none."""
        if not self.training.metric:
            first = plugins.first_metric(self.target.kind)
            # The model is frozen for everyone else; this is still its construction.
            object.__setattr__(self, "training", self.training.model_copy(update={"metric": first}))
        return self

    def fingerprint(self, which: Slice) -> str:
        """The hash of a slice of this description; see :mod:`pipeline_assets.task.fingerprints`."""
        return fingerprint(self, which)

    def columns_of(self, stage: Stage) -> dict[str, Column]:
        """The contract's columns for one stage's files, as written."""
        return {name: column for name, column in self.columns.items() if column.stage in (None, stage)}
