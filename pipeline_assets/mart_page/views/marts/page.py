"""The input mart and the output mart: tables of any size, which the server filters, orders and cuts into pages."""

from dataclasses import replace
from functools import partial

from htmltools import Tag, TagChild, div
from shiny import Inputs, Outputs, Session, module, reactive, render, req, ui
from shiny.types import SafeException

from pipeline_assets.mart_page import parts
from pipeline_assets.mart_page.catalog import Mart
from pipeline_assets.mart_page.language import Formats, Texts
from pipeline_assets.mart_page.later import Later
from pipeline_assets.mart_page.page import Page
from pipeline_assets.mart_page.render import Picture, output_picture, render_picture
from pipeline_assets.mart_page.route import Route
from pipeline_assets.mart_page.scored import main_column
from pipeline_assets.mart_page.views.marts import about, controls, correlation
from pipeline_assets.mart_page.views.marts import charts as drawn
from pipeline_assets.mart_page.views.marts import distribution as distributions
from pipeline_assets.mart_page.views.marts import queries as marts
from pipeline_assets.mart_page.views.marts.correlation import Against
from pipeline_assets.mart_page.views.marts.distribution import Distribution
from pipeline_assets.mart_page.views.marts.queries import Beside, Rows
from pipeline_assets.mart_page.views.marts.request import Request, Side, asked_of, columns_of, stage_of, which_mart
from pipeline_assets.mart_page.views.marts.table import MartTable

_KEYS_BESIDE = 6  # columns of the input's key that the output mart shows


@module.ui
def _ui(texts: Texts, formats: Formats, *, side: Side) -> Tag:  # noqa: ARG001 - every view's signature
    says = texts("marts")
    return div(
        parts.heading(says(side), says(f"{side}_says")),
        ui.output_ui("tools"),
        ui.output_ui("in_use"),
        ui.output_ui("filtering"),
        ui.output_ui("column"),
        ui.output_ui("related"),
        output_picture("distribution", "16rem"),
        ui.output_ui("counted"),
        ui.output_ui("rows"),
        ui.output_ui("turn"),
    )


@module.server
def _server(input: Inputs, output: Outputs, session: Session, page: Page, *, side: Side) -> None:  # noqa: A002, ARG001, C901, PLR0915
    says, formats = page.texts("marts"), page.formats
    correlated = Later(page, correlation.correlation)  # it may join two marts: the values are shown before
    offered: reactive.Value[tuple[str, ...]] = reactive.value(())  # columns of the form for a filter

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
    async def request() -> Request | None:
        here, there = route(), await mart()
        if there is None:
            return None
        if here.batch not in await batches():
            here = Route.parse(here.at(batch=None))
        asked, wrong = asked_of(here, there, formats.language)
        number = here.more.get("page", "1")
        return Request(
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
            keys = tuple(name for name in inputs.task_key if name in inputs.columns)[:_KEYS_BESIDE] if inputs else ()
            return Beside(inputs, keys) if inputs and keys else None
        outputs = await page.mart(task, "predict_output") if stage_of(side, route()) == "predict" else None
        return Beside(outputs, outputs.named("score")) if outputs else None

    @reactive.calc
    async def found() -> Rows | None:
        seen = await request()
        if seen is None:
            return None
        return await page.ask(marts.page, seen.asked, seen.columns, seen.page, seen.beside)

    @render.ui
    async def tools() -> TagChild:
        seen, here = await request(), route()
        stage = stage_of(side, here)
        pick = controls.stage_picker(here, stage, says) if side == "input" else None
        if seen is None:
            return div(pick, class_="tools")
        return div(
            pick,
            controls.batch_picker(here, await batches(), seen.asked.batch, says),
            controls.column_picker(here, page.task(), seen, says),
            controls.downloads(here, side, says),
            class_="tools",
        )

    @render.ui
    async def in_use() -> TagChild:
        seen = await request()
        return None if seen is None else controls.filters_in_use(route(), seen, says)

    @reactive.effect
    async def _offer() -> None:
        try:
            there = await mart()
        except SafeException:
            return  # an output shows the error
        names = () if there is None else tuple(there.columns)
        with reactive.isolate():
            unchanged = names == offered()
        if not unchanged:
            offered.set(names)

    @render.ui
    def filtering() -> TagChild:
        return div(controls.filter_form(offered(), says), class_="tools filters") if offered() else None

    @render.ui
    async def rows() -> TagChild:
        seen, result = await request(), await found()
        task, here = page.task(), route()
        if seen is None or result is None:
            stage = stage_of(side, here)
            return parts.empty(says("no_mart"), says("no_mart_do", task=task.name, stage=stage))
        if not result.rows:
            what = says("no_rows_filtered") if seen.asked.filters else says("no_rows")
            return parts.empty(what, "" if seen.asked.filters else says("no_rows_do"))
        return MartTable(here, task, stage_of(side, here), seen, result, says, formats).tag()

    @render.ui
    async def counted() -> TagChild:
        seen = await request()
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
        seen, result = await request(), await found()
        if seen is None or result is None or not (result.more or seen.page > 1):
            return None
        return controls.turning(route(), seen.page, says, more=result.more)

    @reactive.calc
    async def distributed() -> Distribution | None:
        seen = await request()
        if seen is None or seen.about is None:
            return None
        return await page.ask(distributions.distribution, seen.asked, seen.about)

    @render.ui
    async def column() -> TagChild:
        seen, values = await request(), await distributed()
        if seen is None or seen.about is None or values is None:
            return None
        described = replace(seen.about, description=controls.describe(seen.about, page.task(), says))
        return about.about(route(), described, values, says, formats)

    @reactive.calc
    async def against() -> dict[str, Against]:
        """What the column can be correlated with."""
        seen, task = await request(), page.task()
        if seen is None or seen.about is None or not correlation.measurable(seen.about) or seen.about.code:
            return {}
        own = seen.asked.mart
        if stage_of(side, route()) == "train":
            found = {"label": Against(own, own.columns[own.label])} if own.label in own.columns else {}
        else:
            outputs = own if side == "output" else await page.mart(task, "predict_output")
            main = None if outputs is None else main_column(task, outputs)
            found = {} if outputs is None or main is None else {"score": Against(outputs, main)}
        return {
            name: other
            for name, other in found.items()
            if correlation.measurable(other.column) and other != Against(own, seen.about)
        }

    @render.ui
    async def related() -> TagChild:
        seen, others = await request(), await against()
        if seen is None or seen.about is None or not others:
            return None
        ((name, other),) = others.items()
        return about.related({name: await correlated.ask(seen.asked, seen.about, other)}, says, formats)

    @render_picture
    async def distribution() -> Picture | None:
        seen, values = await request(), await distributed()
        if seen is None or seen.about is None or values is None or seen.about.json:
            return None
        return drawn.distribution(seen.about.name, values, says, formats)


input_ui, output_ui = (partial(_ui, side=side) for side in ("input", "output"))
input_server, output_server = (partial(_server, side=side) for side in ("input", "output"))
