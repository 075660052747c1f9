"""Says what a file would do under a task's contract."""

from collections.abc import Mapping

from pipeline_assets.engine.duckdb.trial import Trial, likely_stage, try_file
from pipeline_assets.errors import ContractError, in_line
from pipeline_assets.resources import file_at
from pipeline_assets.settings import Settings
from pipeline_assets.task.batch import BatchRef
from pipeline_assets.task.loading import find_folder, task_named
from pipeline_assets.task.spec import STAGES, TaskSpec

_SHOWN = 50  # features with nulls that are listed


def check_task(name: str, file: str | None, stage: str | None) -> tuple[bool, list[str]]:
    """Checks a task's YAML, and a file against its contract.

    Args:
        name: of the task.
        file: its path or ``s3://`` address; ``None`` to check the YAML alone.
        stage: of the file; ``None`` where its columns decide.

    Returns:
        Whether a run would go through, and the report's lines.

    Raises:
        PipelineError: there is no such task or file, or the task is broken.
    """
    settings = Settings.from_env()
    task = task_named(find_folder(settings.tasks, name), name)
    if file is None:
        return True, _of_task(task)
    source, spill = file_at(file, settings), settings.state / "scratch"
    guessed = likely_stage(source, task, BatchRef(name, "train", source.batch), spill)
    which = next((each for each in STAGES if each == stage), guessed)
    head = f"{source.name} as a {which} file of {name}{'' if stage else ', by its columns'}"
    try:
        trial = try_file(source, task, BatchRef(name, which, source.batch), spill, lambda _: None)
    except ContractError as error:
        return False, [head, "would be refused as a whole:", *_indented(str(error))]
    return _verdict(task, trial, head)


def _of_task(task: TaskSpec) -> list[str]:
    stages = {stage: len(task.columns_of(stage)) for stage in STAGES}
    rules = sum((each.check is not None) + (each.allowed is not None) for each in task.columns.values())
    return [
        f"{task.name}: the YAML holds",
        f"  target    {task.target.expression}, {task.target.kind}",
        f"  key       {in_line(task.key) or 'none'}",
        f"  columns   {stages['train']:,} in train files, {stages['predict']:,} in predict files",
        f"  rules     {rules:,} of columns, {len(task.checks):,} of rows",
        f"  features  {len(task.features.numeric):,} numeric, {len(task.features.categorical):,} categorical",
        "--against FILE says what a file would do",
    ]


def _verdict(task: TaskSpec, trial: Trial, head: str) -> tuple[bool, list[str]]:
    manifest = trial.manifest
    rows = manifest.accepted + manifest.rejected
    stops = []
    share = manifest.rejected / rows
    if share > task.limits.rejected_share:
        stops.append(f"more than {task.limits.rejected_share:.0%} of the rows are rejected (limits.rejected_share)")
    if not manifest.accepted:
        stops.append("no row is accepted")
    elif manifest.ref.stage == "train" and manifest.unlabelled == manifest.accepted:
        stops.append("no row has a label")
    if trial.problem is not None:
        stops.append(trial.problem)
    lines = [head, f"  rows      {rows:,}", f"  accepted  {manifest.accepted:,}", f"  rejected  {manifest.rejected:,}"]
    if manifest.ref.stage == "train":
        lines.append(f"  no label  {manifest.unlabelled:,}")
    lines += _rules(trial)
    if manifest.unexpected:
        does = "they pass to the output"
        lines += ["columns that the contract does not have; " + does, *_indented(in_line(manifest.unexpected))]
    lines += _nulls(trial.nulls, manifest.accepted)
    if task.preparation is not None:
        lines.append(f"features are not tried here: the task's own function makes columns, {task.preparation.function}")
    if stops:
        return False, [*lines, "a run would stop:", *(line for stop in stops for line in _indented(stop))]
    return True, [*lines, "a run would go through"]


def _rules(trial: Trial) -> list[str]:
    if not trial.manifest.reasons:
        return []
    lines = ["rejected by rule, a row may break several"]
    for rule, count in trial.manifest.reasons.items():
        lines.append(f"  {count:>9,}  {rule}")
        if rule in trial.examples:
            row, reason = trial.examples[rule]
            lines.append(f"             row {row:,}: {reason}")
    return lines


def _nulls(nulls: Mapping[str, int], accepted: int) -> list[str]:
    some = sorted(((count, name) for name, count in nulls.items() if count), reverse=True)
    if not some or not accepted:
        return ["no feature is null in an accepted row"] if nulls else []
    lines = ["features that are null in accepted rows"]
    lines += [f"  {count:>9,}  {count / accepted:>6.1%}  {name}" for count, name in some[:_SHOWN]]
    more = len(some) - _SHOWN
    return [*lines, f"  and {more:,} more"] if more > 0 else lines


def _indented(text: str) -> list[str]:
    return [f"  {line}" for line in text.splitlines()]
