"""Pictures on the page: a plotly figure, and the sentence that says what it shows to those who do not see it."""

from dataclasses import dataclass
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
    """A figure and its words.

    Attributes:
        figure: colours of text, grid and background are the page's own, light or dark: leave them out.
        says: in a sentence or two, what one sees; read out by screen readers and shown below the picture.
    """

    figure: go.Figure
    says: str


def plain(text: object) -> str:
    """A text from data as plotly is to show it, which otherwise takes tags in it for tags.

    >>> plain("<b>A&B</b>")
    '&lt;b&gt;A&amp;B&lt;/b&gt;'
    """
    return escape(str(text), quote=False)


def output_picture(output_id: str, height: str = "24rem") -> Tag:
    """Where :class:`render_picture` of the same name draws.

    A click on a point that has ``customdata`` sets the input ``<id>_click`` to it.
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
        """For Shiny Express, which the page is not written in."""
        return output_picture(self.output_id)

    async def transform(self, value: Picture) -> Jsonifiable:
        """The figure as plotly.js takes it."""
        figure: dict[str, Any] = orjson.loads(value.figure.to_json(engine="json"))
        return {"data": figure["data"], "layout": figure["layout"], "says": value.says}
