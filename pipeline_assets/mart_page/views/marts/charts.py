"""The distribution of a column, as bars: bins of numbers and dates, the most frequent values of anything else."""

import datetime as dt
from itertools import pairwise

import plotly.graph_objects as go

from pipeline_assets.mart_page.chart_style import counts_axis
from pipeline_assets.mart_page.language import Formats, ViewTexts
from pipeline_assets.mart_page.render import Picture, plain
from pipeline_assets.mart_page.views.marts.distribution import Distribution

_LONGEST = 32  # characters of a value on an axis


def distribution(name: str, seen: Distribution, says: ViewTexts, formats: Formats) -> Picture | None:
    """The picture of a column; ``None`` if no row has a value."""
    if not seen.counts:
        return None
    if seen.edges:
        return _histogram(name, seen, says, formats)
    labels = [_short(formats.value(value)) for value in seen.values]
    counts = list(seen.counts)
    if seen.others:
        labels.append(says("others"))
        counts.append(seen.others)
    figure = go.Figure(
        go.Bar(
            x=counts,
            y=list(range(len(labels))),
            orientation="h",
            hovertext=[f"{plain(label)}: {formats.number(count)}" for label, count in zip(labels, counts, strict=True)],
            hoverinfo="text",
        )
    )
    ticks = {"tickvals": list(range(len(labels))), "ticktext": [plain(label) for label in labels]}
    figure.update_layout(
        yaxis={"autorange": "reversed", **ticks},
        xaxis={"title": {"text": says("rows_axis")}, **counts_axis(max(counts))},
        bargap=0.25,
    )
    most = says("picture_top", column=name, value=labels[0], n=counts[0])
    return Picture(figure, most)


def _histogram(name: str, seen: Distribution, says: ViewTexts, formats: Formats) -> Picture:
    edges = list(seen.edges)
    dates = isinstance(seen.lowest, dt.date)
    middles = [(one + other) / 2 for one, other in pairwise(edges)]
    shown = [formats.value(dt.date.fromordinal(round(edge))) if dates else formats.number(edge) for edge in edges]
    figure = go.Figure(
        go.Bar(
            x=[dt.datetime.fromordinal(int(middle)) for middle in middles] if dates else middles,
            y=list(seen.counts),
            hovertext=[
                f"{low} – {high}: {formats.number(count)}"
                for (low, high), count in zip(pairwise(shown), seen.counts, strict=True)
            ],
            hoverinfo="text",
        )
    )
    figure.update_layout(
        bargap=0.04,
        xaxis={"title": {"text": plain(name)}, **({"tickformat": says("date_axis")} if dates else {})},
        yaxis={"title": {"text": says("rows_axis")}, **counts_axis(max(seen.counts))},
    )
    words = says("picture_bins", column=name, lowest=formats.value(seen.lowest), highest=formats.value(seen.highest))
    return Picture(figure, words)


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
