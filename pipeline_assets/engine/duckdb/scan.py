"""A batch's parquet files as one DuckDB view ``raw``: rows in file order, numbered continuously over the parts."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline_assets.engine.duckdb.parquet_types import as_read, check_columns, found_types, kept_type, restored
from pipeline_assets.errors import ContractError
from pipeline_assets.task import sql
from pipeline_assets.task.contract import FAILURES, REASON, ROW, RULES, bits, raw
from pipeline_assets.task.names import own_name
from pipeline_assets.task.spec import READERS_OWN

# 60 DuckDB vectors: large enough to make Arrow's cost per batch small, small enough to save memory.
ROWS_PER_BATCH = 122_880
# Batches of more columns have fewer rows, down to one vector, so that a wide file needs no more memory than a long one.
_COLUMNS_PER_BATCH = 200
_VECTOR = 2_048


@dataclass(frozen=True)
class Scan:
    """An open view over a batch's files: ``__row_number``, then the files' columns as ``__raw_0`` and so on.

    Attributes:
        connection: to the database that holds the view.
        rows_of_parts: rows of each file.
        parts: SQL strings of the files' names, in the same order.
        names: DuckDB's names of the files' columns.
        schema: the files' columns with their names and types; a timestamp of INT96 has microseconds.
        columns: the files' columns with their DuckDB types.
    """

    connection: duckdb.DuckDBPyConnection
    rows_of_parts: tuple[int, ...]
    parts: tuple[str, ...]
    names: tuple[str, ...]
    schema: pa.Schema
    columns: dict[str, str]

    @property
    def rows(self) -> int:
        """Rows of all files."""
        return sum(self.rows_of_parts)

    def mark(self, variable: str, rows: npt.NDArray[np.int64]) -> None:
        """Sets a bit string variable for :func:`pipeline_assets.task.contract.in_bits`."""
        self.connection.execute(f"set variable {sql.name(variable)} = ?::BIT", [bits(rows, self.rows)])

    def only(self, numbers: npt.NDArray[np.int64], places: Sequence[int]) -> pa.RecordBatchReader:
        """Some rows as :meth:`stream` gives them. Row groups without any of them are not read.

        Of the others DuckDB decodes only the values wanted, where the encoding allows it.

        Args:
            numbers: of the rows, ascending, at least one.
            places: of the columns wanted after the row number.
        """
        first, last = int(numbers[0]), int(numbers[-1])
        ends = np.cumsum(self.rows_of_parts)
        parts = range(int(np.searchsorted(ends, first, "right")), int(np.searchsorted(ends, last, "right")) + 1)
        starts = [int(ends[part]) - self.rows_of_parts[part] for part in parts]
        source = _numbered([self.parts[part] for part in parts], starts, self.names)
        if len(parts) == 1:
            # DuckDB knows which row groups these are, but not for the sum that is the row number.
            source += f" where file_row_number between {first - starts[0]} and {last - starts[0]}"
        within = f"{ROW} between {first} and {last}"
        if len(numbers) <= last - first:
            self.connection.execute("set variable wanted = ?::BIT", [bits(numbers - first, last - first + 1)])
            marked = f"get_bit(getvariable('wanted'), ({ROW} - {first})::INTEGER) = 1"
            within = f"case when {within} then {marked} else false end"
        return self.stream(f"select {', '.join([ROW, *map(raw, places)])} from ({source}) where {within}")

    def stream(self, query: str) -> pa.RecordBatchReader:
        """The rows of a query, in file order, as a stream.

        Columns of the view get the names and types that they have in the file. ``__row_number``, ``__reason`` and
        ``__rules`` become ``row_number``, ``reason`` and ``rules``, or get other names where the file has such columns.
        ``sql`` streams; ``execute`` would hold the whole answer, whatever the memory limit.
        """
        relation = self.connection.sql(query)
        columns = max(len(relation.columns), _COLUMNS_PER_BATCH)
        reader = relation.to_arrow_reader(max(ROWS_PER_BATCH * _COLUMNS_PER_BATCH // columns, _VECTOR))
        places = {raw(place): field for place, field in enumerate(self.schema)}
        as_it_came = [places.get(name) for name in reader.schema.names]
        if not any(as_it_came):
            return reader
        own = {inner: own_name(inner.removeprefix("__"), self.schema.names) for inner in (ROW, REASON, RULES)}
        fields = [
            field.with_name(own.get(field.name, field.name))
            if came is None
            else pa.field(came.name, kept_type(came.type, field.type))
            for came, field in zip(as_it_came, reader.schema, strict=True)
        ]
        schema = pa.schema(fields)
        batches = (
            pa.RecordBatch.from_arrays(
                [restored(column, kind) for column, kind in zip(batch.columns, schema.types, strict=True)],
                schema=schema,
            )
            for batch in reader
        )
        return pa.RecordBatchReader.from_batches(schema, batches)


@contextmanager
def scan(paths: Sequence[Path], spill: Path) -> Iterator[Scan]:
    """Opens a batch's files.

    Args:
        paths: in the order that row numbers follow.
        spill: folder for data that does not fit in memory.

    Raises:
        ContractError: a file is empty, is not parquet or is truncated, the parts have different columns, or a column
            has a name or a type that cannot be kept exactly.
    """
    rows_of_parts, schema = _read_footers(paths)
    spill.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        # Links with plain names: DuckDB would take a * or [ in a file's name for a pattern.
        links = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=spill)))
        names = [links / f"{place}.parquet" for place in range(len(paths))]
        for link, path in zip(names, paths, strict=True):
            link.symlink_to(path.resolve())
        connection = sql.connect(spill=str(spill))
        stack.callback(connection.close)
        connection.execute(f"set variable {FAILURES} = map {{}}::MAP(VARCHAR, VARCHAR)")
        parts = tuple(sql.text(str(link)) for link in names)
        with readable(paths):
            described = connection.execute(f"describe select * from read_parquet([{', '.join(parts)}])").fetchall()
            columns = tuple(row[0] for row in described)
            starts = np.cumsum([0, *rows_of_parts[:-1]]).tolist()
            connection.execute(f"create view raw as {_numbered(parts, starts, columns)}")
        found = found_types(schema, [row[1] for row in described])
        yield Scan(connection, rows_of_parts, parts, columns, schema, found)


def _numbered(parts: Sequence[str], starts: Sequence[int], names: Sequence[str]) -> str:
    """SQL query: the rows of some files, the first of each numbered as told, with columns ``__raw_0`` and so on."""
    first = ", ".join(f"{start}::BIGINT" for start in starts)
    # By position: DuckDB renames columns whose names are empty or differ only by case.
    columns = ", ".join(f"{sql.name(name)} as {raw(place)}" for place, name in enumerate(names))
    return (
        f"select file_row_number + [{first}][(file_index + 1)::BIGINT] as {ROW}, {columns}"
        f" from read_parquet([{', '.join(parts)}], file_row_number = true)"
    )


def _read_footers(paths: Sequence[Path]) -> tuple[tuple[int, ...], pa.Schema]:
    counts = []
    first: pa.Schema | None = None
    for path in paths:
        if path.stat().st_size == 0:
            raise ContractError("the file is empty: 0 bytes", file=path.name, expected="a parquet file")
        with readable([path]), pq.ParquetFile(path) as file:
            schema = as_read(file.schema_arrow.remove_metadata(), file.schema)
            counts.append(file.metadata.num_rows)
            if first is None:
                _check_names(path, schema)
                check_columns(path.name, schema, file.schema)
        if first is None:
            first = schema
        elif schema != first:
            other = sorted({str(field) for field in schema} ^ {str(field) for field in first})
            raise ContractError(
                "the parts of the batch do not have the same columns",
                file=path.name,
                found="; ".join(other) or "another order",
                expected=f"the columns of {paths[0].name}",
            )
    if first is None or sum(counts) == 0:
        raise ContractError("the batch holds no rows", file=", ".join(path.name for path in paths[:3]))
    return tuple(counts), first


def _check_names(path: Path, schema: pa.Schema) -> None:
    twice = sorted({name for name in schema.names if schema.names.count(name) > 1})
    if twice:
        raise ContractError(
            "the file has several columns under one name",
            file=path.name,
            column=", ".join(repr(name) for name in twice),
            expected="one column per name",
            do="rename them where the file is written",
        )
    added = [name for name in schema.names if name.lower() in READERS_OWN]
    if added:
        raise ContractError(
            "the file has columns under names that its reader needs for itself",
            file=path.name,
            column=", ".join(added),
            expected=f"other names than {' and '.join(READERS_OWN)}",
            do="rename them where the file is written",
        )


@contextmanager
def readable(paths: Sequence[Path]) -> Iterator[None]:
    """Turns a parquet reader's error into a ContractError that names the file."""
    name = paths[0].name if len(paths) == 1 else paths[0].parent.name
    try:
        yield
    except duckdb.OutOfMemoryException:
        raise
    except (pa.ArrowInvalid, OSError, duckdb.Error) as error:
        raise ContractError(
            "the file cannot be read as parquet: it is damaged, cut short or something else",
            file=name,
            found=str(error).splitlines()[0].replace(str(paths[0].parent) + "/", ""),
        ) from error
