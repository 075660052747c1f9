"""The picture of a difference between two versions: how far scores move, and where decisions flip."""

from pipeline_assets.ml.difference import Difference
from pipeline_assets.ml.kinds import drawing

_MOST_SEGMENTS = 12


def difference_plot(found: Difference, title: str) -> bytes:
    """A PNG image: the rows by how far their score moves; the segments with the largest share of flips."""
    segments = sorted(found.segments, key=lambda each: -each.flipped / each.rows)[:_MOST_SEGMENTS]
    figure = drawing.figure_of(max(3.2, 1.4 + 0.26 * len(segments)))
    heading = f"{found.flipped} of {found.rows} decisions change ({100 * found.share:.2f} %)"
    figure.suptitle(drawing.heading_of(heading, title), x=0.02, ha="left", fontsize=11, color=drawing.INK)
    moves, *more = figure.subplots(1, 2 if segments else 1, squeeze=False)[0]
    drawing.style(moves, f"score of version {found.challenger} minus {found.champion}", "rows")
    if found.moves.counts:
        moves.stairs(found.moves.counts, found.moves.edges, fill=True, color=drawing.MODEL)
        moves.set_yscale("symlog")  # most rows hardly move, and the few others are what is looked for
        moves.set_ylim(bottom=0)
    if not segments:
        return drawing.png(figure)
    where = more[0]
    drawing.style(where, "decisions that change, %", "")
    shares = [100 * each.flipped / each.rows for each in segments]
    where.barh(range(len(segments)), shares, color=drawing.OTHER, height=0.7)
    names = [drawing.short(f"{each.feature}: {each.value or '(empty)'}", 22) for each in segments]
    where.set_yticks(range(len(segments)), names)
    where.invert_yaxis()
    where.grid(visible=False, axis="y")
    return drawing.png(figure)
