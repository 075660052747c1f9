"""Reads task folders: finds them, loads their tasks, and says what is wrong in broken ones, with lines of the YAML."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from pipeline_assets.errors import TaskError
from pipeline_assets.task.spec import TaskSpec
from pipeline_assets.task.validation import CheckedTask

FILE = "defs.yaml"
COMPONENT = "pipeline_assets.components.MLTask"

# libyaml reads a task ten times as fast as Python does; PyYAML is built without it on some systems.
_Base: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_Base):  # type: ignore[misc] # one of two classes, as above
    """YAML's plain values, but dates and times as text; Dagster reads a component's YAML in the same way."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - PyYAML's own way
        first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
        for first, resolvers in _Base.yaml_implicit_resolvers.items()
    }


@dataclass(frozen=True)
class Document:
    """One document of a YAML file.

    Attributes:
        value: its content.
        node: the same content with line numbers.
    """

    value: Any
    node: yaml.Node

    @property
    def is_task(self) -> bool:
        """Whether it describes a task, and not another Dagster component."""
        return isinstance(self.value, dict) and self.value.get("type") == COMPONENT

    @property
    def task_name(self) -> str | None:
        """The name of its task, valid or not; ``None`` if it has none."""
        attributes = self.value.get("attributes") if self.is_task else None
        name = attributes.get("name") if isinstance(attributes, dict) else None
        return name if isinstance(name, str) else None


@dataclass(frozen=True)
class TaskFolder:
    """A folder with a ``defs.yaml``, as read.

    Attributes:
        yaml: the file's text.
        documents: those that are not empty.
    """

    folder: Path
    yaml: str
    documents: tuple[Document, ...]

    @property
    def file(self) -> Path:
        """The YAML's path."""
        return self.folder / FILE

    @property
    def names(self) -> tuple[str, ...]:
        """The names of its tasks; nearly always one."""
        return tuple(name for each in self.documents if (name := each.task_name) is not None)

    @property
    def tasks_alone(self) -> bool:
        """Whether it describes only tasks: no other components, and only the attributes of tasks."""
        return all(each.is_task and set(each.value) <= {"type", "attributes"} for each in self.documents)


@dataclass(frozen=True)
class LoadedTasks:
    """Every task of some folders.

    Attributes:
        known: by name.
        broken: what is wrong with the others, by folder.
    """

    known: Mapping[str, TaskSpec]
    broken: Mapping[Path, TaskError]

    def task(self, name: str) -> TaskSpec:
        """A task by its name.

        Raises:
            TaskError: there is no task of this name, or it is broken (the error says why).
        """
        if name in self.known:
            return self.known[name]
        for folder, problem in self.broken.items():
            if name in (problem.facts.get("task"), folder.name):
                raise problem
        raise TaskError("there is no such task", found=name, available=sorted(self.known))


def task_folders(roots: Iterable[Path]) -> list[Path]:
    """The folders with a ``defs.yaml``: those below each root, by name, or the root itself if it has one."""
    found: list[Path] = []
    for root in roots:
        found += [root] if (root / FILE).is_file() else sorted(path.parent for path in root.glob(f"*/{FILE}"))
    return list(dict.fromkeys(found))


def read_folder(folder: Path) -> TaskFolder:
    """Reads the YAML of a folder, which may or may not describe a task.

    Raises:
        TaskError: it cannot be read, or is no YAML.
    """
    try:
        text = (folder / FILE).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise _broken(folder, str(error)) from error
    return parsed(folder, text)


def parsed(folder: Path, text: str) -> TaskFolder:
    """The YAML of a folder, from its text.

    Raises:
        TaskError: it is no YAML.
    """
    try:
        loader = _Loader(text)
        documents = []
        while loader.check_node():
            node = loader.get_node()
            documents.append(Document(loader.construct_document(node), node))
    except yaml.YAMLError as error:
        raise _broken(folder, str(error).replace("<unicode string>", str(folder / FILE))) from error
    return TaskFolder(folder, text, tuple(one for one in documents if one.value is not None))


def task_named(found: TaskFolder, name: str) -> TaskSpec:
    """The task of this name in a folder that has it, as one from :func:`find_folder`.

    Raises:
        TaskError: as :func:`tasks_of`.
    """
    return next(each for each in tasks_of(found) if each.name == name)


def tasks_of(found: TaskFolder) -> list[TaskSpec]:
    """The tasks of a folder that was read, checked.

    Raises:
        TaskError: a task is broken; one line per problem, each with file, line and key.
    """
    if not found.documents:
        raise _broken(found.folder, f"{found.file} is empty")
    tasks: list[TaskSpec] = []
    for document in found.documents:
        if not isinstance(document.value, dict) or "type" not in document.value:
            raise _broken(found.folder, f"{found.file}:{_line(document.node)}: no component: it has no type")
        if not document.is_task:
            continue
        attributes = document.value.get("attributes")
        if not isinstance(attributes, dict):
            why = f"{found.file}:{_line(document.node)}: the task has no attributes; README says what they are"
            raise _broken(found.folder, why)
        # Nothing keeps pydantic's error: Python never frees the frames behind it, and DuckDB complains at exit.
        said = ""
        try:
            tasks.append(CheckedTask.model_validate(attributes).in_folder(found.folder))
        except ValidationError as error:
            said = "\n".join(_sentences(found.file, document, error))
        except TaskError as error:
            said = f"{found.file}: preparation.function: {error.what}: {error.facts['found']}"
        if said:
            raise _broken(found.folder, said, task=document.task_name)
        if document.task_name in [task.name for task in tasks[:-1]]:
            raise _broken(found.folder, f"{found.file}:{_line(document.node)}: a second task of this name in the file")
    return tasks


def load_task(folder: Path) -> TaskSpec:
    """The task of one folder.

    Raises:
        TaskError: it is broken, or the folder describes no task or several.
    """
    tasks = tasks_of(read_folder(folder))
    if len(tasks) != 1:
        raise _broken(folder, f"{folder / FILE} describes {len(tasks)} tasks; expected one")
    return tasks[0]


def load_tasks(roots: Iterable[Path]) -> LoadedTasks:
    """Every task below some folders; a broken one does not affect the others."""
    known: dict[str, TaskSpec] = {}
    broken: dict[Path, TaskError] = {}
    taken: dict[str, Path] = {}
    for folder in task_folders(roots):
        try:
            tasks = tasks_of(read_folder(folder))
            refuse_taken(folder, [task.name for task in tasks], taken)
        except TaskError as error:
            broken[folder] = error
        else:
            known.update((task.name, task) for task in tasks)
            taken.update((task.name, folder) for task in tasks)
    return LoadedTasks(known, broken)


def refuse_taken(folder: Path, names: Sequence[str], taken: Mapping[str, Path]) -> None:
    """Refuses a folder whose task names an earlier folder has.

    Args:
        taken: the folder of each name so far.

    Raises:
        TaskError: another folder has one; both are named.
    """
    for name in names:
        if name in taken:
            raise TaskError(
                f"two folders describe a task named {name}; the first stays, this one is left out",
                task=name,
                file=folder / FILE,
                found=f"{name}, which is in {taken[name] / FILE} as well",
                do="give one of the two another name, or take its folder away",
            )


def find_folder(roots: Iterable[Path], name: str) -> TaskFolder:
    """The folder of a task; tasks in other folders are not checked.

    Raises:
        TaskError: there is no task of this name, or its YAML cannot be read.
    """
    names: list[str] = []
    for folder in task_folders(roots):
        try:
            found = read_folder(folder)
        except TaskError:
            if folder.name == name:
                raise
            continue
        if name in found.names or (not found.names and folder.name == name):
            return found
        names += found.names
    raise TaskError("there is no such task", found=name, available=sorted(set(names)))


def _broken(folder: Path, found: str, task: str | None = None) -> TaskError:
    name = task or folder.name
    return TaskError(f"task {name} is broken", task=name, file=folder / FILE, found=found)


def _sentences(file: Path, document: Document, error: ValidationError) -> Iterator[str]:
    """One line per problem: file, line, key, sentence, given value."""
    for problem in error.errors(include_url=False):
        path = ("attributes", *problem["loc"])
        said = problem["msg"].removeprefix("Value error, ")
        place = f"{file}:{_line(document.node, path)}: {'.'.join(str(key) for key in path)}"
        yield f"{place}: {said} (given: {problem['input']!s:.100})"


def _line(node: yaml.Node, path: Sequence[int | str] = ()) -> int:
    """The line of the last key of a path that the YAML has; counted from 1."""
    line = node.start_mark.line
    for key in path:
        entry = _entry(node, key)
        if entry is None:
            break
        at, node = entry
        line = at.start_mark.line
    return int(line) + 1


def _entry(node: yaml.Node, key: int | str) -> tuple[yaml.Node, yaml.Node] | None:
    """A key and its value, or a list item twice; ``None`` if there is none."""
    if isinstance(node, yaml.MappingNode):
        return next(((at, value) for at, value in node.value if str(at.value) == str(key)), None)
    if isinstance(node, yaml.SequenceNode) and isinstance(key, int) and key < len(node.value):
        return node.value[key], node.value[key]
    return None
