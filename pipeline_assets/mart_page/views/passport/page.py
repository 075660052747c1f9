"""The passport of a row: from the file it came in to its prediction, and why."""

import pyarrow as pa
from htmltools import Tag, TagChild, TagList, div, h3, p, tags
from shiny import Inputs, Outputs, Session, module, reactive, render, ui

from pipeline_assets.mart_page import parts
from pipeline_assets.mart_page import training_facts as records
from pipeline_assets.mart_page.language import Formats, Texts, ViewTexts
from pipeline_assets.mart_page.loaded_models import Inexplicable
from pipeline_assets.mart_page.page import Page
from pipeline_assets.mart_page.problem import Problem, attempt
from pipeline_assets.mart_page.render import Picture, output_picture, render_picture
from pipeline_assets.mart_page.views.passport import answer, sections
from pipeline_assets.mart_page.views.passport import charts as pictures
from pipeline_assets.mart_page.views.passport import explained as explained_as
from pipeline_assets.mart_page.views.passport.raw_row import NoRow, NotChecked, RawRow
from pipeline_assets.mart_page.views.passport.row_facts import Row, row_facts, stage_of
from pipeline_assets.ml.explanation import Explanation
from pipeline_assets.stores.features.base import feature_table
from pipeline_assets.task.spec import STAGES, Stage

_BATCHES = 50  # in the picker: the last ones by name, as batches are mostly named by date


@module.ui
def passport_ui(texts: Texts, formats: Formats) -> Tag:  # noqa: ARG001 - every view is given both
    """The places of the view's outputs."""
    says = texts("passport")
    return div(
        parts.heading(says("title"), says("lead")),
        ui.output_ui("finder"),
        ui.output_ui("answered"),
        ui.output_ui("because"),
        ui.output_ui("came"),
        ui.output_ui("prepared"),
        ui.output_ui("chosen"),
        ui.output_ui("scored"),
        ui.output_ui("explained"),
        output_picture("contributions", height="32rem"),
        ui.output_ui("contributions_table"),
        ui.output_ui("runs"),
        class_="reads passport",
    )


@module.server
def passport_server(input: Inputs, output: Outputs, session: Session, page: Page) -> None:  # noqa: A002, ARG001, C901, PLR0915 - Shiny's way
    """Shows the row section by section; a section that cannot be read says why, and the others are shown."""
    says, formats = page.texts("passport"), page.formats
    row = row_facts(page)

    @render.ui
    async def finder() -> TagChild:
        task = page.task()
        batches = await page.work(attempt, page.files.batches, task.name, stage_of(page))
        if isinstance(batches, Problem):
            return records.problem(batches)
        return _finder(page, says, stage_of(page), list(batches)[::-1][:_BATCHES])

    @render.ui
    async def came() -> TagChild:
        at, found = row.row(), await row.raw()
        if at is None:
            return parts.empty(says("none"), says("none_do"))
        if isinstance(found, Problem):
            return records.problem(found)
        if isinstance(found, NotChecked):
            return _not_checked(page, says, at, found)
        if isinstance(found, NoRow):
            missing = says("no_row", batch=at.ref.batch, row=at.row)
            return parts.empty(missing, says("no_row_do", rows=formats.number(found.rows), last=found.rows - 1))
        if found is None:
            return None
        return TagList(
            sections.steps(page, says, found, at), sections.came(says, formats, found), sections.verdict(says, found)
        )

    @render.ui
    async def answered() -> TagChild:
        at, found = row.row(), await row.raw()
        if at is None or not isinstance(found, RawRow):
            return None
        return answer.answer(page, at, found, await row.marts_or_nothing())

    @render.ui
    async def because() -> TagChild:
        marts = await row.marts_or_nothing()
        if marts.prediction is None:
            return None
        if row.explaining():
            return p(says("loading"), class_="says", role="status")
        found = await row.explanation()
        return answer.because(says, formats, found) if isinstance(found, Explanation) else None

    @render.ui
    async def prepared() -> TagChild:
        at, found = await row.accepted(), await row.prepared()
        if at is None:
            return None
        where = page.app_state.stores["features"].uri(feature_table(at.task, at.ref.stage), at.ref.batch)
        return TagList(h3(says("features")), sections.prepared(says, formats, at, found, where))

    @render.ui
    async def chosen() -> TagChild:
        at, marts = await row.accepted(), await row.marts()
        if at is None:
            return None
        if marts.prediction is None:
            nothing = "trained_from" if at.ref.stage == "train" else "no_prediction"
            do = "" if at.ref.stage == "train" else says("no_prediction_do")
            return TagList(h3(says("version")), parts.empty(says(nothing), do))
        return TagList(h3(says("version")), sections.chosen(page, says, formats, marts, await row.differences()))

    @render.ui
    async def scored() -> TagChild:
        at, marts = await row.accepted(), await row.marts_or_nothing()
        return None if at is None or marts.prediction is None else sections.scored(says, formats, at, marts)

    @render.ui
    async def explained() -> TagChild:
        marts, prepared = await row.marts_or_nothing(), await row.prepared()
        if marts.prediction is None or not isinstance(prepared, pa.RecordBatch):
            return None
        head = h3(says("contributions"))
        if row.explaining():
            return TagList(head, p(says("loading"), class_="says", role="status"))
        found = await row.explanation()
        if isinstance(found, Problem):
            return TagList(head, records.problem(found))
        if isinstance(found, Inexplicable):
            return TagList(
                head,
                explained_as.inexplicable(says, found),
                ui.input_action_button("permute", says("permute"), class_="btn-sm btn-outline-primary"),
            )
        if found is None:
            return None
        lead = p(explained_as.lead(says, formats, found), class_="says")
        return TagList(head, lead, explained_as.agreement(says, formats, found, marts.prediction))

    @reactive.effect
    @reactive.event(input.permute)
    async def _permute() -> None:
        await row.permute()

    @render_picture
    async def contributions() -> Picture | None:
        found = await row.explanation()
        if not isinstance(found, Explanation):
            return None
        return pictures.contributions(found, explained_as.values_of(found, says, formats), says, formats)

    @render.ui
    async def contributions_table() -> TagChild:
        at, found = row.row(), await row.explanation()
        if at is None or not isinstance(found, Explanation):
            return None
        return explained_as.contributions(says, formats, at.task, found)

    @render.ui
    async def runs() -> TagChild:
        at, marts = await row.accepted(), await row.marts_or_nothing()
        if at is None or marts.prediction is None:
            return None
        version = marts.prediction.model_version
        address = await page.work(attempt, records.version_address, page, at.task.name, version)
        return sections.runs(page, says, marts, address)


def _finder(page: Page, says: ViewTexts, stage: Stage, names: list[str]) -> TagChild:
    route = page.route()
    batches = {name: name for name in names}
    if route.batch is not None:
        batches.setdefault(route.batch, route.batch)
    stages = [
        tags.a(
            says(f"stage_{each}"),
            href=route.at(view="passport", stage=each, batch=None, row=None),
            aria_current="true" if each == stage else None,
        )
        for each in STAGES
    ]
    form = parts.form(
        route,
        parts.chosen(batches, name="batch", label=says("batch"), selected=route.batch or next(iter(batches), None)),
        tags.label(
            tags.span(says("row")),
            tags.input(
                name="row", type="number", min="0", step="1", required="", value=route.row,
                class_="form-control form-control-sm",
            ),
            class_="picker",
        ),
        tags.button(says("open"), type="submit", class_="btn btn-primary btn-sm"),
    )  # fmt: skip
    nothing = None if batches else parts.empty(says("no_batches"), says("no_batches_do"))
    return TagList(
        div(tags.nav(*stages, class_="either", aria_label=says("stage")), form if batches else None, class_="tools"),
        nothing,
    )


def _not_checked(page: Page, says: ViewTexts, at: Row, found: NotChecked) -> TagChild:
    others = [page.link(name, page.route().at(batch=name)) for name in found.others[:_BATCHES]]
    return TagList(
        parts.empty(says("not_checked", batch=at.ref.batch), says("not_checked_do")),
        tags.nav(*others, class_="steps", aria_label=says("batch")) if others else None,
    )
