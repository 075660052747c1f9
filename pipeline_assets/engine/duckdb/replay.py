"""Finds what became of formerly rejected rows: looks for each of them in the batch as it is now."""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline_assets.engine.duckdb.failures import computable
from pipeline_assets.engine.duckdb.scan import ROWS_PER_BATCH, scan
from pipeline_assets.engine.record import CheckRecord, is_reason_of, key_rule
from pipeline_assets.engine.replay import OUTCOMES, SCHEMA, Replay, RuleOutcome
from pipeline_assets.errors import ContractError, located
from pipeline_assets.stores.files.base import FileStore, Found
from pipeline_assets.task import sql
from pipeline_assets.task.batch import Manifest
from pipeline_assets.task.casts import cast
from pipeline_assets.task.contract import ROW, raw
from pipeline_assets.task.names import own_name
from pipeline_assets.task.spec import TaskSpec

# How many rows that were not rejected before a record names.
_FIRST = 10
_HEAD = pa.schema([("number", pa.int64()), ("reason", pa.string()), ("rules", pa.list_(pa.string()))])
_RULES = _HEAD.get_field_index("rules")
_NOW = "now.parquet"
_FORMER = "former.parquet"
_LEFT = "(select * from sought anti join pairs on pairs.former = sought.number)"
_FREE = "(select * from candidates anti join pairs on pairs.present = candidates.number)"


class RejectedNow:
    """Rows that a check rejects, by number and rules, kept aside in a folder until they are compared."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._writer = pq.ParquetWriter(folder / _NOW, _HEAD)

    def add(self, rejected: pa.RecordBatch) -> None:
        """Adds rejected rows as a check gives them."""
        columns = [rejected.column(0), pa.nulls(len(rejected), pa.string()), rejected.column(_RULES)]
        self._writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=_HEAD))

    def close(self) -> None:
        """Ends the file."""
        self._writer.close()


@contextmanager
def rejected_now(spill: Path) -> Iterator[RejectedNow]:
    """A folder below ``spill``, which goes at the end of the block."""
    spill.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=spill) as folder:
        rows = RejectedNow(Path(folder))
        try:
            yield rows
        finally:
            rows.close()


@dataclass(frozen=True)
class Compared:
    """A comparison, and its rows as :data:`pipeline_assets.engine.replay.SCHEMA` says, then the key."""

    replay: Replay
    rows: pa.RecordBatchReader


@contextmanager
def compare(
    former: CheckRecord, now: Manifest, rejected: RejectedNow, *, files: FileStore, task: TaskSpec, spill: Path
) -> Iterator[Compared]:
    """Says what became of each row that a former check of the batch rejected.

    In an unchanged file a row is at its address. In a changed one a row is looked for by its whole content, at its
    address and then elsewhere; then by the key of the task, at its address and then elsewhere, but not by a key that
    was rejected because it repeats another row's; then at its address, if the file has as many rows as before and no
    key could tell, so that the row was mended in place. What is not found is gone. No present row is taken for two
    former ones.

    Args:
        former: the record of the former check.
        now: the result of the present one.
        rejected: the rows that it rejects.
        files: where the batch is.
        task: as it is now.
        spill: folder for data that does not fit in memory.

    Raises:
        ContractError: the file changed since the present check.
        StoreError: there is no space left for data that does not fit in memory.
    """
    rejected.close()
    _spool(former, rejected.folder / _FORMER)
    was = {name: f"was_{place}" for place, name in enumerate(former.raw)}
    with ExitStack() as opened:
        opened.enter_context(located({**now.ref.facts(), "file": now.uri}))
        opened.enter_context(computable("the comparison with the former check", spill))
        changed = former.manifest.sha256 != now.sha256
        if changed:
            paths = opened.enter_context(files.open(Found(now.uri, now.parts)))
            view = opened.enter_context(scan(paths, spill))
            connection, columns = view.connection, {name: raw(place) for place, name in enumerate(view.columns)}
        else:
            connection, columns = sql.connect(spill=str(spill)), {}
            opened.callback(connection.close)
        for name, file in (("former", _FORMER), ("rejected_now", _NOW)):
            path = sql.text(str(rejected.folder / file))
            connection.execute(f"create view {name} as select * from read_parquet({path})")
        if changed:
            _Search(connection, task, was, columns).pair(in_place=former.manifest.rows == now.rows)
        else:
            connection.execute("create temp table pairs as select number as former, number as present,"
                               " 'address' as found_by, []::VARCHAR[] as changed from former")  # fmt: skip
        key = [name for name in task.key if name in was]
        _make_outcomes(connection, [was[name] for name in key])
        yield Compared(_summary(connection, former.manifest, now), _rows(connection, key))


def _spool(former: CheckRecord, path: Path) -> None:
    """Writes the former rejected rows here: number, reason, rules, and the raw columns by their places."""
    stored = former.stored
    fields = [stored.schema.field(name).with_name(f"was_{place}") for place, name in enumerate(former.raw)]
    schema = pa.schema([*_HEAD, *fields])
    named = len(former.added) > _RULES
    with pq.ParquetWriter(path, schema) as writer:
        for batch in stored.batches():
            rules = batch.column(_RULES) if named else _rules_of(batch.column(1), former.manifest)
            columns = [batch.column(0), batch.column(1), rules, *batch.columns[len(former.added) :]]
            writer.write_batch(pa.RecordBatch.from_arrays(columns, schema=schema))


def _rules_of(reasons: pa.Array, manifest: Manifest) -> pa.Array:
    """The rules that reasons speak of, for files of earlier versions of the pipeline, which do not name them."""
    found = [[rule for rule in manifest.reasons if is_reason_of(reason, rule)] for reason in reasons.to_pylist()]
    return pa.array(found, pa.list_(pa.string()))


class _Search:
    """Looks for formerly rejected rows in a changed file: fills the table ``pairs``.

    Args:
        connection: with the view ``raw`` of the batch, ``former`` and ``rejected_now``.
        task: as it is now.
        was: the former file's columns, as ``former`` calls them.
        columns: the present file's columns, as ``raw`` calls them.
    """

    def __init__(
        self, connection: duckdb.DuckDBPyConnection, task: TaskSpec, was: Mapping[str, str], columns: Mapping[str, str]
    ) -> None:
        self._connection, self._task = connection, task
        self._was_types, self._types = (
            {row[0]: row[1] for row in connection.execute(f"describe {view}").fetchall()} for view in ("former", "raw")
        )
        self._both = {name: self._comparable(was[name], columns[name]) for name in columns if name in was}
        self._keys = self._typed_keys(was, columns)

    def pair(self, *, in_place: bool) -> None:
        """Pairs each former row with the present one that it is now, if there is one.

        Args:
            in_place: whether the file has as many rows as before.
        """
        run = self._connection.execute
        repeats = f"list_contains(rules, {sql.text(key_rule(self._task))})" if self._task.key else "false"
        former_key, present_key = self._keys
        was, now = (f"hash({', '.join(side) or 'null'})" for side in zip(*self._both.values(), strict=True)) if (
            self._both
        ) else ("null", "null")  # fmt: skip
        run(f"create temp table sought as select number, {was} as content, {former_key} as key, {repeats} as repeats"
            " from former")  # fmt: skip
        run(
            "create temp table candidates as select *, number in (select number from rejected_now) as rejected"
            f" from (select {ROW} as number, {now} as content, {present_key} as key from raw)"
            " where content in (select content from sought) or key in (select key from sought where key is not null)"
            " or number in (select number from sought)"
        )
        run("create temp table pairs (former BIGINT, present BIGINT, found_by VARCHAR)")
        self._at_address("n.content = f.content", "address")
        self._elsewhere("content", "true")
        self._at_address("n.key = f.key", "key")
        self._elsewhere("key", "key is not null and not repeats")
        if in_place:
            self._at_address("(f.key is null or f.repeats)", "address")
        self._note_changes()

    def _at_address(self, same: str, by: str) -> None:
        self._connection.execute(
            f"insert into pairs select f.number, n.number, '{by}' from {_LEFT} f"
            f" join {_FREE} n on n.number = f.number and {same}"
        )

    def _elsewhere(self, by: str, such: str) -> None:
        # Of equal rows the first goes with the first: a rejected one rather with one that is rejected now.
        ranked = "row_number() over (partition by {} order by {})"
        self._connection.execute(
            f"insert into pairs select f.number, n.number, '{by}'"
            f" from (select *, {ranked.format(by, 'number')} as place from {_LEFT} where {such}) f"
            f" join (select *, {ranked.format(by, 'rejected desc, number')} as place from {_FREE}) n"
            f" on n.{by} = f.{by} and n.place = f.place"
        )

    def _note_changes(self) -> None:
        """Adds to each pair the columns in which the two rows differ; only rows of other content are read again."""
        run = self._connection.execute
        names = ", ".join(f"case when {was} is distinct from {now} then {sql.text(name)} end"
                          for name, (was, now) in self._both.items())  # fmt: skip
        run("alter table pairs add column changed VARCHAR[] default []")
        run(
            "create temp table differing as select p.former, p.present from pairs p"
            " join sought f on f.number = p.former join candidates n on n.number = p.present"
            " where f.content is distinct from n.content"
        )
        run(
            f"create temp table changes as select d.former, list_filter([{names or 'null'}]::VARCHAR[],"
            " lambda name: name is not null) as names from differing d"
            f" join former on former.number = d.former join raw on raw.{ROW} = d.present"
        )
        run("update pairs set changed = names from changes where changes.former = pairs.former")

    def _comparable(self, was: str, now: str) -> tuple[str, str]:
        if self._was_types[was] == self._types[now]:
            return was, now
        return f"{was}::VARCHAR", f"{now}::VARCHAR"

    def _typed_keys(self, was: Mapping[str, str], columns: Mapping[str, str]) -> tuple[str, str]:
        """SQL of a hash of the key of a former and of a present row; null where a key is not whole."""
        typed = []
        for names, types in ((was, self._was_types), (columns, self._types)):
            try:
                ways = [
                    (cast(name, self._task.columns[name], types[names[name]]), names[name]) for name in self._task.key
                ]
            except (KeyError, ContractError):  # the former file had no such column, or not of such a type
                return "null::UBIGINT", "null::UBIGINT"
            values = [way.typed(column) for way, column in ways]
            whole = " and ".join(f"{value} is not null" for value in values) or "false"
            typed.append(f"case when {whole} then hash({', '.join(values) or 'null'}) end")
        return typed[0], typed[1]


def _make_outcomes(connection: duckdb.DuckDBPyConnection, key: Sequence[str]) -> None:
    """Makes the table ``outcomes`` of all former rows, with the key as it was."""
    keys = "".join(f", f.{column} as key_{place}" for place, column in enumerate(key))
    connection.execute(
        "create temp table outcomes as select f.number as row_number, f.reason, f.rules,"
        " case when p.former is null then 'gone' when r.number is null then 'accepted'"
        " when list_has_any(f.rules, r.rules) then 'same_rule' else 'other_rule' end as outcome,"
        " p.found_by, p.present as row_number_now, r.rules as rules_now,"
        f" coalesce(p.changed, []) as changed_columns{keys}"
        " from former f left join pairs p on p.former = f.number left join rejected_now r on r.number = p.present"
    )


def _rows(connection: duckdb.DuckDBPyConnection, key: Sequence[str]) -> pa.RecordBatchReader:
    """The rows of ``outcomes`` under their names."""
    reader = connection.sql("from outcomes order by row_number").to_arrow_reader(ROWS_PER_BATCH)
    own = [field.with_name(own_name(field.name, key)) for field in SCHEMA]
    theirs = [field.with_name(name) for name, field in zip(key, [*reader.schema][len(own) :], strict=True)]
    schema = pa.schema([*own, *theirs])
    batches = (
        pa.RecordBatch.from_arrays(
            [column.cast(kind) for column, kind in zip(batch.columns, schema.types, strict=True)], schema=schema
        )
        for batch in reader
    )
    return pa.RecordBatchReader.from_batches(schema, batches)


def _summary(connection: duckdb.DuckDBPyConnection, former: Manifest, now: Manifest) -> Replay:
    ask = connection.execute
    counted = "count(*), count_if(len(changed_columns) > 0)"
    counts = ask(f"select outcome, {counted} from outcomes group by outcome").fetchall()
    by_rule = ask("select rule, outcome, count(*) from (select unnest(rules) as rule, outcome from outcomes)"
                  " group by all order by count(*) desc, rule, outcome").fetchall()  # fmt: skip
    first = f"order by number limit {_FIRST}"
    newly = "(from rejected_now anti join outcomes on outcomes.row_number_now = rejected_now.number)"
    return Replay(
        former=former,
        now=now,
        outcomes={each: next((rows for found, rows, _ in counts if found == each), 0) for each in OUTCOMES},
        changed={each: next((rows for found, _, rows in counts if found == each), 0) for each in OUTCOMES},
        by_rule=tuple(RuleOutcome(*row) for row in by_rule),
        newly=dict(ask(f"select rule, count(*) from (select unnest(rules) as rule from {newly}) group by rule"
                       " order by count(*) desc, rule").fetchall()),
        newly_rejected=ask(f"select count(*) from {newly}").fetchall()[0][0],
        newly_first=tuple(row for (row,) in ask(f"select number from {newly} {first}").fetchall()),
    )  # fmt: skip
