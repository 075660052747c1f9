"""The draft of a task: guesses put together, as the text of a ``defs.yaml`` that a person can read aloud."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pipeline_assets.errors import TaskError
from pipeline_assets.task import sql
from pipeline_assets.task.drafting.columns import DraftedColumn, contract_columns, unusable
from pipeline_assets.task.drafting.profile import FileProfile, TargetProfile
from pipeline_assets.task.drafting.roles import DraftedFeature, Names, Role, Setting, guess_role
from pipeline_assets.task.drafting.rows import KeyGuess, SplitGuess, guess_key, guess_split
from pipeline_assets.task.drafting.scalars import aligned, comment_lines, listed, scalar, with_comment
from pipeline_assets.task.drafting.target import TargetGuess
from pipeline_assets.task.drafting.words import shown
from pipeline_assets.task.expressions import Expression, read_all
from pipeline_assets.task.types import duckdb_type

COMPONENT = "pipeline_assets.components.MLTask"


@dataclass(frozen=True)
class Draft:
    """A drafted task.

    Attributes:
        columns: of the contract.
        features: with the column of each.
        left_out: why columns are no features, by name.
        bare: each column as SQL, without quotes where it needs none.
    """

    name: str
    command: str
    train: FileProfile
    predict: FileProfile | None
    target: TargetProfile
    guess: TargetGuess
    key: KeyGuess
    split: SplitGuess
    columns: tuple[DraftedColumn, ...]
    features: tuple[tuple[str, DraftedFeature], ...]
    left_out: Mapping[str, str]
    bare: Mapping[str, str]


def draft(
    name: str,
    train: FileProfile,
    predict: FileProfile | None,
    target: TargetProfile,
    guess: TargetGuess,
    *,
    command: str = "",
) -> Draft:
    """Puts the guesses together.

    Args:
        name: of the task.
        train: the labelled file.
        predict: a file to predict, if there is one.
        target: what the user named.
        guess: what it was taken for.
        command: that asked for it, for the first comment.

    Raises:
        TaskError: no column is left to learn from.
    """
    bare = _bare(train, predict)
    columns = contract_columns(train, predict, target, bare)
    both = {column.name for column in columns if column.stage is None and column.name not in target.columns}
    known = {name: column for name, column in train.columns.items() if name in both}
    key = guess_key(column for column in known.values() if predict is None or predict.columns[column.name].nulls == 0)
    split = guess_split(
        known, target.profile.filled, (target.profile.distinct or 0) if guess.kind == "multiclass" else 0
    )
    setting = Setting(guess.classes, shown(target.expression), key.columns, split.column, train.sampled)
    features: list[tuple[str, DraftedFeature]] = []
    left_out = {
        name: f"not in the contract: {reason}; the output has it all the same"
        for name, reason in unusable(train.columns.values(), target.columns).items()
    }
    names = Names(frozenset(column.name.lower() for column in columns))
    for column in columns:
        role = _role(column, train, target, setting)
        if role.left_out:
            left_out[column.name] = role.left_out
        features += [(column.name, _renamed(each, names)) for each in role.features]
    if not features:
        raise TaskError(
            "no column is left to learn from",
            task=name,
            file=train.source,
            found="; ".join(f"{column}: {reason}" for column, reason in list(left_out.items())[:10])
            or "the target alone",
        )
    return Draft(name, command, train, predict, target, guess, key, split, columns, tuple(features), left_out, bare)


def _role(column: DraftedColumn, train: FileProfile, target: TargetProfile, setting: Setting) -> Role:
    if column.name in target.columns:
        return Role()
    if column.stage is not None:
        return Role(left_out=f"only in {column.stage} files; a feature is computed from what both have")
    return guess_role(train.columns[column.name], setting)


def _renamed(feature: DraftedFeature, names: Names) -> DraftedFeature:
    return DraftedFeature(names.of(feature.name), feature.group, feature.expression, feature.comment)


def text(draft: Draft) -> str:
    """The ``defs.yaml``."""
    parts = [
        _head(draft),
        _key_lines(draft.key),
        _contract_lines(draft),
        _target_lines(draft),
        _feature_lines(draft),
        _training_lines(draft.split, draft.guess.kind),
        _output_lines(),
    ]
    return "\n\n".join("\n".join(part) for part in parts) + "\n"


def _bare(*files: FileProfile | None) -> dict[str, str]:
    """Each column as SQL: without quotes where DuckDB then reads the column and nothing else."""
    columns = (column for file in files if file is not None for column in file.columns.values())
    types = {column.name: duckdb_type(column.type) for column in columns if column.type is not None}
    plain = [name for name in types if name.isidentifier()]
    read = dict(zip(plain, read_all(plain, types), strict=True))
    return {
        name: name if isinstance(one := read.get(name), Expression) and one.columns == (name,) else sql.name(name)
        for name in types
    }


def _head(draft: Draft) -> list[str]:
    train, predict = draft.train, draft.predict
    seen = f"{train.source}: {train.rows:,} rows, {len(train.columns):,} columns"
    if predict is not None:
        seen += f"; {predict.source}: {predict.rows:,} rows, {len(predict.columns):,} columns"
    sampled = f" Roles of columns and leaks were judged on a sample of {train.sampled:,} labelled rows."
    return [
        *comment_lines(f"Drafted by `{draft.command}` from {seen}.{sampled}", ""),
        *comment_lines(
            "Behind each guess stand its reason and, after `or`, the alternative. Change what you know better.", ""
        ),
        f"type: {COMPONENT}",
        "attributes:",
        f"  name: {draft.name}",
        f"  description: {scalar(f'Predicts {draft.target.expression}')}",
    ]


def _key_lines(key: KeyGuess) -> list[str]:
    if not key.columns:
        return comment_lines(f"No key: {key.reason}.", "  ")
    return with_comment(f"  key: {listed(key.columns)}", key.reason)


def _contract_lines(draft: Draft) -> list[str]:
    intro = (
        "The contract: rows that break it are set aside with their reasons. Comments say what was seen; to hold"
        " new files to such a rule, put it between the braces."
    )
    if draft.predict is None:
        intro += (
            " No file to predict was given: columns that only train files have need stage: train, as the target has."
        )
    return [*comment_lines(intro, "  "), "  columns:", *aligned((column.line for column in draft.columns), "    ")]


def _target_lines(draft: Draft) -> list[str]:
    guess, target = draft.guess, draft.target
    named = draft.bare[target.expression] if target.columns == (target.expression,) else target.expression
    expression = named if guess.expression == "{}" else guess.expression.replace("{}", named)
    pairs: list[tuple[str, str, str]] = [
        ("expression", scalar(expression), ""),
        ("kind", guess.kind, guess.reason),
    ]
    if guess.positive is not None:
        pairs.append(("positive", scalar(guess.positive), guess.positive_reason))
    labelled = target.profile.filled
    rows = f"{labelled:,} of {draft.train.rows:,} rows have a label" if labelled < draft.train.rows else ""
    notes = [sentence[:1].upper() + sentence[1:] + "." for sentence in (rows, *guess.notes) if sentence]
    return [*(line for note in notes for line in comment_lines(note, "  ")), "  target:", *aligned(pairs, "    ")]


def _feature_lines(draft: Draft) -> list[str]:
    lines = ["  features:"]
    for group in ("numeric", "categorical"):
        pairs: list[tuple[str, Any]] = [(column, each) for column, each in draft.features if each.group == group]
        if pairs:
            lines.append(f"    {group}:")
            rows = (
                (scalar(each.name), scalar(each.expression.replace("{}", draft.bare[column])), each.comment)
                for column, each in pairs
            )
            lines += aligned(rows, "      ")
    if draft.left_out:
        lines.append("    # Left out:")
        for name, reason in draft.left_out.items():
            first, *rest = comment_lines(f"{scalar(name)}: {reason}", "    ")
            lines += [first.replace("# ", "#   ", 1), *(line.replace("# ", "#     ", 1) for line in rest)]
    return lines


def _training_lines(split: SplitGuess, kind: str) -> list[str]:
    by = "" if split.column is None else f", column: {scalar(split.column, in_flow=True)}"
    package = "gradient boosted trees, a sound first choice for tables; or sklearn, pytorch, tensorflow"
    # The area under the curve, which is the default, sees only the order of the rows: of few rows it stops a fit early.
    metric = "how true the probabilities are; or roc_auc, average_precision, if only the order of the rows counts"
    return [
        "  training:",
        *with_comment("    package: catboost", package),
        *(with_comment("    metric: log_loss", metric) if kind == "binary" else []),
        *with_comment(f"    validation: {{split: {split.split}{by}}}", split.reason),
    ]


def _output_lines() -> list[str]:
    return comment_lines(
        "Output: every row of the input with its scores; or, with output: {where: …}, those that a condition keeps.",
        "  ",
    )
