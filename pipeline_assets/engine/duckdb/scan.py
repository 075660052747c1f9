"""A batch's parquet files as one DuckDB view ``raw``: row numbers that count on over the parts, rows in file order."""

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

from pipeline_assets.errors import ContractError, DataError, PipelineError
from pipeline_assets.task import sql
from pipeline_assets.task.contract import bits

# DuckDB's own vector group size times 60: large enough that Arrow's cost per batch vanishes, small enough to be flat.
ROWS_PER_BATCH = 122_880


@dataclass(frozen=True)
class Scan:
    """An open view over a batch's files.

    Attributes:
        connection: to the database that holds the view.
        rows_of_parts: rows of each file.
        columns: the files' columns with their DuckDB types.
    """

    connection: duckdb.DuckDBPyConnection
    rows_of_parts: tuple[int, ...]
    columns: dict[str, str]

    @property
    def rows(self) -> int:
        """Rows of all files."""
        return sum(self.rows_of_parts)

    def mark(self, variable: str, rows: npt.NDArray[np.int64]) -> None:
        """Sets a bit string variable for :func:`pipeline_assets.task.contract.in_bits`."""
        self.connection.execute(f"set variable {sql.name(variable)} = ?::BIT", [bits(rows, self.rows)])

    def stream(self, query: str) -> pa.RecordBatchReader:
        """The rows of a query, in file order, a batch at a time.

        ``sql`` streams; ``execute`` would hold the whole answer whatever the memory limit.
        """
        return self.connection.sql(query).to_arrow_reader(ROWS_PER_BATCH)


@contextmanager
def scan(paths: Sequence[Path], spill: Path) -> Iterator[Scan]:
    """Opens a batch's files.

    Args:
        paths: in the order that row numbers follow.
        spill: folder for what DuckDB cannot hold.

    Raises:
        ContractError: a file is empty, is no parquet, is cut short, or the parts do not have the same columns.
    """
    rows_of_parts = _rows_of_parts(paths)
    spill.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        # Links with plain names: DuckDB would take a * or [ in a file's name for a pattern.
        links = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=spill)))
        names = [links / f"{place}.parquet" for place in range(len(paths))]
        for link, path in zip(names, paths, strict=True):
            link.symlink_to(path.resolve())
        connection = sql.connect(spill=str(spill))
        stack.callback(connection.close)
        files = ", ".join(sql.text(str(link)) for link in names)
        starts = ", ".join(f"{start}::BIGINT" for start in np.cumsum([0, *rows_of_parts[:-1]]))
        with readable(paths):
            connection.execute(
                f"create view raw as select file_row_number + [{starts}][(file_index + 1)::BIGINT] as row_number,"
                f" * exclude (file_row_number) from read_parquet([{files}], file_row_number = true)"
            )
            described = connection.execute("describe raw").fetchall()
        yield Scan(connection, rows_of_parts, {row[0]: row[1] for row in described if row[0] != "row_number"})


def _rows_of_parts(paths: Sequence[Path]) -> tuple[int, ...]:
    counts = []
    first: pa.Schema | None = None
    for path in paths:
        if path.stat().st_size == 0:
            raise ContractError("the file is empty: 0 bytes", file=path.name, expected="a parquet file")
        with readable([path]), pq.ParquetFile(path) as file:
            schema = file.schema_arrow.remove_metadata()
            counts.append(file.metadata.num_rows)
        if any(name == "row_number" for name in schema.names):
            raise ContractError(
                "the file has a column under a name that the pipeline itself writes",
                file=path.name,
                column="row_number",
            )
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
    if sum(counts) == 0:
        raise ContractError("the batch holds no rows", file=", ".join(path.name for path in paths[:3]))
    return tuple(counts)


@contextmanager
def readable(paths: Sequence[Path]) -> Iterator[None]:
    """Turns a parquet reader's complaint into a ContractError that names the file."""
    name = paths[0].name if len(paths) == 1 else paths[0].parent.name
    try:
        yield
    except (pa.ArrowInvalid, OSError, duckdb.IOException, duckdb.InvalidInputException) as error:
        if isinstance(error, PipelineError):
            raise
        raise ContractError(
            "the file cannot be read as parquet: it is damaged, cut short or something else",
            file=name,
            found=str(error).splitlines()[0].replace(str(paths[0].parent) + "/", ""),
        ) from error


@contextmanager
def computable(doing: str) -> Iterator[None]:
    """Turns DuckDB's complaint about a value into a DataError that says what was being done."""
    try:
        yield
    except duckdb.Error as error:
        raise DataError(f"{doing} failed on a row", found=str(error).splitlines()[0]) from error
