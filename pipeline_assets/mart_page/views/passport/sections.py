"""The sections of the passport: each turns what is known of the row into tags."""

from collections.abc import Sequence
from typing import Any

from htmltools import Tag, TagChild, TagList, h3, p, tags

from pipeline_assets.mart_page import parts, reasons
from pipeline_assets.mart_page import training_facts as records
from pipeline_assets.mart_page.choices import ChoiceMade
from pipeline_assets.mart_page.language import Formats, Texts, ViewTexts
from pipeline_assets.mart_page.page import Page
from pipeline_assets.mart_page.problem import Problem
from pipeline_assets.mart_page.rules import rule
from pipeline_assets.mart_page.views.passport import scores
from pipeline_assets.mart_page.views.passport.exact import exact
from pipeline_assets.mart_page.views.passport.queries import MartRows
from pipeline_assets.mart_page.views.passport.raw_row import Check, RawRow, RawValue
from pipeline_assets.mart_page.views.passport.row_facts import Prepared, Row
from pipeline_assets.monitoring.batch_status import Difference
from pipeline_assets.monitoring.truth import form_of
from pipeline_assets.task.preparation import own_in_features
from pipeline_assets.task.spec import LABEL, TaskSpec


def steps(page: Page, says: ViewTexts, found: RawRow, at: Row) -> Tag:
    """Links to the rows before and after, and to the batch's marts."""
    route = page.route()
    around = [(key, number) for key, number in (("previous", at.row - 1), ("next", at.row + 1))]
    links = [
        page.link(says(key, row=number), route.at(row=number))
        for key, number in around
        if 0 <= number < found.manifest.rows
    ]
    mart = {"batch": at.ref.batch, "row": None, "stage": at.ref.stage}
    links.append(page.link(says("in_input"), route.at(view="input", **mart)))
    if at.ref.stage == "predict":
        links.append(page.link(says("in_output"), route.at(view="output", **{**mart, "stage": None})))
    return tags.nav(*links, class_="steps", aria_label=says("around"))


def came(says: ViewTexts, formats: Formats, found: RawRow) -> TagChild:
    """Section 1: the file, and the raw values."""
    manifest = found.manifest
    place = "place_value" if len(manifest.parts) == 1 else "place_value_part"
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
                says("place"): says(place, row=found.row_in_file),
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
    value: TagChild = (
        tags.em(says("missing"), class_="null")
        if records.is_missing(each.value)
        else exact(each.value, each.kind, formats)
    )
    if each.expected is None:
        kind = says("unexpected", found=each.kind)
    elif each.expected == each.kind:
        kind = each.kind
    else:
        kind = says("type_changed", found=each.kind, expected=each.expected)
    return [each.column, value, kind, each.description]


def verdict(says: ViewTexts, found: RawRow) -> TagChild:
    """Section 2: accepted or rejected, and every rule."""
    verdict = says("accepted") if found.reason is None else says("rejected", reason=found.reason)
    return TagList(
        h3(says("verdict")),
        p(verdict, class_="verdict", data_verdict="accepted" if found.accepted else "rejected"),
        None if found.accepted else p(says("rejected_then")),
        records.problem(found.checks)
        if isinstance(found.checks, Problem)
        else _rules(says, found.checks, repeats=found.repeats_key),
    )


def _rules(says: ViewTexts, checks: tuple[Check, ...], *, repeats: bool) -> Tag:
    batches = Texts(says.language)("batches")
    broken = [each for each in checks if each.broken is not None]
    summary = says("rules_broken", n=len(broken)) if broken else says("rules_but_key" if repeats else "rules_kept")
    return tags.details(
        tags.summary(f"{says('rules', n=len(checks))}. {summary}"),
        parts.table(
            [says("rule"), says("verdict")],
            [
                [rule(each.rule, batches), says("kept") if each.broken is None else says("broken", why=each.broken)]
                for each in checks
            ],
            says("verdict"),
        ),
    )


def prepared(says: ViewTexts, formats: Formats, at: Row, found: Prepared, where: str) -> TagChild:
    """Section 3: the features, and the label in train."""
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
        facts[says("label")] = _label(says, formats, at.task, values[own_in_features(at.task)[LABEL]])
    return TagList(
        parts.facts(facts),
        parts.table([says("feature"), says("value"), says("made_of"), says("meaning")], rows, says("feature_values")),
    )


def _label(says: ViewTexts, formats: Formats, task: TaskSpec, value: Any) -> str:
    if records.is_missing(value):
        return says("label_none")
    what = task.target.description or task.target.expression
    if form_of(task) == "binary":
        return says(
            _of_positive("label_true" if value else "label_false", task), what=what, positive=task.target.positive
        )
    return says("label_value", value=formats.value(value), what=what)


def _of_positive(key: str, task: TaskSpec) -> str:
    """The text of a task that says which value is label 1, or of one whose target is true or false."""
    return key if task.target.positive is None else f"{key}_positive"


def chosen(
    page: Page, says: ViewTexts, formats: Formats, marts: MartRows, differences: Sequence[Difference]
) -> TagChild:
    """Section 4: the version, and why it was chosen."""
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
        facts[says("why")] = reasons.reason(choice, page.texts)
        facts[says("policy")] = tags.code(choice.policy)
    if crowning is not None:
        facts[says("why_champion")] = f"{formats.moment(crowning.chosen_at)}. {reasons.reason(crowning, page.texts)}"
    looked: ChoiceMade | None = choice or crowning
    outdated = records.outdated(differences, page.texts) if differences else None
    candidates = None if looked is None else records.candidates(looked, page.texts, formats)
    return TagList(outdated, parts.facts(facts), candidates)


def scored(says: ViewTexts, formats: Formats, at: Row, marts: MartRows) -> TagChild:
    """Section 5: score and decision."""
    prediction = marts.prediction
    if prediction is None:
        return None
    facts = scores.facts(says, formats, at.task, prediction.scores)
    if prediction.decision is not None:
        facts[says("decision")] = says("decision_yes" if prediction.decision else "decision_no")
    facts[says("rule_of_output")] = tags.code(at.task.output.where) if at.task.output.where else says("every_row")
    facts[says("predicted_at")] = formats.moment(prediction.predicted_at)
    return TagList(h3(says("score")), parts.facts(facts), scores.classes(says, formats, at.task, prediction.scores))


def runs(page: Page, says: ViewTexts, marts: MartRows, version: str | Problem) -> TagChild:
    """Section 6: the runs that made the prediction and its version."""
    prediction, crowning = marts.prediction, marts.crowning
    if prediction is None:
        return None
    facts: dict[str, TagChild] = {says("dagster_predict"): records.dagster_run(page, prediction.run_id)}
    if crowning is not None:
        facts[says("dagster_train")] = records.dagster_run(page, crowning.run_id)
    facts[says("mlflow_version")] = records.problem(version) if isinstance(version, Problem) else records.away(version)
    return TagList(h3(says("runs")), parts.facts(facts))
