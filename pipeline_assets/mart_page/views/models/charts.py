"""Versions in pictures: the task's metric of each version, and the feature importance of one."""

from collections.abc import Mapping, Sequence

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from pipeline_assets.mart_page.chart_style import OTHERS, QUIET, REFERENCE, bare, shares_axis
from pipeline_assets.mart_page.language import Formats, ViewTexts
from pipeline_assets.mart_page.render import Picture, plain
from pipeline_assets.ml.selection import Candidate

_SHOWN = 20
_NAMED = 3
_PANELS = 3  # of the learning curves
_POINTS = 400  # of one curve


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


def curves(
    found: Mapping[str, Mapping[str, Sequence[float]]], best: float | None, says: ViewTexts, formats: Formats
) -> Picture:
    """A panel per metric of the package: each side by iteration, and the best iteration as a line.

    Args:
        found: by metric, then by side.
        best: the iteration of the model that was kept, where it is known.
        says: the view's texts.
        formats: of the language.
    """
    names = list(found)[:_PANELS]
    figure = make_subplots(rows=1, cols=len(names), subplot_titles=[plain(name) for name in names])
    styles = {"training": (REFERENCE, "dot"), "stopping": (OTHERS, "solid")}
    for place, name in enumerate(names):
        for side, values in found[name].items():
            shown = _thinned(values)
            colour, dash = styles.get(side, (QUIET, "solid"))
            figure.add_trace(
                go.Scatter(
                    x=[step for step, _ in shown],
                    y=[value for _, value in shown],
                    mode="lines",
                    name=says(f"side_{side}"),
                    legendgroup=side,
                    showlegend=place == 0,
                    line={"color": colour, "dash": dash, "width": 2},
                    hovertemplate=f"%{{x}}: %{{y:.4g}}<extra>{plain(says(f'side_{side}'))}</extra>",
                ),
                row=1,
                col=place + 1,
            )
        if best is not None:
            figure.add_vline(x=best, line={"color": QUIET, "width": 1, "dash": "dash"}, row=1, col=place + 1)
    figure = bare(figure)
    figure.update_layout(
        showlegend=True, legend={"orientation": "h", "y": 1.15, "yanchor": "bottom", "x": 0}, margin={"t": 72}
    )
    figure.update_xaxes(title=says("iteration"))
    first = names[0]
    stopping = found[first].get("stopping") or next(iter(found[first].values()))
    at = int(best) if best is not None and best < len(stopping) else len(stopping) - 1
    words = says(
        "picture_curves", metric=first, n=len(stopping), best=formats.number(at), value=formats.number(stopping[at])
    )
    return Picture(figure, words)


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
    axis = shares_axis(0, max((value for _, value in shown), default=0.0) / 100, formats)
    ticks = {**axis, "tickvals": [place * 100 for place in axis["tickvals"]]}
    figure.update_xaxes(title=says("importance_axis"), rangemode="tozero", **ticks)
    figure.update_yaxes(
        tickvals=places, ticktext=[plain(name) for name, _ in shown], autorange="reversed", showgrid=False
    )
    listed = "; ".join(f"{name} {formats.share(value / 100)}" for name, value in shown[:_NAMED])
    return Picture(bare(figure), says("picture_importance", version=version, most=listed))


def _thinned(values: Sequence[float]) -> list[tuple[int, float]]:
    """Points of a curve, with their iterations; no more than can be told apart."""
    step = max(len(values) // _POINTS, 1)
    kept = list(enumerate(values))
    return [*kept[::step], *(kept[-1:] if (len(kept) - 1) % step else [])]


def _around(values: Sequence[float]) -> list[float] | None:
    """A range with room above and below, also if all values are equal."""
    if not values:
        return None
    room = max((max(values) - min(values)) * 0.4, 0.005)
    return [min(values) - room, max(values) + room]
