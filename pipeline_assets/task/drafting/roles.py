"""Guesses which features a column becomes, or why it is left out."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from pipeline_assets.task.drafting.profile import MOMENTS, NUMBERS, ColumnProfile, Sample
from pipeline_assets.task.drafting.words import has_word, percent, shown

Group = Literal["numeric", "categorical"]

# A column that alone tells so much of the target is known only once the target is.
# A number may well tell nearly all of the next one in a series, so only what tells everything is left out there.
LEAKS = {True: 0.97, False: 0.9999}  # by whether the target is of classes
# One of which being null tells so much is filled in only afterwards.
_FILLED_AFTERWARDS = 0.5
# One that tells so much is worth a look.
_STRONG = {True: 0.8, False: 0.9}
# Values in whose order less than this share of what they tell is left are names.
_NAMES = 0.7
_NAMES_TELL = 0.02
# What a column tells must be more than chance: at least this, and more than 1 / square root of the sample.
_TOLD = 0.005
_FEWEST_CODES = 6
_NEARLY_UNIQUE = 0.95
_FREE_TEXT_WORDS = 4.0
_FREE_TEXT = 0.2
_HARDLY_REPEATS = 0.5
_NUMBERS_IN_TEXT = 20
_DAYS_OF_WEEKS, _DAYS_OF_YEARS = 14, 730
_CODE_WORDS = (
    "id", "code", "zip", "postal", "postcode", "type", "kind", "class", "category", "cat", "segment", "region",
    "branch", "store", "shop", "sku", "channel", "ид", "код", "индекс", "тип", "вид", "категория", "регион",
)  # fmt: skip
KEY_WORDS = (
    "id", "ids", "key", "uuid", "guid", "pk", "number", "no", "nr", "num", "hash", "code", "serial",
    "ид", "номер", "ключ", "код",
)  # fmt: skip
_ID_WORDS = (*KEY_WORDS, "index", "idx", "rownum", "row", "unnamed", "индекс")
BIRTH_WORDS = ("birth", "birthday", "birthdate", "dob", "born", "рождения")
SORTED = 0.99  # share of neighbouring rows that do not fall, from which a column is taken for the file's order


@dataclass(frozen=True)
class DraftedFeature:
    """One feature of the draft.

    Attributes:
        name: of the feature.
        group: numeric or categorical.
        expression: SQL with ``{}`` for the column.
        comment: why, and the alternative.
    """

    name: str
    group: Group
    expression: str
    comment: str


@dataclass(frozen=True)
class Role:
    """What a column is for: features, or none and why.

    Attributes:
        left_out: why it is no feature; empty where it is.
        leaks: whether it is left out because it tells the target.
    """

    features: tuple[DraftedFeature, ...] = ()
    left_out: str = ""
    leaks: bool = False


@dataclass(frozen=True)
class Setting:
    """What the roles of columns depend on beside the columns.

    Attributes:
        classes: whether the target is of classes.
        target: how comments call it.
        key: columns of the key.
        split_by: the column that a split by time orders by.
        sampled: rows of the sample.
    """

    classes: bool
    target: str
    key: tuple[str, ...] = ()
    split_by: str | None = None
    sampled: int = 0

    @property
    def chance(self) -> float:
        """What a column may seem to tell by chance."""
        return max(_TOLD, 1 / math.sqrt(max(self.sampled, 1)))


def guess_role(column: ColumnProfile, setting: Setting) -> Role:
    """The role of a column that both stages have and that the target does not use."""
    reason = _useless(column, setting)
    if reason:
        return Role(left_out=reason)
    sample = column.sample
    if leak := _leak(sample or Sample(0, 0), setting):
        return Role(left_out=f"{leak}; or a feature, if it is known beforehand", leaks=True)
    by_family: Mapping[str, Callable[[ColumnProfile, Sample, Setting], Role]] = {
        **dict.fromkeys(NUMBERS, _number),
        **dict.fromkeys(MOMENTS, _moment),
        "text": _text,
        "time": _time,
    }
    return by_family[column.family](column, sample or Sample(0, 0), setting)


def _leak(sample: Sample, setting: Setting) -> str:
    """Why a column is taken for known only afterwards; empty if it is not."""
    signal = sample.signal
    if signal.missing >= _FILLED_AFTERWARDS:
        return f"that it is null tells {percent(signal.missing)} of {setting.target}: it is filled in only afterwards"
    if signal.best >= LEAKS[setting.classes]:
        return f"tells {percent(signal.best)} of {setting.target} alone, as what is known only afterwards does"
    return ""


def _useless(column: ColumnProfile, setting: Setting) -> str:
    """Why a column cannot be a feature whatever the target is; empty if it can."""
    if not column.filled:
        return "null in every row"
    if column.odd == column.filled:
        return "NaN or infinite in every row"
    if column.family in ("other", "null"):
        return f"{column.type or column.found} is no number and no text; an expression may take it apart"
    if column.constant and not column.nulls:
        one = column.values[0][0] if column.values else column.low
        return f"the same in every row{'' if one is None else f': {shown(one)}'}"
    if column.name in setting.key:
        return "the key: it says which row it is, and nothing about the row"
    return ""


def _one(column: ColumnProfile, group: Group, comment: str, expression: str = "{}") -> Role:
    return Role((DraftedFeature(column.name, group, expression, comment),))


def _strong(sample: Sample, setting: Setting) -> str:
    if sample.signal.best < _STRONG[setting.classes]:
        return ""
    return f"; tells {percent(sample.signal.best)} of {setting.target} alone: is it known beforehand?"


def _number(column: ColumnProfile, sample: Sample, setting: Setting) -> Role:
    strong = _strong(sample, setting)
    if column.family == "bool":
        return _one(column, "numeric", f"true is 1, false is 0; or categorical{strong}")
    whole = column.family == "integer" or sample.whole
    if not whole:
        return _one(column, "numeric", f"numbers with decimals; or leave it out{strong}")
    if reason := _identifies(column, sample):
        return Role(left_out=reason)
    names = _are_names(column, sample, setting)
    if names:
        return _one(column, "categorical", f"{names}; or numeric{strong}")
    many = "one whole number" if column.constant else f"{column.many} whole numbers"
    order = _order(sample, setting)
    return _one(column, "numeric", f"{many}{order}; or categorical, if they are names{strong}")


def _identifies(column: ColumnProfile, sample: Sample) -> str:
    """Why a column is taken for the row's own name; empty if it is not."""
    if sample.rising and column.varied > _NEARLY_UNIQUE:
        return "rises from row to row and never repeats: it counts the rows; or numeric"
    if column.varied > _NEARLY_UNIQUE and has_word(column.name, _ID_WORDS):
        return f"an identifier by its name, and {percent(column.varied)} of its values are different; or numeric"
    return ""


def _are_names(column: ColumnProfile, sample: Sample, setting: Setting) -> str:
    """Why whole numbers are taken for names; empty if they are not."""
    signal, many = sample.signal, column.distinct or 0
    told = signal.by_value - signal.ordered
    clear = told > setting.chance and signal.by_value > _NAMES_TELL and signal.ordered < _NAMES * signal.by_value
    if sample.distinct >= _FEWEST_CODES and clear:
        return (
            f"{column.many} whole numbers that are names: they tell {percent(signal.by_value)} of {setting.target},"
            f" their order only {percent(signal.ordered)}"
        )
    by_order = signal.ordered >= _NAMES * signal.by_value and signal.ordered > setting.chance
    if has_word(column.name, _CODE_WORDS) and many > 2 and column.varied < _HARDLY_REPEATS and not by_order:  # noqa: PLR2004
        return f"{column.many} whole numbers that are names, by the column's name"
    return ""


def _order(sample: Sample, setting: Setting) -> str:
    signal = sample.signal
    if sample.distinct < _FEWEST_CODES or signal.best <= setting.chance:
        return ""
    return f" whose order tells {percent(signal.ordered)} of {setting.target}"


def _text(column: ColumnProfile, sample: Sample, setting: Setting) -> Role:
    strong, many = _strong(sample, setting), column.distinct or 0
    if sample.spells in ("date", "timestamp", "timestamptz"):
        kind = {"timestamptz": "TIMESTAMP WITH TIME ZONE"}.get(sample.spells, sample.spells.upper())
        return _moment_parts(
            column, f"try_cast({{}} as {kind})", clock=sample.clock, days=True, weeks=True, years=False
        )
    if sample.spells == "number" and not sample.zeros and many > _NUMBERS_IN_TEXT:
        return _spelled_number(column, sample, setting)
    if reason := _no_category(column, sample, setting):
        return Role(left_out=reason)
    if column.constant:
        return _one(column, "categorical", f"one text, or null; or leave it out{strong}")
    reason = f"{column.many} texts"
    if many > 1000:  # noqa: PLR2004
        reason += ", of which the trainer makes numbers by what they tell of the target"
    return _one(column, "categorical", f"{reason}; or leave it out{strong}")


def _spelled_number(column: ColumnProfile, sample: Sample, setting: Setting) -> Role:
    if reason := _identifies(column, sample):
        return Role(left_out=reason)
    strong = _strong(sample, setting)
    if names := _are_names(column, sample, setting):
        return _one(column, "categorical", f"{names}; or numeric: try_cast(… as DOUBLE){strong}")
    but = f" ({', '.join(map(shown, sample.but))} for none)" if sample.but else ""
    comment = f"text that spells {column.many} numbers{but}; or categorical, if they are names{strong}"
    return _one(column, "numeric", comment, "try_cast({} as DOUBLE)")


def _no_category(column: ColumnProfile, sample: Sample, setting: Setting) -> str:
    """Why a text is no category; empty if it is one."""
    varied = percent(column.varied)
    if column.varied > _NEARLY_UNIQUE:
        return f"an identifier or free text: {varied} of its values are different; or categorical"
    if sample.words >= _FREE_TEXT_WORDS and column.varied > _FREE_TEXT:
        return (
            f"free text: {sample.words:.0f} words a row, {varied} of them different; or an expression such as length(…)"
        )
    if column.varied > _HARDLY_REPEATS and sample.signal.by_value < setting.chance:
        return f"hardly repeats: {varied} of its values are different; or categorical"
    return ""


def _moment(column: ColumnProfile, sample: Sample, setting: Setting) -> Role:
    span = _days(column)
    # DuckDB takes no moment with a zone and nanoseconds apart.
    moment = "cast({} as TIMESTAMP WITH TIME ZONE)" if column.type == "timestamptz_ns" else "{}"
    if has_word(column.name, BIRTH_WORDS):
        return _moment_parts(column, moment, clock=False, days=True, weeks=False, years=False)
    in_order = setting.split_by is not None and sample.sorted >= SORTED
    return _moment_parts(
        column,
        moment,
        clock=sample.clock,
        days=column.name != setting.split_by and not in_order,
        weeks=span is None or span >= _DAYS_OF_WEEKS,
        years=span is not None and span >= _DAYS_OF_YEARS,
    )


def _days(column: ColumnProfile) -> float | None:
    try:
        return float((column.high - column.low).days)
    except (TypeError, AttributeError, OverflowError):
        return None


def _moment_parts(column: ColumnProfile, moment: str, *, clock: bool, days: bool, weeks: bool, years: bool) -> Role:
    """The parts of a date or timestamp."""
    name = column.name
    features = []
    if clock:
        comment = "hour of the day, from 0 to 23; or with minutes: hour(…) * 60 + minute(…)"
        features.append(DraftedFeature(f"{name}_hour", "numeric", f"hour({moment})", comment))
    if weeks:
        comment = "1 is Monday, 7 is Sunday; or leave it out"
        features.append(DraftedFeature(f"{name}_weekday", "numeric", f"isodow({moment})", comment))
    if years:
        comment = "two years or more were seen, so a month is no date; or leave it out"
        features.append(DraftedFeature(f"{name}_month", "numeric", f"month({moment})", comment))
    if days:
        date = moment if column.family == "date" or moment.endswith("as DATE)") else f"cast({moment} as DATE)"
        comment = "days since 2000; or leave it out, if all rows to come are later"
        features.append(
            DraftedFeature(f"{name}_days", "numeric", f"date_diff('day', DATE '2000-01-01', {date})", comment)
        )
    if not features:
        return Role(left_out="rows to come will have later dates than any that was learned; or its days as numeric")
    return Role(tuple(features))


def _time(column: ColumnProfile, _: Sample, __: Setting) -> Role:
    comment = "minutes since midnight; or the hour alone"
    feature = DraftedFeature(f"{column.name}_minutes", "numeric", "hour({}) * 60 + minute({})", comment)
    return Role((feature,))


@dataclass
class Names:
    """Gives features names that no other feature has and that marts can show beside the raw columns.

    Attributes:
        raw: names of the contract's columns, in lower case.
    """

    raw: frozenset[str]
    taken: set[str] = field(default_factory=set)

    def of(self, wanted: str) -> str:
        """The name itself, or with a word after it."""
        name = wanted
        while name.lower() in self.taken or f"feature_{name}".lower() in self.raw:
            name = f"{name}_value"
        self.taken.add(name.lower())
        return name
