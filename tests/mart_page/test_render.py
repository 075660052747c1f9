import asyncio
from typing import Any

import plotly.graph_objects as go

from pipeline_assets.mart_page.render import Picture, render_picture


def test_a_picture_goes_to_the_browser_as_plain_values() -> None:
    figure = go.Figure(go.Bar(x=[1, 2], y=[3, 4], customdata=["a", "b"]))
    sent: Any = asyncio.run(render_picture().transform(Picture(figure, "Two bars.")))
    assert sent["says"] == "Two bars."
    (bars,) = sent["data"]
    assert (bars["type"], bars["x"], bars["customdata"]) == ("bar", [1, 2], ["a", "b"])
