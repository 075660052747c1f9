"""Scores in pictures, by what they are: boxes and a histogram of numbers, shares of labels."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import plotly.graph_objects as go
import pyarrow as pa

from pipeline_assets.mart_page.chart_style import OTHERS, REFERENCE, bare, shares_axis
from pipeline_assets.mart_page.language import Formats, ViewTexts
from pipeline_assets.mart_page.render import Picture, plain
from pipeline_assets.mart_page.scored import Scores
from pipeline_assets.monitoring.truth import Form

_LONGEST = 24
_LABELS = 6  # as many as the page has colours; the others are one segment
_BARS = 25
_BINS = 20
_PATTERNS = ("", "/", "x", ".", "\\", "+")


def by_batch(found: Sequence[Scores], form: Form, says: ViewTexts, formats: Formats) -> Picture:
    """The scores of each batch side by side: a box of numbers, a bar of labels."""
    return _boxes(found, form, says, formats) if found[0].quantiles else _stacked(found, says, formats)


def _boxes(found: Sequence[Scores], form: Form, says: ViewTexts, formats: Formats) -> Picture:
    """One box per batch: the middle half of its scores, and whiskers from 5 to 95 %."""
    filled = [each for each in found if each.quantiles]
    places = list(range(len(filled)))
    five, quarter, half, three_quarters, most = zip(*(each.quantiles for each in filled), strict=True)
    figure = go.Figure(
        go.Box(
            x=places,
            lowerfence=five,
            q1=quarter,
            median=half,
            q3=three_quarters,
            upperfence=most,
            marker={"color": REFERENCE},
            line={"color": REFERENCE},
            hoverinfo="y",
        )
    )
    figure.update_xaxes(tickvals=places, ticktext=[plain(_short(each.made.batch)) for each in filled], showgrid=False)
    figure.update_yaxes(title=axis(form, says), **_ticks(form, max(most), formats))
    said = formats.share if form == "binary" else formats.number
    first, last = filled[0], filled[-1]
    return Picture(
        bare(figure),
        says(
            "picture_score" if len(filled) == 1 else "picture_scores",
            first=first.made.batch,
            last=last.made.batch,
            before=said(first.quantiles[2]),
            after=said(last.quantiles[2]),
        ),
    )


def _stacked(found: Sequence[Scores], says: ViewTexts, formats: Formats) -> Picture:
    """One bar per batch, with a segment per label: the most frequent ones, then all others."""
    totals: dict[str | bool, float] = {}
    for each in found:
        for label, share in each.shares.items():
            totals[label] = totals.get(label, 0.0) + share
    labels = sorted(totals, key=lambda label: (-totals[label], str(label)))[:_LABELS]
    rows: list[tuple[str, list[float]]] = [
        (formats.value(label), [each.shares.get(label, 0.0) for each in found]) for label in labels
    ]
    if len(labels) < len(totals):
        rest = [sum(each.shares.values()) - sum(one[place] for _, one in rows) for place, each in enumerate(found)]
        rows.append((says("others"), [max(share, 0.0) for share in rest]))
    places = list(range(len(found)))
    figure = go.Figure(
        [
            go.Bar(
                name=plain(_short(name)),
                x=places,
                y=shares,
                marker={"pattern": {"shape": _PATTERNS[place % len(_PATTERNS)]}},
                customdata=[f"{plain(name)}: {formats.share(share)}" for share in shares],
                hovertemplate="%{customdata}<extra></extra>",
            )
            for place, (name, shares) in enumerate(rows)
        ]
    )
    bare(figure, barmode="stack", bargap=0.35)
    figure.update_layout(showlegend=True, legend={"orientation": "h", "y": 1.05, "yanchor": "bottom"}, margin={"t": 48})
    figure.update_xaxes(tickvals=places, ticktext=[plain(_short(each.made.batch)) for each in found], showgrid=False)
    figure.update_yaxes(title=says("share"), range=[0, 1], **shares_axis(0, 1, formats))
    last = found[-1]
    return Picture(figure, says("picture_labels", batch=last.made.batch, most=formats.shares(_named(last, formats), 3)))


def of_batch(first: Scores, picked: Scores, form: Form, says: ViewTexts, formats: Formats) -> Picture:
    """How often each score comes in the picked batch, beside the first batch if that is another one."""
    both = [picked] if first.made.batch == picked.made.batch else [first, picked]
    numbers = [_numbers(each.values) for each in both] if picked.quantiles else []
    names, shares = _steps(numbers, form, formats) if numbers else _labels(both, formats)
    places = list(range(len(names)))
    colours = [(OTHERS, "/")] if len(both) == 1 else [(REFERENCE, ""), (OTHERS, "/")]
    figure = go.Figure(
        [
            go.Bar(
                name=plain(_short(each.made.batch)),
                x=places,
                y=of_each,
                marker={"color": colour, "pattern": {"shape": pattern}},
                customdata=[
                    f"{plain(name)}: {formats.share(share)}" for name, share in zip(names, of_each, strict=True)
                ],
                hovertemplate="%{customdata}<extra></extra>",
            )
            for each, of_each, (colour, pattern) in zip(both, shares, colours, strict=True)
        ]
    )
    bare(figure, barmode="group", bargap=0.15)
    figure.update_layout(showlegend=True, legend={"orientation": "h", "y": 1.05, "yanchor": "bottom"}, margin={"t": 48})
    figure.update_xaxes(
        tickvals=places, ticktext=[plain(_short(name)) for name in names], showgrid=False, title=axis(form, says)
    )
    largest = max(max(of_each) for of_each in shares)
    figure.update_yaxes(title=says("share"), rangemode="tozero", **shares_axis(0, largest, formats))
    most = max(places, key=lambda place: shares[-1][place])
    text = "picture_of_batch" if numbers else "picture_labels_of_batch"
    words = says(text, batch=picked.made.batch, most=names[most], share=formats.share(shares[-1][most]))
    return Picture(figure, words)


def axis(form: Form, says: ViewTexts) -> str:
    """What the numbers or labels of a form are."""
    return says(f"axis_{form}")


def _steps(
    numbers: Sequence["np.ndarray[Any, Any]"], form: Form, formats: Formats
) -> tuple[list[str], list[list[float]]]:
    """Twenty steps of equal width: from 0 to 1 for probabilities, else over the middle 98 % of both batches."""
    low, high = (0.0, 1.0) if form == "binary" else np.quantile(np.concatenate(numbers), (0.01, 0.99)).tolist()
    if low == high:
        low, high = low - 0.5, high + 0.5
    edges = np.linspace(low, high, _BINS + 1)
    shares = [(np.histogram(np.clip(each, low, high), bins=edges)[0] / max(len(each), 1)).tolist() for each in numbers]
    said = [formats.share(edge) if form == "binary" else formats.number(float(f"{edge:.3g}")) for edge in edges]
    return [f"{one} – {other}" for one, other in pairwise(said)], shares


def _labels(both: Sequence[Scores], formats: Formats) -> tuple[list[str], list[list[float]]]:
    most = sorted(
        {label for each in both for label in each.shares},
        key=lambda label: (-max(each.shares.get(label, 0.0) for each in both), str(label)),
    )[:_BARS]
    return [formats.value(label) for label in most], [[each.shares.get(label, 0.0) for label in most] for each in both]


def _numbers(values: pa.Array) -> "np.ndarray[Any, Any]":
    found = values.drop_null().cast(pa.float64(), safe=False).to_numpy()
    return np.asarray(found[np.isfinite(found)])


def _named(scores: Scores, formats: Formats) -> dict[str, float]:
    return {formats.value(label): share for label, share in scores.shares.items()}


def _ticks(form: Form, most: float, formats: Formats) -> dict[str, Any]:
    return {"rangemode": "tozero", **shares_axis(0, most, formats)} if form == "binary" else {}


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
