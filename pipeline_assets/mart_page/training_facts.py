"""Tags that several views share: candidates of a choice, links to runs and versions, missing values, problems."""

from collections.abc import Sequence
from math import isnan
from typing import Any

from htmltools import Tag, TagChild, div, tags

from pipeline_assets.mart_page import parts, reasons
from pipeline_assets.mart_page.choices import ChoiceMade
from pipeline_assets.mart_page.language import Formats, Texts
from pipeline_assets.mart_page.page import Page
from pipeline_assets.mart_page.problem import Problem
from pipeline_assets.monitoring.batch_status import Difference
from pipeline_assets.stores.registry.training import Training


def problem(found: Problem) -> Tag:
    """Why a part of the view is missing."""
    return div(tags.pre(found.text), class_="notice notice-error", role="status")


def is_missing(value: object) -> bool:
    """Null, or NaN as models know it."""
    return value is None or (isinstance(value, float) and isnan(value))


def value(found: Any, missing: str, formats: Formats, *, code: bool = False) -> TagChild:
    """A value of a row; a missing one looks different from a text with the same words.

    Args:
        found: the value.
        missing: the word for none.
        formats: of the language.
        code: whether a whole number names something.
    """
    return tags.em(missing, class_="null") if is_missing(found) else formats.value(found, code=code)


def candidates(choice: ChoiceMade, texts: Texts, formats: Formats) -> Tag:
    """The versions that a choice looked at, in a table that can be opened."""
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
        same = [with_interval(each.same_rows, each.interval, formats)] if compared else []
        rows.append([str(each.version), *metrics, *same, reasons.why_not(each, says) or says("could")])
    return tags.details(
        tags.summary(says("candidates")),
        parts.table(head, rows, says("candidates"), numbers=range(1, len(head) - 1)),
    )


def _metric(found: float | None, formats: Formats) -> str:
    return "" if found is None else formats.number(round(found, 4))


def with_interval(found: float | None, interval: tuple[float, float] | None, formats: Formats) -> str:
    """A number with the ends of its 95 % interval, where it has one."""
    return _metric(found, formats) + ("" if interval is None else f" ({_ends(interval, formats)})")


def _ends(interval: tuple[float, float], formats: Formats) -> str:
    return "\N{NO-BREAK SPACE}…\N{NO-BREAK SPACE}".join(formats.number(round(end, 4)) for end in interval)


def outdated(differences: Sequence[Difference], texts: Texts) -> Tag:
    """That an outcome does not belong to the last check of its batch, and in what it differs."""
    says = texts("batches")
    why = ", ".join(says(f"differs_{each}") for each in differences)
    text = f"{why}. {says('outdated_do')}"
    return div(tags.strong(says("outdated")), " ", text, class_="notice notice-error", role="status")


def away(address: str) -> Tag:
    """A link to another web interface; an address that is no web page, such as a folder, as text."""
    if address.startswith(("http://", "https://")):
        return tags.a(address, href=address, target="_blank", rel="noopener noreferrer")
    return tags.code(address)


def dagster_run(page: Page, run_id: str) -> TagChild:
    """A Dagster run, as a link if its UI is known."""
    if page.links.dagster is None:
        return tags.code(run_id)
    return tags.a(
        run_id, href=f"{page.links.dagster.rstrip('/')}/runs/{run_id}", target="_blank", rel="noopener noreferrer"
    )


def version_address(page: Page, task: str, version: int) -> str:
    """Where a version is in MLflow: under the UI that the page was given, else where the registry says."""
    if page.links.mlflow is not None:
        return f"{page.links.mlflow.rstrip('/')}/#/models/{task}/versions/{version}"
    return page.app_state.stores["registry"].version_url(task, version)


def run_address(page: Page, made_of: Training | Problem) -> str:
    """Where an MLflow run is, as in :func:`version_address`; empty if the run could not be read."""
    if isinstance(made_of, Problem):
        return ""
    if page.links.mlflow is not None:
        return f"{page.links.mlflow.rstrip('/')}/#/experiments/{made_of.experiment_id}/runs/{made_of.run_id}"
    return page.app_state.stores["registry"].run_url(made_of.run_id)
