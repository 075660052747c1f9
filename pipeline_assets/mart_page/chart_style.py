"""What the pictures share: two colours that the colour-blind tell apart, on light and on dark; and bare axes."""

from typing import Any

import plotly.graph_objects as go

# Blue and orange differ in brightness as well as in hue; a sign, a pattern or a word says the same beside them.
UP, DOWN = "#d9822b", "#4a8fd4"
REFERENCE, OTHERS = "#4a8fd4", "#d9822b"
QUIET = "#8a8f98"


def bare(figure: go.Figure, **layout: Any) -> go.Figure:
    """The figure without what a small picture has no use for."""
    figure.update_layout(
        margin={"l": 8, "r": 16, "t": 8, "b": 8},
        showlegend=False,
        dragmode=False,
        **layout,
    )
    figure.update_xaxes(automargin=True, fixedrange=True)
    figure.update_yaxes(automargin=True, fixedrange=True)
    return figure
