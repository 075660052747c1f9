"""What there is to look at: tasks from their YAML files, marts and columns from the server's catalog.

No other module of the page builds a table or column name: a name from an address or a form is looked up here first.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

from psycopg2.extensions import cursor as Cursor  # noqa: N812 - it is a class
from psycopg2.sql import Identifier

from pipeline_assets.settings import PACKAGED_TASKS
from pipeline_assets.stores.marts import catalog as mart_catalog
from pipeline_assets.stores.marts.definition import stored_names
from pipeline_assets.stores.marts.sql import Dialect
from pipeline_assets.stores.marts.sql_types import is_nested
from pipeline_assets.task import plugins
from pipeline_assets.task.loading import FILE, load_tasks, task_folders
from pipeline_assets.task.names import own_name
from pipeline_assets.task.preparation import MORE_COLUMNS
from pipeline_assets.task.spec import FEATURE_PREFIX, LABEL, ROW_ADDRESS, TaskSpec
from pipeline_assets.task.types import arrow_type, contract_name

Which = Literal[
    "train_input",
    "predict_input",
    "predict_output",
    "model_choices",
    "quality",
    "reproductions",
    "drift",
]
Role = Literal["address", "score", "technical", "raw", "feature", "label"]

# What most columns of a mart are to the task.
_USUAL: Mapping[Which, Role] = {
    "train_input": "raw",
    "predict_input": "raw",
    "predict_output": "score",
    "model_choices": "technical",
    "reproductions": "technical",
    "quality": "technical",
    "drift": "technical",
}
# Marts of the pipeline's own columns alone.
_OWN: tuple[Which, ...] = ("model_choices", "quality", "reproductions", "drift")
# What the output mart says of a prediction beside its scores.
_OF_PREDICTION = ("model_version", "run_id", "predicted_at")
# Last words of names whose numbers are names.
_CODES = {"id", "ids", "no", "nr", "number", "code", "year", "zip", "postcode", "phone", "inn", "version", "key"}
_NUMBERS = ("smallint", "integer", "bigint", "real", "double precision", "numeric")


@dataclass(frozen=True)
class Tasks:
    """The tasks of some folders.

    Attributes:
        known: by name.
        broken: what is wrong with the YAML files that cannot be read, by folder.
    """

    known: Mapping[str, TaskSpec]
    broken: Mapping[str, str]


@dataclass(frozen=True)
class Column:
    """A column of a mart.

    Attributes:
        name: as the server has it.
        kind: its SQL type, spelled as ``format_type`` does.
        description: what it means: the comment on it; for a feature, the task's description and expression.
        role: what the column means to the task.
        key: whether rows are looked up by it: it is part of the row address or of the task's key, and never null.
        json: whether its text is JSON: a list, a structure or a map.
    """

    name: str
    kind: str
    description: str
    role: Role
    key: bool
    json: bool = False

    @property
    def sql(self) -> Identifier:
        """Its name in a statement."""
        return Identifier(self.name)

    @property
    def code(self) -> bool:
        """Whether its whole numbers name something, as an order's id does: nobody counts with them."""
        return self.key or is_code(self.name)

    @property
    def numeric(self) -> bool:
        """Whether its values are numbers."""
        return self.kind.startswith(_NUMBERS)


@dataclass(frozen=True)
class Mart:
    """A table of a task.

    Attributes:
        columns: by name, in order.
        address: names of the columns that hold the row address: batch, then row number. They are the usual names
            unless the user's own columns have those.
        label: name of the label's column; train only.
        task_key: names that the columns of the task's key have here.
        dialect: of its server.
    """

    schema: str
    name: str
    description: str
    columns: Mapping[str, Column]
    address: tuple[str, str] = ROW_ADDRESS
    label: str = LABEL
    task_key: tuple[str, ...] = ()
    dialect: Dialect = Dialect.POSTGRESQL

    @property
    def sql(self) -> Identifier:
        """Its name in a statement."""
        return Identifier(self.schema, self.name)

    @property
    def batch(self) -> Identifier:
        """The column that names a row's batch, in a statement."""
        return Identifier(self.address[0])

    @property
    def row_number(self) -> Identifier:
        """The column that holds a row's number in its batch, in a statement."""
        return Identifier(self.address[1])

    def named(self, role: Role) -> tuple[str, ...]:
        """Names of the columns with a role, in order."""
        return tuple(name for name, column in self.columns.items() if column.role == role)


def is_code(name: str) -> bool:
    """Whether a column's name says that its numbers are names, such as ids, codes and years.

    >>> is_code("order_id"), is_code("plane_year"), is_code("humid"), is_code("number_of_seats")
    (True, True, False, False)
    """
    return re.split(r"[^a-z0-9]+", re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower())[-1] in _CODES


def tasks(folders: Sequence[Path] = (PACKAGED_TASKS,)) -> Tasks:
    """Every task of some folders, read again where a file changed.

    Args:
        folders: each sub-folder of one holds a ``defs.yaml``; by default the package's own folder.
    """
    files = [folder / FILE for folder in task_folders(folders)]
    return _tasks(tuple(folders), tuple((file, file.stat().st_mtime_ns) for file in files))


@lru_cache(maxsize=4)
def _tasks(folders: tuple[Path, ...], _files: tuple[tuple[Path, int], ...]) -> Tasks:
    """The files are in the key of the cache alone: they say when to read again."""
    found = load_tasks(folders)
    names = [folder.name for folder in found.broken]
    return Tasks(
        found.known,
        # Two of the folders may each have a sub-folder of this name.
        {
            folder.name if names.count(folder.name) == 1 else str(folder): str(error)
            for folder, error in found.broken.items()
        },
    )


def mart(cursor: Cursor, schema: str, task: TaskSpec, which: Which) -> Mart | None:
    """A mart as it is on the server; ``None`` if there is no such table, or our login may not read it."""
    name = f"{task.name}_{which}"
    state = mart_catalog.relation_state(cursor, schema, name)
    if state is None:
        return None
    users = _users_columns(task, which)
    batch, row_number, label, more = (own_name(own, users) for own in (*ROW_ADDRESS, LABEL, MORE_COLUMNS))
    stored = stored_names((*users, batch, row_number, label))
    roles: dict[str, Role] = {batch: "address", row_number: "address", **_roles(task, which, label)}
    if which in ("train_input", "predict_input"):
        roles[more] = "technical"
    roles = {stored.get(name, name): role for name, role in roles.items()}
    task_key = tuple(stored.get(name, name) for name in task.key)
    features = {
        stored[f"{FEATURE_PREFIX}{name}"]: (
            f"{each.description} ({each.expression})" if each.description else each.expression
        )
        for name, each in (task.features.all.items() if which in ("train_input", "predict_input") else ())
    }
    nested = {more} | {
        stored.get(name, name) for name, kind in _user_types(task, which).items() if is_nested(arrow_type(kind))
    }
    columns = {
        column: Column(
            name=column,
            kind=kind,
            description=features.get(column, state.comments.get(column, "")),
            role=roles.get(column, _USUAL[which]),
            key=column in (batch, row_number, *task_key),
            json=column in nested,
        )
        for column, kind in state.types.items()
    }
    dialect = mart_catalog.dialect(cursor)
    return Mart(schema, name, state.comment, columns, (batch, row_number), label, task_key, dialect)


def _users_columns(task: TaskSpec, which: Which) -> list[str]:
    """Columns of a mart that are the user's: they keep their names, and the pipeline's own columns step aside."""
    if which == "predict_output" or which in _OWN:
        return []
    raw = task.columns_of("train" if which == "train_input" else "predict")
    return [*raw, *(f"{FEATURE_PREFIX}{name}" for name in task.features.all)]


def _user_types(task: TaskSpec, which: Which) -> dict[str, str]:
    """Contract types of a mart's raw or score columns."""
    if which == "predict_output":
        scores = plugins.kind(task.target.kind).score_types
        return {name: contract_name(duckdb_type) for name, duckdb_type in scores.items()}
    if which in _OWN:
        return {}
    return {name: each.type for name, each in task.columns_of("train" if which == "train_input" else "predict").items()}


def _roles(task: TaskSpec, which: Which, label: str) -> dict[str, Role]:
    """Roles of the columns that are not what most columns of the mart are."""
    if which == "predict_output":
        return dict.fromkeys(_OF_PREDICTION, "technical")
    if which in _OWN:
        return {}
    labels: dict[str, Role] = {label: "label"} if which == "train_input" else {}
    return {**dict.fromkeys((f"{FEATURE_PREFIX}{name}" for name in task.features.all), "feature"), **labels}
