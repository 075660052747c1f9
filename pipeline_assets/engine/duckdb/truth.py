"""Predictions of one batch beside the labels that came later, met by key; keys are held by DuckDB, which spills."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import duckdb
import pyarrow as pa

from pipeline_assets.engine.duckdb.failures import computable, values_are_values
from pipeline_assets.engine.duckdb.scan import ROWS_PER_BATCH, Scan, scan
from pipeline_assets.errors import ContractError, in_line
from pipeline_assets.task import plugins, sql
from pipeline_assets.task.casts import Cast, cast
from pipeline_assets.task.contract import ROW, raw
from pipeline_assets.task.expressions import read_named
from pipeline_assets.task.names import listed
from pipeline_assets.task.spec import LABEL, ROW_ADDRESS, Column, Target, TaskSpec
from pipeline_assets.task.types import contract_name, duckdb_type, is_nested
from pipeline_assets.task.validation import label_sql, stage_types

_ROW_NUMBER = ROW_ADDRESS[1]
_LABEL = "__label"
_DOING = "matching truth and predictions"


@dataclass(frozen=True)
class Matching:
    """How the rows of the truth and the predictions of a batch met.

    Every row of the truth is unusable, or has a key: ``truth_rows = unusable + repeated + keys``.

    Attributes:
        predictions: predicted rows.
        judged: those of them whose label is known.
        truth_rows: rows of the truth; of train batches only those whose keys were predicted.
        unusable: rows of which the key or the label cannot be read, or whose key has a null.
        repeated: rows whose key an earlier row has.
        keys: different keys.
        contradicting: keys whose rows give different labels; none of them is used.
        unlabelled: keys without a label.
        unpredicted: keys that match no prediction.
        first_unusable: number of the first unusable row, from 0; ``None`` if there is none.
    """

    predictions: int
    judged: int
    truth_rows: int
    unusable: int
    repeated: int
    keys: int
    contradicting: int
    unlabelled: int
    unpredicted: int
    first_unusable: int | None = None


@dataclass(frozen=True)
class Met:
    """Predictions beside their labels.

    Attributes:
        rows: one row per prediction, in the order of their row numbers: ``__label``, null where none is known, then
            the columns of the predictions but their key. Columns of text are dictionaries.
        matching: the counts.
        unreadable: where no prediction gets a label, those of a file that cannot be read; ``None`` if there are none.
    """

    rows: pa.Table
    matching: Matching
    unreadable: "Unreadable | None" = None

    @property
    def labels(self) -> pa.ChunkedArray:
        """The label of each prediction; null where none is known."""
        return self.rows[_LABEL]


@dataclass(frozen=True)
class Unreadable:
    """Rows of the truth whose key was predicted and whose label is none.

    Attributes:
        rows: how many.
        example: what the columns of the label hold, by name, as text.
        expected: their contract types, by name.
    """

    rows: int
    example: Mapping[str, str | None]
    expected: Mapping[str, str]


@dataclass(frozen=True)
class Predictions:
    """The stored predictions of a batch.

    Attributes:
        rows: the key's columns first, in their order in the task (``row_number`` for a task without a key), then
            ``row_number``, then any other columns.
        types: DuckDB types of those other columns that are not what the rows hold, such as JSON of a map.
    """

    rows: Iterable[pa.RecordBatch]
    types: Mapping[str, str]


def key_of(task: TaskSpec) -> dict[str, str]:
    """Contract types of the columns by which truth finds its prediction: the key, or the row's number without one."""
    return {name: task.columns[name].type for name in task.key} or {_ROW_NUMBER: "int64"}


def met_by_file(task: TaskSpec, paths: Sequence[Path], predictions: Predictions, spill: Path) -> Met:
    """Predictions beside the labels of a file of truth, or of a folder of part files.

    The file has the key's columns, and either every column that the target's expression uses or a column ``label``.

    Raises:
        ContractError: it lacks one of them, or a column cannot have the type that it must have.
        StoreError: there is no space left for keys that do not fit in memory.
    """
    name = paths[0].name if len(paths) == 1 else paths[0].parent.name
    with scan(paths, spill) as view, computable(_DOING, spill):
        source = _LabelSource.of(task, view, name)
        with values_are_values(paths):
            view.connection.execute(f"create temp table came as {source.query(view)}")
        _hold(view.connection, task, predictions)
        view.connection.execute(
            f"create temp table known as select {_keys(task)}, min({_LABEL}) as lo, max({_LABEL}) as hi"
            f" from came where usable group by {_keys(task)}"
        )
        found = _met(view.connection, task)
        return found if found.matching.judged else replace(found, unreadable=source.unreadable(view))


def met_by_train(
    task: TaskSpec, labelled: Iterable[pa.RecordBatch], predictions: Predictions, spill: Path
) -> tuple[Met, tuple[str, ...]]:
    """Predictions beside the labels of train rows that have the same keys; the last batch by name where several do.

    Args:
        task: with a key.
        labelled: train rows: the key's columns, the label, the batch.
        predictions: of the batch.
        spill: folder for keys that do not fit in memory.

    Returns:
        The rows, and the train batches that they have labels from.
    """
    label_type = plugins.kind(task.target.kind).label_type
    spill.mkdir(parents=True, exist_ok=True)
    with sql.connect(spill=str(spill)) as connection, computable(_DOING, spill):
        _hold(connection, task, predictions)
        typed = ", ".join(f"{kind} as k{at}" for at, kind in enumerate(_typed_keys(task)))
        columns = ", ".join(f"k{at} {duckdb_type(kind)}" for at, kind in enumerate(key_of(task).values()))
        connection.execute(
            f"create temp table came ({ROW} BIGINT, {columns}, {_LABEL} {label_type}, usable BOOLEAN, batch VARCHAR)"
        )
        for batch in labelled:
            _register(connection, batch, [*(f"r{at}" for at in range(len(key_of(task)))), "label", "batch"])
            connection.execute(
                f"insert into came select null, {_keys(task)}, cast(label as {label_type}), true, batch"
                f" from (select {typed}, label, batch from part) semi join predicted using ({_keys(task)})"
            )
        label = f"arg_max({_LABEL}, batch)"
        connection.execute(
            f"create temp table known as select {_keys(task)}, {label} as lo, {label} as hi,"
            f" max(batch) filter ({_LABEL} is not null) as batch from came group by {_keys(task)}"
        )
        found = connection.execute("select distinct batch from known where lo is not null order by 1").fetchall()
        return _met(connection, task), tuple(batch for (batch,) in found)


def _hold(connection: duckdb.DuckDBPyConnection, task: TaskSpec, predictions: Predictions) -> None:
    """Puts the predictions into the table ``predicted``: ``k0`` and so on, then their columns but the key."""
    keys, made = len(key_of(task)), False
    for batch in predictions.rows:
        names = batch.schema.names[keys:]
        _register(connection, batch, [*(f"r{at}" for at in range(keys)), *names])
        wanted = [f"{kind} as k{at}" for at, kind in enumerate(_typed_keys(task))]
        wanted += [_as(name, predictions.types) for name in names]
        begin = "insert into predicted" if made else "create temp table predicted as"
        connection.execute(f"{begin} select {', '.join(wanted)} from part")
        made = True


def _as(name: str, types: Mapping[str, str]) -> str:
    column = sql.name(name)
    if name not in types:
        return column
    said = f"cast({column} as JSON)" if is_nested(types[name]) else column  # marts keep nested values as JSON
    return f"cast({said} as {types[name]}) as {column}"


def _register(connection: duckdb.DuckDBPyConnection, batch: pa.RecordBatch, names: Sequence[str]) -> None:
    connection.register("part", pa.Table.from_batches([pa.RecordBatch.from_arrays(batch.columns, names=names)]))


def _typed_keys(task: TaskSpec) -> list[str]:
    """SQL of the key's values, which a mart may hold in another type."""
    return [f"cast(r{at} as {duckdb_type(kind)})" for at, kind in enumerate(key_of(task).values())]


def _keys(task: TaskSpec) -> str:
    return ", ".join(f"k{at}" for at in range(len(key_of(task))))


@dataclass(frozen=True)
class _LabelSource:
    """How the rows of a file of truth get their key and their label.

    Attributes:
        task: of the batch.
        casts: of the columns that are needed, by name.
        label: SQL over those columns.
        good: SQL over ``{label}`` that is true where it can be one.
    """

    task: TaskSpec
    casts: Mapping[str, Cast]
    label: str
    good: str

    @classmethod
    def of(cls, task: TaskSpec, view: Scan, file: str) -> "_LabelSource":
        """By the file's columns: the target's where all are there, else ``label``."""
        kind = plugins.kind(task.target.kind)
        used = read_named({"target": task.target.expression}, stage_types(task, "train"))["target"].columns
        needed = {name: Column(type=type_) for name, type_ in key_of(task).items()}
        if all(name in view.columns for name in used):
            needed |= {name: task.columns[name] for name in used}
            label, good = label_sql(task), "true"
        else:
            needed[LABEL] = Column(type=contract_name(kind.label_type))
            plain = Target(expression=sql.name(LABEL), kind=task.target.kind)
            label = kind.label(plain, kind.label_type)
            good = "coalesce({label} in (0, 1), true)" if kind.objective == "binary" else "true"
        missing = [name for name in needed if name not in view.columns]
        if missing:
            keys = in_line(key_of(task))
            raise ContractError(
                "the file of truth lacks columns that it needs",
                task=task.name,
                file=file,
                column=in_line(missing),
                found=listed(view.columns),
                expected=f"{keys}, and either {in_line(used)} of the target, or {LABEL}",
                available=list(view.columns),
            )
        return cls(task, {name: cast(name, column, view.columns[name]) for name, column in needed.items()}, label, good)

    def unreadable(self, view: Scan) -> Unreadable | None:
        """The labels of predicted rows that cannot be read, from the tables ``came`` and ``predicted``."""
        places = {name: raw(at) for at, name in enumerate(view.columns)}
        own = {name: how for name, how in self.casts.items() if name not in key_of(self.task)}
        shown = ", ".join(f"cast({places[name]} as VARCHAR)" for name in own)
        lossy = _any_lossy(places, {name: self.casts[name] for name in key_of(self.task)})
        rows, example = view.connection.execute(
            f"select count(*), arg_min([{shown}], {ROW}) from came semi join predicted using ({_keys(self.task)})"
            f" join raw using ({ROW}) where not usable and not ({lossy})"
        ).fetchall()[0]
        types = {name: how.kind for name, how in own.items()}
        return Unreadable(rows, dict(zip(own, example, strict=True)), types) if rows else None

    def query(self, view: Scan) -> str:
        """One row per row of the file: its number, the key, the label, and whether it can be used."""
        places = {name: raw(at) for at, name in enumerate(view.columns)}
        typed = [f"{how.typed(places[name])} as {sql.name(name)}" for name, how in self.casts.items()]
        lossy = _any_lossy(places, self.casts)
        keys = [sql.name(name) for name in key_of(self.task)]
        there = " and ".join(f"k{at} is not null" for at in range(len(keys)))
        named = ", ".join(f"{key} as k{at}" for at, key in enumerate(keys))
        # Written once, as DuckDB computes what it finds twice outside of try. The list is null where the label raises.
        return (
            f"select {ROW}, {_keys(self.task)}, said[1] as {_LABEL},"
            f" not lossy and {there} and said is not null and {self.good.format(label='said[1]')} as usable"
            f" from (select {ROW}, {named}, try([{self.label}]) as said, lossy"
            f" from (select {ROW}, {', '.join(typed)}, {lossy} as lossy from raw))"
        )


def _any_lossy(places: Mapping[str, str], casts: Mapping[str, Cast]) -> str:
    """SQL that is true where a column's value does not have its type."""
    checks = [how.lossy(places[name], how.typed(places[name])) for name, how in casts.items()]
    return " or ".join(f"coalesce({check}, false)" for check in checks if check is not None) or "false"


def _met(connection: duckdb.DuckDBPyConnection, task: TaskSpec) -> Met:
    """What the tables ``predicted``, ``came`` and ``known`` say together."""
    keys = _keys(task)
    rows = connection.sql(
        f"select case when t.lo = t.hi then t.lo end as {_LABEL}, p.* exclude ({keys}) from predicted p"
        f" left join known t using ({keys}) order by p.{_ROW_NUMBER}"
    ).to_arrow_reader(ROWS_PER_BATCH)
    table = pa.Table.from_batches(map(_coded, rows), _coded(pa.RecordBatch.from_pylist([], rows.schema)).schema)
    came, unusable, first = _one(
        connection, f"select count(*), count(*) filter (not usable), min({ROW}) filter (not usable) from came"
    )
    known, contradicting, unlabelled = _one(
        connection, "select count(*), count(*) filter (lo <> hi), count(*) filter (lo is null) from known"
    )
    (unpredicted,) = _one(connection, f"select count(*) from known anti join predicted using ({keys})")
    return Met(
        table.unify_dictionaries(),
        Matching(
            predictions=len(table),
            judged=len(table) - table[_LABEL].null_count,
            truth_rows=came,
            unusable=unusable,
            repeated=came - unusable - known,
            keys=known,
            contradicting=contradicting,
            unlabelled=unlabelled,
            unpredicted=unpredicted,
            first_unusable=first,
        ),
    )


def _one(connection: duckdb.DuckDBPyConnection, query: str) -> tuple[int, ...]:
    return tuple(connection.execute(query).fetchall()[0])


def _coded(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The rows with each text once: a segment has few values."""
    columns = [each.dictionary_encode() if pa.types.is_string(each.type) else each for each in batch.columns]
    return pa.RecordBatch.from_arrays(columns, names=batch.schema.names)
