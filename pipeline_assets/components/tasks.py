"""Loads every task folder separately: a broken one becomes a marked asset with its error, the others work."""

import hashlib
import logging
import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import ModuleType

import dagster as dg
from dagster.components.core.component_tree import ComponentTreeException
from pydantic import ValidationError

from pipeline_assets.assets.definitions import task_definitions
from pipeline_assets.assets.graph import TaskGraph
from pipeline_assets.errors import PipelineError, TaskError
from pipeline_assets.task.loading import (
    FILE,
    TaskFolder,
    find_folder,
    read_folder,
    refuse_taken,
    task_folders,
    tasks_of,
)

_log = logging.getLogger(__name__)


def load_tasks(roots: Iterable[Path], base: dg.Definitions, *, strict: bool) -> dg.Definitions:
    """Merges all tasks of some folders into one code location.

    Args:
        roots: folders whose sub-folders hold one ``defs.yaml`` each.
        base: what the tasks share: resources and executor.
        strict: raise for the first broken task instead of marking it.

    Raises:
        TaskError: a task is broken and ``strict`` is set; the message names file, line and key.
    """
    parts: list[dg.Definitions] = []
    marked: dict[Path, TaskError] = {}
    tasks: dict[str, Path] = {}
    names: dict[str, Path] = {}
    for folder in task_folders(roots):
        try:
            found = read_folder(folder)
            refuse_taken(folder, found.names, tasks)
            part = _loadable(found, base)
            _refuse_taken_names(folder, _names(part), names)
        except PipelineError as error:
            problem = error if isinstance(error, TaskError) else _broken(folder, str(error))
            if strict:
                raise problem from error
            _log.error("%s\nIt was left out; the other tasks are loaded.", problem)
            marked[folder] = problem
        else:
            parts.append(part)
            tasks.update(dict.fromkeys(found.names, folder))
            names.update(dict.fromkeys(_names(part), folder))
    return dg.Definitions.merge(base, *parts, _marks(marked))


def load_task_definitions(roots: Iterable[Path], name: str, base: dg.Definitions) -> dg.Definitions:
    """The code location with one task only; the others are not built.

    Args:
        roots: as for :func:`load_tasks`.
        name: of the task.
        base: what tasks share.

    Raises:
        TaskError: there is no such task, or it is broken; the message names file, line and key.
    """
    return dg.Definitions.merge(base, _loadable(find_folder(roots, name), base))


def _loadable(found: TaskFolder, base: dg.Definitions) -> dg.Definitions:
    """A folder's definitions, which Dagster can load together with the shared ones.

    Raises:
        TaskError: they cannot be made or loaded.
    """
    try:
        with warnings.catch_warnings():
            # Dagster warns that a reference from an asset to its YAML is beta.
            warnings.simplefilter("ignore", dg.BetaWarning)
            # If Dagster refuses something of a checked task (an owner, a tag), it does so when the assets are made;
            # resolving the jobs too would take as long again.
            return _tasks(found) if found.tasks_alone else _components(found.folder, base)
    except (ComponentTreeException, dg.DagsterError, ValidationError) as error:
        raise _broken(found.folder, _reason(error), found.names) from error


def _tasks(found: TaskFolder) -> dg.Definitions:
    """The same definitions as from the component tree, which takes thirty times as long to read a YAML."""
    graphs = [TaskGraph(task, found.yaml, found.file) for task in tasks_of(found)]
    return dg.Definitions.merge(*(task_definitions(graph) for graph in graphs))


def _components(folder: Path, base: dg.Definitions) -> dg.Definitions:
    """Other Dagster components, as a separate tree: in a shared tree, one broken YAML breaks all."""
    module = ModuleType(f"task_{_digest(folder)}")
    module.__file__ = str(folder / "__init__.py")
    module.__path__ = [str(folder)]
    part = dg.ComponentTree.from_module(module, folder).build_defs_at_path(folder)
    dg.Definitions.validate_loadable(dg.Definitions.merge(base, part))
    return part


def _names(defs: dg.Definitions) -> set[str]:
    """Names that only one folder may define. Tasks with different names never share one; other components may."""
    return {
        *(f"asset {key.to_user_string()}" for asset in defs.assets or () for key in _keys(asset)),
        *(f"job {job.name}" for job in defs.jobs or ()),
        *(f"sensor {sensor.name}" for sensor in defs.sensors or ()),
        *(f"schedule {schedule.name}" for schedule in defs.schedules or ()),
        *(f"resource {name}" for name in defs.resources or {}),
    }


def _keys(asset: object) -> Iterable[dg.AssetKey]:
    if isinstance(asset, dg.AssetsDefinition):
        return asset.keys
    return [asset.key] if isinstance(asset, dg.AssetSpec | dg.SourceAsset) else []


def _refuse_taken_names(folder: Path, names: set[str], taken: Mapping[str, Path]) -> None:
    twice = sorted(names & taken.keys())
    if twice:
        raise _broken(folder, f"{', '.join(twice)}: defined in {taken[twice[0]] / FILE} as well")


def _broken(folder: Path, found: str, names: Sequence[str] = ()) -> TaskError:
    name = names[0] if len(names) == 1 else folder.name
    return TaskError(f"task {name} is broken", task=name, file=folder / FILE, found=found)


def _reason(error: BaseException) -> str:
    """What is wrong, one line per problem: file, line, key, sentence, given value."""
    innermost = error
    while innermost.__cause__ is not None and not isinstance(innermost, ValidationError):
        innermost = innermost.__cause__
    if not isinstance(innermost, ValidationError):
        return str(innermost)
    lines = []
    for problem in innermost.errors(include_url=False):
        key, _, place = str(problem["loc"][0] if problem["loc"] else "attributes").partition(" at ")
        said = problem["msg"].removeprefix("Value error, ")
        lines.append(f"{place or FILE}: {key}: {said} (given: {problem['input']!s:.100})")
    return "\n".join(lines)


def _marks(problems: Mapping[Path, TaskError]) -> dg.Definitions:
    """Assets that take the place of broken tasks."""
    names = [folder.name for folder in problems]
    return dg.Definitions(
        assets=[
            # Two roots may each have a folder of this name.
            _mark(folder.name if names.count(folder.name) == 1 else str(folder), _digest(folder), problem)
            for folder, problem in problems.items()
        ]
    )


def _mark(folder: str, digest: str, problem: TaskError) -> dg.AssetsDefinition:
    asset = dg.AssetOut(
        key=[folder, "broken"],
        group_name="broken_tasks",
        kinds={"error"},
        tags={"broken": "true"},
        description=f"This task could not be loaded.\n\n```\n{problem}\n```",
    )

    # Dagster would derive the names of step and output from the key, but a folder's name may not be valid for them.
    @dg.multi_asset(name=f"broken_{digest}", outs={"broken": asset})
    def broken() -> None:
        raise dg.Failure(description=str(problem), allow_retries=False)

    return broken


def _digest(folder: Path) -> str:
    return hashlib.sha256(str(folder).encode()).hexdigest()[:8]
