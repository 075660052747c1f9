"""What finished last, what is to be run, and what is to be judged again as its predictions were replaced."""

import shlex
from collections.abc import Sequence
from datetime import datetime

from htmltools import Tag, TagChild, TagList, div, p, span, tags

from pipeline_assets.mart_page.language import Formats, ViewTexts
from pipeline_assets.mart_page.route import Route
from pipeline_assets.mart_page.views.batches.overview import Monitored
from pipeline_assets.monitoring.batch_status import BatchRecord
from pipeline_assets.task.spec import STAGES, TaskSpec

_NAMED = 3  # batches of a card


def summary(
    there: Sequence[BatchRecord], known: Monitored, now: datetime, says: ViewTexts, formats: Formats
) -> TagChild:
    """What finished last in each stage, and which batches are to be run or to be judged again."""
    if not there:
        return None
    cards = []
    for stage in STAGES:
        finished = [(one.outcome.finished, one.ref.batch) for one in there if one.ref.stage == stage and one.outcome]
        latest, batch = max(finished, default=(None, ""))
        cards.append(
            div(
                span(says(f"last_{stage}"), class_="hint"),
                tags.strong(formats.ago(latest, now) if latest else says("never")),
                span(batch),
                class_="card-of-facts",
            )
        )
    waiting = [one for one in there if one.state not in ("done", "gone", "unverified")]
    again = [one for one in there if known.is_outdated(one)]
    names = ", ".join(one.ref.batch for one in waiting[:_NAMED]) + (" …" if len(waiting) > _NAMED else "")
    cards.append(
        div(
            span(says("to_do"), class_="hint"),
            tags.strong(says("wait", n=len(waiting))) if waiting else None,
            span(names),
            _to_judge(again, says) if again else None,
            None if waiting or again else tags.strong(says("nothing_waits")),
            class_="card-of-facts",
        )
    )
    return div(*cards, class_="cards")


def _to_judge(again: Sequence[BatchRecord], says: ViewTexts) -> TagList:
    commands = [span(tags.code(_command(one))) for one in again[:_NAMED]]
    more = span("…") if len(again) > _NAMED else None
    return TagList(tags.strong(says("judge_again", n=len(again))), *commands, more)


def _command(one: BatchRecord) -> str:
    return shlex.join(["pipeline-assets", "run", one.ref.task, "truth", one.ref.batch])


def judged(route: Route, task: TaskSpec, one: BatchRecord, known: Monitored, says: ViewTexts) -> Tag:
    """The task's metric of a batch by the labels that came later, and the way to all that is known of it.

    Says so where the predictions were replaced since, or where the batch was not judged.
    """
    batch = one.ref.batch
    if batch not in known.judged:
        return p(says("no_truth" if task.key else "no_truth_no_key", task=task.name, batch=batch))
    found = known.quality.get(batch)
    value = "—" if found is None else Formats(says.language).number(round(found, 3))
    said = says("judged", metric=task.training.metric, value=value)
    more = tags.a(says("judged_more"), href=route.at(view="quality", batch=batch, stage=None))
    again = p(says("judged_outdated"), " ", tags.code(_command(one)), class_="notice notice-error", role="status")
    return div(again if known.is_outdated(one) else None, p(said, " ", more))
