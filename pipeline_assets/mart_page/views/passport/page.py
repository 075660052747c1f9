"""The passport of a row: from the file it came in to what was said of it, and why."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from math import isclose
from typing import TypeAlias

import pyarrow as pa
from htmltools import Tag, TagChild, TagList, div, h3, p, tags
from shiny import Inputs, Outputs, Session, module, reactive, render, ui
from shiny.types import SafeException

from pipeline_assets.mart_page import parts
from pipeline_assets.mart_page import training_facts as records
from pipeline_assets.mart_page.language import Formats, Texts, ViewTexts
from pipeline_assets.mart_page.page import Page
from pipeline_assets.mart_page.problem import Problem, attempt
from pipeline_assets.mart_page.render import Picture, output_picture, render_picture
from pipeline_assets.mart_page.views.passport import charts as pictures
from pipeline_assets.mart_page.views.passport.explanation import Explanation
from pipeline_assets.mart_page.views.passport.queries import ChoiceMade, Told, told
from pipeline_assets.mart_page.views.passport.raw_row import Check, NoRow, NotChecked, RawRow, RawValue, raw_row
from pipeline_assets.stores.features.base import feature_table
from pipeline_assets.task.batch import BatchRef
from pipeline_assets.task.spec import LABEL, STAGES, Stage, TaskSpec

_BATCHES = 50  # in the picker: the latest, as batches are mostly named by date
# What a stored score and its explanation may differ by: they are sums in another order.
_CLOSE = 1e-9

Prepared: TypeAlias = pa.RecordBatch | Problem | None


@dataclass(frozen=True)
class _Row:
    """The row that is looked at."""

    task: TaskSpec
    ref: BatchRef
    row: int


@module.ui
def passport_ui(texts: Texts, formats: Formats) -> Tag:  # noqa: ARG001 - every view is given both
    """The places of the view's outputs."""
    says = texts("passport")
    return div(
        parts.heading(says("title"), says("lead")),
        ui.output_ui("finder"),
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


@dataclass(frozen=True)
class _Gathered:
    """What there is to say of the row, each part asked once for all outputs, and again when the row is another.

    Attributes:
        row: that is looked at; ``None`` if the address names none.
        raw: as it came.
        accepted: the row again if it was accepted, else ``None``: rejected rows go no further.
        prepared: as the feature store has it.
        known: what the marts say; raises where the server refuses.
        told: the same, and nothing where the server refuses.
        explaining: whether the contributions are still being reckoned.
        explanation: the contributions; waits for them silently.
    """

    row: Callable[[], _Row | None]
    raw: Callable[[], Awaitable[RawRow | NoRow | NotChecked | Problem | None]]
    accepted: Callable[[], Awaitable[_Row | None]]
    prepared: Callable[[], Awaitable[Prepared]]
    known: Callable[[], Awaitable[Told]]
    told: Callable[[], Awaitable[Told]]
    explaining: Callable[[], bool]
    explanation: Callable[[], Awaitable[Explanation | Problem | None]]


def _gathered(page: Page) -> _Gathered:  # noqa: C901 - short functions, one after another
    stores = page.app_state.stores

    @reactive.calc
    def row() -> _Row | None:
        route = page.route()
        if route.view != "passport" or route.batch is None or route.row is None:
            return None
        task = page.task()
        return _Row(task, BatchRef(task.name, _stage(page), route.batch), route.row)

    @reactive.calc
    async def raw() -> RawRow | NoRow | NotChecked | Problem | None:
        at = row()
        if at is None:
            return None
        return await page.work(attempt, raw_row, page.files, at.task, at.ref, at.row, stores["scratch"])

    @reactive.calc
    async def accepted() -> _Row | None:
        found = await raw()
        return row() if isinstance(found, RawRow) and found.accepted else None

    @reactive.calc
    async def prepared() -> Prepared:
        at = await accepted()
        if at is None:
            return None
        table = feature_table(at.task, at.ref.stage)
        return await page.work(attempt, stores["features"].row, table, at.ref.batch, at.row)

    @reactive.calc
    async def known() -> Told:
        at = await accepted()
        return Told() if at is None else await page.ask(told, page.schema, at.task, at.ref, at.row)

    @reactive.calc
    async def told_or_nothing() -> Told:
        try:
            return await known()
        except SafeException:
            return Told()  # one output says it; and what an effect raises would end the session

    @reactive.extended_task
    async def explain(at: _Row, version: int, features: pa.RecordBatch) -> tuple[_Row, Explanation | Problem]:
        # Apart from all else: the first explanation loads MLflow, CatBoost and the model, which takes seconds.
        return at, await asyncio.to_thread(attempt, page.app_state.models.explain, at.task, version, features)

    @reactive.effect(priority=1)
    async def _explain() -> None:
        explain.cancel()
        at, features = row(), await prepared()
        prediction = (await told_or_nothing()).prediction
        if at is not None and prediction is not None and isinstance(features, pa.RecordBatch):
            explain(at, prediction.model_version, features)

    @reactive.calc
    async def explanation() -> Explanation | Problem | None:
        if (await told_or_nothing()).prediction is None or not isinstance(await prepared(), pa.RecordBatch):
            return None
        of, found = explain.result()
        return found if of == row() else None

    return _Gathered(
        row, raw, accepted, prepared, known, told_or_nothing, lambda: explain.status() == "running", explanation
    )


@module.server
def passport_server(input: Inputs, output: Outputs, session: Session, page: Page) -> None:  # noqa: A002, ARG001, C901
    """Shows the row section by section: one that cannot be had says why, and the others are there."""
    says, formats = page.texts("passport"), page.formats
    row = _gathered(page)

    @render.ui
    async def finder() -> TagChild:
        task = page.task()
        batches = await page.work(attempt, page.files.batches, task.name, _stage(page))
        if isinstance(batches, Problem):
            return records.problem(batches)
        return _finder(page, says, _stage(page), list(batches)[::-1][:_BATCHES])

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
            missing = says("no_row", batch=at.ref.batch, row=formats.number(at.row))
            last = formats.number(found.rows - 1)
            return parts.empty(missing, says("no_row_do", rows=formats.number(found.rows), last=last))
        if found is None:
            return None
        return TagList(_steps(page, says, found, at), _came(says, formats, found), _verdict(says, found))

    @render.ui
    async def prepared() -> TagChild:
        at, found = await row.accepted(), await row.prepared()
        if at is None:
            return None
        where = page.app_state.stores["features"].uri(feature_table(at.task, at.ref.stage), at.ref.batch)
        return TagList(h3(says("features")), _prepared(says, formats, at, found, where))

    @render.ui
    async def chosen() -> TagChild:
        at, marts = await row.accepted(), await row.known()
        if at is None:
            return None
        if marts.prediction is None:
            nothing = "trained_from" if at.ref.stage == "train" else "no_prediction"
            do = "" if at.ref.stage == "train" else says("no_prediction_do")
            return TagList(h3(says("version")), parts.empty(says(nothing), do))
        return TagList(h3(says("version")), _chosen(page, says, formats, marts))

    @render.ui
    async def scored() -> TagChild:
        at, marts = await row.accepted(), await row.told()
        return None if at is None or marts.prediction is None else _scored(says, formats, at, marts)

    @render.ui
    async def explained() -> TagChild:
        marts, prepared = await row.told(), await row.prepared()
        if marts.prediction is None or not isinstance(prepared, pa.RecordBatch):
            return None
        head = TagList(h3(says("contributions")), p(says("contributions_lead"), class_="says"))
        if row.explaining():
            return TagList(head, p(says("loading"), class_="says", role="status"))
        found = await row.explanation()
        if isinstance(found, Problem):
            return TagList(head, records.problem(found))
        return None if found is None else TagList(head, _agreement(says, formats, found, marts))

    @render_picture
    async def contributions() -> Picture | None:
        found = await row.explanation()
        if not isinstance(found, Explanation):
            return None
        return pictures.contributions(found, _said(found, says, formats), says, formats)

    @render.ui
    async def contributions_table() -> TagChild:
        at, found = row.row(), await row.explanation()
        if at is None or not isinstance(found, Explanation):
            return None
        return _contributions(says, formats, at.task, found)

    @render.ui
    async def runs() -> TagChild:
        at, marts = await row.accepted(), await row.told()
        if at is None or marts.prediction is None:
            return None
        version = marts.prediction.model_version
        address = await page.work(attempt, records.version_address, page, at.task.name, version)
        return _runs(page, says, marts, address)


def _stage(page: Page) -> Stage:
    wanted = page.route().more.get("stage")
    return next((each for each in STAGES if each == wanted), "predict")


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


def _not_checked(page: Page, says: ViewTexts, at: _Row, found: NotChecked) -> TagChild:
    others = [page.link(name, page.route().at(batch=name)) for name in found.others[:_BATCHES]]
    return TagList(
        parts.empty(says("not_checked", batch=at.ref.batch), says("not_checked_do")),
        tags.nav(*others, class_="steps", aria_label=says("batch")) if others else None,
    )


def _steps(page: Page, says: ViewTexts, found: RawRow, at: _Row) -> Tag:
    """Ways to the row before and after, and to the batch's marts."""
    route, formats = page.route(), page.formats
    around = [(key, number) for key, number in (("previous", at.row - 1), ("next", at.row + 1))]
    links = [
        page.link(says(key, row=formats.number(number)), route.at(row=number))
        for key, number in around
        if 0 <= number < found.manifest.rows
    ]
    mart = {"batch": at.ref.batch, "row": None, "stage": at.ref.stage}
    links.append(page.link(says("in_input"), route.at(view="input", **mart)))
    if at.ref.stage == "predict":
        links.append(page.link(says("in_output"), route.at(view="output", **{**mart, "stage": None})))
    return tags.nav(*links, class_="steps", aria_label=says("around"))


def _came(says: ViewTexts, formats: Formats, found: RawRow) -> TagChild:
    manifest = found.manifest
    route = "place_value" if len(manifest.parts) == 1 else "place_value_part"
    counts = says(
        "rows_of_batch_value",
        rows=formats.number(manifest.rows),
        accepted=formats.number(manifest.accepted),
        rejected=formats.number(manifest.rejected),
    )
    return TagList(
        h3(says("came")),
        parts.facts(
            {
                says("file"): tags.code(found.file),
                says("place"): says(route, row=formats.number(found.row_in_file)),
                says("rows_of_batch"): counts,
                says("sha256"): tags.code(manifest.sha256),
            }
        ),
        records.problem(found.values)
        if isinstance(found.values, Problem)
        else parts.table(
            [says("column"), says("value"), says("type"), says("meaning")],
            [_raw_value(says, formats, each) for each in found.values],
            says("raw_values"),
        ),
    )


def _raw_value(says: ViewTexts, formats: Formats, each: RawValue) -> list[TagChild]:
    value = records.value(each.value, says("missing"), formats)
    if each.expected is None:
        kind = says("unexpected", found=each.kind)
    elif each.expected == each.kind:
        kind = each.kind
    else:
        kind = says("type_changed", found=each.kind, expected=each.expected)
    return [each.column, value, kind, each.description]


def _verdict(says: ViewTexts, found: RawRow) -> TagChild:
    verdict = says("accepted") if found.reason is None else says("rejected", reason=found.reason)
    return TagList(
        h3(says("verdict")),
        p(verdict, class_="verdict", data_verdict="accepted" if found.accepted else "rejected"),
        None if found.accepted else p(says("rejected_then")),
        records.problem(found.checks) if isinstance(found.checks, Problem) else _rules(says, found.checks),
    )


def _rules(says: ViewTexts, checks: tuple[Check, ...]) -> Tag:
    broken = [each for each in checks if each.broken is not None]
    summary = says("rules_broken", n=len(broken)) if broken else says("rules_kept")
    return tags.details(
        tags.summary(f"{says('rules', n=len(checks))}. {summary}"),
        parts.table(
            [says("rule"), says("verdict")],
            [[each.rule, says("kept") if each.broken is None else says("broken", why=each.broken)] for each in checks],
            says("verdict"),
        ),
    )


def _prepared(says: ViewTexts, formats: Formats, at: _Row, found: Prepared, where: str) -> TagChild:
    if isinstance(found, Problem):
        return records.problem(found)
    if found is None:
        return parts.empty(says("no_features"), says("no_features_do"))
    values = found.to_pylist()[0]
    rows: list[list[TagChild]] = [
        [name, records.value(values[name], says("missing"), formats), tags.code(each.expression), each.description]
        for name, each in at.task.features.all.items()
    ]
    facts: dict[str, TagChild] = {says("features_from"): tags.code(where)}
    if at.ref.stage == "train":
        facts[says("label")] = _label(says, at.task, values[LABEL])
    return TagList(
        parts.facts(facts),
        parts.table([says("feature"), says("value"), says("made_of"), says("meaning")], rows, says("feature_values")),
    )


def _label(says: ViewTexts, task: TaskSpec, value: int | None) -> str:
    if value is None:
        return says("label_none")
    return says("label_true" if value else "label_false", what=task.target.description or task.target.expression)


def _chosen(page: Page, says: ViewTexts, formats: Formats, marts: Told) -> TagChild:
    prediction, choice, crowning = marts.prediction, marts.choice, marts.crowning
    if prediction is None:
        return None
    version = prediction.model_version
    facts: dict[str, TagChild] = {
        says("which"): page.link(
            says("version_number", version=version),
            page.route().at(view="models", version=version, batch=None, row=None, stage=None),
        )
    }
    if choice is not None:
        facts[says("why")] = choice.reason
        facts[says("policy")] = tags.code(choice.policy)
    if crowning is not None:
        facts[says("why_champion")] = f"{crowning.reason} ({formats.moment(crowning.chosen_at)})"
    looked: ChoiceMade | None = choice or crowning
    return TagList(parts.facts(facts), None if looked is None else records.candidates(looked, page.texts, formats))


def _scored(says: ViewTexts, formats: Formats, at: _Row, marts: Told) -> TagChild:
    prediction = marts.prediction
    if prediction is None:
        return None
    what = at.task.target.description or at.task.target.expression
    rule = tags.code(at.task.output.where) if at.task.output.where else says("every_row")
    return TagList(
        h3(says("score")),
        parts.facts(
            {
                says("probability"): TagList(
                    tags.strong(formats.share(prediction.probability), data_probability=repr(prediction.probability)),
                    f" ({formats.number(prediction.probability)})",
                    tags.br(),
                    tags.small(says("probability_of", what=what)),
                ),
                says("decision"): says("decision_yes" if prediction.decision else "decision_no"),
                says("rule_of_output"): rule,
                says("predicted_at"): formats.moment(prediction.predicted_at),
            }
        ),
    )


def _agreement(says: ViewTexts, formats: Formats, found: Explanation, marts: Told) -> Tag:
    stored = marts.prediction.probability if marts.prediction else found.probability
    same = isclose(found.probability, stored, rel_tol=0, abs_tol=_CLOSE)
    text = says("agrees") if same else says(
        "disagrees", now=formats.number(found.probability), then=formats.number(stored)
    )  # fmt: skip
    return p(text, class_="verdict", data_agrees="yes" if same else "no")


def _said(found: Explanation, says: ViewTexts, formats: Formats) -> Mapping[str, str]:
    return {
        each.feature: says("missing") if records.is_missing(each.value) else formats.value(each.value)
        for each in found.contributions
    }


def _contributions(says: ViewTexts, formats: Formats, task: TaskSpec, found: Explanation) -> Tag:
    said = _said(found, says, formats)
    rows: list[list[TagChild]] = [[says("base"), "", _log_odds(found.base, formats), ""]]
    rows += [
        [
            each.feature,
            said[each.feature],
            _log_odds(each.log_odds, formats),
            task.features.all[each.feature].description,
        ]
        for each in found.contributions
    ]
    return tags.details(
        tags.summary(says("all_contributions")),
        parts.table(
            [says("feature"), says("value"), says("adds"), says("meaning")],
            rows,
            says("all_contributions"),
            numbers=(2,),
        ),
    )


def _log_odds(value: float, formats: Formats) -> Tag:
    """As people read it, and to the last digit for programs."""
    return tags.data(pictures.signed(value, formats), value=repr(value))


def _runs(page: Page, says: ViewTexts, marts: Told, version: str | Problem) -> TagChild:
    prediction, crowning = marts.prediction, marts.crowning
    if prediction is None:
        return None
    facts: dict[str, TagChild] = {says("dagster_predict"): records.dagster_run(page, prediction.run_id)}
    if crowning is not None:
        facts[says("dagster_train")] = records.dagster_run(page, crowning.run_id)
    facts[says("mlflow_version")] = records.problem(version) if isinstance(version, Problem) else records.away(version)
    return TagList(h3(says("runs")), parts.facts(facts))
