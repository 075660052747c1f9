"""Drafts a task from a file: looks at it, guesses, and makes sure that the task holds and fits the file."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pipeline_assets.engine.base import Inputs
from pipeline_assets.engine.duckdb.profile import Profiler
from pipeline_assets.engine.duckdb.scan import scan
from pipeline_assets.engine.duckdb.wanted import wanted
from pipeline_assets.errors import TaskError, located
from pipeline_assets.task.batch import BatchRef
from pipeline_assets.task.contract import of_file
from pipeline_assets.task.drafting.draft import draft, text
from pipeline_assets.task.drafting.profile import FileProfile
from pipeline_assets.task.drafting.target import guess_target
from pipeline_assets.task.loading import parsed, tasks_of
from pipeline_assets.task.spec import TaskSpec, task_name_problem


@dataclass(frozen=True)
class Wish:
    """What the user asks for.

    Attributes:
        name: of the task.
        target: a column, or an expression over columns.
        kind: of the target; ``None`` to guess.
        command: as it was given, for the draft's first comment.
    """

    name: str
    target: str
    kind: str | None = None
    command: str = ""


@dataclass(frozen=True)
class Source:
    """A file to look at: where it is, and its name for comments."""

    files: Inputs
    name: str


@dataclass(frozen=True)
class Drafted:
    """The text of a ``defs.yaml``, and what it was drafted from.

    Attributes:
        left_out: columns that are no features.
        train, predict: the files' columns with their DuckDB types.
    """

    name: str
    text: str
    left_out: tuple[str, ...]
    train: Mapping[str, str]
    predict: Mapping[str, str] | None

    def task(self) -> TaskSpec:
        """The task.

        Raises:
            TaskError: the text describes none that holds.
            ContractError: it does not fit the files.
        """
        (task,) = tasks_of(parsed(Path(self.name), self.text))
        of_file(task, "train", self.train)
        if self.predict is not None:
            of_file(task, "predict", self.predict)
        return task


def draft_task(wish: Wish, train: Source, predict: Source | None, spill: Path) -> Drafted:
    """Drafts the task of a labelled file.

    Args:
        train: the labelled file.
        predict: a file of the other stage, whose columns decide which column is in which stage.
        spill: folder for data that does not fit in memory.

    Raises:
        ContractError: a file cannot be read.
        TaskError: there is no such target, it cannot be learned, or nothing is left to learn from.
    """
    if problem := task_name_problem(wish.name):
        raise TaskError(problem, found=wish.name)
    other = None if predict is None else _looked_at(wish, predict, spill)
    with _opened(wish, "train", train, spill) as profiler:
        want = wanted(profiler.view, wish.target)
        columns = profiler.columns()
        target = profiler.target(want)
        guess = guess_target(target, wish.kind)
        found = profiler.sampled(columns, want, target, guess)
        made = draft(wish.name, found, other, target, guess, command=wish.command)
        types = None if other is None else other.types
        return Drafted(wish.name, text(made), tuple(made.left_out), profiler.view.columns, types)


def _looked_at(wish: Wish, source: Source, spill: Path) -> FileProfile:
    with _opened(wish, "predict", source, spill) as profiler:
        return FileProfile(source.name, profiler.view.rows, profiler.columns())


@contextmanager
def _opened(wish: Wish, stage: str, source: Source, spill: Path) -> Iterator[Profiler]:
    ref = BatchRef(wish.name, "predict" if stage == "predict" else "train", source.name)
    with located({"task": wish.name, "file": source.name}):
        found = source.files.find(ref)
        with source.files.open(found) as paths, scan(paths, spill) as view:
            yield Profiler(view, paths, source.name, spill)
