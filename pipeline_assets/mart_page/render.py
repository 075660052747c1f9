"""Pictures on the page: a plotly figure, and a sentence that says what it shows, for people who cannot see it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape
from typing import Any

import orjson
import plotly
import plotly.graph_objects as go
from htmltools import HTMLDependency, Tag, TagList, div
from shiny.module import resolve_id
from shiny.render.renderer import Jsonifiable, Renderer

_PLOTLY = HTMLDependency(
    name="plotly",
    version=plotly.__version__,
    source={"package": "plotly", "subdir": "package_data"},
    script={"src": "plotly.min.js"},
)


@dataclass(frozen=True)
class Picture:
    """A figure and its description.

    Attributes:
        figure: without colours of text, grid and background: the page sets them, light or dark.
        says: what the figure shows, in a sentence or two; shown below it, and read by screen readers.
        title: shown above it, where nothing else on the page says it; unlike a title of plotly's, it wraps.
        narrow: layout of axes that takes the place of the figure's own on a phone, by axis.
    """

    figure: go.Figure
    says: str
    title: str = ""
    narrow: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def plain(text: object) -> str:
    """A text from data, escaped for plotly, which would read tags in it as formatting.

    >>> plain("<b>A&B</b>")
    '&lt;b&gt;A&amp;B&lt;/b&gt;'
    """
    return escape(str(text), quote=False)


def output_picture(output_id: str, height: str = "24rem") -> Tag:
    """The output of a :class:`render_picture` of the same name.

    A click on a point that has ``customdata`` sets the input ``<id>_click`` to that value.
    """
    return div(
        TagList(_PLOTLY),
        id=resolve_id(output_id),
        class_="mart-picture",
        style=f"--picture-height: {height}",
    )


class render_picture(Renderer[Picture]):  # noqa: N801 - a decorator, as Shiny's own are
    """Draws what a function returns; ``None`` draws nothing."""

    def auto_output_ui(self) -> Tag:
        """For Shiny Express, which the page does not use."""
        return output_picture(self.output_id)

    async def transform(self, value: Picture) -> Jsonifiable:
        """The figure as plotly.js takes it."""
        figure: dict[str, Any] = orjson.loads(value.figure.to_json(engine="json"))
        return {
            "data": figure["data"],
            "layout": figure["layout"],
            "says": value.says,
            "title": value.title,
            "narrow": orjson.loads(orjson.dumps(value.narrow)),
        }
