"""A score as a waterfall: from the base, feature by feature, to the row's score."""

from collections.abc import Mapping
from functools import partial
from math import expm1, log
from textwrap import wrap
from typing import Any

import plotly.graph_objects as go

from pipeline_assets.mart_page.chart_style import DOWN, QUIET, UP, bare
from pipeline_assets.mart_page.language import Formats, ViewTexts
from pipeline_assets.mart_page.render import Picture, plain
from pipeline_assets.ml.explanation import Explanation, probability

_SHOWN = 12  # features; the others are one bar, and all are in the table beside the picture
_NAMED = 3  # in the picture's words
_TICKS = (0.001, 0.01, 0.02, 0.05, 0.1, 0.2, 0.35, 0.5, 0.65, 0.8, 0.9, 0.95, 0.98, 0.99, 0.999)
_STEPS = 6  # of an axis in logarithms of the target
_LARGE = 100.0  # from here on a contribution is written without so many digits
_LARGEST = 700.0  # of which the exponential is finite
_LONGEST = 28
_ROOM, _NARROW = 0.25, 0.6  # beside the bars, for their numbers; on a phone the same number takes more of the width
_WRAPPED = 32  # characters of an axis' title on a phone
_MARK = {"color": QUIET, "width": 4}


def contributions(explanation: Explanation, said: Mapping[str, str], says: ViewTexts, formats: Formats) -> Picture:
    """What each feature adds, as a waterfall; by permutation, whose effects do not add up, as bars from zero.

    Bars are in the explanation's unit. Where that is a logarithm, the waterfall's axis is labelled with the
    probabilities, or with the target's values, that it stands for.

    Args:
        explanation: of a row.
        said: each feature's value as the page writes it.
        says: the view's texts.
        formats: of the language.
    """
    shown, rest = explanation.contributions[:_SHOWN], explanation.contributions[_SHOWN:]
    steps = [(f"{plain(each.feature)} = {plain(_short(said[each.feature]))}", each.effect) for each in shown]
    if explanation.kind == "permutation":
        figure = _bars(steps, explanation, says, formats)
        bounds = partial(_bounds, 0.0, [value for _, value in steps], add=False)
    else:
        if rest:
            steps.append((says("others", n=len(rest)), sum(each.effect for each in rest)))
        figure = _waterfall(steps, explanation, says, formats)
        bounds = partial(_bounds, explanation.base, [value for _, value in steps])
    return Picture(bare(figure), _words(explanation, said, says, formats), narrow=_narrow(figure, bounds(_NARROW)))


def _narrow(figure: go.Figure, bounds: tuple[float, float]) -> dict[str, dict[str, Any]]:
    """For a phone: names in two lines, and more room for the numbers beside the bars."""
    names = [name.replace(" = ", "<br>= ", 1) for name in figure.layout.yaxis.ticktext]
    title = "<br>".join(wrap(figure.layout.xaxis.title.text, _WRAPPED))
    return {
        "xaxis": {"range": list(bounds), "title": {"text": title}},
        "yaxis": {"ticktext": names, "tickfont": {"size": 11}},
    }


def _waterfall(
    steps: list[tuple[str, float]], explanation: Explanation, says: ViewTexts, formats: Formats
) -> go.Figure:
    names = [says("base"), *(name for name, _ in steps), says("final")]
    # By position, because two features may look the same once their values are shortened.
    places = list(range(len(names)))
    figure = go.Figure(
        go.Waterfall(
            orientation="h",
            y=places,
            x=[explanation.base, *(value for _, value in steps), 0],
            measure=["absolute", *("relative" for _ in steps), "total"],
            text=[
                written(explanation, explanation.base, formats),
                *(signed(value, formats) for _, value in steps),
                written(explanation, explanation.score, formats),
            ],
            textposition="outside",
            cliponaxis=False,
            increasing={"marker": {"color": UP}},
            decreasing={"marker": {"color": DOWN}},
            totals={"marker": {"color": "rgba(0,0,0,0)"}},
            connector={"line": {"color": QUIET, "width": 1, "dash": "dot"}},
            customdata=names,
            hovertemplate="%{customdata}: %{text}<extra></extra>",
        )
    )
    low, high = _bounds(explanation.base, [value for _, value in steps])
    figure.update_xaxes(
        range=[low, high], title=_axis(explanation, says), zeroline=False, **_ticks(explanation, (low, high), formats)
    )
    # The base and the score are marks: bars would begin at zero, far beyond the axis.
    for place, value in ((0, explanation.base), (places[-1], explanation.base + sum(value for _, value in steps))):
        figure.add_shape(type="line", x0=value, x1=value, y0=place - 0.4, y1=place + 0.4, line=_MARK)
    figure.update_yaxes(tickvals=places, ticktext=names, range=[places[-1] + 0.6, -0.6], showgrid=False)
    return figure


def _bars(steps: list[tuple[str, float]], explanation: Explanation, says: ViewTexts, formats: Formats) -> go.Figure:
    names = [name for name, _ in steps]
    places = list(range(len(names)))
    figure = go.Figure(
        go.Bar(
            orientation="h",
            y=places,
            x=[value for _, value in steps],
            text=[signed(value, formats) for _, value in steps],
            textposition="outside",
            cliponaxis=False,
            marker={"color": [DOWN if value < 0 else UP for _, value in steps]},
            customdata=names,
            hovertemplate="%{customdata}: %{text}<extra></extra>",
        )
    )
    low, high = _bounds(0.0, [value for _, value in steps], add=False)
    of = "" if explanation.of is None else explanation.of
    figure.update_xaxes(range=[low, high], title=says(f"effect_{explanation.unit}", of=of))
    figure.update_yaxes(tickvals=places, ticktext=names, autorange="reversed", showgrid=False)
    return figure


def own_unit(explanation: Explanation, value: float) -> float:
    """A number of the explanation as the mart has scores: a probability, or in the target's unit, where it can be."""
    if explanation.unit == "log_odds":
        return probability(value)
    return expm1(min(value, _LARGEST)) if explanation.unit == "log_target" else value


def written(explanation: Explanation, value: float, formats: Formats) -> str:
    """A base or a score as the page writes it."""
    own = own_unit(explanation, value)
    return formats.share(own) if explanation.unit == "log_odds" else formats.number(own)


def _axis(explanation: Explanation, says: ViewTexts) -> str:
    of = "" if explanation.of is None else explanation.of
    return says(f"axis_{explanation.unit}", of=of)


def _ticks(
    explanation: Explanation, bounds: tuple[float, float], formats: Formats
) -> dict[str, list[float] | list[str]]:
    low, high = bounds
    if explanation.unit == "log_odds":
        shares = [share for share in _TICKS if low <= log(share / (1 - share)) <= high]
        return {
            "tickvals": [log(share / (1 - share)) for share in shares],
            "ticktext": [formats.share(share) for share in shares],
        }
    if explanation.unit == "log_target":
        places = [low + (high - low) * part / _STEPS for part in range(_STEPS + 1)]
        return {"tickvals": places, "ticktext": [_round(own_unit(explanation, place), formats) for place in places]}
    return {}


def _round(value: float, formats: Formats) -> str:
    return formats.number(float(f"{value:.3g}"))


def signed(effect: float, formats: Formats) -> str:
    """A contribution with its sign, which says what the colour says.

    >>> signed(-0.25, Formats("en")), signed(0.25, Formats("ru"))
    ('−0.25', '+0,25')
    """
    sign = "−" if effect < 0 else "+"
    size = abs(effect)
    return sign + formats.number(round(size, 3) if size < _LARGE else size)


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _bounds(base: float, steps: list[float], share: float = _ROOM, *, add: bool = True) -> tuple[float, float]:
    """Room for every bar and for the text at its end."""
    ends, at = [base], base
    for step in steps:
        at = at + step if add else base + step
        ends.append(at)
    low, high = min(ends), max(ends)
    room = (high - low) * share or 0.5
    return low - room, high + room


def _words(explanation: Explanation, said: Mapping[str, str], says: ViewTexts, formats: Formats) -> str:
    listed = "; ".join(
        f"{each.feature} = {said[each.feature]} {signed(each.effect, formats)}"
        for each in explanation.contributions[:_NAMED]
    )
    return says(
        "picture_permuted" if explanation.kind == "permutation" else "picture",
        base=written(explanation, explanation.base, formats),
        score=written(explanation, explanation.score, formats),
        most=listed,
    )
