"""Drift: is the new input like the input that the model learned from, and how are its scores distributed?"""

from collections.abc import Sequence
from typing import Literal, get_args

from htmltools import Tag, TagChild, TagList, div, h3, p, tags
from shiny import Inputs, Outputs, Session, module, reactive, render, ui
from shiny.types import SilentException

from pipeline_assets.mart_page import choices, parts
from pipeline_assets.mart_page.catalog import Role
from pipeline_assets.mart_page.language import Formats, Texts, ViewTexts
from pipeline_assets.mart_page.later import Later
from pipeline_assets.mart_page.page import Page
from pipeline_assets.mart_page.render import Picture, output_picture, render_picture
from pipeline_assets.mart_page.scored import ROWS, Scores, main_column
from pipeline_assets.mart_page.scored import scores as scores_of
from pipeline_assets.mart_page.views.drift import charts as pictures
from pipeline_assets.mart_page.views.drift import queries, score_charts, sections
from pipeline_assets.mart_page.views.drift.queries import ColumnShift, Drift, Kept
from pipeline_assets.monitoring.truth import form_of

# ``kept``: features and scores as the mart of drift has them; the others are columns of two input marts.
Kind = Literal["kept", "feature", "raw", "all"]
_KINDS: tuple[Kind, ...] = get_args(Kind)
_BATCHES = 24  # whose scores are shown: two years of months


@module.ui
def drift_ui(texts: Texts, formats: Formats) -> Tag:  # noqa: ARG001 - every view is given both
    """The places of the view's outputs."""
    says = texts("drift")
    return div(
        parts.heading(says("title"), says("lead")),
        ui.output_ui("picker"),
        ui.output_ui("sampled"),
        output_picture("indexes", height="34rem"),
        ui.output_ui("column_head"),
        output_picture("bins", height="22rem"),
        output_picture("history", height="16rem"),
        ui.output_ui("table"),
        tags.details(tags.summary(says("how")), p(says("how_text"))),
        ui.output_ui("scores_head"),
        output_picture("scores", height="22rem"),
        output_picture("scores_of_batch", height="22rem"),
        ui.output_ui("scores_table"),
        class_="reads",
    )


@module.server
def drift_server(input: Inputs, output: Outputs, session: Session, page: Page) -> None:  # noqa: A002, ARG001, C901, PLR0915 - Shiny's way
    """Compares a batch, by default the one predicted last, with what its version keeps, or with any train batch."""
    says, formats = page.texts("drift"), page.formats
    scoring = Later(page, scores_of)

    @reactive.calc
    async def record() -> choices.Record:
        return await page.ask(choices.record, page.schema, page.task())

    @reactive.calc
    async def batches() -> tuple[str | None, str | None]:
        """Train and predict."""
        route, known = page.route(), await record()
        predict = route.batch or max(known.batches, key=lambda each: each.predicted_at, default=None)
        train = route.more.get("train") or _learned_from(known, predict)
        return train, predict if isinstance(predict, str) or predict is None else predict.batch

    @reactive.calc
    async def kept() -> Kept | None:
        task, (_, predict) = page.task(), await batches()
        mart = await page.mart(task, "drift")
        return None if mart is None or predict is None else await page.ask(queries.kept, mart, task, predict)

    @reactive.calc
    async def kind() -> Kind:
        """What the address asks for; where the mart does not have the batch, the features of a train batch instead."""
        wanted = page.route().more.get("columns")
        known: Kind = next((each for each in _KINDS if each == wanted), "kept")
        return "feature" if known == "kept" and await kept() is None else known

    @reactive.calc
    async def found() -> Drift | Kept | None:
        asked = await kind()
        if asked == "kept":
            return await kept()
        task, (train, predict) = page.task(), await batches()
        before, after = await page.mart(task, "train_input"), await page.mart(task, "predict_input")
        if before is None or after is None or train is None or predict is None:
            return None
        roles: tuple[Role, ...] = ("raw", "feature") if asked == "all" else (asked,)
        return await page.ask(queries.drift, before, after, train, predict, roles=roles)

    @reactive.calc
    async def shifts() -> list[ColumnShift]:
        compared = await found()
        return list(compared.columns) if compared is not None else []

    @reactive.calc
    async def shown() -> ColumnShift | None:
        wanted, there = page.route().more.get("column"), await shifts()
        return next((shift for shift in there if shift.column.name == wanted), there[0] if there else None)

    @render.ui
    async def picker() -> TagChild:
        known, (train, predict) = await record(), await batches()
        return _picker(page, says, known, (train, predict), await kind())

    @render.ui
    async def sampled() -> TagChild:
        if None in await batches():
            return parts.empty(says("none"), says("none_do"))
        compared = await found()
        if compared is None:
            return parts.empty(says("no_rows"), says("no_rows_do"))
        return p(sections.which_rows(compared, says, formats), class_="says")

    @render_picture
    async def indexes() -> Picture | None:
        there = await shifts()
        return pictures.indexes(there, says, formats) if there else None

    @reactive.effect
    @reactive.event(input.indexes_click)
    async def _pick() -> None:
        name = input.indexes_click()
        if any(shift.column.name == name for shift in await shifts()):
            await page.go(page.route().at(column=name))

    @render.ui
    async def column_head() -> TagChild:
        shift, there = await shown(), await shifts()
        if shift is None:
            return None
        options = {each.column.name: each.column.name for each in there}
        return TagList(
            h3(says("bins", column=shift.column.name)),
            p(shift.column.description, class_="says"),
            div(
                parts.form(
                    page.route(), parts.chosen(options, name="column", label=says("pick"), selected=shift.column.name)
                ),
                class_="tools",
            ),
        )

    @render_picture
    async def bins() -> Picture | None:
        shift, compared = await shown(), await found()
        if shift is None or compared is None:
            return None
        return pictures.bins(shift, *sections.sides(compared, says), says, formats)

    @render_picture
    async def history() -> Picture | None:
        shift, mart = await shown(), await page.mart(page.task(), "drift")
        if shift is None or mart is None or await kind() != "kept":
            return None
        points = await page.ask(queries.history, mart, shift.column.role, shift.column.name)
        return pictures.history(shift.column.name, points, says, formats) if len(points) > 1 else None

    @render.ui
    async def table() -> TagChild:
        shift, there, compared = await shown(), await shifts(), await found()
        if shift is None or compared is None:
            return None
        sides = sections.sides(compared, says)
        return TagList(sections.bins(shift, sides, says, formats), sections.table(page, there, sides, says, formats))

    @reactive.calc
    async def distributions() -> list[Scores]:
        output_mart = await page.mart(page.task(), "predict_output")
        latest = sorted((await record()).batches, key=lambda each: each.predicted_at)[-_BATCHES:]
        if output_mart is None or not latest:
            return []
        return await scoring.ask(page.task(), output_mart, sorted(latest, key=lambda each: each.batch))

    @render.ui
    async def scores_head() -> TagChild:
        try:
            there = await distributions()
        except SilentException:
            if not scoring.waits():
                raise
            return TagList(h3(says("scores")), p(says("scores_loading"), class_="says", role="status"))
        if not there:
            return TagList(h3(says("scores")), parts.empty(says("no_scores"), says("no_scores_do")))
        text = "scores_lead_of_one" if len(there) == 1 else "scores_lead"
        lead = says(text, batches=formats.number(len(there)), rows=formats.number(ROWS))
        return TagList(h3(says("scores")), p(lead, class_="says"))

    @render_picture
    async def scores() -> Picture | None:
        there = await distributions()
        return score_charts.by_batch(there, form_of(page.task()), says, formats) if there else None

    @render_picture
    async def scores_of_batch() -> Picture | None:
        there, (_, predict) = await distributions(), await batches()
        picked = next((each for each in there if each.made.batch == predict), None)
        if picked is None:
            return None
        return score_charts.of_batch(there[0], picked, form_of(page.task()), says, formats)

    @render.ui
    async def scores_table() -> TagChild:
        task, there = page.task(), await distributions()
        if not there:
            return None
        output_mart, mart = await page.mart(task, "predict_output"), await page.mart(task, "drift")
        main = None if output_mart is None else main_column(task, output_mart)
        if mart is None or main is None:
            return sections.scores(there, [], form_of(task), says, formats)
        points = await page.ask(queries.history, mart, "score", main.name)
        return sections.scores(there, points, form_of(task), says, formats)


def _learned_from(known: choices.Record, predict: object) -> str | None:
    """The train batch of the version that made a prediction; the latest one where that is not known."""
    name = predict if isinstance(predict, str) else getattr(predict, "batch", None)
    version = next((each.model_version for each in known.batches if each.batch == name), None)
    crowned = None if version is None else known.crowned(version)
    if crowned is not None:
        return crowned.batch
    return known.trainings[0].batch if known.trainings else None


def _picker(
    page: Page, says: ViewTexts, known: choices.Record, batches: tuple[str | None, str | None], kind: Kind
) -> TagChild:
    train, predict = batches
    predicts = [each.batch for each in known.batches]
    trains = sorted({each.batch for each in known.trainings})
    with_train = parts.chosen(_with(trains, train), name="train", label=says("train_batch"), selected=train)
    form = parts.form(
        page.route(),
        parts.chosen(_with(predicts, predict), name="batch", label=says("predict_batch"), selected=predict),
        parts.chosen(
            {each: says(f"columns_{each}") for each in _KINDS}, name="columns", label=says("columns"), selected=kind
        ),
        *([] if kind == "kept" else [with_train]),
    )
    return div(form, class_="tools")


def _with(names: Sequence[str], picked: str | None) -> dict[str, str]:
    """Options, with the picked one among them even if it is unknown."""
    wanted = [] if picked is None or picked in names else [picked]
    return {name: name for name in [*wanted, *names]}
