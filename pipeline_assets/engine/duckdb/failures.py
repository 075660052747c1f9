"""What DuckDB's errors mean: a value that cannot be computed, text that is not UTF-8, a full disk."""

import re
from collections.abc import Callable, Iterator, Sequence
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
_NO_MOMENT = "Could not convert Timestamp(MS)"
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
def values_are_values(paths: Sequence[Path]) -> Iterator[None]:
    """Finds the row of a text that is not UTF-8, or of a moment too far away: DuckDB names neither row nor column.

    Raises:
        ContractError: names file, column and row.
    """
    try:
        yield
    except _COMPLAINTS as error:
        if any(each in str(error) for each in _NO_TEXT):
            for path in paths:
                _refuse_first(path, _has_text, _no_text)
        if _NO_MOMENT in str(error):
            for path in paths:
                _refuse_first(path, pa.types.is_timestamp, _no_moment)
        raise


def _refuse_first(
    path: Path, concerned: Callable[[pa.DataType], bool], wrong: Callable[[pa.Array], dict[str, str] | None]
) -> None:
    """Refuses the first value for which ``wrong`` gives facts; reads only the columns of the types concerned."""
    with pq.ParquetFile(path) as file:
        start = 0
        names = [field.name for field in file.schema_arrow if concerned(field.type)]
        for batch in file.iter_batches(columns=names):
            for name in names:
                column = batch.column(name)
                at = (
                    next((at for at in range(len(column)) if wrong(column.take([at]))), None) if wrong(column) else None
                )
                if at is not None:
                    facts = wrong(column.take([at])) or {}
                    where = f"row {start + at} of the file: {facts.pop('found')}"
                    raise ContractError(file=path.name, column=name, found=where, **facts)
            start += batch.num_rows


def _no_text(column: pa.Array) -> dict[str, str] | None:
    try:
        column.validate(full=True)
    except pa.ArrowInvalid:
        plain = column.storage if isinstance(column, pa.ExtensionArray) else column
        plain = plain.dictionary_decode() if pa.types.is_dictionary(plain.type) else plain
        nested = pa.types.is_nested(plain.type)
        value = "a text within it" if nested else f"{plain.view(pa.binary())[0].as_py()!r}"
        do = "write the column as UTF-8, or as binary"
        return {"what": "a text is not UTF-8", "found": value, "expected": "UTF-8", "do": do}
    return None


def _no_moment(column: pa.Array) -> dict[str, str] | None:
    try:
        column.cast(pa.timestamp("us", column.type.tz))
    except pa.ArrowInvalid:
        return {
            "what": "a moment is too far away",
            "found": f"{column[0].value} {column.type.unit} from 1970",
            "expected": "moments that are a count of microseconds in 64 bits",
            "do": "write the column as integers, or mend the moment",
        }
    return None


def _has_text(kind: pa.DataType) -> bool:
    if isinstance(kind, pa.BaseExtensionType):
        return _has_text(kind.storage_type)
    if pa.types.is_dictionary(kind):
        return _has_text(kind.value_type)
    texts = pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    return bool(texts) or any(_has_text(kind.field(place).type) for place in range(kind.num_fields))


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
