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
from pipeline_assets.mart_page.scored import QUANTILES, ROWS, Scores
from pipeline_assets.mart_page.scored import scores as scores_of
from pipeline_assets.mart_page.views.drift import charts as pictures
from pipeline_assets.mart_page.views.drift import queries, score_charts
from pipeline_assets.mart_page.views.drift.queries import ColumnShift, Drift
from pipeline_assets.monitoring.drift import Stability
from pipeline_assets.monitoring.truth import Form, form_of

Kind = Literal["feature", "raw", "all"]
_KINDS: tuple[Kind, ...] = get_args(Kind)
_LABELS = 5  # of a batch, in the table of scores
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
    """Compares the picked batches; by default the one predicted last with the train batch of its version."""
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
    async def found() -> Drift | None:
        task, (train, predict) = page.task(), await batches()
        before, after = await page.mart(task, "train_input"), await page.mart(task, "predict_input")
        if before is None or after is None or train is None or predict is None:
            return None
        kind = _kind(page)
        roles: tuple[Role, ...] = ("raw", "feature") if kind == "all" else (kind,)
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
        return _picker(page, says, known, train, predict)

    @render.ui
    async def sampled() -> TagChild:
        train, predict = await batches()
        if train is None or predict is None:
            return parts.empty(says("none"), says("none_do"))
        compared = await found()
        if compared is None:
            return parts.empty(says("no_rows"), says("no_rows_do"))
        return p(_sampled(compared, says, formats), class_="says")

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
        shift, (train, predict) = await shown(), await batches()
        return None if shift is None else pictures.bins(shift, str(train), str(predict), says, formats)

    @render.ui
    async def table() -> TagChild:
        shift, there = await shown(), await shifts()
        return None if shift is None else TagList(_bins(shift, says, formats), _table(page, there, says, formats))

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
        lead = says("scores_lead", batches=formats.number(len(there)), rows=formats.number(ROWS))
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
        there = await distributions()
        return _scores(there, form_of(page.task()), says, formats) if there else None


def _kind(page: Page) -> Kind:
    wanted = page.route().more.get("columns")
    return next((kind for kind in _KINDS if kind == wanted), _KINDS[0])


def _learned_from(known: choices.Record, predict: object) -> str | None:
    """The train batch of the version that made a prediction; the latest one where that is not known."""
    name = predict if isinstance(predict, str) else getattr(predict, "batch", None)
    version = next((each.model_version for each in known.batches if each.batch == name), None)
    crowned = None if version is None else known.crowned(version)
    if crowned is not None:
        return crowned.batch
    return known.trainings[0].batch if known.trainings else None


def _picker(page: Page, says: ViewTexts, known: choices.Record, train: str | None, predict: str | None) -> TagChild:
    predicts = [each.batch for each in known.batches]
    trains = sorted({each.batch for each in known.trainings})
    form = parts.form(
        page.route(),
        parts.chosen(_with(predicts, predict), name="batch", label=says("predict_batch"), selected=predict),
        parts.chosen(_with(trains, train), name="train", label=says("train_batch"), selected=train),
        parts.chosen(
            {kind: says(f"columns_{kind}") for kind in _KINDS},
            name="columns",
            label=says("columns"),
            selected=_kind(page),
        ),
    )
    return div(form, class_="tools")


def _with(names: Sequence[str], picked: str | None) -> dict[str, str]:
    """Options, with the picked one among them even if it is unknown."""
    wanted = [] if picked is None or picked in names else [picked]
    return {name: name for name in [*wanted, *names]}


def _sampled(found: Drift, says: ViewTexts, formats: Formats) -> str:
    return says(
        "sampled",
        train=found.train.batch,
        train_rows=formats.number(found.train.rows),
        train_of=formats.number(found.train.of),
        predict=found.predict.batch,
        predict_rows=formats.number(found.predict.rows),
        predict_of=formats.number(found.predict.of),
    )


def _bins(shift: ColumnShift, says: ViewTexts, formats: Formats) -> Tag:
    rows: list[list[TagChild]] = [
        [pictures.bin_name(each, says, formats), formats.share(each.reference), formats.share(each.others)]
        for each in shift.stability.bins
    ]
    title = says("bins", column=shift.column.name)
    head = [says("bin"), says("train"), says("predict")]
    return tags.details(tags.summary(title), parts.table(head, rows, title, numbers=(1, 2)))


def _table(page: Page, shifts: Sequence[ColumnShift], says: ViewTexts, formats: Formats) -> TagChild:
    rows: list[list[TagChild]] = [
        [
            page.link(shift.column.name, page.route().at(column=shift.column.name)),
            tags.data(formats.number(round(shift.stability.index, 4)), value=repr(shift.stability.index)),
            says(f"shift_{shift.stability.shift.value}"),
            formats.share(shift.stability.bins[-1].reference),
            formats.share(shift.stability.bins[-1].others),
            shift.column.description,
        ]
        for shift in shifts
    ]
    head = [
        says("column"), "PSI", says("shift"), says("missing_train"), says("missing_predict"), says("meaning"),
    ]  # fmt: skip
    return TagList(h3(says("all")), parts.table(head, rows, says("all"), numbers=(1, 3, 4)))


def _scores(found: Sequence[Scores], form: Form, says: ViewTexts, formats: Formats) -> Tag:
    """A line per batch: quantiles of numbers, the index against the first, the file's share, the commonest labels."""
    numbers = any(each.quantiles for each in found)
    labels = any(each.shares for each in found)
    decided = any(each.decided is not None for each in found)
    shifts = queries.score_shifts(found)
    said = formats.share if form == "binary" else formats.number
    rows: list[list[TagChild]] = [
        [
            each.made.batch,
            str(each.made.model_version),
            formats.number(each.rows),
            *([said(value) for value in each.quantiles] or [""] * len(QUANTILES) if numbers else []),
            *([_index(shift, formats)]),
            *([formats.share(each.decided) if each.decided is not None else ""] if decided else []),
            *([_labels(each, formats)] if labels else []),
        ]
        for each, shift in zip(found, shifts, strict=True)
    ]
    head = [
        *(says(name) for name in ("batch", "version", "rows")),
        *([formats.share(share) for share in QUANTILES] if numbers else []),
        says("psi_first", batch=found[0].made.batch),
        *([says("decided")] if decided else []),
        *([says("labels")] if labels else []),
    ]
    return parts.table(head, rows, says("scores"), numbers=range(1, len(head) - (1 if labels else 0)))


def _index(shift: Stability | None, formats: Formats) -> TagChild:
    if shift is None:
        return ""
    return tags.data(f"{pictures.SIGNS[shift.shift]} {formats.number(round(shift.index, 4))}", value=repr(shift.index))


def _labels(each: Scores, formats: Formats) -> str:
    return formats.shares({formats.value(label): share for label, share in (each.shares or {}).items()}, _LABELS)
