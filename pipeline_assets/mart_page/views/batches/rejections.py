"""Rejected rows: by rule over all batches, and what became of a batch's rows that were rejected formerly."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import plotly.graph_objects as go
from htmltools import Tag, TagChild, TagList, div, h3, p, tags

from pipeline_assets.engine.replay import OUTCOMES, Replay, StoredReplay, replay_of
from pipeline_assets.mart_page import parts
from pipeline_assets.mart_page.chart_style import OTHERS, QUIET, REFERENCE, shares_axis
from pipeline_assets.mart_page.language import Formats, ViewTexts
from pipeline_assets.mart_page.render import Picture, plain
from pipeline_assets.mart_page.route import Route
from pipeline_assets.mart_page.rules import rule
from pipeline_assets.mart_page.views.batches.rejected import RejectedOf
from pipeline_assets.monitoring.replayed import FormerRow, first_rows, scores_of, written
from pipeline_assets.stores.files.base import FileStore
from pipeline_assets.task.batch import BatchRef
from pipeline_assets.task.spec import Stage, TaskSpec

_RULES = 6  # lines of the picture; the table has all
_FIRST = 20
_PLAIN = (float, int, str)  # scores of classes are lists
_LONGEST = 40
_LOOKS = [(colour, dash) for dash in ("solid", "dot") for colour in (OTHERS, REFERENCE, QUIET)]


@dataclass(frozen=True)
class Became:
    """What became of formerly rejected rows of a batch.

    Attributes:
        replay: the comparison.
        first: the first of the rows.
        written: how many of the rows that are accepted now the output file has; ``None`` where nothing is decided.
        uri: of the file with all of them.
    """

    replay: Replay
    first: Sequence[FormerRow]
    written: int | None
    uri: str


def became_of(files: FileStore, ref: BatchRef) -> Became | None:
    """The comparison of a batch's last two checks; ``None`` where there is none.

    Raises:
        PipelineError: a file is damaged, or the store does not answer.
    """
    found: StoredReplay | None = replay_of(files, ref)
    if found is None:
        return None
    scores = scores_of(files, ref, found.replay.now)
    decided = None if scores is None else written(found, scores)
    return Became(found.replay, first_rows(found, scores, _FIRST), decided, found.stored.uri)


def by_rule(checks: Sequence[RejectedOf], says: ViewTexts, formats: Formats) -> Picture | None:
    """The share of rejected rows by rule, batch by batch; ``None`` where no row was rejected.

    Args:
        checks: the last check of each batch of a stage, in the order of their names.
        says: the view's texts.
        formats: of the language.
    """
    rules = _rules(checks)
    if not rules:
        return None
    figure = go.Figure()
    places = list(range(len(checks)))
    most = max(check.rules.get(name, 0) / check.rows for check in checks for name in rules)
    for name, (colour, dash) in zip(rules[:_RULES], _LOOKS, strict=False):
        shares = [check.rules.get(name, 0) / check.rows for check in checks]
        said = [f"{plain(check.batch)}: {formats.share(share)}" for check, share in zip(checks, shares, strict=True)]
        figure.add_scatter(
            x=places,
            y=shares,
            mode="lines+markers",
            name=plain(_short(rule(name, says))),
            line={"color": colour, "dash": dash},
            text=said,
            hovertemplate="%{text}<extra>%{fullData.name}</extra>",
        )
    figure.update_layout(
        xaxis={"tickvals": places, "ticktext": [plain(_short(check.batch)) for check in checks], "type": "linear"},
        yaxis={"rangemode": "tozero", **shares_axis(0, most, formats)},
        legend={"orientation": "h", "y": 1.05, "yanchor": "bottom", "x": 0},
        showlegend=True,
    )
    last = checks[-1]
    by_rule = {rule(name, says): count / last.rows for name, count in last.rules.items()}
    words = formats.shares(by_rule) if by_rule else says("none_rejected")
    return Picture(figure, f"{last.batch}: {words}", title=says("by_rule"))


def over_batches(
    checks: Sequence[RejectedOf], route: Route, task: TaskSpec, says: ViewTexts, formats: Formats
) -> Tag | None:
    """Rejected rows of each batch of the stage that the address names, by rule; the latest batch first."""
    if not checks:
        return None
    stage, rules = stage_of(route), _rules(checks)
    title = h3(says("over_batches", stage=says(f"stage_{stage}")))
    if not rules:
        return div(title, p(says("none_of_batches", n=len(checks)), class_="hint"))

    def cells(check: RejectedOf) -> list[TagChild]:
        there = route.at(view="batches", task=task.name, batch=check.batch, stage=stage, row=None)
        counts = [_count(check.rules.get(name, 0), check.rows, formats) for name in rules]
        whole = _count(check.rejected, check.rows, formats)
        return [tags.a(check.batch, href=there), formats.number(check.rows), whole, *counts,
                formats.moment(check.checked_at)]  # fmt: skip

    head = [says("batch"), says("rows"), says("rejected"), *(rule(name, says) for name in rules), says("checked_at")]
    numbers = range(1, len(rules) + 3)
    return div(title, parts.table(head, map(cells, reversed(checks)), says("by_rule"), numbers=tuple(numbers)))


def stage_of(route: Route) -> Stage:
    """The stage that an address names, or predict."""
    return "train" if route.more.get("stage") == "train" else "predict"


def _rules(checks: Sequence[RejectedOf]) -> list[str]:
    """The rules that rows of any of the batches broke, the one with most rows first."""
    rows: dict[str, int] = {}
    for check in checks:
        for name, count in check.rules.items():
            rows[name] = rows.get(name, 0) + count
    return sorted(rows, key=lambda name: (-rows[name], name))


def _count(count: int, rows: int, formats: Formats) -> str:
    return f"{formats.number(count)} ({formats.share(count / rows)})" if count else formats.number(0)


def what_became(found: Became, ref: BatchRef, task: TaskSpec, says: ViewTexts, formats: Formats) -> TagChild:
    """Of the rows that the check before rejected: how many are accepted now, what of the others, and the first ones."""
    replay = found.replay
    if not replay.former.rejected:
        return None
    accepted, rejected = replay.outcomes["accepted"], formats.number(replay.former.rejected)
    when = replay.former.checked_at
    moment = "" if when is None else formats.moment(datetime.fromisoformat(when))
    facts: dict[str, TagChild] = {}
    if moment:
        facts[says("former_check")] = moment
    if found.written is not None and accepted:
        facts[says("accepted_written")] = formats.number(found.written)
    facts[says("newly_rejected")] = formats.number(replay.newly_rejected)
    facts[says("replayed_file")] = found.uri
    return div(
        h3(says("became")),
        p(says("became_said", n=accepted, rejected=rejected), class_="became"),
        _outcomes(replay, says, formats),
        parts.facts(facts),
        _first(found.first, ref, task, says, formats),
    )


def _outcomes(replay: Replay, says: ViewTexts, formats: Formats) -> Tag:
    rows: dict[str, dict[str, int]] = {}
    for each in replay.by_rule:
        rows.setdefault(each.rule, {})[each.outcome] = each.rows
    lines: list[tuple[str, Mapping[str, int]]] = [
        (says("all_rules"), {str(each): count for each, count in replay.outcomes.items()})
    ]
    lines += [(rule(name, says), counts) for name, counts in rows.items()]
    head = [says("former_rule"), *(says(f"outcome_{each}") for each in OUTCOMES)]
    cells = ([name, *(formats.number(counts.get(each, 0)) for each in OUTCOMES)] for name, counts in lines)
    return parts.table(head, cells, says("became"), numbers=(1, 2, 3, 4))


def _first(rows: Sequence[FormerRow], ref: BatchRef, task: TaskSpec, says: ViewTexts, formats: Formats) -> TagChild:
    stage = {"stage": "train"} if ref.stage == "train" else {}

    def cells(row: FormerRow) -> list[TagChild]:
        found = row.values
        now, changed = found["row_number_now"], found["changed_columns"]
        more = [f"{says('changed_columns')}: {', '.join(changed)}"] if changed else []
        if found["outcome"] == "other_rule":
            more += [rule(name, says) for name in found["rules_now"]]
        there: TagChild = ""
        if now is not None:
            there = tags.a(str(now), href=Route("passport", task.name, ref.batch, now, stage).query())
        return [
            str(found["row_number"]),
            "; ".join(rule(name, says) for name in found["rules"] or []),
            says(f"outcome_{found['outcome']}"),
            there,
            "; ".join(more),
            ", ".join(f"{name} {formats.value(each)}" for name, each in row.score.items() if isinstance(each, _PLAIN)),
        ]

    head = [says(name) for name in ("row", "former_rule", "outcome", "row_now", "details", "score")]
    return TagList(
        p(says("first_rows", n=len(rows)), class_="hint"),
        parts.table(head, map(cells, rows), says("first_rows", n=len(rows)), numbers=(0, 3)),
    )


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
