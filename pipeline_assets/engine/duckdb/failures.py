"""What DuckDB's errors mean: a value that cannot be computed, text that is not UTF-8, a full disk."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from pipeline_assets.engine.duckdb.scan import Scan
from pipeline_assets.errors import ContractError, DataError, StoreError
from pipeline_assets.task.contract import ROW
from pipeline_assets.task.preparation import AcceptedRows, feature_expressions

_NO_SPACE = ("no space left", "disk quota exceeded", "failed to offload data block", "max_temp_directory_size")
# Within a stream DuckDB's errors are raised as errors of Arrow or of the system.
_COMPLAINTS = (duckdb.Error, pa.ArrowException, OSError)
_KIND = re.compile(r"^[A-Z][A-Za-z ]* Error: ")
_ADVICE = re.compile(r"( in expression \(|\. Use TRY|, or SET |[.!]$).*", re.DOTALL)
_NO_TEXT = ("Invalid string encoding", "Invalid JSON")


def message(error: BaseException) -> str:
    """Why a value could not be computed, as the end of a sentence.

    >>> message(ValueError("Invalid Input Error: Division by zero in expression (1 // x). Use TRY(...) to ..."))
    'division by zero'
    """
    lines = str(error).splitlines() or [type(error).__name__]
    said = _ADVICE.sub("", _KIND.sub("", lines[0]))
    return said[:1].lower() + said[1:]


@contextmanager
def space_in(spill: Path | None) -> Iterator[None]:
    """Turns the error of a full disk into a StoreError; other errors pass.

    Args:
        spill: the folder where DuckDB and the keys of a batch are written; ``None`` if not known.

    Raises:
        StoreError: the folder has no space left.
    """
    try:
        yield
    except _COMPLAINTS as error:
        if any(each in str(error).lower() for each in _NO_SPACE):
            raise StoreError(
                "the scratch folder has no space left",
                file=spill,
                found=str(error).splitlines()[0],
                do="free space there, or set PIPELINE_STATE to a folder on a larger disk",
            ) from error
        raise


@contextmanager
def computable(doing: str, spill: Path | None = None) -> Iterator[None]:
    """Turns DuckDB's error about a value into a DataError that says what was being done.

    Args:
        doing: the beginning of "... failed on a row".
        spill: as in :func:`space_in`.

    Raises:
        DataError: a value cannot be computed.
        StoreError: the folder has no space left.
    """
    try:
        with space_in(spill):
            yield
    except _COMPLAINTS as error:
        raise DataError(f"{doing} failed on a row", found=message(error)) from error


@contextmanager
def text_is_text(paths: Sequence[Path]) -> Iterator[None]:
    """Finds the row of a text that is not UTF-8: DuckDB names neither its row nor its column.

    Raises:
        ContractError: names file, column and row.
    """
    try:
        yield
    except _COMPLAINTS as error:
        if any(each in str(error) for each in _NO_TEXT):
            for path in paths:
                _refuse_bad_text(path)
        raise


def _refuse_bad_text(path: Path) -> None:
    """Reads only text columns; text within lists and structs is not checked."""
    with pq.ParquetFile(path) as file:
        start = 0
        texts = [field.name for field in file.schema_arrow if _is_text(field.type)]
        for batch in file.iter_batches(columns=texts):
            for name, column in zip(batch.schema.names, batch.columns, strict=True):
                plain = column.storage if isinstance(column, pa.ExtensionArray) else column
                plain = plain.dictionary_decode() if pa.types.is_dictionary(plain.type) else plain
                for at, value in enumerate(plain.cast(pa.large_binary()) if _is_bad(plain) else ()):
                    _refuse_bad_value(path.name, name, start + at, value.as_py())
            start += batch.num_rows


def _refuse_bad_value(file: str, column: str, row: int, value: bytes | None) -> None:
    try:
        (value or b"").decode()
    except UnicodeDecodeError as error:
        raise ContractError(
            "a text is not UTF-8",
            file=file,
            column=column,
            found=f"row {row} of the file: {value!r}",
            expected="UTF-8",
            do="write the column as UTF-8, or as binary",
        ) from error


def _is_bad(texts: pa.Array) -> bool:
    try:
        texts.validate(full=True)
    except pa.ArrowInvalid:
        return True
    return False


def _is_text(kind: pa.DataType) -> bool:
    plain = kind.storage_type if isinstance(kind, pa.BaseExtensionType) else kind
    plain = plain.value_type if pa.types.is_dictionary(plain) else plain
    return bool(pa.types.is_string(plain) or pa.types.is_large_string(plain) or pa.types.is_string_view(plain))


def feature_failure(view: Scan, rows: AcceptedRows) -> DataError | None:
    """Which feature cannot be computed, and on which row; ``None`` if all can."""
    features = feature_expressions(rows.contract.task)
    outcomes = ", ".join(f"try(({expression}) is null) as __{at}" for at, expression in enumerate(features.values()))
    failed = " or ".join(f"__{at} is null" for at in range(len(features)))
    query = f"select * from (select {ROW}, {outcomes} from ({rows.typed})) where {failed} limit 1"
    found = view.connection.sql(query).fetchall()
    if not found:
        return None
    row, *outcome_of = found[0]
    name = next(name for name, outcome in zip(features, outcome_of, strict=True) if outcome is None)
    expression = rows.contract.task.features.all[name].expression.strip()
    why = failure(view, features[name], f"{rows.typed} {'and' if rows.where else 'where'} {ROW} = {row}")
    return DataError(
        f"the feature {name} cannot be computed on row {row}",
        column=name,
        found=f"{why} in {expression}",
        do="make the expression give null there, as by nullif or try(...), or add a check that rejects such rows",
    )


def failure(view: Scan, expression: str, row: str) -> str:
    """Why an expression raises on a row.

    Args:
        row: a query that gives it.
    """
    try:
        view.connection.sql(f"select (\n{expression}\n) from ({row})").fetchall()
    except duckdb.Error as error:
        return message(error)
    return "it could be computed when it was tried again"
