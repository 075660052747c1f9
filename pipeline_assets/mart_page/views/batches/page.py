"""Batches: what came in, which rows were rejected and why, what was made of it, and whether that is current."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from htmltools import Tag, TagChild, TagList, div, h3, p, span, tags
from shiny import Inputs, Outputs, Session, module, reactive, render, req, ui
from shiny.types import SafeException, SilentException

from pipeline_assets.mart_page import parts
from pipeline_assets.mart_page import training_facts as records_of
from pipeline_assets.mart_page.choices import Record, record
from pipeline_assets.mart_page.language import Formats, Texts, ViewTexts
from pipeline_assets.mart_page.later import Later
from pipeline_assets.mart_page.page import Page
from pipeline_assets.mart_page.problem import Problem, attempt
from pipeline_assets.mart_page.render import Picture, output_picture, render_picture
from pipeline_assets.mart_page.route import Route
from pipeline_assets.mart_page.scored import Scores, scores
from pipeline_assets.mart_page.views.batches import charts as pictures
from pipeline_assets.mart_page.views.batches import overview, predictions, rejections, to_do
from pipeline_assets.mart_page.views.batches.queries import Truth, truth
from pipeline_assets.mart_page.views.batches.rejected import RejectedOf, rejected_of
from pipeline_assets.monitoring.batch_status import SHOWN, BatchRecord, MadeFrom, Outcome, State, batch_records
from pipeline_assets.monitoring.truth import Evaluation, evaluation
from pipeline_assets.stores.registry.registry import Registry
from pipeline_assets.task import plugins
from pipeline_assets.task.batch import BatchRef
from pipeline_assets.task.spec import STAGES, TaskSpec

_SIGNS: Mapping[State, str] = {
    "done": "✓", "waiting": "●", "changed": "↻", "unfinished": "…", "outdated": "≠", "unverified": "?", "gone": "∅",
    "damaged": "⚠",
}  # fmt: skip
_TO_RUN: tuple[State, ...] = ("waiting", "changed", "unfinished", "outdated")


@module.ui
def batches_ui(texts: Texts, formats: Formats) -> Tag:  # noqa: ARG001 - every view is given both
    """The places of the view's outputs."""
    says = texts("batches")
    return div(
        parts.heading(says("title"), says("lead")),
        ui.output_ui("summary"),
        ui.output_ui("glance"),
        ui.output_ui("listed"),
        ui.output_ui("one"),
        output_picture("reasons", "14rem"),
        ui.output_ui("became"),
        ui.output_ui("said"),
        ui.output_ui("quality"),
        output_picture("by_rule", "22rem"),
        ui.output_ui("over_batches"),
    )


@module.server
def batches_server(input: Inputs, output: Outputs, session: Session, page: Page) -> None:  # noqa: A002, ARG001, C901, PLR0915 - Shiny's way
    """The files say what came, the marts and the registry what was made of it."""
    says, formats = page.texts("batches"), page.formats
    labels = Later(page, truth)
    answer: reactive.Value[tuple[str, Mapping[int, MadeFrom] | Problem] | None] = reactive.value(None)

    @reactive.extended_task
    async def ask_registry(task: str) -> tuple[str, Mapping[int, MadeFrom] | Problem]:
        # In a task of its own: the first question loads MLflow, which takes seconds, and the batches are shown before.
        registry = page.app_state.stores["registry"]
        return task, await asyncio.to_thread(attempt, versions_made_from, registry, task)

    @reactive.effect
    async def _ask_registry() -> None:
        if page.route().view not in (None, "batches"):
            return
        try:
            await known()
            with reactive.isolate():
                await records()  # first, because loading MLflow slows everything else down
        except SafeException:
            return  # an output shows the error
        ask_registry(page.task().name)

    @reactive.effect
    def _keep_answer() -> None:
        if ask_registry.status() == "success":
            answer.set(ask_registry.result())

    @reactive.calc
    def versions() -> Mapping[int, MadeFrom] | Problem | None:
        """What each version was made from; ``None`` until the registry has answered."""
        task, found = answer() or ("", None)
        return found if task == page.task().name else None

    @reactive.calc
    async def known() -> Record:
        return await page.ask(record, page.schema, page.task())

    @reactive.calc
    async def records() -> list[BatchRecord]:
        made_from = versions()
        outcomes = outcomes_of(page.task(), await known(), made_from if isinstance(made_from, Mapping) else {})
        return await page.work(batch_records, page.files, page.task(), outcomes)

    @reactive.calc
    async def chosen() -> BatchRecord:
        """The batch that the address names."""
        route = page.route()
        stage = route.more.get("stage", "predict")
        there = [one for one in await records() if one.ref.batch == route.batch and one.ref.stage == stage]
        req(route.view in (None, "batches") and there)
        return there[0]

    @reactive.calc
    async def known_truth() -> Truth | None:
        task, one = page.task(), await chosen()
        req(one.ref.stage == "predict" and one.current is not None and task.key)
        output = await page.mart(task, "predict_output")
        inputs, trains = await page.mart(task, "predict_input"), await page.mart(task, "train_input")
        if (
            output is None
            or inputs is None
            or trains is None
            or not set(inputs.task_key) <= set(inputs.columns)
            or not set(trains.task_key) <= set(trains.columns)
        ):
            return None
        return await labels.ask(one.ref.batch, output=output, inputs=inputs, trains=trains)

    @render.ui
    async def summary() -> TagChild:
        return to_do.summary(await records(), await watched(), datetime.now(UTC), says, formats)

    @reactive.calc
    async def watched() -> overview.Monitored:
        return await page.ask(overview.monitored, page.schema, page.task())

    @render.ui
    async def glance() -> TagChild:
        shown = overview.charts(await records(), await watched(), page.task(), formats)
        return overview.overview(shown, says)

    @render.ui
    async def listed() -> TagChild:
        there, task = await records(), page.task()
        if not there:
            return parts.empty(says("none"), says("none_do", task=task.name, folder=f"{page.files.uri}/{task.name}"))
        return TagList(
            *(
                TagList(h3(says(f"of_{stage}")), _table(page.route(), task, stage_records, says, formats))
                for stage in STAGES
                if (stage_records := [one for one in there if one.ref.stage == stage])
            ),
            p(says("only_latest", n=SHOWN), class_="hint") if len(there) >= SHOWN else None,
        )

    @render.ui
    async def one() -> TagChild:
        return _one(page, await chosen(), versions(), says, formats)

    @render_picture
    async def reasons() -> Picture | None:
        found = (await chosen()).manifest
        return pictures.reasons(found.reasons, says, formats) if found and found.reasons else None

    @render.ui
    async def became() -> TagChild:
        one = await chosen()
        req(one.manifest is not None)
        found = await page.work(rejections.became_of, page.files, one.ref)
        return None if found is None else rejections.what_became(found, one.ref, page.task(), says, formats)

    @reactive.calc
    async def rejected() -> list[RejectedOf]:
        req(page.route().view in (None, "batches"))
        return await page.ask(rejected_of, page.schema, page.task(), rejections.stage_of(page.route()))

    @render_picture
    async def by_rule() -> Picture | None:
        return rejections.by_rule(await rejected(), says, formats)

    @render.ui
    async def over_batches() -> TagChild:
        return rejections.over_batches(await rejected(), page.route(), page.task(), says, formats)

    @reactive.calc
    async def evaluated() -> Evaluation | Problem | None:
        task, found = page.task(), await known_truth()
        return None if found is None else await page.work(attempt, evaluation, task, found.labels, found.scores)

    @reactive.calc
    async def scored() -> Scores | None:
        task, one = page.task(), await chosen()
        req(one.ref.stage == "predict" and one.current is not None)
        output = await page.mart(task, "predict_output")
        made = [each for each in (await known()).batches if each.batch == one.ref.batch]
        found = [] if output is None or not made else await page.ask(scores, task, output, made)
        return found[0] if found else None

    @render.ui
    async def said() -> TagChild:
        one, found = await chosen(), await scored()
        return None if found is None else predictions.said(page.task(), one, found, says, formats)

    @render.ui
    async def quality() -> TagChild:
        one = await chosen()
        if one.ref.stage == "train" or one.current is None:
            return None
        head = h3(says("quality"))
        try:
            found = await known_truth() if page.task().key else None
        except SilentException:
            if not labels.waits():
                raise
            return div(head, p(says("looking"), class_="says", role="status"))
        if found is None:
            return div(head, to_do.judged(page.route(), page.task(), one, await watched(), says))
        trained = [each for each in await records() if each.ref.stage == "train"]
        learned = {each.ref.batch for each in trained if each.outcome and each.outcome.version == one.current.version}
        return div(
            head,
            p("⚠ ", says("seen_before")) if learned & set(found.batches) else None,
            predictions.quality(page.task(), found, await evaluated(), says, formats),
        )


def versions_made_from(registry: Registry, task: str) -> dict[int, MadeFrom]:
    """What each version of a task was made from, as far as the registry knows.

    Raises:
        TransientError: the registry does not answer.
        StoreError: it refuses.
    """
    sha256 = registry.input_sha256(task)
    return {
        each.version: MadeFrom(sha256[each.run_id], each.fingerprints or {})
        for each in registry.candidates(task)
        if each.run_id in sha256
    }


def outcomes_of(task: TaskSpec, known: Record, versions: Mapping[int, MadeFrom]) -> dict[BatchRef, Outcome]:
    """What was made of each batch: the newest version trained from it, or its predictions."""
    found: dict[BatchRef, Outcome] = {}
    for choice in reversed(known.trainings):  # the latest of a batch comes last, and stays
        trained = choice.newest
        if trained is not None:
            found[BatchRef(task.name, "train", choice.batch)] = Outcome(
                version=trained.version,
                finished=choice.chosen_at,
                run_id=choice.run_id,
                metric=trained.metrics.get(choice.metric),
                made_from=versions.get(trained.version),
            )
    for each in known.batches:
        ref = BatchRef(task.name, "predict", each.batch)
        found[ref] = Outcome(each.model_version, each.predicted_at, each.run_id)
    return found


def _table(route: Route, task: TaskSpec, there: Sequence[BatchRecord], says: ViewTexts, formats: Formats) -> Tag:
    stage = there[0].ref.stage
    ways = plugins.kind(task.target.kind).metrics
    metric = parts.metric(task.training.metric, greater=ways[task.training.metric])
    quality = says("metric_of", metric=metric) if stage == "train" else says("written")
    head = [says(name) for name in ("batch", "state", "rows", "rejected", "version")]

    def row(one: BatchRecord) -> list[TagChild]:
        found, outcome = one.manifest, one.current
        number = formats.number
        value = (outcome.metric if stage == "train" else one.written) if outcome else None
        there_too = route.at(view="batches", task=task.name, batch=one.ref.batch, stage=stage, row=None)
        return [
            tags.a(one.ref.batch, href=there_too),
            span(span(_SIGNS[one.state], aria_hidden="true", class_="sign"), " ", says(f"state_{one.state}")),
            "" if found is None else number(found.rows),
            "" if found is None else _rejected(found.rejected, found.rows, formats),
            str(outcome.version) if outcome else "",
            "" if value is None else number(value),
            formats.moment(outcome.finished) if outcome else "",
        ]

    return parts.table([*head, quality, says("when")], map(row, there), says(f"of_{stage}"), numbers=(2, 3, 4, 5))


def _rejected(rejected: int, rows: int, formats: Formats) -> str:
    if not rejected:
        return formats.number(0)
    return f"{formats.number(rejected)} ({formats.share(rejected / rows)})"


def _one(
    page: Page, one: BatchRecord, versions: Mapping[int, MadeFrom] | Problem | None, says: ViewTexts, formats: Formats
) -> Tag:
    found, task, route = one.manifest, page.task(), page.route()
    facts: dict[str, TagChild] = {says("state"): f"{_SIGNS[one.state]} {says(f'state_{one.state}')}"}
    if one.problem:
        facts[says("problem")] = tags.pre(one.problem)
    if one.state == "unverified":
        why = records_of.problem(versions) if isinstance(versions, Problem) else None
        facts[says("problem")] = why or says("comparing" if versions is None else "not_known")
    if found is not None:
        facts |= {
            says("file"): found.uri,
            says("sha256"): tags.code(found.sha256),
            says("rows"): formats.number(found.rows),
            says("accepted"): formats.number(found.accepted),
            says("rejected"): _rejected(found.rejected, found.rows, formats),
        }
        if one.ref.stage == "train":
            facts[says("unlabelled")] = formats.number(found.unlabelled)
        if found.unexpected:
            facts[says("unexpected")] = ", ".join(found.unexpected)
    if one.current is not None:
        facts[says("run")] = records_of.dagster_run(page, one.current.run_id)
    stage = {"stage": "train"} if one.ref.stage == "train" else {}
    sides = ("input",) if one.ref.stage == "train" else ("input", "output")
    links = [
        tags.a(
            says(f"to_{side}"),
            href=Route(side, task.name, one.ref.batch, None, stage).query(),
            class_="btn btn-sm btn-outline-primary",
        )
        for side in sides
        if one.outcome is not None
    ]
    close = tags.a(says("close"), href=route.at(batch=None, stage=None), class_="btn btn-sm btn-outline-secondary")
    line = f"make run TASK={task.name} STAGE={one.ref.stage} BATCH={one.ref.batch}"
    return div(
        h3(says("one", batch=one.ref.batch, stage=says(f"stage_{one.ref.stage}"))),
        p(says("run_it"), " ", tags.code(line)) if one.state in _TO_RUN else None,
        records_of.outdated(one.differences, page.texts) if one.differences else None,
        div(*links, close, class_="tools"),
        parts.facts(facts),
        p(says("none_rejected"), class_="hint") if found and not found.rejected else None,
        class_="one-batch",
    )
