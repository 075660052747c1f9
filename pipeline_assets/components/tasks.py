"""Loads every task folder by itself: a broken one becomes a marked asset with its error, the others stay alive."""

import importlib
import logging
import warnings
from pathlib import Path
from types import ModuleType

import dagster as dg
import yaml
from dagster.components.core.component_tree import ComponentTreeException
from pydantic import ValidationError

from pipeline_assets.errors import PipelineError, TaskError

_log = logging.getLogger(__name__)


def load_tasks(defs: ModuleType, base: dg.Definitions, *, strict: bool) -> dg.Definitions:
    """Merges all tasks of a package's folders into one code location.

    Args:
        defs: the package whose sub-folders hold a ``defs.yaml`` each.
        base: what the tasks share: resources and executor.
        strict: raise for the first broken task instead of marking it.

    Raises:
        TaskError: a task is broken and ``strict`` is set; the message names file, line and key.
    """
    root = Path(next(iter(defs.__path__)))
    merged = base
    for folder in sorted(path.parent for path in root.glob("*/defs.yaml")):
        try:
            with_task = dg.Definitions.merge(merged, _built(defs, folder))
            # With the resources, and with the tasks before it: this is what finds a name that two tasks use.
            dg.Definitions.validate_loadable(with_task)
        except (ComponentTreeException, dg.DagsterError, PipelineError, ValidationError, yaml.YAMLError) as error:
            problem = TaskError(
                f"task {folder.name} is broken and was left out", file=folder / "defs.yaml", found=reason(error)
            )
            if strict:
                raise problem from error
            _log.error("%s", problem)
            with_task = dg.Definitions.merge(merged, dg.Definitions(assets=[_marked(folder.name, problem)]))
        merged = with_task
    return merged


def _built(defs: ModuleType, folder: Path) -> dg.Definitions:
    """One folder as a component tree of its own: in a common one, a YAML that does not parse takes all down."""
    module = importlib.import_module(f"{defs.__name__}.{folder.name}")
    with warnings.catch_warnings():
        # Dagster warns of what it does here itself: pointing from an asset to its YAML is beta.
        warnings.simplefilter("ignore", dg.BetaWarning)
        return dg.ComponentTree.from_module(module, folder).build_defs_at_path(folder)


def reason(error: BaseException) -> str:
    """What is wrong, a line a problem: file, line, key, sentence, what was given."""
    innermost = error
    while innermost.__cause__ is not None and not isinstance(innermost, ValidationError):
        innermost = innermost.__cause__
    if not isinstance(innermost, ValidationError):
        return str(innermost)
    lines = []
    for problem in innermost.errors(include_url=False):
        key, _, place = str(problem["loc"][0] if problem["loc"] else "attributes").partition(" at ")
        said = problem["msg"].removeprefix("Value error, ")
        lines.append(f"{place or 'defs.yaml'}: {key}: {said} (given: {problem['input']!s:.100})")
    return "\n".join(lines)


def _marked(folder: str, problem: TaskError) -> dg.AssetsDefinition:
    """Stands where the task's assets would be."""

    @dg.asset(
        key=[folder, "broken"],
        group_name="broken_tasks",
        kinds={"error"},
        tags={"broken": "true"},
        description=f"This task could not be loaded.\n\n```\n{problem}\n```",
    )
    def broken() -> None:
        raise dg.Failure(description=str(problem), allow_retries=False)

    return broken
