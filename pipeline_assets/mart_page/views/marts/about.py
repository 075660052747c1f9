"""The box that describes a column of a mart: what it means, its values in numbers, and how it goes with the score."""

from htmltools import Tag, TagChild, div, tags

from pipeline_assets.mart_page import parts
from pipeline_assets.mart_page.catalog import Column
from pipeline_assets.mart_page.language import Formats, ViewTexts
from pipeline_assets.mart_page.route import Route
from pipeline_assets.mart_page.views.marts.distribution import Distribution
from pipeline_assets.mart_page.views.marts.statistics import QUANTILES, Statistics

_LONGEST = 60  # characters of the most frequent value


def about(route: Route, column: Column, seen: Distribution, says: ViewTexts, formats: Formats) -> Tag:
    """The description of a column and its values."""
    rows = formats.number(seen.looked_at)
    facts: dict[str, TagChild] = {
        says("kind"): column.kind,
        says("looked_at"): says("sampled", n=seen.looked_at) if seen.sampled else rows,
        says("nulls"): f"{formats.number(seen.nulls)} ({formats.share(seen.nulls / max(seen.looked_at, 1))})",
        says("different"): formats.number(seen.different),
    }
    if seen.statistics is not None:
        facts |= _mode(seen.statistics, seen.looked_at - seen.nulls, column, says, formats)
    return div(
        tags.h3(column.name),
        tags.a(says("close"), href=route.at(about=None), class_="btn btn-sm btn-outline-secondary close"),
        tags.p(column.description or says("no_description")),
        parts.facts(facts),
        _numbers(seen, column, says, formats),
        class_="about",
    )


def related(found: dict[str, float | None], says: ViewTexts, formats: Formats) -> Tag | None:
    """Correlations, by what they are with: ``score`` or ``label``."""
    if not found:
        return None
    said = {
        says(f"with_{name}"): says("no_correlation") if value is None else formats.number(round(value, 3))
        for name, value in found.items()
    }
    return div(parts.facts(said), class_="related")


def _mode(of: Statistics, filled: int, column: Column, says: ViewTexts, formats: Formats) -> dict[str, TagChild]:
    if of.mode_rows < 2:  # noqa: PLR2004 - each value is there once
        return {says("mode"): says("no_mode")}
    value = formats.value(of.mode, code=column.code)
    short = value if len(value) <= _LONGEST else f"{value[: _LONGEST - 1]}…"
    return {says("mode"): f"{short} ({formats.share(of.mode_rows / max(filled, 1))})"}


def _numbers(seen: Distribution, column: Column, says: ViewTexts, formats: Formats) -> TagChild:
    """Mean, deviation, and the values from the lowest to the highest, in one line of a table."""
    of = seen.statistics
    if of is None or not of.quantiles:
        return None

    def said(value: object) -> str:
        return formats.value(value, code=column.code)

    shares = [says("median") if share == 0.5 else formats.share(share) for share in QUANTILES]  # noqa: PLR2004
    head = [says("lowest"), *shares, says("highest")]
    cells = [said(value) for value in (seen.lowest, *of.quantiles, seen.highest)]
    if of.mean is not None and of.deviation is not None and not column.code:
        head, cells = [says("mean"), says("deviation"), *head], [said(of.mean), said(of.deviation), *cells]
    return parts.table(head, [cells], says("quantiles", column=column.name), numbers=range(len(head)))
