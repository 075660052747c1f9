"""What there is to look at: the tasks by their YAML, their marts and columns by the server's catalog.

No other module of the page makes up a name: what an address or a form names is looked up here first.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

import yaml
from psycopg2.extensions import cursor as Cursor  # noqa: N812 - it is a class
from psycopg2.sql import Identifier
from pydantic import ValidationError

import pipeline_assets.defs
from pipeline_assets.errors import TaskError
from pipeline_assets.stores.marts import catalog as mart_catalog
from pipeline_assets.task.spec import FEATURE_PREFIX, LABEL, ROW_ADDRESS, SCORES, TaskSpec

Which = Literal["train_input", "predict_input", "predict_output", "model_choices", "lineage"]
Role = Literal["address", "score", "technical", "raw", "feature", "label"]

_TYPE = "pipeline_assets.components.MLTask"
_FOLDER = Path(next(iter(pipeline_assets.defs.__path__)))
_NUMBERS = ("smallint", "integer", "bigint", "real", "double precision", "numeric")


@dataclass(frozen=True)
class Tasks:
    """The tasks of a folder.

    Attributes:
        known: by name.
        broken: what is wrong with the YAMLs that cannot be read, by folder.
    """

    known: Mapping[str, TaskSpec]
    broken: Mapping[str, str]


@dataclass(frozen=True)
class Column:
    """A column of a mart.

    Attributes:
        name: as the server has it.
        kind: its SQL type, spelled as ``format_type`` does.
        description: the comment on it.
        role: what it is to the task.
        key: whether rows are looked up by it: part of the row address or of the task's key. Never null.
    """

    name: str
    kind: str
    description: str
    role: Role
    key: bool

    @property
    def sql(self) -> Identifier:
        """Its name in a statement."""
        return Identifier(self.name)

    @property
    def numeric(self) -> bool:
        """Whether its values are numbers."""
        return self.kind.startswith(_NUMBERS)


@dataclass(frozen=True)
class Mart:
    """A table or view of a task.

    Attributes:
        columns: by name, in order.
    """

    schema: str
    name: str
    description: str
    columns: Mapping[str, Column]

    @property
    def sql(self) -> Identifier:
        """Its name in a statement."""
        return Identifier(self.schema, self.name)


def tasks(folder: Path = _FOLDER) -> Tasks:
    """Every task of a folder, read anew when a file changed.

    Args:
        folder: whose sub-folders hold a ``defs.yaml`` each; by default the package's own.
    """
    files = sorted(folder.glob("*/defs.yaml"))
    return _tasks(tuple((file, file.stat().st_mtime_ns) for file in files))


@lru_cache(maxsize=4)
def _tasks(files: tuple[tuple[Path, int], ...]) -> Tasks:
    known: dict[str, TaskSpec] = {}
    broken: dict[str, str] = {}
    for file, _ in files:
        try:
            for task in _of_file(file):
                known[task.name] = task
        except (ValidationError, TaskError, yaml.YAMLError) as error:
            broken[file.parent.name] = str(error)
    return Tasks(known, broken)


def _of_file(file: Path) -> list[TaskSpec]:
    documents = [document for document in yaml.safe_load_all(file.read_text(encoding="utf-8")) if document]
    if not all(isinstance(document, dict) for document in documents):
        raise TaskError("the YAML is no mapping", file=file)
    return [TaskSpec.model_validate(one.get("attributes")) for one in documents if one.get("type") == _TYPE]


def mart(cursor: Cursor, schema: str, task: TaskSpec, which: Which) -> Mart | None:
    """A mart as it is on the server; ``None`` if it is not there, or not for us to read."""
    name = f"{task.name}_{which}"
    state = mart_catalog.relation_state(cursor, schema, name)
    if state is None:
        return None
    columns = {
        column: Column(
            name=column,
            kind=kind,
            description=state.comments.get(column, ""),
            role=_role(column, task, which),
            key=column in ROW_ADDRESS or column in task.key,
        )
        for column, kind in state.types.items()
    }
    return Mart(schema, name, state.comment, columns)


def _role(column: str, task: TaskSpec, which: Which) -> Role:
    if column in ROW_ADDRESS:
        return "address"
    if column in SCORES:
        return "score"
    if column == LABEL:
        return "label"
    if which in ("predict_output", "model_choices"):
        return "technical"
    if column.startswith(FEATURE_PREFIX) and column.removeprefix(FEATURE_PREFIX) in task.features.all:
        return "feature"
    return "raw" if column in task.columns or which != "lineage" else "technical"
