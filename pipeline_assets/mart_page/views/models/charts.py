"""Versions in pictures: the task's metric of each version, and the feature importance of one."""

from collections.abc import Mapping, Sequence

import plotly.graph_objects as go

from pipeline_assets.mart_page.chart_style import OTHERS, REFERENCE, bare
from pipeline_assets.mart_page.language import Formats, ViewTexts
from pipeline_assets.mart_page.render import Picture, plain
from pipeline_assets.ml.selection import Candidate

_SHOWN = 20
_NAMED = 3


def metric_by_version(candidates: Sequence[Candidate], metric: str, says: ViewTexts, formats: Formats) -> Picture:
    """The task's metric of every version that has it; the champion is a star. A click picks a version."""
    shown = [each for each in candidates if metric in each.metrics]
    figure = go.Figure(
        go.Scatter(
            x=[str(each.version) for each in shown],
            y=[each.metrics[metric] for each in shown],
            mode="lines+markers+text",
            text=[formats.number(round(each.metrics[metric], 4)) for each in shown],
            textposition="top center",
            cliponaxis=False,
            line={"color": REFERENCE, "width": 1},
            marker={
                "size": [16 if each.champion else 10 for each in shown],
                "symbol": ["star" if each.champion else "circle" for each in shown],
                "color": [OTHERS if each.champion else REFERENCE for each in shown],
            },
            customdata=[each.version for each in shown],
            hovertemplate="%{x}: %{text}<extra></extra>",
        )
    )
    figure.update_xaxes(title=says("version"), type="category", showgrid=False)
    figure.update_yaxes(title=metric, range=_around([each.metrics[metric] for each in shown]))
    champion = next((each for each in shown if each.champion), None)
    if champion is None:
        return Picture(bare(figure), says("picture_no_champion", n=len(shown), metric=metric))
    value = formats.number(round(champion.metrics[metric], 4))
    words = says("picture_metric", n=len(shown), metric=metric, version=champion.version, value=value)
    return Picture(bare(figure), words)


def importance(found: Mapping[str, float], version: int, says: ViewTexts, formats: Formats) -> Picture:
    """One bar per feature, the most important first."""
    shown = list(found.items())[:_SHOWN]
    places = list(range(len(shown)))
    figure = go.Figure(
        go.Bar(
            orientation="h",
            y=places,
            x=[value for _, value in shown],
            text=[formats.share(value / 100) for _, value in shown],
            textposition="outside",
            cliponaxis=False,
            marker={"color": REFERENCE},
            customdata=[plain(name) for name, _ in shown],
            hovertemplate="%{customdata}: %{text}<extra></extra>",
        )
    )
    figure.update_xaxes(title=says("importance_axis"), rangemode="tozero", ticksuffix=" %")
    figure.update_yaxes(
        tickvals=places, ticktext=[plain(name) for name, _ in shown], autorange="reversed", showgrid=False
    )
    listed = "; ".join(f"{name} {formats.share(value / 100)}" for name, value in shown[:_NAMED])
    return Picture(bare(figure), says("picture_importance", version=version, most=listed))


def _around(values: Sequence[float]) -> list[float] | None:
    """A range with room above and below, also if all values are equal."""
    if not values:
        return None
    room = max((max(values) - min(values)) * 0.4, 0.005)
    return [min(values) - room, max(values) + room]
