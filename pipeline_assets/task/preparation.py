"""Preparation as SQL: from accepted raw rows to features, the same text for train and predict.

Expressions work row by row and keep no state, so the two stages cannot drift apart; whatever must be fitted is
part of the model.
"""

from dataclasses import dataclass

import pyarrow as pa

from pipeline_assets.task import plugins, sql
from pipeline_assets.task.contract import Contract, in_bits
from pipeline_assets.task.spec import FEATURE_PREFIX, LABEL, SPLIT_BY, SPLIT_HASH, Stage, TaskSpec
from pipeline_assets.task.types import arrow_type, contract_name

# What a categorical feature is where its expression gives null: models want a value, and people see what it means.
MISSING_CATEGORY = "<null>"


@dataclass(frozen=True)
class AcceptedRows:
    """The rows of view ``raw`` that kept the contract.

    Attributes:
        contract: laid over the file.
        batch: its name.
        any_rejected: whether the bit string variable ``rejected`` is set, see :func:`contract.in_bits`.
    """

    contract: Contract
    batch: str
    any_rejected: bool

    @property
    def where(self) -> str:
        """SQL clause that leaves rejected rows out before any expression sees them."""
        return f" where not {in_bits('rejected')}" if self.any_rejected else ""

    @property
    def typed(self) -> str:
        """SQL query: the rows in their contract types, in file order."""
        return f"select row_number, {self.contract.typed} from raw{self.where}"


def features_schema(task: TaskSpec, stage: Stage) -> pa.Schema:
    """The columns of prepared rows.

    ``row_number`` int64; numeric features float64, null is missing; categorical features string, never null; in
    train ``label`` (int8 for the kind binary), null is unlabelled, the hash that a split goes by, int64, and
    ``split_by``, the raw column that a split by time orders by.
    """
    fields = [
        pa.field("row_number", pa.int64(), nullable=False),
        *(pa.field(name, pa.float64()) for name in task.features.numeric),
        *(pa.field(name, pa.string(), nullable=False) for name in task.features.categorical),
    ]
    if stage == "train":
        fields.append(pa.field(LABEL, _label_type(task)))
        fields.append(pa.field(SPLIT_HASH, pa.int64(), nullable=False))
        if task.training.validation.column is not None:
            fields.append(pa.field(SPLIT_BY, arrow_type(task.columns[task.training.validation.column].type)))
    return pa.schema(fields)


def features_query(rows: AcceptedRows) -> str:
    """Prepared rows of view ``raw``, in file order, with the columns of :func:`features_schema`."""
    task, stage = rows.contract.task, rows.contract.stage
    columns = ["row_number", *_features(task, prefix="")]
    if stage == "train":
        columns += [_label(task), _split_hash(task, rows.batch)]
        if task.training.validation.column is not None:
            columns.append(f"{sql.name(task.training.validation.column)} as {SPLIT_BY}")
    return f"select {', '.join(columns)} from ({rows.typed})"


def input_mart_schema(task: TaskSpec, stage: Stage) -> pa.Schema:
    """The columns of an input mart: the raw columns of the contract, then ``feature_*``, in train the label."""
    fields = [
        pa.field("batch", pa.string(), nullable=False),
        pa.field("row_number", pa.int64(), nullable=False),
        *(pa.field(name, arrow_type(column.type)) for name, column in task.columns_of(stage).items()),
        *(pa.field(f"{FEATURE_PREFIX}{name}", pa.float64()) for name in task.features.numeric),
        *(pa.field(f"{FEATURE_PREFIX}{name}", pa.string()) for name in task.features.categorical),
    ]
    if stage == "train":
        fields.append(pa.field(LABEL, _label_type(task)))
    return pa.schema(fields)


def input_mart_query(rows: AcceptedRows) -> str:
    """Accepted rows as people read them, in file order, with the columns of :func:`input_mart_schema`."""
    task, stage = rows.contract.task, rows.contract.stage
    columns = [f"{sql.text(rows.batch)} as batch", "row_number"]
    columns += [sql.name(name) for name in task.columns_of(stage)]
    columns += _features(task, prefix=FEATURE_PREFIX)
    if stage == "train":
        columns.append(_label(task))
    return f"select {', '.join(columns)} from ({rows.typed})"


def raw_query(rows: AcceptedRows) -> str:
    """Accepted rows as they came, all columns of the file, in file order."""
    return f"select row_number, {', '.join(sql.name(name) for name in rows.contract.raw)} from raw{rows.where}"


def _features(task: TaskSpec, prefix: str) -> list[str]:
    missing = sql.text(MISSING_CATEGORY)
    numeric = (
        f"cast((\n{feature.expression}\n) as DOUBLE) as {sql.name(prefix + name)}"
        for name, feature in task.features.numeric.items()
    )
    categorical = (
        f"coalesce(cast((\n{feature.expression}\n) as VARCHAR), {missing}) as {sql.name(prefix + name)}"
        for name, feature in task.features.categorical.items()
    )
    return [*numeric, *categorical]


def _label(task: TaskSpec) -> str:
    return f"cast((\n{task.target.expression}\n) as {plugins.kind(task.target.kind).label_type}) as {LABEL}"


def _label_type(task: TaskSpec) -> pa.DataType:
    return arrow_type(contract_name(plugins.kind(task.target.kind).label_type))


def _split_hash(task: TaskSpec, batch: str) -> str:
    """53 bits of the MD5 of the key's text, or of the row address without one.

    DuckDB's own hash() may give other numbers in another version, and would move rows to other sides.
    """
    parts = ", ".join(sql.name(name) for name in task.key) or f"{sql.text(batch)}, row_number"
    return f"(md5_number_lower(concat_ws(chr(31), {parts})) >> 11)::BIGINT as {SPLIT_HASH}"
