"""Why rows were rejected, as bars."""

from collections.abc import Mapping

import plotly.graph_objects as go

from pipeline_assets.mart_page.chart_style import counts_axis
from pipeline_assets.mart_page.language import Formats, ViewTexts
from pipeline_assets.mart_page.render import Picture, plain
from pipeline_assets.mart_page.rules import rule

_SHOWN = 12
_LONGEST = 60


def reasons(counts: Mapping[str, int], says: ViewTexts, formats: Formats) -> Picture:
    """The rules that rows of a batch break; the rule with most rows first.

    Args:
        counts: rows by broken rule; at least one rule.
        says: the view's texts.
        formats: of the language.
    """
    most = sorted(counts.items(), key=lambda each: -each[1])[:_SHOWN]
    shown = [(rule(name, says), count) for name, count in most]
    places = list(range(len(shown)))
    figure = go.Figure(
        go.Bar(
            x=[count for _, count in shown],
            y=places,
            orientation="h",
            text=[formats.number(count) for _, count in shown],
            textposition="auto",
            hovertext=[f"{plain(name)}: {formats.number(count)}" for name, count in shown],
            hoverinfo="text",
        )
    )
    figure.update_layout(
        yaxis={"autorange": "reversed", "tickvals": places, "ticktext": [plain(_short(name)) for name, _ in shown]},
        xaxis={"title": {"text": says("rows_axis")}, "rangemode": "tozero", **counts_axis(shown[0][1])},
    )
    words = "; ".join(f"{name}: {formats.number(count)}" for name, count in shown)
    return Picture(figure, words, title=says("reasons"))


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
