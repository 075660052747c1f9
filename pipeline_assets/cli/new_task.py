"""Drafts a task and writes its folder."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pipeline_assets.engine.duckdb.draft import Source, Wish, draft_task
from pipeline_assets.errors import TaskError, in_line
from pipeline_assets.resources import file_at
from pipeline_assets.settings import PACKAGED_TASKS, Settings
from pipeline_assets.task.loading import FILE, load_tasks
from pipeline_assets.task.spec import Stage, TaskSpec

_SHOWN = 10  # columns that are left out


@dataclass(frozen=True)
class Request:
    """What the command was given; see ``pipeline-assets task new --help``."""

    name: str
    file: str
    target: str
    predict: str | None = None
    kind: str | None = None
    into: Path | None = None
    force: bool = False
    command: str = ""


def write_task(request: Request) -> list[str]:
    """Drafts the task and writes its ``defs.yaml``.

    Returns:
        Lines for the user: where it is, what was guessed, what to do next.

    Raises:
        PipelineError: nothing was written; the error says why.
    """
    settings = _settings()
    folder = _folder(request, settings)
    _refuse_taken(request, settings, folder)
    source = file_at(request.file, settings)
    other = None if request.predict is None else file_at(request.predict, settings)
    drafted = draft_task(
        Wish(request.name, request.target, request.kind, request.command),
        Source(source, source.name),
        None if other is None else Source(other, other.name),
        settings.state / "scratch",
    )
    task = drafted.task()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / FILE).write_text(drafted.text, encoding="utf-8")
    files: list[tuple[Stage, str, str]] = [("train", request.file, source.batch)]
    if request.predict is not None and other is not None:
        files.append(("predict", request.predict, other.batch))
    return [*_summary(task, folder, drafted.left_out), *_next(task, folder, settings, files)]


def _settings() -> Settings:
    """The settings; the last folder of ``PIPELINE_TASKS`` may be missing, as the new task's is made in it."""
    given = os.environ.get("PIPELINE_TASKS", "")
    *others, last = given.split(":")
    folder = Path(last).expanduser()
    if not last or folder.exists():
        return Settings.from_env()
    settings = Settings.from_env({**os.environ, "PIPELINE_TASKS": ":".join(others)})
    return replace(settings, tasks=(*settings.tasks, folder.resolve()))


def _folder(request: Request, settings: Settings) -> Path:
    if request.into is not None:
        return request.into / request.name
    own = settings.tasks[-1]
    if own != PACKAGED_TASKS or PACKAGED_TASKS.is_relative_to(Path.cwd()):
        return own / request.name
    return Path.cwd() / "tasks" / request.name


def _refuse_taken(request: Request, settings: Settings, folder: Path) -> None:
    if (folder / FILE).exists() and not request.force:
        raise TaskError(
            "there is a task already",
            task=request.name,
            file=folder / FILE,
            do="choose another name, or replace it by --force",
        )
    known = load_tasks(settings.tasks).known
    if request.name in known and not (folder / FILE).exists():
        raise TaskError("another folder describes a task of this name", task=request.name, available=sorted(known))


def _summary(task: TaskSpec, folder: Path, left_out: tuple[str, ...]) -> list[str]:
    split = task.training.validation
    more = f" and {len(left_out) - _SHOWN:,} more" if len(left_out) > _SHOWN else ""
    counts = f"{len(task.features.numeric):,} numeric, {len(task.features.categorical):,} categorical"
    return [
        f"{folder / FILE}",
        f"  target    {task.target.expression}, {task.target.kind}",
        f"  key       {in_line(task.key) or 'none'}",
        f"  features  {counts}, from {len(task.columns):,} columns",
        f"  left out  {in_line(left_out[:_SHOWN]) or 'none'}{more}",
        f"  split     {split.split}{f' by {split.column}' if split.column else ''}",
    ]


def _next(task: TaskSpec, folder: Path, settings: Settings, files: Sequence[tuple[Stage, str, str]]) -> list[str]:
    known = [root.resolve() for root in settings.tasks]
    export = [] if folder.resolve().parent in known else [f"  export PIPELINE_TASKS={folder.parent}"]
    return [
        "Read it, then:",
        *export,
        *(f"  put {file} to {settings.data_uri}/{task.name}/{stage}/{batch}.parquet" for stage, file, batch in files),
        *(f"  pipeline-assets run {task.name} {stage} {batch}" for stage, _, batch in files),
    ]
