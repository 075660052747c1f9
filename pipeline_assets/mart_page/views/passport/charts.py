"""A score as a waterfall: from the base, feature by feature, to the row's score."""

from collections.abc import Mapping
from math import floor, log

import plotly.graph_objects as go

from pipeline_assets.mart_page.chart_style import DOWN, QUIET, UP, bare
from pipeline_assets.mart_page.language import Formats, ViewTexts
from pipeline_assets.mart_page.render import Picture, plain
from pipeline_assets.ml.explanation import Explanation, probability

_SHOWN = 12  # features; the others are one bar, and all are in the table beside the picture
_NAMED = 3  # in the picture's words
_TICKS = (0.001, 0.01, 0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 0.95, 0.98, 0.99, 0.999)
_LONGEST = 28


def contributions(explanation: Explanation, said: Mapping[str, str], says: ViewTexts, formats: Formats) -> Picture:
    """The waterfall. Bars are log-odds, which add up; the axis is labelled with the probabilities they stand for.

    Args:
        said: each feature's value as the page writes it.
    """
    shown, rest = explanation.contributions[:_SHOWN], explanation.contributions[_SHOWN:]
    steps = [(f"{plain(each.feature)} = {plain(_short(said[each.feature]))}", each.log_odds) for each in shown]
    if rest:
        steps.append((says("others", n=len(rest)), sum(each.log_odds for each in rest)))
    names = [says("base"), *(name for name, _ in steps), says("final")]
    # By position, because two features may look the same once their values are shortened.
    places = list(range(len(names)))
    ends = [formats.share(probability(explanation.base)), formats.share(explanation.probability)]
    figure = go.Figure(
        go.Waterfall(
            orientation="h",
            y=places,
            x=[explanation.base, *(value for _, value in steps), 0],
            measure=["absolute", *("relative" for _ in steps), "total"],
            text=[ends[0], *(signed(value, formats) for _, value in steps), ends[1]],
            textposition="outside",
            cliponaxis=False,
            increasing={"marker": {"color": UP}},
            decreasing={"marker": {"color": DOWN}},
            totals={"marker": {"color": QUIET}},
            connector={"line": {"color": QUIET, "width": 1, "dash": "dot"}},
            customdata=names,
            hovertemplate="%{customdata}: %{text}<extra></extra>",
        )
    )
    low, high = _bounds(explanation.base, [value for _, value in steps])
    ticks = [share for share in _TICKS if low <= log(share / (1 - share)) <= high]
    figure.update_xaxes(
        range=[low, high],
        tickvals=[log(share / (1 - share)) for share in ticks],
        ticktext=[formats.share(share) for share in ticks],
        title=says("axis"),
        zeroline=False,
    )
    figure.update_yaxes(tickvals=places, ticktext=names, autorange="reversed", showgrid=False)
    return Picture(bare(figure), _words(explanation, said, says, formats))


def signed(log_odds: float, formats: Formats) -> str:
    """A contribution with its sign, which says what the colour says.

    >>> signed(-0.25, Formats("en")), signed(0.25, Formats("ru"))
    ('−0.25', '+0,25')
    """
    sign = "−" if log_odds < 0 else "+"
    return sign + formats.number(round(abs(log_odds), 3))


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _bounds(base: float, steps: list[float]) -> tuple[float, float]:
    """Room for every bar and for the text at its end."""
    ends, at = [base], base
    for step in steps:
        at += step
        ends.append(at)
    room = max((max(ends) - min(ends)) * 0.25, 0.5)
    return floor((min(ends) - room) * 10) / 10, max(ends) + room


def _words(explanation: Explanation, said: Mapping[str, str], says: ViewTexts, formats: Formats) -> str:
    listed = "; ".join(
        f"{each.feature} = {said[each.feature]} {signed(each.log_odds, formats)}"
        for each in explanation.contributions[:_NAMED]
    )
    return says(
        "picture",
        base=formats.share(probability(explanation.base)),
        score=formats.share(explanation.probability),
        most=listed,
    )
