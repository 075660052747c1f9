"""The input mart and the output mart: tables of any size, filtered, ordered and turned by the server."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal
from urllib.parse import quote, unquote

from htmltools import Tag, TagChild, TagList, div, span, tags
from shiny import Inputs, Outputs, Session, module, reactive, render, req, ui

from pipeline_assets.mart_page import parts
from pipeline_assets.mart_page.catalog import Column, Mart, Which
from pipeline_assets.mart_page.language import Formats, Texts, ViewTexts
from pipeline_assets.mart_page.page import Page
from pipeline_assets.mart_page.render import Picture, output_picture, render_picture
from pipeline_assets.mart_page.route import Route
from pipeline_assets.mart_page.views.marts import charts as drawn
from pipeline_assets.mart_page.views.marts import filters
from pipeline_assets.mart_page.views.marts import queries as marts
from pipeline_assets.mart_page.views.marts.filters import Filter, NoSuchValue
from pipeline_assets.mart_page.views.marts.queries import Asked, Beside, Rows
from pipeline_assets.task.spec import ROW_ADDRESS, SCORES, STAGES, Stage, TaskSpec

Side = Literal["input", "output"]

_GROUPS = ("address", "score", "technical", "raw", "feature", "label")
_HIDDEN_AT_FIRST = ("feature",)
_KEYS_BESIDE = 6  # columns of the input's key that the output mart shows


@dataclass(frozen=True)
class Sight:
    """What an address asks to see of a mart.

    Attributes:
        asked: which rows.
        columns: shown ones, in order.
        page: its number, from 1.
        beside: columns of the other mart.
        wrong: filters that make no sense.
        about: the column that is looked at.
    """

    asked: Asked
    columns: tuple[str, ...]
    page: int
    beside: Beside | None
    wrong: tuple[NoSuchValue, ...]
    about: Column | None


def stage_of(side: Side, route: Route) -> Stage:
    """The stage whose mart is looked at."""
    wanted = route.more.get("stage")
    if side == "output" or wanted not in STAGES:
        return "predict"
    return "train" if wanted == "train" else "predict"


def which_mart(side: Side, route: Route) -> Which:
    """The mart that is looked at."""
    if side == "output":
        return "predict_output"
    return "train_input" if stage_of(side, route) == "train" else "predict_input"


def asked_of(route: Route, mart: Mart, language: str) -> tuple[Asked, list[NoSuchValue]]:
    """Which rows of a mart an address asks for, and which of its filters make no sense."""
    found, wrong = filters.filters_of(route, mart, language)
    order = marts.order_of(mart, found, route.more.get("sort"), down=route.more.get("down") == "1")
    return Asked(mart, route.batch, tuple(found), order), wrong


def columns_of(route: Route, mart: Mart) -> tuple[str, ...]:
    """The columns that an address asks for; without any, all but the features."""
    wanted = {unquote(name) for name in route.more.get("show", "").split(",")}
    chosen = tuple(name for name in mart.columns if name in wanted or name in ROW_ADDRESS)
    if len(chosen) > len(ROW_ADDRESS):
        return chosen
    return tuple(name for name, column in mart.columns.items() if column.role not in _HIDDEN_AT_FIRST)


@module.ui
def _ui(texts: Texts, formats: Formats, *, side: Side) -> Tag:  # noqa: ARG001 - every view's signature
    says = texts("marts")
    return div(
        parts.heading(says(side), says(f"{side}_says")),
        ui.output_ui("tools"),
        ui.output_ui("column"),
        output_picture("distribution", "16rem"),
        ui.output_ui("counted"),
        ui.output_ui("rows"),
        ui.output_ui("turn"),
    )


@module.server
def _server(input: Inputs, output: Outputs, session: Session, page: Page, *, side: Side) -> None:  # noqa: A002, ARG001, C901, PLR0915
    says, formats = page.texts("marts"), page.formats

    @reactive.calc
    def route() -> Route:
        """The address, while this view is the one that is seen."""
        here = page.route()
        req(here.view == side)
        return here

    @reactive.calc
    async def mart() -> Mart | None:
        return await page.mart(page.task(), which_mart(side, route()))

    @reactive.calc
    async def batches() -> list[str]:
        there = await mart()
        return [] if there is None else await page.ask(marts.batches, there)

    @reactive.calc
    async def sight() -> Sight | None:
        here, there = route(), await mart()
        if there is None:
            return None
        if here.batch not in await batches():
            here = Route.parse(here.at(batch=None))
        asked, wrong = asked_of(here, there, formats.language)
        number = here.more.get("page", "1")
        return Sight(
            asked,
            columns_of(here, there),
            min(int(number), marts.LAST_PAGE) if number.isascii() and number.isdecimal() and number != "0" else 1,
            await beside(),
            tuple(wrong),
            there.columns.get(here.more.get("about", "")),
        )

    async def beside() -> Beside | None:
        task = page.task()
        if side == "output":
            inputs = await page.mart(task, "predict_input")
            keys = tuple(name for name in task.key if inputs and name in inputs.columns)[:_KEYS_BESIDE]
            return Beside(inputs, keys) if inputs and keys else None
        outputs = await page.mart(task, "predict_output") if stage_of(side, route()) == "predict" else None
        return Beside(outputs, tuple(name for name in SCORES if name in outputs.columns)) if outputs else None

    @reactive.calc
    async def found() -> Rows | None:
        seen = await sight()
        if seen is None:
            return None
        return await page.ask(marts.page, seen.asked, seen.columns, seen.page, seen.beside)

    @render.ui
    async def tools() -> TagChild:
        seen, here = await sight(), route()
        stage = stage_of(side, here)
        pick = _stage_picker(here, stage, says) if side == "input" else None
        if seen is None:
            return div(pick, class_="tools")
        return TagList(
            div(
                pick,
                _batch_picker(here, await batches(), seen.asked.batch, says),
                _column_picker(here, seen, says),
                _downloads(here, side, says),
                class_="tools",
            ),
            _filter_tools(here, seen, says),
        )

    @render.ui
    async def rows() -> TagChild:
        seen, result = await sight(), await found()
        task, here = page.task(), route()
        if seen is None or result is None:
            stage = stage_of(side, here)
            return parts.empty(says("no_mart"), says("no_mart_do", task=task.name, stage=stage))
        if not result.rows:
            what = says("no_rows_filtered") if seen.asked.filters else says("no_rows")
            return parts.empty(what, "" if seen.asked.filters else says("no_rows_do"))
        return _Table(here, task, stage_of(side, here), seen, result, says, formats).tag()

    @render.ui
    async def counted() -> TagChild:
        seen = await sight()
        if seen is None:
            return None
        number = await page.ask(marts.count, seen.asked)
        words = [says("rows", n=number) if number is not None else says("rows_many", n=marts.COUNTED)]
        if seen.asked.filters:
            words.append(says("rows_filtered"))
        elif number is None and seen.asked.batch is None:
            words.append(says("rows_about", about=formats.number(await page.ask(marts.about, seen.asked.mart))))
        return div(", ".join(words), class_="hint", role="status")

    @render.ui
    async def turn() -> TagChild:
        seen, result = await sight(), await found()
        if seen is None or result is None or not (result.more or seen.page > 1):
            return None
        return _turning(route(), seen.page, says, more=result.more)

    @reactive.calc
    async def distributed() -> marts.Distribution | None:
        seen = await sight()
        if seen is None or seen.about is None:
            return None
        return await page.ask(marts.distribution, seen.asked, seen.about)

    @render.ui
    async def column() -> TagChild:
        seen, values = await sight(), await distributed()
        if seen is None or seen.about is None or values is None:
            return None
        return _about(route(), seen.about, values, says, formats)

    @render_picture
    async def distribution() -> Picture | None:
        seen, values = await sight(), await distributed()
        if seen is None or seen.about is None or values is None:
            return None
        return drawn.distribution(seen.about.name, values, says, formats)


def _stage_picker(route: Route, stage: Stage, says: ViewTexts) -> Tag:
    picker = parts.chosen({name: says(name) for name in STAGES}, name="stage", label=says("stage"), selected=stage)
    # The other stage has other batches, and columns.
    return parts.form(route, picker, drop=[name for name in route.pairs() if name not in ("view", "task")])


def _batch_picker(route: Route, batches: Sequence[str], batch: str | None, says: ViewTexts) -> Tag:
    options = {"": says("all_batches"), **{name: name for name in batches}}
    picker = parts.chosen(options, name="batch", label=says("batch"), selected=batch or "")
    return parts.form(route, picker, drop=("page", "row"))


def _column_picker(route: Route, seen: Sight, says: ViewTexts) -> Tag:
    def box(column: Column) -> Tag:
        ticked = "checked" if column.name in seen.columns else None
        return tags.label(
            tags.input(type="checkbox", name="show", value=quote(column.name, safe=""), checked=ticked),
            span(column.name),
            title=column.description or None,
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


def _downloads(route: Route, side: Side, says: ViewTexts) -> Tag:
    return span(
        says("download"),
        ": ",
        *(
            TagList(tags.a(says(form), href=f"download/{side}.{form}{route.query()}", download=""), " ")
            for form in ("csv", "parquet")
        ),
        class_="downloads",
    )


def _filter_tools(route: Route, seen: Sight, says: ViewTexts) -> Tag:
    slot = filters.free_slot(route)
    column, word, value = filters.names_of(slot)
    columns = {name: name for name in seen.asked.mart.columns}
    add = parts.form(
        route,
        _labelled(says("column"), parts.options(columns, name=column)),
        _labelled(says("word"), parts.options({one: says(one) for one in filters.WORDS}, name=word)),
        _labelled(says("value"), tags.input(type="text", name=value, class_="form-control form-control-sm")),
        tags.button(says("add"), type="submit", class_="btn btn-sm btn-outline-primary"),
        drop=("page",),
        aria_label=says("filter"),
    )
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
    return div(div(*(_chip(route, one, says) for one in seen.asked.filters), add, class_="tools filters"), *wrong)


def _labelled(label: str, control: Tag) -> Tag:
    return tags.label(span(label, class_="visually-hidden"), control)


def _chip(route: Route, one: Filter, says: ViewTexts) -> Tag:
    words = " ".join(part for part in (one.column.name, says(one.word), one.written) if part)
    without = route.at(page=None, **dict.fromkeys(filters.names_of(one.slot)))
    remove = tags.a("×", href=without, aria_label=says("remove", filter=words), title=says("remove", filter=words))
    return span(words, " ", remove, class_="chip")


def _turning(route: Route, number: int, says: ViewTexts, *, more: bool) -> TagList:
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


def _about(route: Route, column: Column, seen: marts.Distribution, says: ViewTexts, formats: Formats) -> Tag:
    rows = formats.number(seen.looked_at)
    told: dict[str, TagChild] = {
        says("kind"): column.kind,
        says("looked_at"): says("sampled", n=seen.looked_at) if seen.sampled else rows,
        says("nulls"): f"{formats.number(seen.nulls)} ({formats.share(seen.nulls / max(seen.looked_at, 1))})",
        says("different"): formats.number(seen.different),
    }
    if seen.lowest is not None:
        told |= {says("lowest"): formats.value(seen.lowest), says("highest"): formats.value(seen.highest)}
    return div(
        tags.h3(column.name),
        tags.a(says("close"), href=route.at(about=None), class_="btn btn-sm btn-outline-secondary close"),
        tags.p(column.description or says("no_description")),
        parts.facts(told),
        class_="about",
    )


@dataclass(frozen=True)
class _Table:
    """The rows of one page as a table; a row leads to its passport."""

    route: Route
    task: TaskSpec
    stage: Stage
    seen: Sight
    found: Rows
    says: ViewTexts
    formats: Formats

    def tag(self) -> Tag:
        """The table."""
        says, caption = self.says, self.says("caption", mart=self.seen.asked.mart.name)
        heads = [self._head(self.found.columns[route], route) for route in self._order]
        return div(
            tags.table(
                tags.caption(caption, class_="visually-hidden"),
                tags.thead(tags.tr(tags.th(span(says("row"), class_="visually-hidden"), scope="col"), *heads)),
                tags.tbody(*map(self._row, self.found.rows)),
                class_="table table-sm mart",
            ),
            class_="scrolls",
            tabindex="0",
            role="region",
            aria_label=caption,
        )

    @property
    def _order(self) -> list[int]:
        """Places of the columns as they are shown: what is beside comes after the address."""
        own, every = range(self._own), range(len(self.found.columns))
        address = [route for route in own if self.found.columns[route] in ROW_ADDRESS]
        return [*address, *every[self._own :], *(route for route in own if route not in address)]

    @property
    def _own(self) -> int:
        """How many columns are the mart's own; the others are beside."""
        return len(self.seen.columns)

    def _head(self, name: str, route: int) -> Tag:
        if route >= self._own:
            return tags.th(name, scope="col", class_="beside")
        says, column, order = self.says, self.seen.asked.mart.columns[name], self.seen.asked.order
        ordered = (order.column.name if order.column else "batch") == name
        if ordered and order.column is not None and order.down:
            query, what, arrow, way = self.route.at(sort=None, down=None, page=None), "sort_none", " ▼", "descending"
        elif ordered and order.column is not None:
            query, what, arrow, way = self.route.at(sort=name, down=1, page=None), "sort_down", " ▲", "ascending"
        else:
            query, what, arrow, way = self.route.at(sort=name, down=None, page=None), "sort_up", "", None
        label = says(what, column=name)
        return tags.th(
            tags.a(name, span(arrow, aria_hidden="true"), href=query, title=label, aria_label=label),
            " ",
            tags.a(
                "?",
                href=self.route.at(about=name),
                class_="about-link",
                aria_label=says("about_column", column=name),
                title=column.description or says("about_column", column=name),
            ),
            scope="col",
            aria_sort=way,
            class_="number" if column.numeric else None,
        )

    def _row(self, row: tuple[Any, ...]) -> Tag:
        batch, number = (row[self.found.columns.index(name)] for name in ROW_ADDRESS)
        stage = {"stage": "train"} if self.stage == "train" else {}
        passport = Route("passport", self.task.name, batch, number, stage).query()
        label = self.says("open", row=self.formats.number(number), batch=batch)
        link = tags.a("→", href=passport, aria_label=label, title=label)
        return tags.tr(
            tags.th(link, scope="row"),
            *(self._cell(route, row[route]) for route in self._order),
            data_href=passport,
        )

    def _cell(self, route: int, value: object) -> Tag:
        if value is None:
            return tags.td("∅", class_="null", title=self.says("empty"))
        text = self.formats.value(value)
        number = isinstance(value, int | float) and not isinstance(value, bool)
        kind = " ".join(name for name, there in (("number", number), ("beside", route >= self._own)) if there)
        return tags.td(text, class_=kind or None, title=text if len(text) > _LONG else None)


_LONG = 40  # letters that a cell shows; the rest is in its title

input_ui, output_ui = (partial(_ui, side=side) for side in ("input", "output"))
input_server, output_server = (partial(_server, side=side) for side in ("input", "output"))
