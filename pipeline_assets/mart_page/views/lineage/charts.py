"""A task's columns and which column each is made of, from left to right; the path of a picked column stands out."""

from collections.abc import Iterable, Sequence
from typing import Any

import plotly.graph_objects as go

from pipeline_assets.mart_page.chart_style import OTHERS, QUIET, REFERENCE, bare
from pipeline_assets.mart_page.language import ViewTexts
from pipeline_assets.mart_page.render import Picture, plain
from pipeline_assets.task.column_lineage import Columns, Edge, Node
from pipeline_assets.task.spec import DECISION

# The left and the right side of the frame of each kind of column: lines enter and leave there.
_SIDES = {"raw": (-1.0, 0.05), "feature": (0.95, 2.0), "label": (0.95, 2.0), "score": (2.8, 3.6)}
_LAST = (4.1, 4.8)  # the decision stands behind the score that it is made of
_AROUND, _A_NAME = 40, 24  # pixels: above and below the drawing, and height of a name in it
_HALF = 0.38  # height of half a frame, where 1 is the height of a name
_MANY = 60  # columns: above it the drawing of a picked column leaves out what is not on its path
_INSIDE = 0.05  # between a frame's side and the mark before the name
_LONGEST = 30  # characters of a name; hovering over it shows the whole
# How a line rises from one frame to the other: slowly, fast, slowly, so that lines of one frame part soon.
_RISE = [(step / 20, (step / 20) ** 2 * (3 - step / 10)) for step in range(21)]
_SYMBOLS = {"raw": "square", "feature": "circle", "label": "diamond", "score": "star"}


def lineage(columns: Columns, picked: str | None, says: ViewTexts) -> Picture:
    """The drawing. Points carry the columns' keys, so that a click picks one.

    Args:
        picked: key of the column whose path is shown; ``None`` shows all alike.
    """
    layers = _layers(columns)
    if picked and sum(map(len, layers)) > _MANY:
        there = columns.path(picked)
        layers = [[node for node in layer if node.key in there] for layer in layers]
        if not any(layers):
            layers = [[columns.nodes[picked]]]
    places = {node.key: at for layer in layers for node, at in _spread(layer, max(map(len, layers)))}
    path = columns.path(picked) if picked else set(columns.nodes)
    on_path = columns.edges_of(picked) if picked else set()
    figure = go.Figure(
        [
            _lines((edge for edge in columns.edges if edge not in on_path), columns, places, on_path=False),
            _lines((edge for edge in columns.edges if edge in on_path), columns, places, on_path=True),
            *(_points(layer, places, path if picked else None, picked) for layer in layers if layer),
        ]
    )
    figure.update_xaxes(visible=False, range=[-1.05, max(_sides(columns.nodes[key])[1] for key in places) + 0.05])
    figure.update_yaxes(visible=False, range=[max(places.values()) + 0.8, -0.8])
    # Names of a long layer need their own height, or they lie upon one another.
    height = _AROUND + _A_NAME * max(map(len, layers))
    boxes = [_box(columns.nodes[key], at, on_path=bool(picked) and key in path) for key, at in places.items()]
    bare(figure, hovermode="closest", hoverdistance=40, height=height, shapes=boxes)
    return Picture(figure, _words(columns, picked, says))


def _layers(columns: Columns) -> list[list[Node]]:
    """Raw columns that are used, ordered by where they are used; then features and label; then the scores."""
    nodes = columns.nodes.values()
    middle = [node for node in nodes if node.kind in ("feature", "label")]
    at = {node.key: position for position, node in enumerate(middle)}
    goes: dict[str, list[int]] = {}
    for edge in columns.edges:
        goes.setdefault(edge.source, []).append(at.get(edge.target, len(at)))
    raw = [node for node in nodes if node.kind == "raw" and node.key in goes]
    ends = {edge.target for edge in columns.edges}
    scores = [[node] for node in nodes if node.kind == "score" and node.key in ends]
    return [sorted(raw, key=lambda node: sum(goes[node.key]) / len(goes[node.key])), middle, *scores]


def _sides(node: Node) -> tuple[float, float]:
    return _LAST if node.name == DECISION and node.kind == "score" else _SIDES[node.kind]


def _spread(layer: Sequence[Node], rows: int) -> Iterable[tuple[Node, float]]:
    """Even heights for a layer, over the height of the longest one."""
    step = rows / len(layer) if layer else 0
    return [(node, step * (position + 0.5) - 0.5) for position, node in enumerate(layer)]


def _lines(edges: Iterable[Edge], columns: Columns, places: dict[str, float], *, on_path: bool) -> go.Scatter:
    x: list[float | None] = []
    y: list[float | None] = []
    for edge in edges:
        if edge.source not in places or edge.target not in places:
            continue
        start, end = _sides(columns.nodes[edge.source])[1], _sides(columns.nodes[edge.target])[0]
        low, high = places[edge.source], places[edge.target]
        x += [*(start + (end - start) * along for along, _ in _RISE), None]
        y += [*(low + (high - low) * up for _, up in _RISE), None]
    line = {"color": OTHERS, "width": 2.5} if on_path else {"color": QUIET, "width": 0.8}
    return go.Scatter(x=x, y=y, mode="lines", line=line, hoverinfo="skip")


def _box(node: Node, at: float, *, on_path: bool) -> dict[str, Any]:
    """The frame around a name, at whose sides lines end."""
    left, right = _sides(node)
    line = {"color": OTHERS if on_path else QUIET, "width": 2 if on_path else 0.8}
    return {"type": "rect", "x0": left, "x1": right, "y0": at - _HALF, "y1": at + _HALF, "line": line, "layer": "below"}


def _points(layer: Sequence[Node], places: dict[str, float], path: set[str] | None, picked: str | None) -> go.Scatter:
    """Names of one layer in their frames, each after a mark that says what it is."""
    there = [path is None or node.key in path for node in layer]
    return go.Scatter(
        x=[_sides(node)[0] + _INSIDE for node in layer],
        y=[places[node.key] for node in layer],
        mode="markers+text",
        text=[_name(node, bold=path is not None and node.key in path) for node in layer],
        textposition="middle right",
        textfont={"size": 12},
        cliponaxis=False,
        marker={
            "symbol": [_SYMBOLS[node.kind] for node in layer],
            "size": [12 if node.key == picked else 8 for node in layer],
            "color": [OTHERS if path is not None and node.key in path else REFERENCE for node in layer],
            "opacity": [1.0 if shown else 0.35 for shown in there],
        },
        customdata=[node.key for node in layer],
        hovertext=[_hover(node) for node in layer],
        hovertemplate="%{hovertext}<extra></extra>",
    )


def _name(node: Node, *, bold: bool) -> str:
    name = plain(node.name if len(node.name) <= _LONGEST else f"{node.name[: _LONGEST - 1]}…")
    return f"<b>{name}</b>" if bold else name


def _hover(node: Node) -> str:
    """The whole name, and what the column is made of or means."""
    more = node.expression or node.description
    return f"{plain(node.name)}: {plain(more)}" if more else plain(node.name)


def _words(columns: Columns, picked: str | None, says: ViewTexts) -> str:
    if picked is None:
        counts = {kind: sum(node.kind == kind for node in columns.nodes.values()) for kind in ("raw", "feature")}
        score = next((node.name for node in columns.nodes.values() if node.kind == "score"), "")
        return says("picture_all", raw=counts["raw"], features=counts["feature"], score=score)
    before = [columns.nodes[key].name for key in columns.nodes if key in columns.upstream(picked)]
    after = [columns.nodes[key].name for key in columns.nodes if key in columns.downstream(picked)]
    return says(
        "picture_path",
        column=columns.nodes[picked].name,
        before=", ".join(before) or says("nothing"),
        after=", ".join(after) or says("nothing"),
    )
