"""Models: every version with its metrics; of one, what it learned from, why it was chosen and what it predicted."""

from collections.abc import Mapping, Sequence

from htmltools import Tag, TagChild, TagList, div, h3, p, tags
from shiny import Inputs, Outputs, Session, module, reactive, render, ui

from pipeline_assets.mart_page import parts
from pipeline_assets.mart_page import training_facts as records
from pipeline_assets.mart_page.choices import Record, record
from pipeline_assets.mart_page.language import Formats, Texts
from pipeline_assets.mart_page.page import Page
from pipeline_assets.mart_page.problem import Problem, attempt
from pipeline_assets.mart_page.render import Picture, output_picture, render_picture
from pipeline_assets.mart_page.views.models import champions, sections
from pipeline_assets.mart_page.views.models import charts as pictures
from pipeline_assets.mart_page.views.models import reproductions as made_again
from pipeline_assets.mart_page.views.models.queries import reproduced
from pipeline_assets.ml.selection import Candidate
from pipeline_assets.stores.registry.training import Training


@module.ui
def models_ui(texts: Texts, formats: Formats) -> Tag:  # noqa: ARG001 - every view is given both
    """The places of the view's outputs."""
    says = texts("models")
    return div(
        parts.heading(says("title"), says("lead")),
        ui.output_ui("versions"),
        output_picture("metric", height="18rem"),
        ui.output_ui("history"),
        ui.output_ui("of_version"),
        ui.output_ui("curves_head"),
        output_picture("curves", height="18rem"),
        ui.output_ui("importance_head"),
        output_picture("importance", height="30rem"),
        ui.output_ui("importance_table"),
        class_="reads",
    )


@module.server
def models_server(input: Inputs, output: Outputs, session: Session, page: Page) -> None:  # noqa: A002, ARG001, C901
    """The registry holds the versions; the marts hold why each was chosen and what it predicted."""
    says, formats = page.texts("models"), page.formats
    registry = page.app_state.stores["registry"]

    @reactive.calc
    async def versions_there() -> list[Candidate] | Problem:
        return await page.work(attempt, registry.candidates, page.task().name)

    @reactive.calc
    async def choices() -> Record:
        return await page.ask(record, page.schema, page.task())

    @reactive.calc
    async def shown() -> Candidate | None:
        """The picked version, else the champion, else the newest."""
        there, wanted = await versions_there(), page.route().more.get("version")
        if isinstance(there, Problem) or not there:
            return None
        champion = next((each for each in there if each.champion), there[-1])
        return next((each for each in there if str(each.version) == wanted), champion)

    @reactive.calc
    async def training() -> Training | Problem | None:
        version = await shown()
        return None if version is None else await page.work(attempt, registry.training, version.run_id)

    @render.ui
    async def versions() -> TagChild:
        there, known = await versions_there(), await choices()
        if isinstance(there, Problem):
            return records.problem(there)
        if not there:
            return parts.empty(says("none"), says("none_do"))
        return sections.versions(
            page,
            there,
            known,
            await shown(),
            says,
            badges=made_again.badges(await page.ask(reproduced, page.schema, page.task()), says),
        )

    @render_picture
    async def metric() -> Picture | None:
        there = await versions_there()
        if isinstance(there, Problem) or len(there) < 2:  # noqa: PLR2004 - one version has no history to draw
            return None
        return pictures.metric_by_version(there, page.task().training.metric, says, formats)

    @render.ui
    async def history() -> TagChild:
        return TagList(
            champions.history(page, await choices(), says, formats),
            champions.latest_challenge(page, await choices(), says, formats),
        )

    @reactive.calc
    async def learned() -> Mapping[str, Mapping[str, Sequence[float]]] | Problem:
        version = await shown()
        return {} if version is None else await page.work(attempt, registry.curves, version.run_id)

    @render.ui
    async def curves_head() -> TagChild:
        found = await learned()
        if isinstance(found, Problem):
            return records.problem(found)
        return TagList(tags.h4(says("curves")), p(says("curves_lead"), class_="says")) if found else None

    @render_picture
    async def curves() -> Picture | None:
        version, found, made_of = await shown(), await learned(), await training()
        if version is None or isinstance(found, Problem) or not found:
            return None
        best = made_of.metrics.get("best_iteration") if isinstance(made_of, Training) else None
        return pictures.curves(found, best, says, formats)

    @reactive.effect
    @reactive.event(input.metric_click)
    async def _pick() -> None:
        there, wanted = await versions_there(), input.metric_click()
        if not isinstance(there, Problem) and any(each.version == wanted for each in there):
            await page.go(page.route().at(version=wanted))

    @render.ui
    async def of_version() -> TagChild:
        version, known, made_of = await shown(), await choices(), await training()
        if version is None or made_of is None:
            return None
        run = await page.work(attempt, records.run_address, page, made_of)
        there = await page.work(attempt, records.version_address, page, page.task().name, version.version)
        return TagList(
            h3(says("of_version", version=version.version)),
            tags.h4(says("input")),
            records.problem(made_of)
            if isinstance(made_of, Problem)
            else sections.training_input(page, made_of, run, there, says),
            *(
                []
                if isinstance(made_of, Problem)
                else [tags.h4(says("quality")), sections.quality(page.task(), made_of, says, formats)]
            ),
            tags.h4(says("choice")),
            sections.choices(page, version, made_of, known, says),
            tags.h4(says("reproductions")),
            made_again.section(page, version.version, await page.ask(reproduced, page.schema, page.task()), says),
            tags.h4(says("predictions")),
            sections.predicted(page, version, known, says, formats),
        )

    @render.ui
    async def importance_head() -> TagChild:
        found = await training()
        if not isinstance(found, Training):
            return None
        lead = says("importance_lead") if found.importance else says("no_importance")
        return TagList(tags.h4(says("importance")), p(lead, class_="says"))

    @render_picture
    async def importance() -> Picture | None:
        version, found = await shown(), await training()
        if version is None or not isinstance(found, Training) or not found.importance:
            return None
        return pictures.importance(found.importance, version.version, says, formats)

    @render.ui
    async def importance_table() -> TagChild:
        found = await training()
        if not isinstance(found, Training) or not found.importance:
            return None
        rows: list[list[TagChild]] = [[name, formats.share(value / 100)] for name, value in found.importance.items()]
        table = parts.table([says("feature"), says("importance_axis")], rows, says("importance"), numbers=(1,))
        return tags.details(tags.summary(says("importance")), table)
