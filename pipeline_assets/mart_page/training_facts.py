"""What the passport and the models' view both show: records of choice, links to runs, values, and what went wrong."""

from math import isnan
from typing import Any

from htmltools import Tag, TagChild, div, tags

from pipeline_assets.mart_page import parts
from pipeline_assets.mart_page.language import Formats, Texts
from pipeline_assets.mart_page.page import Page
from pipeline_assets.mart_page.problem import Problem
from pipeline_assets.mart_page.views.passport.queries import ChoiceMade
from pipeline_assets.stores.registry.training import Training


def problem(found: Problem) -> Tag:
    """Why a part is not there."""
    return div(tags.pre(found.text), class_="notice notice-error", role="status")


def is_missing(value: object) -> bool:
    """Null, or NaN as models know it."""
    return value is None or (isinstance(value, float) and isnan(value))


def value(found: Any, missing: str, formats: Formats) -> TagChild:
    """A value of a row; a missing one is set apart from a text that says the same."""
    return tags.em(missing, class_="null") if is_missing(found) else formats.value(found)


def candidates(choice: ChoiceMade, texts: Texts, formats: Formats) -> Tag:
    """The versions that a choice looked at, in a table to be opened."""
    says = texts("models")
    names = list(dict.fromkeys(name for each in choice.candidates for name in each.metrics))
    compared = any(each.same_rows is not None for each in choice.candidates)
    head = [
        says("version"),
        *names,
        *([f"{choice.metric}, {says('same_rows')}"] if compared else []),
        says("could_not"),
    ]
    rows: list[list[TagChild]] = []
    for each in choice.candidates:
        metrics = [_metric(each.metrics.get(name), formats) for name in names]
        same = [_metric(each.same_rows, formats)] if compared else []
        rows.append([str(each.version), *metrics, *same, each.why_not or says("could")])
    return tags.details(
        tags.summary(says("candidates")),
        parts.table(head, rows, says("candidates"), numbers=range(1, len(head) - 1)),
    )


def _metric(found: float | None, formats: Formats) -> str:
    return "" if found is None else formats.number(round(found, 4))


def away(address: str) -> Tag:
    """A link to a neighbour's page; the place of an embedded one's files, which has none, as text."""
    if address.startswith(("http://", "https://")):
        return tags.a(address, href=address, target="_blank", rel="noopener noreferrer")
    return tags.code(address)


def dagster_run(page: Page, run_id: str) -> TagChild:
    """A Dagster run, as a link where its UI is known."""
    if page.links.dagster is None:
        return tags.code(run_id)
    return tags.a(
        run_id, href=f"{page.links.dagster.rstrip('/')}/runs/{run_id}", target="_blank", rel="noopener noreferrer"
    )


def version_address(page: Page, task: str, version: int) -> str:
    """Where a version is in MLflow: on its page where that is known, else among an embedded one's files."""
    if page.links.mlflow is not None:
        return f"{page.links.mlflow.rstrip('/')}/#/models/{task}/versions/{version}"
    return page.app_state.stores["registry"].version_url(task, version)


def run_address(page: Page, made_of: Training | Problem) -> str:
    """Where an MLflow run is, as :func:`version_address`; nothing where the run could not be read."""
    if isinstance(made_of, Problem):
        return ""
    if page.links.mlflow is not None:
        return f"{page.links.mlflow.rstrip('/')}/#/experiments/{made_of.experiment_id}/runs/{made_of.run_id}"
    return page.app_state.stores["registry"].run_url(made_of.run_id)
