"""Preparation as SQL: from accepted raw rows to features, the same text for train and predict.

Expressions work row by row and keep no state, so both stages compute the same; everything that must be fitted is part
of the model.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa

from pipeline_assets.task import plugins, sql
from pipeline_assets.task.contract import ROW, Contract, in_bits
from pipeline_assets.task.names import own_name
from pipeline_assets.task.spec import FEATURE_PREFIX, LABEL, ROW_ADDRESS, SPLIT_BY, SPLIT_HASH, WEIGHT, Stage, TaskSpec
from pipeline_assets.task.types import arrow_type, contract_name
from pipeline_assets.task.validation import label_sql

# The column of an input mart that holds the columns for which a row of PostgreSQL has no room, as one JSON object.
MORE_COLUMNS = "more_columns"
# PostgreSQL keeps a row on a page of 8,160 bytes, and a table or a view has at most 1,600 columns. There is room left
# for the header of a row, for the columns of a staging table and for those that the lineage view adds.
_MOST_COLUMNS = 1_500
_MOST_BYTES = 7_800
# A text that is stored elsewhere leaves a pointer; a shorter one stays in the row.
_BYTES_OF_TEXT = 24
_BYTES_OF_NUMBER = 8

# The value of a categorical feature whose expression gives null: models need a value, and people understand this one.
MISSING_CATEGORY = "<null>"
# The table of rows with the columns of a task's own function.
GIVEN = "__given"
# The weight's name among the rows of :func:`prepared_query`; names of columns cannot start with __.
_WEIGHT = "__weight"


@dataclass(frozen=True)
class AcceptedRows:
    """The rows of view ``raw`` that fulfil the contract.

    Attributes:
        contract: applied to the file.
        batch: its name.
        any_rejected: whether the bit string variable ``rejected`` is set, see :func:`contract.in_bits`.
        given: whether the typed rows are in the table :data:`GIVEN`, with the columns of the task's own function.
    """

    contract: Contract
    batch: str
    any_rejected: bool
    given: bool = False

    @property
    def where(self) -> str:
        """SQL clause that removes rejected rows before any expression is computed."""
        return f" where not {in_bits('rejected')}" if self.any_rejected else ""

    @property
    def typed(self) -> str:
        """SQL query: the rows in their contract types, in file order."""
        if self.given:
            return f"select * from {GIVEN}"
        return f"select {ROW}, {self.contract.typed_raw} from raw{self.where}"


def features_schema(task: TaskSpec, stage: Stage) -> pa.Schema:
    """The columns of prepared rows.

    ``row_number`` is int64; numeric features are float64, null is missing; categorical features are string, never
    null. In train there are also ``label`` (of the kind's type; null is unlabelled), the hash for the split, int64,
    ``split_by``, the raw column by which a split by time orders rows, and ``weight``, float64, if the task has
    weights. The pipeline's own columns get other names where a feature has the same name, see
    :func:`pipeline_assets.task.names.own_name`.
    """
    own = own_in_features(task)
    fields = [
        pa.field(own["row_number"], pa.int64(), nullable=False),
        *(pa.field(name, pa.float64()) for name in task.features.numeric),
        *(pa.field(name, pa.string(), nullable=False) for name in task.features.categorical),
    ]
    if stage == "train":
        fields.append(pa.field(own[LABEL], _label_type(task)))
        fields.append(pa.field(SPLIT_HASH, pa.int64(), nullable=False))
        if task.training.validation.column is not None:
            kind = arrow_type(task.columns[task.training.validation.column].type)
            fields.append(pa.field(own[SPLIT_BY], kind))
        if task.training.weight is not None:
            fields.append(pa.field(own[WEIGHT], pa.float64(), nullable=False))
    return pa.schema(fields)


def features_query(rows: AcceptedRows) -> str:
    """Prepared rows of view ``raw``, in file order, with the columns of :func:`features_schema`."""
    task, stage = rows.contract.task, rows.contract.stage
    own = own_in_features(task)
    features = [f"{expression} as {sql.name(name)}" for name, expression in feature_expressions(task).items()]
    columns = [f"{ROW} as {own['row_number']}", *features]
    if stage == "train":
        columns += [f"{label_sql(task)} as {own[LABEL]}", _split_hash(task, rows.batch)]
        if task.training.validation.column is not None:
            columns.append(f"{sql.name(task.training.validation.column)} as {own[SPLIT_BY]}")
        if task.training.weight is not None:
            columns.append(f"{_number(task.training.weight)} as {own[WEIGHT]}")
    return f"select {', '.join(columns)} from ({rows.typed})"


def own_in_features(task: TaskSpec) -> dict[str, str]:
    """Names of the pipeline's own columns beside a task's features: row number, label, split_by and weight."""
    return {name: own_name(name, task.features.names) for name in ("row_number", LABEL, SPLIT_BY, WEIGHT)}


def input_mart_schema(task: TaskSpec, stage: Stage) -> pa.Schema:
    """The columns of an input mart: the raw columns of the contract, then ``feature_*``, in train the label.

    The pipeline's own columns ``batch``, ``row_number`` and ``label`` get other names where a column has the same name.
    Columns that do not fit into a row, see :func:`packed_columns`, are the fields of the last column, ``more_columns``.
    """
    own, packed, fields = input_mart_names(task, stage), packed_columns(task, stage), _user_fields(task, stage)
    columns = [
        pa.field(own["batch"], pa.string(), nullable=False),
        pa.field(own["row_number"], pa.int64(), nullable=False),
        *(field for name, field in fields.items() if name not in packed),
    ]
    if stage == "train":
        columns.append(pa.field(own[LABEL], _label_type(task)))
    if packed:
        columns.append(pa.field(own[MORE_COLUMNS], pa.struct([fields[name] for name in packed])))
    return pa.schema(columns)


def packed_columns(task: TaskSpec, stage: Stage) -> tuple[str, ...]:
    """Columns of the input mart for which a row of PostgreSQL may have no room, in the order of the mart.

    Features that copy a raw column go first, then other features, then raw columns, from the last one on; columns of
    the key stay. All marts are made so, whatever the server, because the same task may move from one to the other.
    """
    fields = _user_fields(task, stage)
    left = _MOST_BYTES - sum(map(_bytes, fields.values()))
    over = len(fields) - _MOST_COLUMNS
    if left >= 0 and over <= 0:
        return ()
    raw = task.columns_of(stage)
    copies = {f"{FEATURE_PREFIX}{name}" for name, each in task.features.all.items() if _copies(each.expression, raw)}
    features = {f"{FEATURE_PREFIX}{name}" for name in task.features.all}
    latest_first = sorted(
        (name for name in reversed(fields) if name not in task.key),
        key=lambda name: (name in raw, name in features - copies),
    )
    packed = set()
    for name in latest_first:
        # The column that holds them has to fit too.
        if left >= _BYTES_OF_TEXT and over < 0:
            break
        packed.add(name)
        left, over = left + _bytes(fields[name]), over - 1
    return tuple(name for name in fields if name in packed)


def _user_fields(task: TaskSpec, stage: Stage) -> dict[str, pa.Field]:
    """The raw columns and the features by their names in an input mart."""
    fields = [
        *(pa.field(name, arrow_type(column.type)) for name, column in task.columns_of(stage).items()),
        *(pa.field(f"{FEATURE_PREFIX}{name}", pa.float64()) for name in task.features.numeric),
        *(pa.field(f"{FEATURE_PREFIX}{name}", pa.string()) for name in task.features.categorical),
    ]
    return {field.name: field for field in fields}


def _bytes(field: pa.Field) -> int:
    """What a column takes of a row at most."""
    fixed = pa.types.is_primitive(field.type) and not pa.types.is_uint64(field.type)
    return _BYTES_OF_NUMBER if fixed and not _is_text_in_marts(field.type) else _BYTES_OF_TEXT


def _is_text_in_marts(kind: pa.DataType) -> bool:
    return bool((pa.types.is_timestamp(kind) or pa.types.is_time64(kind)) and kind.unit == "ns")


def _copies(expression: str, raw: Mapping[str, object]) -> bool:
    """Whether an expression is nothing but the name of a raw column."""
    written = expression.strip()
    return written in raw or (written.startswith('"') and written[1:-1].replace('""', '"') in raw)


def input_mart_query(rows: AcceptedRows) -> str:
    """Accepted rows for the input mart, in file order, with the columns of :func:`input_mart_schema`."""
    return f"select {', '.join(_mart_columns(rows))} from ({rows.typed})"


def prepared_query(rows: AcceptedRows) -> str:
    """Accepted rows for features and input mart: the columns of the mart, then those that only features have.

    :func:`input_mart_of` and :func:`features_of` select their columns from it.
    """
    task, more = rows.contract.task, []
    if rows.contract.stage == "train":
        more.append(_split_hash(task, rows.batch))
        if task.training.weight is not None:
            more.append(f"{_number(task.training.weight)} as {_WEIGHT}")
    return f"select {', '.join([*_mart_columns(rows), *more])} from ({rows.typed})"


def _mart_columns(rows: AcceptedRows) -> list[str]:
    task, stage = rows.contract.task, rows.contract.stage
    own = input_mart_names(task, stage)
    columns = [f"{sql.text(rows.batch)} as {own['batch']}", f"{ROW} as {own['row_number']}"]
    packed = packed_columns(task, stage)
    values = {name: sql.name(name) for name in task.columns_of(stage)}
    values.update({f"{FEATURE_PREFIX}{name}": expression for name, expression in feature_expressions(task).items()})
    columns += [f"{value} as {sql.name(name)}" for name, value in values.items() if name not in packed]
    if stage == "train":
        columns.append(f"{label_sql(task)} as {own[LABEL]}")
    if packed:
        within = ", ".join(f"{sql.name(name)} := {values[name]}" for name in packed)
        columns.append(f"struct_pack({within}) as {own[MORE_COLUMNS]}")
    return columns


def input_mart_names(task: TaskSpec, stage: Stage) -> dict[str, str]:
    """Names of the pipeline's own columns in an input mart: other ones where the contract or a feature has the same."""
    taken = (*task.columns_of(stage), *(f"{FEATURE_PREFIX}{name}" for name in task.features.names))
    return {name: own_name(name, taken) for name in (*ROW_ADDRESS, LABEL, MORE_COLUMNS)}


def features_of(task: TaskSpec, stage: Stage, prepared: pa.RecordBatch) -> pa.RecordBatch:
    """The columns of :func:`features_schema`, selected from rows of :func:`prepared_query`."""
    own, wanted = input_mart_names(task, stage), features_schema(task, stage)
    columns = [own["row_number"], *(f"{FEATURE_PREFIX}{name}" for name in task.features.names)]
    if stage == "train":
        columns += [own[LABEL], SPLIT_HASH]
        if task.training.validation.column is not None:
            columns.append(task.training.validation.column)
        if task.training.weight is not None:
            columns.append(_WEIGHT)
    within = set(packed_columns(task, stage))
    more = prepared.column(own[MORE_COLUMNS]) if within else None
    values = [more.field(name) if more is not None and name in within else prepared.column(name) for name in columns]
    return pa.RecordBatch.from_arrays(values, names=wanted.names)


def input_mart_of(task: TaskSpec, stage: Stage, prepared: pa.RecordBatch) -> pa.RecordBatch:
    """The columns of :func:`input_mart_schema`, selected from rows of :func:`prepared_query`."""
    return prepared.select(input_mart_schema(task, stage).names)


def feature_expressions(task: TaskSpec) -> dict[str, str]:
    """SQL of every feature by name, with the type of the model's input."""
    missing = sql.text(MISSING_CATEGORY)
    numeric = {name: _number(each.expression) for name, each in task.features.numeric.items()}
    categorical = {
        name: f"coalesce(cast((\n{each.expression}\n) as VARCHAR), {missing})"
        for name, each in task.features.categorical.items()
    }
    return {**numeric, **categorical}


def _number(expression: str) -> str:
    return f"cast((\n{expression}\n) as DOUBLE)"


def _label_type(task: TaskSpec) -> pa.DataType:
    return arrow_type(contract_name(plugins.kind(task.target.kind).label_type))


def _split_hash(task: TaskSpec, batch: str) -> str:
    """53 bits of the MD5 of the key's text, or of the row address if the task has no key.

    DuckDB's own hash() may give other numbers in another version, which would move rows to other sides.
    """
    parts = ", ".join(sql.name(name) for name in task.key) or f"{sql.text(batch)}, {ROW}"
    return f"(md5_number_lower(concat_ws(chr(31), {parts})) >> 11)::BIGINT as {SPLIT_HASH}"
