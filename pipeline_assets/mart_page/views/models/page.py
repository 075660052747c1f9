"""Models: every version with its metrics; of one, what it learned from, why it was chosen and what it predicted."""

from collections.abc import Sequence
from functools import partial

from htmltools import Tag, TagChild, TagList, div, h3, p, tags
from shiny import Inputs, Outputs, Session, module, reactive, render, ui

from pipeline_assets.mart_page import parts, reasons
from pipeline_assets.mart_page import training_facts as records
from pipeline_assets.mart_page.choices import ChoiceMade, Record, record
from pipeline_assets.mart_page.language import Formats, Texts, ViewTexts
from pipeline_assets.mart_page.page import Page
from pipeline_assets.mart_page.problem import Problem, attempt
from pipeline_assets.mart_page.render import Picture, output_picture, render_picture
from pipeline_assets.mart_page.views.models import charts as pictures
from pipeline_assets.ml.selection import Candidate
from pipeline_assets.stores.registry.training import Training

_METRICS = ("training_rows", "validation_rows", "unlabelled_rows")


@module.ui
def models_ui(texts: Texts, formats: Formats) -> Tag:  # noqa: ARG001 - every view is given both
    """The places of the view's outputs."""
    says = texts("models")
    return div(
        parts.heading(says("title"), says("lead")),
        ui.output_ui("versions"),
        output_picture("metric", height="18rem"),
        ui.output_ui("of_version"),
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
        return _versions(page, there, known, await shown(), says)

    @render_picture
    async def metric() -> Picture | None:
        there = await versions_there()
        if isinstance(there, Problem) or len(there) < 2:  # noqa: PLR2004 - one version has no history to draw
            return None
        return pictures.metric_by_version(there, page.task().training.metric, says, formats)

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
            records.problem(made_of) if isinstance(made_of, Problem) else _input(page, made_of, run, there, says),
            tags.h4(says("choice")),
            _choices(page, version, made_of, known, says),
            tags.h4(says("predictions")),
            _predicted(page, version, known, says, formats),
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


def _versions(
    page: Page, there: Sequence[Candidate], known: Record, shown: Candidate | None, says: ViewTexts
) -> TagChild:
    names = list(dict.fromkeys(name for each in there for name in each.metrics))
    rows = [_version(page, each, names, known, says) for each in reversed(there)]
    head = [says("version"), says("created"), *names, says("predicted")]
    options = {str(each.version): says("of_version", version=each.version) for each in reversed(there)}
    selected = None if shown is None else str(shown.version)
    return TagList(
        p(says("metric_lead", metric=page.task().training.metric), class_="says"),
        parts.table(head, rows, says("versions"), numbers=range(2, len(head) - 1)),
        div(
            parts.form(page.route(), parts.chosen(options, name="version", label=says("pick"), selected=selected)),
            class_="tools",
        ),
    )


def _version(page: Page, each: Candidate, names: Sequence[str], known: Record, says: ViewTexts) -> list[TagChild]:
    formats = page.formats
    batches = sum(made.model_version == each.version for made in known.batches)
    metrics = [formats.number(round(each.metrics[name], 4)) if name in each.metrics else "" for name in names]
    mark = "" if each.ready else f" ({says('not_ready')})"
    champion = f" {says('champion')}" if each.champion else ""
    return [
        TagList(page.link(str(each.version), page.route().at(version=each.version)), champion, mark),
        formats.moment(each.created),
        *metrics,
        says("batches", n=batches),
    ]


def _input(page: Page, made_of: Training, run: str | Problem, there: str | Problem, says: ViewTexts) -> Tag:
    formats = page.formats
    unknown = says("unknown")
    facts: dict[str, TagChild] = {
        says("batch"): made_of.batch or unknown,
        says("file"): tags.code(made_of.input_uri or unknown),
        says("sha256"): tags.code(made_of.input_sha256 or unknown),
    }
    facts.update(
        {says(name): formats.number(int(made_of.metrics[name])) for name in _METRICS if name in made_of.metrics}
    )
    if made_of.dagster_run_id is not None:
        facts[says("dagster_run")] = records.dagster_run(page, made_of.dagster_run_id)
    for key, address in (("mlflow_run", run), ("mlflow_version", there)):
        facts[says(key)] = records.problem(address) if isinstance(address, Problem) else records.away(address)
    return parts.facts(facts)


def _choices(page: Page, version: Candidate, made_of: Training | Problem, known: Record, says: ViewTexts) -> TagChild:
    """The choice that made it champion, and the one at the end of its training, which may be the same."""
    own = known.of_run(made_of.dagster_run_id) if isinstance(made_of, Training) else None
    crowned = known.crowned(version.version)
    found = {"became": crowned, "of_its_training": None if own == crowned else own}
    shown = [TagList(tags.h5(says(key)), _choice(page, each, says)) for key, each in found.items() if each is not None]
    return TagList(*shown) if shown else p(says("no_choice"), class_="says")


def _choice(page: Page, choice: ChoiceMade, says: ViewTexts) -> TagChild:
    formats, route = page.formats, page.route()
    version = partial(route.at, view="models")
    facts: dict[str, TagChild] = {
        says("reason"): tags.strong(reasons.reason(choice, page.texts)),
        says("chosen_at"): f"{formats.moment(choice.chosen_at)}. {says('by_training', batch=choice.batch)}",
        says("winner"): page.link(str(choice.model_version), version(version=choice.model_version)),
    }
    if choice.previous_version is not None:
        facts[says("previous")] = page.link(str(choice.previous_version), version(version=choice.previous_version))
    if choice.gain is not None:
        facts[says("gain")] = f"{choice.metric} {formats.number(round(choice.gain, 4))}"
    facts[says("policy")] = tags.code(choice.policy)
    return TagList(parts.facts(facts), records.candidates(choice, page.texts, formats))


def _predicted(page: Page, version: Candidate, known: Record, says: ViewTexts, formats: Formats) -> TagChild:
    made = [each for each in known.batches if each.model_version == version.version]
    if not made:
        return p(says("none_predicted"), class_="says")
    rows: list[list[TagChild]] = [
        [
            page.link(each.batch, page.route().at(view="output", batch=each.batch, version=None)),
            formats.moment(each.predicted_at),
            records.dagster_run(page, each.run_id),
        ]
        for each in made
    ]
    return parts.table([says("batch"), says("when"), says("dagster_run")], rows, says("predictions"))
