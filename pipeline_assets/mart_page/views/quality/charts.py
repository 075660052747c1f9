"""Quality in pictures: a metric by batch, with the changes of the champion, and the calibration of a batch."""

from collections.abc import Sequence
from datetime import datetime

import plotly.graph_objects as go

from pipeline_assets.mart_page.chart_style import OTHERS, QUIET, REFERENCE, bare, shares_axis
from pipeline_assets.mart_page.choices import ChoiceMade
from pipeline_assets.mart_page.language import Formats, ViewTexts
from pipeline_assets.mart_page.render import Picture, plain
from pipeline_assets.mart_page.views.quality.queries import Judgement
from pipeline_assets.monitoring.truth import form_of
from pipeline_assets.task.spec import TaskSpec

_LONGEST = 24
_LINES = 6  # values of a segment that have a line of their own: those with the most rows
_SYMBOLS = ("circle", "square", "diamond", "cross", "triangle-up", "x")


def over_batches(
    found: Sequence[Judgement], metric: str, changes: Sequence[ChoiceMade], says: ViewTexts, formats: Formats
) -> Picture:
    """A line per segment value, or one line and that of the baseline for all rows; a click picks a batch.

    Args:
        found: in the order of their batches, one per batch and value.
        metric: that is drawn.
        changes: of the champion; each is a line between the batches predicted before and after it.
        says: the view's texts.
        formats: of the language.
    """
    batches = list(dict.fromkeys(each.batch for each in found))
    lines = _lines(found)
    figure = go.Figure([_line(own, batches, metric, at, formats) for at, own in enumerate(lines)])
    whole = not found[0].segment
    if whole:
        base = [each.baseline.get(metric) for each in found]
        places = [batches.index(each.batch) for each in found]
        figure.add_scatter(
            x=places, y=base, name=says("baseline"), mode="lines+markers", line={"color": OTHERS, "dash": "dot"},
            marker={"symbol": "line-ew-open", "size": 12},
            hovertemplate="%{y:.4g}<extra></extra>",
        )  # fmt: skip
    said = []
    for change in changes:
        at = place_of(change.chosen_at, found)
        label = says("version_n", version=change.model_version)
        figure.add_vline(
            x=at, line={"color": QUIET, "dash": "dash"}, annotation_text=plain(label), annotation_position="top"
        )
        said.append(f"{label} ({formats.moment(change.chosen_at)})")
    bare(figure)
    figure.update_layout(showlegend=True, legend={"orientation": "h", "y": 1.12, "yanchor": "bottom"}, margin={"t": 64})
    figure.update_xaxes(
        tickvals=list(range(len(batches))), ticktext=[plain(_short(batch)) for batch in batches], showgrid=False,
        range=[-0.6, len(batches) - 0.4],
    )  # fmt: skip
    figure.update_yaxes(title=metric)
    first, last = found[0], found[-1]
    several = "picture_batches" if whole else "picture_segments"
    single = "picture_batch" if whole else "picture_segments_of_batch"
    words = says(
        several if len(batches) > 1 else single,
        metric=metric,
        first=first.batch,
        last=last.batch,
        before=_value(first, metric, says, formats),
        after=_value(last, metric, says, formats),
        n=len({each.value for each in found}),
    )
    return Picture(figure, " ".join([words, *([says("picture_changes", changes="; ".join(said))] if said else [])]))


def place_of(chosen_at: datetime, found: Sequence[Judgement]) -> float:
    """Where a change of the champion is on the axis of batches: between those predicted before and after it.

    Args:
        chosen_at: when it was chosen.
        found: in the order of their batches.
    """
    return len({each.batch for each in found if each.predicted_at < chosen_at}) - 0.5


def calibration(found: Judgement, task: TaskSpec, says: ViewTexts, formats: Formats) -> Picture:
    """What came true against what was predicted, a point per tenth of the rows, beside the diagonal."""
    form, positive = form_of(task), task.target.positive
    said = [each["predicted"] for each in found.calibration]
    came = [each["came_true"] for each in found.calibration]
    write = formats.number if form == "regression" else formats.share
    low, high = min(*said, *came), max(*said, *came)
    figure = go.Figure(
        [
            go.Scatter(
                x=[low, high], y=[low, high], mode="lines", name=says("perfect"), line={"color": QUIET, "dash": "dot"},
                hoverinfo="skip",
            ),
            go.Scatter(
                x=said,
                y=came,
                mode="lines+markers",
                name=says("observed"),
                line={"color": REFERENCE, "width": 1},
                marker={"size": 9, "color": REFERENCE},
                customdata=[
                    says(
                        "bin",
                        rows=formats.number(int(each["rows"])),
                        predicted=write(each["predicted"]),
                        came=write(each["came_true"]),
                    )
                    for each in found.calibration
                ],
                hovertemplate="%{customdata}<extra></extra>",
            ),
        ]
    )  # fmt: skip
    bare(figure)
    figure.update_layout(showlegend=True, legend={"orientation": "h", "y": 1.05, "yanchor": "bottom"}, margin={"t": 48})
    ticks = {} if form == "regression" else shares_axis(low, high, formats)
    figure.update_xaxes(title=says(f"predicted_{form}"), **ticks)
    named = form == "binary" and positive is not None
    came_true = says("came_true_positive", positive=formats.value(positive)) if named else says(f"came_true_{form}")
    figure.update_yaxes(title=plain(came_true), **ticks)
    worst = max(found.calibration, key=lambda each: abs(each["predicted"] - each["came_true"]))
    words = says(
        "picture_calibration",
        batch=found.batch,
        predicted=write(worst["predicted"]),
        came=write(worst["came_true"]),
        rows=formats.number(int(worst["rows"])),
    )
    return Picture(figure, words)


def _lines(found: Sequence[Judgement]) -> list[list[Judgement]]:
    by_value: dict[str, list[Judgement]] = {}
    for each in found:
        by_value.setdefault(each.value, []).append(each)
    return sorted(by_value.values(), key=lambda own: -sum(each.rows for each in own))[:_LINES]


def _line(own: Sequence[Judgement], batches: Sequence[str], metric: str, at: int, formats: Formats) -> go.Scatter:
    colours = {"color": REFERENCE} if not own[0].segment else {}
    values = [each.metrics.get(metric) for each in own]
    return go.Scatter(
        x=[batches.index(each.batch) for each in own],
        y=values,
        mode="lines+markers",
        name=plain(own[0].value if own[0].segment else metric),
        line=colours,
        marker={"size": 9, "symbol": _SYMBOLS[at % len(_SYMBOLS)]},
        customdata=[each.batch for each in own],
        text=["" if value is None else formats.number(round(value, 4)) for value in values],
        hovertemplate="%{customdata}: %{text}<extra></extra>",
    )


def _value(each: Judgement, metric: str, says: ViewTexts, formats: Formats) -> str:
    value = each.metrics.get(metric)
    return says("no_value") if value is None else formats.number(round(value, 4))


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
