"""Checks that a task's keys, expressions and names fit together, before any data is read."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Self

from pydantic import ConfigDict, model_validator

from pipeline_assets.errors import TaskError
from pipeline_assets.task import plugins, sql
from pipeline_assets.task.drift_spec import drift_problems
from pipeline_assets.task.expressions import Expression, ExpressionError, casts, read_all
from pipeline_assets.task.judged_metrics import judged_metrics
from pipeline_assets.task.names import did_you_mean, listed, own_name
from pipeline_assets.task.spec import (
    DECISION,
    FEATURE_PREFIX,
    MODEL_VERSION,
    READERS_OWN,
    ROW_ADDRESS,
    STAGES,
    THRESHOLD,
    Column,
    Stage,
    TaskSpec,
    binary_label,
)
from pipeline_assets.task.spec_model import Problem, refuse
from pipeline_assets.task.types import contract_name, duckdb_type, is_nested

Keys = tuple[str, ...]

# DuckDB types that are cast to DOUBLE as numbers.
NUMBER = re.compile(r"(BOOLEAN|U?(TINY|SMALL|BIG|HUGE)INT|U?INTEGER|FLOAT|DOUBLE|DECIMAL\(.*\))$")


def stage_types(task: TaskSpec, stage: Stage) -> dict[str, str]:
    """DuckDB types of the contract's columns in one stage's files."""
    return {name: duckdb_type(column.type) for name, column in task.columns_of(stage).items()}


def common_types(task: TaskSpec) -> dict[str, str]:
    """DuckDB types of the columns that both stages have: features may use only these."""
    return {name: duckdb_type(column.type) for name, column in task.columns.items() if column.stage is None}


def feature_types(task: TaskSpec) -> dict[str, str]:
    """DuckDB types of the columns that features may use: those of both stages, and those of the task's own function."""
    own = {} if task.preparation is None else task.preparation.columns
    return {**common_types(task), **{name: duckdb_type(kind) for name, kind in own.items()}}


class CheckedTask(TaskSpec):
    """A checked task: every expression can be computed, and no name has two meanings.

    Raises:
        pydantic.ValidationError: the task is wrong; each problem has the path of its keys.
    """

    model_config = ConfigDict(title="TaskSpec")

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        refuse("TaskSpec", problems(self), self)
        return self


def score_types(task: TaskSpec) -> dict[str, str]:
    """DuckDB types of the kind's score columns, by their names in the task's expressions."""
    return _own_types(task, plugins.kind(task.target.kind).score_types)


def rule_types(task: TaskSpec) -> dict[str, str]:
    """DuckDB types of the columns that ``output.where`` may use beside the raw columns."""
    kind = plugins.kind(task.target.kind)
    return _own_types(task, {**kind.score_types, **_threshold_type(kind)})


def _threshold_type(kind: plugins.KindTerms) -> dict[str, str]:
    return {THRESHOLD: "DOUBLE"} if kind.objective == "binary" else {}


def output_types(task: TaskSpec) -> dict[str, str]:
    """DuckDB types of the columns that ``output.append`` and ``output.select`` may use beside the raw columns."""
    decision = {DECISION: "BOOLEAN"} if task.output.where is not None else {}
    kind = plugins.kind(task.target.kind)
    return _own_types(task, {**kind.score_types, **_threshold_type(kind), **decision, MODEL_VERSION: "BIGINT"})


def _own_types(task: TaskSpec, types: Mapping[str, str]) -> dict[str, str]:
    taken = task.columns_of("predict")
    return {own_name(name, taken): kind for name, kind in types.items()}


def appended(task: TaskSpec) -> tuple[str, ...]:
    """The columns of the output file after the input's columns: as written, or all score columns by default."""
    if task.output.append is not None:
        return task.output.append
    plain = task.output.where is None and task.output.select is None
    return tuple(score_types(task)) if plain else ()


def problems(task: TaskSpec) -> list[Problem]:
    """All problems of a task whose keys and types are valid, in the order of the file."""
    unknown = list(_plugins(task))
    if unknown:
        return unknown
    return [
        *_twice(("columns",), task.columns),
        *_later_names(task),
        *_key(task),
        *_column_rules(task),
        *_allowed(task.columns),
        *_row_rules(task),
        *_target(task),
        *_preparation(task),
        *_features(task),
        *_split(task),
        *_weight(task),
        *_threshold(task),
        *_class_weights(task),
        *_output(task),
        *drift_problems(task.monitoring.drift, task.features.names, plugins.kind(task.target.kind).score_types),
        *_monitoring(task),
    ]


def _plugins(task: TaskSpec) -> Iterator[Problem]:
    """Problems of the task's kind and trainer, of their settings, and of their combination."""
    try:
        kind = plugins.kind(task.target.kind)
    except TaskError as error:
        yield Problem(("target", "kind"), _unknown(error, "kind", task.target.kind))
        return
    try:
        trainer = plugins.trainer(task.training.package)
    except TaskError as error:
        yield Problem(("training", "package"), _unknown(error, "trainer", task.training.package))
        return
    if kind.objective not in trainer.objectives:
        fits = ", ".join(sorted(trainer.objectives))
        yield Problem(("training", "package"), f"does not fit the kind {kind.name}, it fits {fits}")
        return
    if task.training.metric not in kind.metrics:
        near = did_you_mean(task.training.metric, kind.metrics)
        yield Problem(("training", "metric"), f"no such metric; the kind has {', '.join(kind.metrics)}{near}")
    for name, sentence in trainer.parameter_problems(task.training.parameters, kind.objective).items():
        yield Problem(("training", "parameters", name), sentence)
    if task.training.search is not None and not hasattr(trainer, "space"):
        yield Problem(("training", "search"), f"the package {trainer.package} has no parameters that a search may try")


def _unknown(error: TaskError, plugin: plugins.Plugin, name: str) -> str:
    return f"{error.what}; there is {error.facts['expected']}{did_you_mean(name, plugins.names(plugin))}"


def _twice(path: Keys, names: Iterable[str]) -> Iterator[Problem]:
    """Names that differ only by case: databases take them for one."""
    advice = "call one of them otherwise"
    if path == ("columns",):
        advice = "leave one of them out, and it goes to the output file untouched, or rename it in the file"
    seen: dict[str, str] = {}
    for name in names:
        first = seen.setdefault(name.lower(), name)
        if first != name:
            yield Problem(
                (*path, name), f"differs from {first} by case alone, and SQL does not tell them apart; {advice}"
            )


def _later_names(task: TaskSpec) -> Iterator[Problem]:
    """Names that would conflict with others in a file's reader or in a mart."""
    for name in task.columns:
        if name.lower() == "predicted_at" or name.lower().startswith("choice_"):
            why = (
                f"marts show a column of the pipeline's own as {name.lower()}; leave the column out of the contract,"
                " or rename it in the file"
            )
            yield Problem(("columns", name), why)
        if name.lower() in READERS_OWN:
            why = "no file may have a column of this name, which the reader of files needs for itself; rename it there"
            yield Problem(("columns", name), why)
    raw = {name.lower(): name for name in task.columns}
    for kind, group in (("numeric", task.features.numeric), ("categorical", task.features.categorical)):
        for name in group:
            meets = raw.get(f"{FEATURE_PREFIX}{name}".lower())
            if meets is not None:
                why = f"marts show it as {FEATURE_PREFIX}{name}, which is a raw column; call the feature otherwise"
                yield Problem(("features", kind, name), why)


def _key(task: TaskSpec) -> Iterator[Problem]:
    for name in task.key:
        column = task.columns.get(name)
        if column is None:
            near = did_you_mean(name, task.columns)
            yield Problem(("key",), f"no column {name}; there are {listed(task.columns)}{near}")
        elif column.nullable or column.stage is not None:
            yield Problem(("key",), f"{name} cannot be of the key: a key's column is in both stages and never null")
        elif is_nested(duckdb_type(column.type)):
            yield Problem(
                ("key",), f"{name} cannot be of the key: it is {column.type}, and a key's column is one value"
            )


def _read(expressions: Mapping[Keys, str], types: Mapping[str, str]) -> dict[Keys, Expression | ExpressionError]:
    return dict(zip(expressions, read_all(list(expressions.values()), types), strict=True))


def _booleans(expressions: Mapping[Keys, str], types: Mapping[str, str]) -> Iterator[Problem]:
    for path, found in _read(expressions, types).items():
        if isinstance(found, ExpressionError):
            yield Problem(path, str(found))
        elif found.type != "BOOLEAN":
            yield Problem(path, f"gives {found.type}; it must be true or false, as in distance > 0")


def _column_rules(task: TaskSpec) -> Iterator[Problem]:
    """A column's check may use only columns that are there whenever the column is."""
    for stage in (None, *STAGES):
        checks: dict[Keys, str] = {
            ("columns", name, "check"): column.check
            for name, column in task.columns.items()
            if column.check is not None and column.stage == stage
        }
        yield from _booleans(checks, common_types(task) if stage is None else stage_types(task, stage))


def _allowed(columns: Mapping[str, Column]) -> Iterator[Problem]:
    for name, column in columns.items():
        if column.allowed is not None and is_nested(duckdb_type(column.type)):
            instead = f"write a check, as in len({sql.name(name)}) > 0"
            yield Problem(("columns", name, "allowed"), f"a {column.type} has no list of values; {instead}")
            continue
        for value in column.allowed or ():
            why = _not_allowed(value, column.type)
            if why is not None:
                yield Problem(("columns", name, "allowed"), why)


def _not_allowed(value: Any, kind: str) -> str | None:
    """Why a value of ``allowed`` cannot be one of its column; ``None`` if it can."""
    if value is None:
        return "null is no value; nullable: true allows it. If the text is meant, quote it"
    if kind == "string" and isinstance(value, bool):
        written, text = ("yes, on or true", "yes") if value else ("no, off or false", "no")
        return f'YAML reads {written} without quotes as a boolean, and the column holds text; quote it, as in "{text}"'
    return None if casts(sql.literal(value), duckdb_type(kind)) else f"{value!r} is no {kind}"


def _row_rules(task: TaskSpec) -> Iterator[Problem]:
    """A row rule may use columns of only one stage; then it applies in that stage."""
    rules: dict[Keys, str] = {("checks", name): expression for name, expression in task.checks.items()}
    found = {stage: {one.path: one for one in _booleans(rules, stage_types(task, stage))} for stage in STAGES}
    for path, problem in found["train"].items():
        if path in found["predict"]:
            yield problem


def _target(task: TaskSpec) -> Iterator[Problem]:
    path: Keys = ("target", "expression")
    target = _read({path: task.target.expression}, stage_types(task, "train"))[path]
    if isinstance(target, ExpressionError):
        yield Problem(path, str(target))
    elif found := plugins.kind(task.target.kind).target_problems(task.target, target.type):
        for key, sentence in found.items():
            yield Problem(("target", key), sentence)
    elif not target.columns:
        yield Problem(path, "uses no column, so every row would get the same label")


def label_sql(task: TaskSpec) -> str:
    """SQL of the label over a train file's columns; null where the row has none, see :class:`plugins.KindTerms`."""
    types = stage_types(task, "train")
    found = read_all([task.target.expression], types)[0]
    kind = plugins.kind(task.target.kind)
    return kind.label(task.target, "BOOLEAN" if isinstance(found, ExpressionError) else found.type)


def _preparation(task: TaskSpec) -> Iterator[Problem]:
    if task.preparation is None:
        return
    path: Keys = ("preparation", "columns")
    yield from _twice(path, task.preparation.columns)
    taken = {name.lower(): name for name in (*task.columns, "row_number")}
    for name in task.preparation.columns:
        if name.lower() in taken:
            why = f"{taken[name.lower()]} is there already; call the function's column otherwise"
            yield Problem((*path, name), why)
    if not task.preparation.function.partition(":")[0].endswith(".py"):  # a file is looked for once the folder is known
        try:
            task.own_function()
        except TaskError as error:
            yield Problem(("preparation", "function"), f"{error.what}: {error.facts['found']}")


def _features(task: TaskSpec) -> Iterator[Problem]:
    yield from _twice(("features",), task.features.all)
    expressions: dict[Keys, str] = {
        ("features", kind, name): feature.expression
        for kind, group in (("numeric", task.features.numeric), ("categorical", task.features.categorical))
        for name, feature in group.items()
    }
    for path, found in _read(expressions, feature_types(task)).items():
        if isinstance(found, ExpressionError):
            yield Problem(path, _only_in_one_stage(task, str(found)))
        elif path[1] == "numeric" and not NUMBER.match(found.type):
            yield Problem(path, f"gives {found.type}, which is no number; cast it, or make it categorical")
        elif is_nested(found.type):
            why = f"gives {contract_name(found.type)}; a feature is one value, as in x[1], x.field, x['key'] or len(x)"
            yield Problem(path, why)
        elif not found.columns:
            why = "uses no column, so it would be the same in every row; in the expression, a column stands without ''"
            yield Problem(path, why)


def _only_in_one_stage(task: TaskSpec, message: str) -> str:
    for name, column in task.columns.items():
        if column.stage is not None and message.startswith(f"no column {name};"):
            return f"{name} is only in {column.stage} files, and a feature is the same in both stages"
    return message


def _split(task: TaskSpec) -> Iterator[Problem]:
    column = task.training.validation.column
    columns = task.columns_of("train")
    if column is not None and column not in columns:
        near = did_you_mean(column, columns)
        path = ("training", "validation", "column")
        yield Problem(path, f"no column {column}; there are {listed(columns)}{near}")
    elif column is not None and (is_nested(kind := duckdb_type(columns[column].type)) or kind == "BLOB"):
        path = ("training", "validation", "column")
        yield Problem(path, f"{column} is {columns[column].type}, which has no order; order by a column of one value")


def _weight(task: TaskSpec) -> Iterator[Problem]:
    if task.training.weight is None:
        return
    path: Keys = ("training", "weight")
    weight = _read({path: task.training.weight}, stage_types(task, "train"))[path]
    if isinstance(weight, ExpressionError):
        yield Problem(path, str(weight))
    elif not NUMBER.match(weight.type):
        yield Problem(path, f"gives {weight.type}; a weight is a number from 0 up")
    elif not weight.columns:
        yield Problem(path, "uses no column, so every row would weigh the same; leave it out")


def _threshold(task: TaskSpec) -> Iterator[Problem]:
    kind = plugins.kind(task.target.kind)
    if task.training.threshold is not None and kind.objective != "binary":
        why = f"only a binary target is decided by a threshold, and the task's kind is {kind.name}; leave it out"
        yield Problem(("training", "threshold"), why)


def _class_weights(task: TaskSpec) -> Iterator[Problem]:
    kind, given = plugins.kind(task.target.kind), task.training.class_weights
    path: Keys = ("training", "class_weights")
    if given is None:
        return
    if kind.objective not in ("binary", "multiclass"):
        yield Problem(path, f"the kind {kind.name} has no classes to weigh; leave it out")
    if kind.objective != "binary" or given == "balanced":
        return
    labels = {name: binary_label(task.target, name) for name in given}
    for name, label in labels.items():
        if label is None:
            yield Problem((*path, name), "no such label; the labels of a binary target are positive and negative")
        elif list(labels.values()).index(label) != list(labels).index(name):
            yield Problem((*path, name), f"label {label} a second time")


def _output(task: TaskSpec) -> Iterator[Problem]:
    raw = stage_types(task, "predict")
    if task.output.where is not None:
        yield from _booleans({("output", "where"): task.output.where}, {**raw, **rule_types(task)})
    known = output_types(task)
    for name in task.output.append or ():
        if name not in known:
            without = ", which needs output.where" if name == DECISION else ""
            near = did_you_mean(name, known)
            yield Problem(("output", "append"), f"no column {name}{without}; there are {', '.join(known)}{near}")
    if task.output.select is None:
        return
    yield from _twice(("output", "select"), task.output.select)
    for name in task.output.select:
        if name.lower() in ROW_ADDRESS:
            yield Problem(("output", "select", name), "the row address is always there; leave it out")
    expressions: dict[Keys, str] = {
        ("output", "select", name): expression for name, expression in task.output.select.items()
    }
    for path, found in _read(expressions, {**raw, **known}).items():
        if isinstance(found, ExpressionError):
            yield Problem(path, str(found))


def _monitoring(task: TaskSpec) -> Iterator[Problem]:
    """Limits are of metrics that there are."""
    known = judged_metrics(task.target.kind)
    for level, limits in (("fail", task.monitoring.truth.fail), ("warn", task.monitoring.truth.warn)):
        for name in limits:
            if name not in known:
                near = did_you_mean(name, known)
                why = f"no such metric; predictions are judged by {', '.join(known)}{near}"
                yield Problem(("monitoring", "truth", level, name), why)
