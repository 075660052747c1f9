"""What the plots of every kind share: style, learning curves, importances; PNG bytes small enough to show inline.

Matplotlib is used without pyplot, which keeps figures in global state and may need a display.
"""

import io
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pipeline_assets.ml.trainers.base import Fit

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MODEL, OTHER, BASELINE = "#2563a8", "#d9822b", "#8a8f98"
INK, GRID = "#24292f", "#e4e7eb"
_INCHES = (6.4, 4.2)
_DPI = 110
_MOST_POINTS = 1000  # of a curve; more cannot be distinguished at this size
_MOST_FEATURES = 20


def of_fit(fit: Fit, title: str) -> dict[str, bytes]:
    """The plots of any fit by name; the title says which task and batch."""
    return {
        "learning_curves": learning_curves(fit.curves, fit.best_iteration, title),
        "importance": importance(fit.importance, title),
    }


def learning_curves(curves: Mapping[str, Mapping[str, list[float]]], best_iteration: int, title: str) -> bytes:
    """Each metric by iteration on both sides, one panel per metric; the best iteration is marked."""
    names = list(dict.fromkeys(name for side in curves.values() for name in side))
    figure = figure_of()
    figure.suptitle(heading_of("Learning curves", title), x=0.02, ha="left", fontsize=11, color=INK)
    panels = figure.subplots(1, len(names), squeeze=False)[0]
    for axes, name in zip(panels, names, strict=True):
        style(axes, "iteration", name)
        for side, color in (("training", OTHER), ("stopping", MODEL)):
            values = np.asarray(curves.get(side, {}).get(name, []))
            if len(values):
                x, y = thinned(np.arange(len(values)), values)
                axes.plot(x, y, color=color, linewidth=1.6, label=side)
        axes.axvline(best_iteration, color=BASELINE, linestyle="--", linewidth=1, label=f"best ({best_iteration})")
        axes.legend(loc="best", frameon=False, fontsize=8)
    return png(figure)


def importance(shares: Mapping[str, float], title: str) -> bytes:
    """The most important features, in percent of the whole."""
    most = sorted(shares.items(), key=lambda item: item[1])[-_MOST_FEATURES:]
    heading = "Feature importance" if len(most) == len(shares) else f"The {len(most)} most important features"
    figure, axes = canvas(heading, title, "share, %", "", height=max(2.4, 1.1 + 0.26 * len(most)))
    # Positions, not names: two names that are cut to the same text must not share a bar.
    bars = axes.barh(range(len(most)), [share for _, share in most], color=MODEL, height=0.7)
    axes.set_yticks(range(len(most)), [short(name) for name, _ in most])
    axes.bar_label(bars, fmt="%.1f", padding=3, fontsize=8, color=INK)
    axes.margins(x=0.1)
    axes.grid(visible=False, axis="y")
    return png(figure)


def figure_of(height: float = _INCHES[1]) -> "Figure":
    """An empty figure; the height is in inches."""
    from matplotlib.figure import Figure

    return Figure(figsize=(_INCHES[0], height), dpi=_DPI, layout="constrained")


def canvas(heading: str, title: str, x: str, y: str, height: float = _INCHES[1]) -> tuple["Figure", "Axes"]:
    """A figure with one panel, its heading and the names of its axes."""
    figure = figure_of(height)
    axes = figure.subplots()
    axes.set_title(heading_of(heading, title), loc="left", fontsize=11, color=INK)
    style(axes, x, y)
    return figure, axes


def heading_of(heading: str, title: str) -> str:
    """What is shown, and of which task and batch."""
    return f"{heading} · {plain(title)}"


def style(axes: "Axes", x: str, y: str) -> None:
    """Gives a panel the style of all plots."""
    axes.set_xlabel(x, color=INK)
    axes.set_ylabel(y, color=INK)
    axes.tick_params(colors=INK, labelsize=9)
    axes.grid(visible=True, color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(GRID)


def unit_square(axes: "Axes") -> None:
    """Both axes from 0 to 1."""
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1.01)


def thinned(x: NDArray[Any], y: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    """At most as many points of a curve as can be told apart."""
    kept = np.unique(np.linspace(0, len(x) - 1, min(len(x), _MOST_POINTS)).astype(int))
    return x[kept], y[kept]


def short(name: str, limit: int = 32) -> str:
    """A name that fits beside a bar, of at most so many characters."""
    return plain(name if len(name) <= limit else f"{name[: limit - 1]}…")


def plain(text: str) -> str:
    """Escaped text: matplotlib would read a formula between two dollar signs."""
    return text.replace("$", r"\$")


def png(figure: "Figure") -> bytes:
    """The picture; the same figure gives the same bytes."""
    buffer = io.BytesIO()
    # Without the software's name the same training gives the same bytes.
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()
