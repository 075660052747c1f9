"""The drift of a batch in words and tables."""

from collections.abc import Sequence

from htmltools import Tag, TagChild, TagList, div, h3, p, tags

from pipeline_assets.mart_page import parts
from pipeline_assets.mart_page.language import Formats, ViewTexts
from pipeline_assets.mart_page.page import Page
from pipeline_assets.mart_page.scored import QUANTILES, Scores
from pipeline_assets.mart_page.views.drift import charts as pictures
from pipeline_assets.mart_page.views.drift.queries import ColumnShift, Drift, Kept, Point
from pipeline_assets.monitoring.drift import Shift
from pipeline_assets.monitoring.truth import Form

_LABELS = 5  # of a batch, in the table of scores


def which_rows(found: Drift | Kept, says: ViewTexts, formats: Formats) -> str:
    """The sentence that says which rows are compared."""
    if isinstance(found, Kept):
        first = found.columns[0].difference
        return says(
            "kept",
            batch=found.batch,
            rows=formats.number(first.rows),
            version=str(found.version),
            reference_rows=formats.number(first.reference_rows),
        )
    return says(
        "sampled",
        train=found.train.batch,
        train_rows=formats.number(found.train.rows),
        train_of=formats.number(found.train.of),
        predict=found.predict.batch,
        predict_rows=formats.number(found.predict.rows),
        predict_of=formats.number(found.predict.of),
    )


def sides(found: Drift | Kept, says: ViewTexts) -> tuple[str, str]:
    """What the two sets of rows are called."""
    if isinstance(found, Kept):
        return says("version_n", version=str(found.version)), found.batch
    return f"{says('train')} {found.train.batch}", f"{says('predict')} {found.predict.batch}"


def bins(shift: ColumnShift, sides: tuple[str, str], says: ViewTexts, formats: Formats) -> Tag:
    """One column bin by bin."""
    rows: list[list[TagChild]] = [
        [pictures.bin_name(each, says, formats), formats.share(each.reference), formats.share(each.others)]
        for each in shift.difference.bins
    ]
    title = says("bins", column=shift.column.name)
    return tags.details(tags.summary(title), parts.table([says("bin"), *sides], rows, title, numbers=(1, 2)))


def table(
    page: Page, shifts: Sequence[ColumnShift], sides: tuple[str, str], says: ViewTexts, formats: Formats
) -> TagChild:
    """Every column, as given."""
    rows: list[list[TagChild]] = [
        [
            page.link(shift.column.name, page.route().at(column=shift.column.name)),
            _distance(shift.difference.distance, formats),
            _said(shift, says),
            formats.share(shift.difference.bins[-1].reference),
            formats.share(shift.difference.bins[-1].others),
            shift.column.description,
        ]
        for shift in shifts
    ]
    missing = [says("missing_in", rows=side) for side in sides]
    head = [says("column"), says("distance_short"), says("shift"), *missing, says("meaning")]
    return TagList(h3(says("all")), parts.table(head, rows, says("all"), numbers=(1, 3, 4)))


def _said(shift: ColumnShift, says: ViewTexts) -> str:
    """The distance in words, and what the check of the task said of it."""
    word = says(f"shift_{shift.difference.shift.value}")
    return word if shift.verdict in (None, "ok") else f"{word}: {says(f'verdict_{shift.verdict}')}"


def _distance(distance: float, formats: Formats) -> Tag:
    return tags.data(formats.number(round(distance, 4)), value=repr(distance))


def scores(found: Sequence[Scores], points: Sequence[Point], form: Form, says: ViewTexts, formats: Formats) -> Tag:
    """A line per batch: quantiles of numbers, the mart's distance, the file's share, the commonest labels."""
    numbers = any(each.quantiles for each in found)
    labels = any(each.shares for each in found)
    decided = any(each.decided is not None for each in found)
    distances = {point.batch: point.distance for point in points}
    said = formats.share if form == "binary" else formats.number
    rows: list[list[TagChild]] = [
        [
            each.made.batch,
            str(each.made.model_version),
            formats.number(each.rows),
            *([said(value) for value in each.quantiles] or [""] * len(QUANTILES) if numbers else []),
            _signed(distances.get(each.made.batch), formats),
            *([formats.share(each.decided) if each.decided is not None else ""] if decided else []),
            *([_labels(each, formats)] if labels else []),
        ]
        for each in found
    ]
    head = [
        *(says(name) for name in ("batch", "version", "rows")),
        *([formats.share(share) for share in QUANTILES] if numbers else []),
        says("distance_short"),
        *([says("decided")] if decided else []),
        *([says("labels")] if labels else []),
    ]
    shown = parts.table(head, rows, says("scores"), numbers=range(1, len(head) - (1 if labels else 0)))
    return div(shown, p(says("decided_by"), class_="hint") if form == "binary" and decided and labels else None)


def _signed(distance: float | None, formats: Formats) -> TagChild:
    if distance is None:
        return ""
    return tags.data(f"{pictures.SIGNS[Shift.of(distance)]} {formats.number(round(distance, 4))}", value=repr(distance))


def _labels(each: Scores, formats: Formats) -> str:
    return formats.shares({formats.value(label): share for label, share in (each.shares or {}).items()}, _LABELS)
