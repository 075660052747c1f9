"""What surrounds the table of a mart: pickers, filters, downloads and page links."""

from collections.abc import Sequence
from urllib.parse import quote

from htmltools import Tag, TagList, div, span, tags

from pipeline_assets.mart_page import parts
from pipeline_assets.mart_page.catalog import Column
from pipeline_assets.mart_page.language import ViewTexts
from pipeline_assets.mart_page.route import Route
from pipeline_assets.mart_page.views.marts import filters
from pipeline_assets.mart_page.views.marts import queries as marts
from pipeline_assets.mart_page.views.marts.filters import Filter
from pipeline_assets.mart_page.views.marts.request import Request, Side
from pipeline_assets.task.names import PREFIX
from pipeline_assets.task.spec import DECISION, STAGES, Stage, TaskSpec

_GROUPS = ("address", "score", "technical", "raw", "feature", "label")


def describe(column: Column, task: TaskSpec, says: ViewTexts) -> str:
    """What a column means: the pipeline's own columns in the reader's language, others as the task describes them.

    Scores of a third party's kind are described by the kind, in its own words.
    """
    name = column.name.removeprefix(PREFIX)
    key = f"own_{task.target.kind}_{name}" if column.role == "score" and name != DECISION else f"own_{name}"
    return says(key) if column.role in ("address", "score", "technical") and key in says else column.description


def stage_picker(route: Route, stage: Stage, says: ViewTexts) -> Tag:
    """The picker of the stage."""
    picker = parts.chosen({name: says(name) for name in STAGES}, name="stage", label=says("stage"), selected=stage)
    # The other stage has other batches, and columns.
    return parts.form(route, picker, drop=[name for name in route.pairs() if name not in ("view", "task")])


def batch_picker(route: Route, batches: Sequence[str], batch: str | None, says: ViewTexts) -> Tag:
    """The picker of the batch."""
    options = {"": says("all_batches"), **{name: name for name in batches}}
    picker = parts.chosen(options, name="batch", label=says("batch"), selected=batch or "")
    return parts.form(route, picker, drop=("page", "row"))


def column_picker(route: Route, task: TaskSpec, seen: Request, says: ViewTexts) -> Tag:
    """The boxes that say which columns are shown, by role."""

    def box(column: Column) -> Tag:
        ticked = "checked" if column.name in seen.columns else None
        return tags.label(
            tags.input(type="checkbox", name="show", value=quote(column.name, safe=""), checked=ticked),
            span(column.name),
            title=describe(column, task, says) or None,
        )

    groups = {
        group: [column for column in seen.asked.mart.columns.values() if column.role == group] for group in _GROUPS[1:]
    }
    sets = [
        tags.fieldset(tags.legend(says(f"group_{group}")), *map(box, columns))
        for group, columns in groups.items()
        if columns
    ]
    button = tags.button(says("columns_apply"), type="submit", class_="btn btn-sm btn-primary")
    return tags.details(
        tags.summary(says("columns"), class_="btn btn-sm btn-outline-secondary"),
        parts.form(route, *sets, button, drop=("show",)),
        class_="columns",
    )


def downloads(route: Route, side: Side, says: ViewTexts) -> Tag:
    """Links that download the filtered rows."""
    return span(
        says("download"),
        ": ",
        *(
            TagList(tags.a(says(form), href=f"download/{side}.{form}{route.query()}", download=""), " ")
            for form in ("csv", "parquet")
        ),
        class_="downloads",
    )


def filter_form(columns: Sequence[str], says: ViewTexts) -> Tag:
    """A form that adds a filter.

    It depends on the columns alone, so it keeps what the reader has begun to fill in while rows, batch or other
    filters change. The page's script puts the number of a free slot into its names.
    """
    column, word, value = filters.FREE_SLOT
    return parts.form(
        Route(),
        _labelled(says("column"), parts.options({name: name for name in columns}, name=column)),
        _labelled(says("word"), parts.options({one: says(one) for one in filters.WORDS}, name=word)),
        _labelled(says("value"), tags.input(type="text", name=value, class_="form-control form-control-sm")),
        tags.button(says("add"), type="submit", class_="btn btn-sm btn-outline-primary"),
        drop=("page",),
        aria_label=says("filter"),
        data_slots=str(filters.MOST),
    )


def filters_in_use(route: Route, seen: Request, says: ViewTexts) -> TagList:
    """The filters in use, and what is wrong with values that do not fit."""
    wrong = [
        div(
            says(
                "wrong_value",
                written=one.written,
                column=one.column,
                kind=seen.asked.mart.columns[one.column].kind,
            ),
            class_="notice notice-error",
            role="alert",
        )
        for one in seen.wrong
    ]
    chips = [_chip(route, one, says) for one in seen.asked.filters]
    return TagList(div(*chips, class_="tools") if chips else None, *wrong)


def _labelled(label: str, control: Tag) -> Tag:
    return tags.label(span(label, class_="visually-hidden"), control)


def _chip(route: Route, one: Filter, says: ViewTexts) -> Tag:
    words = " ".join(part for part in (one.column.name, says(one.word), one.written) if part)
    without = route.at(page=None, **dict.fromkeys(filters.names_of(one.slot)))
    remove = tags.a("×", href=without, aria_label=says("remove", filter=words), title=says("remove", filter=words))
    return span(words, " ", remove, class_="chip")


def turning(route: Route, number: int, says: ViewTexts, *, more: bool) -> TagList:
    """Links to the pages before and after."""
    last = number >= marts.LAST_PAGE

    def step(label: str, to: int, *, there: bool, rel: str | None = None) -> Tag:
        if not there:
            return span(label, class_="btn btn-sm disabled", aria_disabled="true")
        query = route.at(page=None if to == 1 else to)
        return tags.a(label, href=query, rel=rel, class_="btn btn-sm btn-outline-secondary")

    return TagList(
        tags.nav(
            step(says("first"), 1, there=number > 1),
            step(says("previous"), number - 1, there=number > 1, rel="prev"),
            span(says("page", n=number), aria_current="page"),
            step(says("next"), number + 1, there=more and not last, rel="next"),
            aria_label=says("pages"),
            class_="tools",
        ),
        div(says("last_page"), class_="hint") if more and last else None,
    )
