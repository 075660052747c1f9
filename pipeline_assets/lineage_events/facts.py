"""What a lineage event is made of: the run, the step, the datasets it read and wrote, and what its checks found."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal
from urllib.parse import unquote, urlsplit

DatasetType = Literal["FILE", "TABLE", "MODEL"]
End = Literal["COMPLETE", "FAIL", "ABORT"]


@dataclass(frozen=True)
class DatasetName:
    """The physical name of a dataset, by which the reports of different tools join.

    Attributes:
        namespace: of the store: ``s3://bucket``, ``postgres://host:port``, ``file``.
        name: within the store.
    """

    namespace: str
    name: str


@dataclass(frozen=True)
class Column:
    """A column of a dataset."""

    name: str
    type: str
    description: str = ""


@dataclass(frozen=True)
class Origin:
    """A column of a dataset that a column of another one is made of."""

    dataset: DatasetName
    column: str


@dataclass(frozen=True)
class Assertion:
    """What a check found.

    Attributes:
        description: what should be; what was found is no part of it, because that may be a value of a row.
        blocks: whether the batch goes no further if it does not pass.
    """

    check: str
    passed: bool
    description: str | None
    blocks: bool


@dataclass(frozen=True)
class Dataset:
    """A dataset as a step read it or wrote it.

    Attributes:
        version: of its content, such as a model's number or a file's SHA-256.
        rows: read or written.
        size: in bytes.
        files: how many.
        origins: by column, what it is made of.
        assertions: what the checks of this step found in it.
    """

    name: DatasetName
    type: DatasetType
    version: str | None = None
    columns: tuple[Column, ...] = ()
    rows: int | None = None
    size: int | None = None
    files: int | None = None
    origins: Mapping[str, tuple[Origin, ...]] = field(default_factory=dict)
    assertions: tuple[Assertion, ...] = ()


@dataclass(frozen=True)
class Run:
    """A run of Dagster, the parent of its steps.

    Attributes:
        job: its name.
        run_id: a UUID.
        tags: task, stage and batch, as far as it has them.
    """

    job: str
    run_id: str
    tags: Mapping[str, str]


@dataclass(frozen=True)
class Step:
    """A step of a run that has ended.

    Attributes:
        job: ``<task>_<stage>.<step>``, the same in every run.
        key: of the step in its run.
        error: by which it failed, for people; ``None`` if it did not fail.
    """

    job: str
    key: str
    started: datetime
    ended: datetime
    inputs: tuple[Dataset, ...] = ()
    outputs: tuple[Dataset, ...] = ()
    error: str | None = None
    description: str = ""
    owners: tuple[str, ...] = ()


def dataset_name(uri: str) -> tuple[DatasetName, DatasetType]:
    """The standard's name of what a store's address leads to.

    A batch in Tarantool is named by its space, which tables of all batches share, as in PostgreSQL. The embedded
    PostgreSQL has no port; its folder takes the host's place.

    Args:
        uri: a path, ``s3://bucket/key``, ``postgresql://host:port/database/schema.table`` or
            ``tarantool://host:port/space?batch=...``.

    >>> dataset_name("postgresql://db:5432/dwh/marts.flights_predict_input")[0]
    DatasetName(namespace='postgres://db:5432', name='dwh.marts.flights_predict_input')
    """
    scheme, _, rest = uri.partition("://")
    if not rest or scheme == "file":
        return DatasetName("file", rest or uri), "FILE"
    if scheme == "s3":  # a key may hold any character, so it is no URL
        bucket, _, key = rest.partition("/")
        return DatasetName(f"s3://{bucket}", key), "FILE"
    parts = urlsplit(uri)
    place, path = parts.netloc.rpartition("@")[2], parts.path.strip("/")
    if scheme == "postgresql":
        return DatasetName(f"postgres://{place}", ".".join(unquote(part) for part in path.split("/"))), "TABLE"
    return DatasetName(f"{scheme}://{place}", unquote(path)), "TABLE"
