"""What is known of a file before a task is drafted for it: facts of each column, from one pass and from a sample."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Family = Literal["bool", "integer", "float", "decimal", "text", "date", "timestamp", "time", "null", "other"]

_INTEGERS = ("TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT")
# Types whose values the contract takes as text; it has no type of their own.
_TEXTS = ("VARCHAR", "JSON", "UUID")
NUMBERS: tuple[Family, ...] = ("bool", "integer", "float", "decimal")
MOMENTS: tuple[Family, ...] = ("date", "timestamp")


def family(found: str) -> Family:
    """The group of a DuckDB type.

    >>> family("UBIGINT"), family("TIMESTAMP_NS"), family("INTEGER[]")
    ('integer', 'timestamp', 'other')
    """
    if found in _INTEGERS:
        return "integer"
    if found.endswith("]") or "(" in found.removeprefix("DECIMAL("):
        return "other"
    by_start: dict[str, Family] = {"DECIMAL": "decimal", "TIMESTAMP": "timestamp", "TIME": "time", "ENUM": "text"}
    for start, group in by_start.items():
        if found.startswith(start):
            return group
    exact: dict[str, Family] = {"BOOLEAN": "bool", "FLOAT": "float", "DOUBLE": "float", "DATE": "date"}
    exact |= {'"NULL"': "null", **dict.fromkeys(_TEXTS, "text")}
    return exact.get(found, "other")


@dataclass(frozen=True)
class Signal:
    """How much of the target a column tells alone: 0 nothing, 1 everything; measured on rows that were left out.

    Attributes:
        by_value: by the mean of the target of each value.
        ordered: by the mean of the target of neighbouring values together; nothing of it is left where the order of
            the values means nothing. 0 for text.
        finely: as ``ordered``, with fewer values together, or by how both rise together.
        missing: by whether it is null alone.
    """

    by_value: float = 0.0
    ordered: float = 0.0
    finely: float = 0.0
    missing: float = 0.0

    @property
    def best(self) -> float:
        """The largest of them."""
        return max(self.by_value, self.ordered, self.finely)


@dataclass(frozen=True)
class Sample:
    """Facts of a column in the sample of labelled rows.

    Attributes:
        rows: that are not null.
        distinct: values among them.
        whole: all numbers are whole.
        rising: the values follow the order of the rows and none repeats.
        sorted: share of neighbouring rows whose values do not fall.
        spells: what every text spells: ``number``, ``date``, ``timestamp``, ``timestamptz``, or none of these.
        but: texts that spell nothing and stand for a missing value, such as ``?``, where the others spell something.
        zeros: a text that spells a number starts with 0, as codes do.
        words: mean number of words of a text.
        clock: a moment is not at midnight.
    """

    rows: int
    distinct: int
    signal: Signal = Signal()
    whole: bool = False
    rising: bool = False
    sorted: float = 0.0
    spells: Literal["number", "date", "timestamp", "timestamptz"] | None = None
    but: tuple[str, ...] = ()
    zeros: bool = False
    words: float = 0.0
    clock: bool = False


@dataclass(frozen=True)
class ColumnProfile:
    """Facts of one column of one file.

    Attributes:
        found: the DuckDB type.
        type: the contract's; ``None`` where the contract has none, and then ``refused`` says why.
        rows: of the file.
        nulls: of them null.
        distinct: values; ``None`` where they were not counted.
        exact: whether ``distinct`` is, and not within some percent.
        low, high: the smallest and the largest finite number or moment; ``None`` for other types.
        odd: values that are NaN or infinite.
        cut: values with digits below the microsecond.
        values: each value of a text with few, with its rows, most first; else the empty tuple.
        unique: whether no value repeats; ``None`` where that was not looked at.
        sample: ``None`` for a type that is not sampled.
    """

    name: str
    found: str
    rows: int
    nulls: int
    distinct: int | None = None
    low: Any = None
    high: Any = None
    odd: int = 0
    cut: int = 0
    values: tuple[tuple[str, int], ...] = ()
    unique: bool | None = None
    sample: Sample | None = None
    exact: bool = False
    type: str | None = None
    refused: str = ""

    @property
    def many(self) -> str:
        """Its values, in words; ``about`` where they were counted by a sketch.

        >>> ColumnProfile(name="a", found="BIGINT", rows=5000, nulls=0, distinct=1234).many
        'about 1,234'
        """
        return f"{'' if self.exact else 'about '}{self.distinct or 0:,}"

    @property
    def family(self) -> Family:
        """The group of its type."""
        return family(self.found)

    @property
    def filled(self) -> int:
        """Rows that are not null."""
        return self.rows - self.nulls

    @property
    def constant(self) -> bool:
        """Whether every value is the same; nulls do not count."""
        if self.family == "text":
            return len(self.values) == 1
        return self.low is not None and self.low == self.high and not self.odd

    @property
    def varied(self) -> float:
        """Distinct values as a share of the rows that are not null."""
        return (self.distinct or 0) / self.filled if self.filled else 0.0


@dataclass(frozen=True)
class TargetProfile:
    """Facts of the target: of a column, or of an expression over columns.

    Attributes:
        expression: SQL over the raw columns.
        columns: that it uses.
        profile: its facts, as those of a column of this name.
        counts: each value with its rows, most first, where they are few; else empty.
        skew: of the finite numbers in the sample, and of the logarithm of one plus them; ``None`` if they are no
            numbers, or one is negative.
        order: share of what the classes tell of the numeric columns that their order tells; ``None`` if unknown.
    """

    expression: str
    columns: tuple[str, ...]
    profile: ColumnProfile
    counts: tuple[tuple[Any, int], ...] = ()
    skew: tuple[float, float] | None = None
    order: float | None = None


@dataclass(frozen=True)
class FileProfile:
    """Facts of a file.

    Attributes:
        source: its name, for comments.
        columns: by name, in the file's order.
        sampled: labelled rows in the sample.
    """

    source: str
    rows: int
    columns: Mapping[str, ColumnProfile]
    sampled: int = 0

    @property
    def types(self) -> dict[str, str]:
        """DuckDB types by column."""
        return {name: column.found for name, column in self.columns.items()}
