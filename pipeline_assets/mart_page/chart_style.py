"""What the pictures share: two colours that the colour-blind tell apart, on light and on dark; and bare axes."""

from math import ceil, floor, log10
from typing import Any

import plotly.graph_objects as go

from pipeline_assets.mart_page.language import Formats

# Blue and orange differ in brightness as well as in hue; a sign, a pattern or a word says the same beside them.
UP, DOWN = "#d9822b", "#4a8fd4"
REFERENCE, OTHERS = "#4a8fd4", "#d9822b"
QUIET = "#8a8f98"


_TICKS = 5  # at most so many steps of an axis of shares
_FEW = 10  # counts up to here have a tick each


def shares_axis(low: float, high: float, formats: Formats) -> dict[str, Any]:
    """Ticks of an axis of shares, as the language writes them, with as many digits as tell them apart.

    >>> shares_axis(0.0, 0.0013, Formats("en"))["ticktext"]
    ['0%', '0.05%', '0.1%', '0.15%']
    """
    span = max(high - low, 1e-6)
    rough = span / _TICKS
    power = 10.0 ** floor(log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * (1 - 1e-9))
    digits = max(-floor(log10(step * 100) + 1e-9), 0)
    places = [step * place for place in range(floor(low / step + 1e-9), ceil(high / step - 1e-9) + 1)]
    return {"tickvals": places, "ticktext": [formats.share(place, digits) for place in places]}


def counts_axis(most: float) -> dict[str, Any]:
    """Ticks of an axis of rows: whole numbers, though the largest be 1."""
    return {"dtick": 1} if most <= _FEW else {}


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
