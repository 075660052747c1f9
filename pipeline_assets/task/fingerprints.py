"""Fingerprints of a task's description: a hash of each slice, together with the slices that it depends on.

Everything that the pipeline makes keeps the fingerprints of the description that made it, and every reader compares
them with those of the task. Descriptions, owners and tags are in no slice: editing them makes nothing stale.
"""

import hashlib
import json
from typing import TYPE_CHECKING, Any, Literal, get_args

from pipeline_assets.task.expressions import read_named
from pipeline_assets.task.types import arrow_type, duckdb_type

if TYPE_CHECKING:
    from pipeline_assets.task.spec import Stage, TaskSpec

Slice = Literal["contract", "features", "target", "training", "selection", "output"]
SLICES: tuple[Slice, ...] = get_args(Slice)

_LENGTH = 16


def fingerprint(task: "TaskSpec", which: Slice) -> str:
    """The fingerprint of one slice of a task: 16 hexadecimal digits.

    - ``contract``: which rows are accepted: columns with their types and rules, row rules, key.
    - ``features``: the value of every feature: names, kinds and expressions, and the types of the columns that they
      use. Rules of the contract are not in it: they change which rows there are, not what a feature is.
    - ``target``: the value of the label, and its kind.
    - ``training``: how a version is fitted, with ``features`` and ``target``.
    - ``selection``: which version predicts, with ``features`` and ``target``.
    - ``output``: the contents of the output file and the decision, with the types of the columns it may use.

    Args:
        task: a loaded task.
        which: the slice.
    """
    return _hashed(_content(task, which))


def task_fingerprints(task: "TaskSpec", stage: "Stage") -> dict[str, str]:
    """Fingerprints for the prepared rows of a stage, by slice: contract, features, in train also target."""
    slices: tuple[Slice, ...] = ("contract", "features", "target") if stage == "train" else ("contract", "features")
    return {which: fingerprint(task, which) for which in slices}


def feature_fingerprints(task: "TaskSpec", stage: "Stage") -> dict[str, str]:
    """What stored features rest on: :func:`task_fingerprints` and, in train, the ``weight`` of a task that has one."""
    return {**task_fingerprints(task, stage), **weight_fingerprint(task, stage)}


def check_fingerprints(task: "TaskSpec", stage: "Stage") -> dict[str, str]:
    """What a check of raw rows rests on: the ``contract`` and, in train, ``weight`` and ``target``, which reject too.

    A target that is true or false is left out: it rejects a row only where it raises, and records of checks by former
    code do not name it.
    """
    plain = (task.target.kind, task.target.positive, task.target.transform) == ("binary", None, None)
    target = {} if plain or stage == "predict" else {"target": fingerprint(task, "target")}
    return {"contract": fingerprint(task, "contract"), **target, **weight_fingerprint(task, stage)}


def weight_fingerprint(task: "TaskSpec", stage: "Stage") -> dict[str, str]:
    """The fingerprint of the weight's value, under the name ``weight``; empty in predict and for a task without one.

    It is no slice: a version that was fitted with other weights can still predict.
    """
    expression = task.training.weight
    if stage == "predict" or expression is None:
        return {}
    types = {name: duckdb_type(each.type) for name, each in task.columns_of("train").items()}
    used = read_named({"weight": expression}, types)["weight"].columns
    return {"weight": _hashed([expression.strip(), {column: types[column] for column in used}])}


def _own_columns(task: "TaskSpec") -> dict[str, Any]:
    """What the task's own function rests on: its name, its file's text, and all columns that it gets; empty without."""
    function = task.own_function()
    if task.preparation is None or function is None:
        return {}
    given = {name: duckdb_type(each.type) for name, each in task.columns.items() if each.stage is None}
    own = task.preparation
    return {"function": own.function, "source": function.source, "columns": own.columns, "given": given}


def _given(training: dict[str, Any]) -> dict[str, Any]:
    """Without the keys that are null by default: tasks that do not use a new key keep their fingerprints."""
    validation = {key: value for key, value in training["validation"].items() if value is not None or key != "folds"}
    return {key: value for key, value in {**training, "validation": validation}.items() if value is not None}


def _hashed(content: Any) -> str:
    text = json.dumps(content, ensure_ascii=False, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:_LENGTH]


def _content(task: "TaskSpec", which: Slice) -> Any:
    if which == "contract":
        return {
            "key": task.key,
            # By name: which rows are accepted does not depend on the order in which columns and rules are written.
            "columns": {name: _rules(column) for name, column in task.columns.items()},
            "unexpected_columns": task.unexpected_columns,
            "checks": {name: expression.strip() for name, expression in task.checks.items()},
        }
    if which == "features":
        types = {name: duckdb_type(each.type) for name, each in task.columns.items() if each.stage is None}
        own = _own_columns(task)
        types.update({name: duckdb_type(kind) for name, kind in own.get("columns", {}).items()})
        used = read_named({name: each.expression for name, each in task.features.all.items()}, types)
        return [
            *([own] if own else []),
            *[
                [kind, name, feature.expression.strip(), {column: types[column] for column in used[name].columns}]
                for kind, group in (("numeric", task.features.numeric), ("categorical", task.features.categorical))
                for name, feature in group.items()
            ],
        ]
    if which == "target":
        types = {name: duckdb_type(each.type) for name, each in task.columns_of("train").items()}
        target = task.target.model_dump(exclude={"description", "expression"}, exclude_none=True)
        label = read_named({"target": task.target.expression}, types)["target"]
        return [task.target.expression.strip(), {column: types[column] for column in label.columns}, target]
    rests_on = [fingerprint(task, "features"), fingerprint(task, "target")]
    if which == "training":
        return [*rests_on, _given(task.training.model_dump(mode="json")), task.key]
    if which == "selection":
        # How far a challenger may differ is a question of trainings: a prediction does not depend on it.
        selection = task.selection.model_dump(mode="json", exclude={"max_flip_share"})
        return [*rests_on, selection, task.limits.metric, task.training.metric]
    types = {name: duckdb_type(each.type) for name, each in task.columns_of("predict").items()}
    return [task.output.model_dump(mode="json"), types]


def _rules(column: Any) -> dict[str, Any]:
    given = column.model_dump(mode="json", exclude={"description"})
    return {**given, "type": str(arrow_type(column.type)), "check": column.check and column.check.strip()}
