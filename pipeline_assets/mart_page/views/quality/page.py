"""Quality: how good the predictions of each batch were once their labels were known, by version and segment."""

from collections.abc import Mapping, Sequence

from htmltools import Tag, TagChild, TagList, div, h3, p, tags
from shiny import Inputs, Outputs, Session, module, reactive, render, ui

from pipeline_assets.mart_page import parts
from pipeline_assets.mart_page.choices import ChoiceMade
from pipeline_assets.mart_page.language import Formats, Texts, ViewTexts
from pipeline_assets.mart_page.page import Page
from pipeline_assets.mart_page.render import Picture, output_picture, render_picture
from pipeline_assets.mart_page.views.quality import charts as pictures
from pipeline_assets.mart_page.views.quality import queries
from pipeline_assets.mart_page.views.quality.queries import Judgement
from pipeline_assets.task.judged_metrics import judged_metrics
from pipeline_assets.task.spec import TaskSpec

_DIGITS = 3  # of metrics in tables, after the point


@module.ui
def quality_ui(texts: Texts, formats: Formats) -> Tag:  # noqa: ARG001 - every view is given both
    """The places of the view's outputs."""
    says = texts("quality")
    return div(
        parts.heading(says("title"), says("lead")),
        ui.output_ui("picker"),
        output_picture("over_batches", height="24rem"),
        ui.output_ui("table"),
        ui.output_ui("batch_head"),
        output_picture("calibration", height="26rem"),
        ui.output_ui("segments"),
        class_="reads",
    )


@module.server
def quality_server(input: Inputs, output: Outputs, session: Session, page: Page) -> None:  # noqa: A002, ARG001, C901 - Shiny's way
    """Reads the mart of quality; the metric, the segment and the batch are in the address."""
    says, formats = page.texts("quality"), page.formats

    @reactive.calc
    async def judged() -> list[Judgement]:
        """Of all rows, every batch and version."""
        mart = await page.mart(page.task(), "quality")
        return [] if mart is None else await page.ask(queries.of_batches, page.task(), mart)

    @reactive.calc
    async def segments_there() -> list[str]:
        mart = await page.mart(page.task(), "quality")
        return [] if mart is None else await page.ask(queries.segment_names, mart)

    @reactive.calc
    async def changes() -> list[ChoiceMade]:
        mart = await page.mart(page.task(), "model_choices")
        return [] if mart is None else await page.ask(queries.champion_changes, mart)

    @reactive.calc
    async def drawn() -> list[Judgement]:
        """What the line shows: all rows, or the values of the picked segment."""
        segment, mart = page.route().more.get("segment", ""), await page.mart(page.task(), "quality")
        if mart is None or segment not in await segments_there():
            return queries.latest(await judged())
        return queries.latest(await page.ask(queries.of_batches, page.task(), mart, segment))

    @reactive.calc
    async def shown() -> Judgement | None:
        """The picked batch, else the one predicted last."""
        there, wanted = queries.latest(await judged()), page.route().batch
        return next((each for each in there if each.batch == wanted), there[-1] if there else None)

    @render.ui
    async def picker() -> TagChild:
        there, batch = await judged(), await shown()
        if batch is None:
            task = page.task()
            return parts.empty(says("none"), says("none_do" if task.key else "none_do_no_key", task=task.name))
        return _picker(page, says, there, batch, await segments_there())

    @render_picture
    async def over_batches() -> Picture | None:
        there = await drawn()
        return pictures.over_batches(there, _metric(page), await changes(), says, formats) if there else None

    @reactive.effect
    @reactive.event(input.over_batches_click)
    async def _pick() -> None:
        batch = input.over_batches_click()
        if any(each.batch == batch for each in await judged()):
            await page.go(page.route().at(batch=batch))

    @render.ui
    async def table() -> TagChild:
        there = await judged()
        return _table(page, there, says, formats) if there else None

    @render.ui
    async def batch_head() -> TagChild:
        batch = await shown()
        return None if batch is None else _facts(batch, says, formats)

    @render_picture
    async def calibration() -> Picture | None:
        batch = await shown()
        if batch is None or not batch.calibration:
            return None
        return pictures.calibration(batch, page.task(), says, formats)

    @render.ui
    async def segments() -> TagChild:
        batch, mart = await shown(), await page.mart(page.task(), "quality")
        if batch is None or mart is None:
            return None
        there = await page.ask(queries.of_segments, page.task(), mart, batch.batch, batch.version)
        return _segments(page.task(), there, batch, says, formats) if there else None


def _metric(page: Page) -> str:
    known, wanted = judged_metrics(page.task().target.kind), page.route().more.get("metric")
    return wanted if wanted is not None and wanted in known else page.task().training.metric


def _picker(
    page: Page, says: ViewTexts, there: Sequence[Judgement], batch: Judgement, segments: Sequence[str]
) -> TagChild:
    greater = judged_metrics(page.task().target.kind)
    metrics = {name: parts.metric(name, greater=better) for name, better in greater.items()}
    picked = page.route().more.get("segment", "")
    form = parts.form(
        page.route(),
        parts.chosen(metrics, name="metric", label=says("metric"), selected=_metric(page)),
        parts.chosen({"": says("all_rows"), **{name: name for name in segments}}, name="segment",
                     label=says("segment"), selected=picked if picked in segments else ""),
        parts.chosen({each.batch: each.batch for each in queries.latest(there)}, name="batch", label=says("batch"),
                     selected=batch.batch),
    )  # fmt: skip
    return div(form, class_="tools")


def _numbers(task: TaskSpec, each: Judgement, formats: Formats, *, baseline: bool) -> list[TagChild]:
    """Every metric, with the constant baseline's in brackets."""
    cells: list[TagChild] = []
    for name in judged_metrics(task.target.kind):
        own, base = each.metrics.get(name), each.baseline.get(name)
        said = "—" if own is None else formats.number(round(own, _DIGITS))
        beside = f" ({formats.number(round(base, _DIGITS))})" if baseline and base is not None else ""
        cells.append(f"{said}{beside}")
    return cells


def _note(task: TaskSpec, each: Judgement, says: ViewTexts) -> str:
    """Why rows have no metrics, or no baseline."""
    needed = task.monitoring.truth.minimum_rows
    if each.segment and each.rows < needed:
        return says("few_rows", needed=needed)
    if each.metrics and not each.baseline:
        return says("no_baseline")
    return says("cannot", why=each.problem) if each.problem else ""


def _head(task: TaskSpec) -> list[str]:
    return [parts.metric(name, greater=better) for name, better in judged_metrics(task.target.kind).items()]


def _table(page: Page, there: Sequence[Judgement], says: ViewTexts, formats: Formats) -> Tag:
    task = page.task()
    rows: list[list[TagChild]] = [
        [
            page.link(each.batch, page.route().at(batch=each.batch)),
            str(each.version),
            says("rows_of", rows=formats.number(each.rows), of=formats.number(each.predictions)),
            *_numbers(task, each, formats, baseline=True),
            _note(page.task(), each, says),
        ]
        for each in reversed(there)
    ]
    head = [says("batch"), says("version"), says("known_rows"), *_head(task), says("problem")]
    return div(
        parts.table(head, rows, says("table"), numbers=range(1, len(head) - 1)), p(says("brackets"), class_="hint")
    )


def _facts(batch: Judgement, says: ViewTexts, formats: Formats) -> TagList:
    """Where the labels of a batch are from, and what of them did not meet a prediction."""
    counts: Mapping[str, int | None] = batch.matching
    odd = {
        says(f"count_{name}"): formats.number(count)
        for name in ("unusable", "repeated", "contradicting", "unlabelled", "unpredicted")
        if (count := counts.get(name))
    }
    return TagList(
        h3(says("of_batch", batch=batch.batch, version=batch.version)),
        parts.facts(
            {
                says("truth_from"): batch.truth_from,
                says("judged_at"): formats.moment(batch.judged_at),
                says("known_rows"): says(
                    "rows_of", rows=formats.number(batch.rows), of=formats.number(batch.predictions)
                ),
                **odd,
            }
        ),
        tags.h4(says("calibration")) if batch.calibration else None,
        p(says("calibration_lead"), class_="says") if batch.calibration else None,
    )


def _segments(
    task: TaskSpec, there: Sequence[Judgement], batch: Judgement, says: ViewTexts, formats: Formats
) -> TagList:
    rows: list[list[TagChild]] = [
        [
            f"{each.segment}: {each.value}",
            says("rows_of", rows=formats.number(each.rows), of=formats.number(each.predictions)),
            *_numbers(task, each, formats, baseline=True),
            _note(task, each, says),
        ]
        for each in there
    ]
    head = [says("segment"), says("known_rows"), *_head(task), says("problem")]
    title = says("segments", batch=batch.batch)
    return TagList(tags.h4(title), parts.table(head, rows, title, numbers=range(1, len(head) - 1)))
