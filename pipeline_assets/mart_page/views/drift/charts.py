"""Drift in pictures: the index of every column, and one column bin by bin."""

from collections.abc import Sequence

import plotly.graph_objects as go

from pipeline_assets.mart_page.chart_style import OTHERS, QUIET, REFERENCE, bare, shares_axis
from pipeline_assets.mart_page.language import Formats, ViewTexts
from pipeline_assets.mart_page.render import Picture, plain
from pipeline_assets.mart_page.views.drift.queries import ColumnShift, Point
from pipeline_assets.monitoring.drift import MUCH, SOME, Bin, Shift

_SHOWN = 25  # columns; the table has all
_NAMED = 3
SIGNS = {Shift.LITTLE: "○", Shift.SOME: "◐", Shift.MUCH: "●"}
_COLOURS = {Shift.LITTLE: QUIET, Shift.SOME: REFERENCE, Shift.MUCH: OTHERS}
_LONGEST = 24


def indexes(shifts: Sequence[ColumnShift], says: ViewTexts, formats: Formats) -> Picture:
    """One bar per column, the worst first; a click on one picks the column."""
    shown = shifts[:_SHOWN]
    places = list(range(len(shown)))
    figure = go.Figure(
        go.Bar(
            orientation="h",
            y=places,
            x=[shift.difference.distance for shift in shown],
            text=[_sign(shift, formats) for shift in shown],
            textposition="outside",
            cliponaxis=False,
            marker={"color": [_COLOURS[shift.difference.shift] for shift in shown]},
            showlegend=False,
            customdata=[shift.column.name for shift in shown],
            hovertext=[f"{plain(shift.column.name)}: {_sign(shift, formats)}" for shift in shown],
            hovertemplate="%{hovertext}<extra></extra>",
        )
    )
    farthest = max((shift.difference.distance for shift in shown), default=0.0)
    limits = _limits(shown, says)
    for limit in limits:
        figure.add_trace(limit)
        farthest = max([farthest, *(x for x in limit.x if x is not None)])
    if all(shift.verdict is None for shift in shown):
        for bound in (SOME, MUCH):  # no task judged these: where a change is called some, and much
            figure.add_vline(x=bound, line={"color": QUIET, "width": 1, "dash": "dash"})
        farthest = max(farthest, MUCH)
    # Room for the number after the longest bar, also on a phone.
    figure.update_xaxes(title=says("distance"), range=[0, farthest * 1.25 or MUCH])
    figure.update_yaxes(
        tickvals=places,
        ticktext=[plain(shift.column.name) for shift in shown],
        autorange="reversed",
        showgrid=False,
    )
    listed = "; ".join(f"{shift.column.name} {_sign(shift, formats)}" for shift in shown[:_NAMED])
    bare(figure)
    if limits:
        figure.update_layout(
            showlegend=True, legend={"orientation": "h", "y": 1.02, "yanchor": "bottom"}, margin={"t": 40}
        )
    return Picture(figure, says("picture_indexes", n=len(shifts), most=listed))


def _limits(shown: Sequence[ColumnShift], says: ViewTexts) -> list[go.Scatter]:
    """Where the check of the task warns of each column, and where it fails; a line across its bar."""
    lines = []
    for name, dash in (("warn_from", "dash"), ("fail_from", "solid")):
        x: list[float | None] = []
        y: list[float | None] = []
        for place, shift in enumerate(shown):
            limit = shift.difference.reached_from(getattr(shift, name))
            if limit is not None:
                x += [limit, limit, None]
                y += [place - 0.5, place + 0.5, None]
        if x:
            line = {"color": QUIET, "width": 1.5, "dash": dash}
            lines.append(go.Scatter(x=x, y=y, mode="lines", name=says(name), line=line, hoverinfo="skip"))
    return lines


def bins(shift: ColumnShift, before: str, after: str, says: ViewTexts, formats: Formats) -> Picture:
    """The shares of two sets of rows in each bin; the second one is hatched.

    Args:
        shift: the column.
        before: what the first set is called.
        after: what the second one is called.
        says: texts of the view.
        formats: of the reader's language.
    """
    found = shift.difference.bins
    names = [bin_name(each, says, formats) for each in found]
    places = list(range(len(names)))
    figure = go.Figure(
        [
            go.Bar(
                name=plain(label),
                x=places,
                y=shares,
                marker={"color": colour, "pattern": {"shape": pattern}},
                customdata=[
                    f"{plain(name)}: {formats.share(share)}" for name, share in zip(names, shares, strict=True)
                ],
                hovertemplate="%{customdata}<extra></extra>",
            )
            for label, shares, colour, pattern in (
                (before, [each.reference for each in found], REFERENCE, ""),
                (after, [each.others for each in found], OTHERS, "/"),
            )
        ]
    )
    bare(figure, barmode="group", bargap=0.25)
    figure.update_layout(showlegend=True, legend={"orientation": "h", "y": 1.12})
    figure.update_xaxes(tickvals=places, ticktext=[plain(_short(name)) for name in names], showgrid=False)
    most = max(max(each.reference, each.others) for each in found)
    figure.update_yaxes(title=says("share"), rangemode="tozero", **shares_axis(0, most, formats))
    grown = max(zip(found, names, strict=True), key=lambda pair: abs(pair[0].others - pair[0].reference))
    return Picture(
        figure,
        says(
            "picture_bins",
            column=shift.column.name,
            bin=grown[1],
            before=before,
            after=after,
            share_before=formats.share(grown[0].reference),
            share_after=formats.share(grown[0].others),
        ),
    )


def history(column: str, points: Sequence[Point], says: ViewTexts, formats: Formats) -> Picture:
    """The distance of one column, batch by batch, with the limits that the task had."""
    places = list(range(len(points)))
    figure = go.Figure(
        [
            go.Scatter(
                name=plain(column), x=places, y=[point.distance for point in points],
                mode="lines+markers", line={"color": OTHERS}, hovertemplate="%{y:.3f}<extra></extra>",
            ),
            go.Scatter(
                name=says("warn_from"), x=places, y=[point.warn_from for point in points],
                mode="lines", line={"color": QUIET, "dash": "dash"}, hovertemplate="%{y:.3f}<extra></extra>",
            ),
        ]
    )  # fmt: skip
    bare(figure)
    figure.update_layout(showlegend=True, legend={"orientation": "h", "y": 1.12})
    figure.update_xaxes(tickvals=places, ticktext=[plain(_short(point.batch)) for point in points], showgrid=False)
    figure.update_yaxes(title=says("distance_short"), rangemode="tozero")
    worst = max(points, key=lambda point: point.distance)
    said = says("picture_history", column=column, worst=worst.batch, distance=formats.number(round(worst.distance, 3)))
    return Picture(figure, said)


def bin_name(each: Bin, says: ViewTexts, formats: Formats) -> str:
    """What is in a bin."""
    if each.kind == "missing":
        return says("missing")
    if each.kind == "others":
        return says("others")
    if each.kind == "value":
        return formats.value(each.value)
    if each.low is None:
        return f"≤ {formats.value(each.high)}"
    if each.high is None:
        return f"> {formats.value(each.low)}"
    return f"{formats.value(each.low)} … {formats.value(each.high)}"


def _sign(shift: ColumnShift, formats: Formats) -> str:
    return f"{SIGNS[shift.difference.shift]} {formats.number(round(shift.difference.distance, 3))}"


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
