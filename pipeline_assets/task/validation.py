"""Whether a task holds together: its keys, expressions and names, before any data is seen."""

import re
from collections.abc import Iterator, Mapping

from pipeline_assets.task import sql
from pipeline_assets.task.expressions import ExpressionError, casts, read
from pipeline_assets.task.spec import ROW_ADDRESS, STAGES, Problem, Stage, TaskSpec, did_you_mean
from pipeline_assets.task.types import duckdb_type

# DuckDB types that are cast to DOUBLE as numbers.
NUMBER = re.compile(r"(BOOLEAN|U?(TINY|SMALL|BIG|HUGE)INT|U?INTEGER|FLOAT|DOUBLE|DECIMAL\(.*\))$")

SCORE_TYPES = {"probability": "DOUBLE"}
OUTPUT_TYPES = {**SCORE_TYPES, "decision": "BOOLEAN", "model_version": "BIGINT"}


def stage_types(task: TaskSpec, stage: Stage) -> dict[str, str]:
    """DuckDB types of the contract's columns in one stage's files."""
    return {name: duckdb_type(column.type) for name, column in task.columns_of(stage).items()}


def common_types(task: TaskSpec) -> dict[str, str]:
    """DuckDB types of the columns that both stages have: all that a feature may use."""
    return {name: duckdb_type(column.type) for name, column in task.columns.items() if column.stage is None}


def problems(task: TaskSpec) -> list[Problem]:
    """Everything that is wrong with a task whose keys and types are right, in the order of the file."""
    return [
        *_twice(("columns",), task.columns),
        *_key(task),
        *_column_rules(task),
        *_row_rules(task),
        *_target(task),
        *_features(task),
        *_split(task),
        *_output(task),
    ]


def _twice(path: tuple[str, ...], names: Mapping[str, object]) -> Iterator[Problem]:
    """Names that differ by case alone: databases take them for one."""
    seen: dict[str, str] = {}
    for name in names:
        first = seen.setdefault(name.lower(), name)
        if first != name:
            yield Problem((*path, name), f"differs from {first} by case alone, and databases do not tell them apart")


def _key(task: TaskSpec) -> Iterator[Problem]:
    for name in task.key:
        column = task.columns.get(name)
        if column is None:
            known = ", ".join(task.columns)
            yield Problem(("key",), f"no column {name}; there are {known}{did_you_mean(name, task.columns)}")
        elif column.nullable or column.stage is not None:
            yield Problem(("key",), f"{name} cannot be of the key: a key's column is in both stages and never null")


def _boolean(path: tuple[str, ...], expression: str, types: Mapping[str, str]) -> Iterator[Problem]:
    try:
        kind = read(expression, types).type
    except ExpressionError as error:
        yield Problem(path, str(error))
        return
    if kind != "BOOLEAN":
        yield Problem(path, f"gives {kind}; it must be true or false, as in distance > 0")


def _column_rules(task: TaskSpec) -> Iterator[Problem]:
    for name, column in task.columns.items():
        types = common_types(task) if column.stage is None else stage_types(task, column.stage)
        if column.check is not None:
            yield from _boolean(("columns", name, "check"), column.check, types)
        for value in column.allowed or ():
            if not casts(sql.literal(value), duckdb_type(column.type)):
                yield Problem(("columns", name, "allowed"), f"{value!r} is no {column.type}")


def _row_rules(task: TaskSpec) -> Iterator[Problem]:
    """A row rule may use columns of one stage alone; then it holds in that stage."""
    for name, expression in task.checks.items():
        found = {stage: list(_boolean(("checks", name), expression, stage_types(task, stage))) for stage in STAGES}
        if all(found.values()):
            yield from found["train"]


def _target(task: TaskSpec) -> Iterator[Problem]:
    path = ("target", "expression")
    found = list(_boolean(path, task.target.expression, stage_types(task, "train")))
    yield from found
    if not found and not read(task.target.expression, stage_types(task, "train")).columns:
        yield Problem(path, "uses no column, so every row would get the same label")


def _features(task: TaskSpec) -> Iterator[Problem]:
    types = common_types(task)
    yield from _twice(("features",), task.features.all)
    for kind, group in (("numeric", task.features.numeric), ("categorical", task.features.categorical)):
        for name, feature in group.items():
            try:
                given = read(feature.expression, types).type
            except ExpressionError as error:
                yield Problem(("features", kind, name), _only_in_one_stage(task, str(error)))
                continue
            if kind == "numeric" and not NUMBER.match(given):
                why = f"gives {given}, which is no number; cast it, or make it categorical"
                yield Problem(("features", kind, name), why)


def _only_in_one_stage(task: TaskSpec, message: str) -> str:
    for name, column in task.columns.items():
        if column.stage is not None and message.startswith(f"no column {name};"):
            return f"{name} is only in {column.stage} files, and a feature is the same in both stages"
    return message


def _split(task: TaskSpec) -> Iterator[Problem]:
    column = task.training.validation.column
    columns = task.columns_of("train")
    if column is not None and column not in columns:
        known = ", ".join(columns)
        yield Problem(
            ("training", "validation", "column"),
            f"no column {column}; there are {known}{did_you_mean(column, columns)}",
        )


def _output(task: TaskSpec) -> Iterator[Problem]:
    raw = stage_types(task, "predict")
    if task.output.where is not None:
        yield from _boolean(("output", "where"), task.output.where, {**raw, **SCORE_TYPES})
    if task.output.select is None:
        return
    yield from _twice(("output", "select"), task.output.select)
    for name, expression in task.output.select.items():
        if name.lower() in ROW_ADDRESS:
            yield Problem(("output", "select", name), "the row address is always there; leave it out")
        try:
            read(expression, {**raw, **OUTPUT_TYPES})
        except ExpressionError as error:
            yield Problem(("output", "select", name), str(error))
