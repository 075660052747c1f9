"""A task's own Python functions: found by name, with the source that fingerprints them."""

import importlib
import inspect
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType

import pyarrow as pa

from pipeline_assets.errors import TaskError

# From accepted rows to the same rows with the declared columns.
Prepare = Callable[[Iterator[pa.RecordBatch]], Iterable[pa.RecordBatch]]


@dataclass(frozen=True)
class OwnFunction:
    """A function and the text of the file that it is in."""

    call: Prepare
    source: str


@cache
def own_function(name: str, folder: Path | None = None) -> OwnFunction:
    """The function of a name; in one process always the one that was found first.

    Args:
        name: ``package.module:function``, or ``file.py:function`` for a file in the task's folder.
        folder: of the task.

    Raises:
        TaskError: there is none, its file raises, or its source cannot be read.
    """
    place, _, attribute = name.partition(":")
    try:
        if place.endswith(".py"):
            if folder is None:
                raise FileNotFoundError(f"{place} is named by file, and the task was read from no folder")  # noqa: TRY301 - one place says what is wrong
            module, source = _of_file(folder / place)
        else:
            module = importlib.import_module(place)
            source = inspect.getsource(module)
        call = getattr(module, attribute)
    except Exception as error:
        raise TaskError(
            "there is no such function",
            found=f"{name}: {type(error).__name__}: {error}",
            expected="package.module:function, or file.py:function for a file in the task's folder",
        ) from error
    if not callable(call):
        raise TaskError("there is no such function", found=f"{name} is a {type(call).__name__}", expected="a function")
    return OwnFunction(call, source)


def _of_file(path: Path) -> tuple[ModuleType, str]:
    """Runs the text that is fingerprinted: the file is read once."""
    source = path.read_text(encoding="utf-8")
    module = ModuleType(f"{path.parent.name}_{path.stem}")
    module.__file__ = str(path)
    exec(compile(source, str(path), "exec"), module.__dict__)  # noqa: S102 - a task's own code, as its YAML says
    return module, source
