"""What was measured, as a table for people and as JSON."""

import json
import math
import os
import platform
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.measure import OURS, Line, Measured, ratio

# How much more memory ten times the rows may take, from a million to ten million.
GROWTH = 1.15
_SIZES = ("rows", "seconds", "peak_mb")


def summary(line: Line, measured: Mapping[str, Sequence[Measured]], on: Mapping[str, Any]) -> dict[str, Any]:
    """One line's numbers; ``on`` is what :func:`machine` said."""
    contenders: dict[str, dict[str, Any]] = {
        name: {
            "rows": rounds[0].rows,
            "median_seconds": round(statistics.median(one.seconds for one in rounds), 3),
            "best_seconds": round(min(one.seconds for one in rounds), 3),
            "median_rows_per_second": round(statistics.median(one.speed for one in rounds)),
            "peak_mb": None if line.outside else round(max(one.peak for one in rounds) / 2**20),
        }
        for name, rounds in measured.items()
    }
    ratios = _ratios(measured)
    peaks = {name: contenders[OURS]["peak_mb"] / contenders[name]["peak_mb"] for name in line.memory}
    missed = [name for name, value in line.wanted.items() if name in ratios and ratios[name] < value]
    missed += [f"memory of {name}" for name, most in line.memory.items() if peaks[name] > most]
    return {
        "step": line.name,
        "machine": on,
        "rounds": len(measured[OURS]),
        "contenders": contenders,
        "ours_times_as_fast": ratios,
        "wanted": {name: round(value, 3) for name, value in line.wanted.items()},
        "missed": missed,
        **(_memory(line, peaks) if peaks else {}),
        **_beside(line, measured),
    }


def _memory(line: Line, peaks: Mapping[str, float]) -> dict[str, Any]:
    times = {name: round(value, 2) for name, value in peaks.items()}
    return {"times_the_memory": times, "memory_at_most": dict(line.memory)}


def _ratios(measured: Mapping[str, Sequence[Measured]]) -> dict[str, float]:
    return {name: round(ratio(measured[OURS], rounds), 3) for name, rounds in measured.items() if name != OURS}


def _beside(line: Line, measured: Mapping[str, Sequence[Measured]]) -> dict[str, Any]:
    """What contenders do beside the work that all of them do: seconds, and how many times as fast ours is.

    A contender that took no longer than that work alone is left out: nothing can be said of the rest of it.
    """
    if line.aside is None:
        return {}
    common = measured[line.aside]
    left = {
        name: [replace(one, seconds=one.seconds - its.seconds) for one, its in zip(rounds, common, strict=True)]
        for name, rounds in measured.items()
    }
    left = {name: rounds for name, rounds in left.items() if min(one.seconds for one in rounds) > 0}
    seconds = {name: round(statistics.median(one.seconds for one in rounds), 3) for name, rounds in left.items()}
    ratios = _ratios(left) if OURS in left else {}
    return {"beside": {"aside": line.aside, "median_seconds": seconds, "ours_times_as_fast": ratios}}


def growth(sizes: Sequence[Measured]) -> dict[str, Any]:
    """How seconds and memory grow with the rows, from the smallest of some sizes to the largest.

    ``exponent`` is the power of the rows that the seconds grow with: 1 where ten times the rows take ten times as long.
    """
    first, last = sizes[0], sizes[-1]
    times = last.rows / first.rows
    before = sizes[-2] if len(sizes) > 1 else last
    return {
        "rows": [one.rows for one in sizes],
        "seconds": [round(one.seconds, 2) for one in sizes],
        "peak_mb": [round(one.peak / 2**20) for one in sizes],
        "exponent": round(math.log(last.seconds / first.seconds, times), 2) if times > 1 else None,
        "times_the_memory": round(last.peak / before.peak, 2),
        "flat": last.peak <= before.peak * GROWTH,
    }


def machine() -> dict[str, Any]:
    """What the numbers of a line depend on, as its rounds end; nothing that names the machine."""
    return {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "cpus": os.cpu_count(),
        "processor": platform.machine(),
        "python": platform.python_version(),
        "load_average": [round(one, 2) for one in os.getloadavg()],
    }


def table(lines: Sequence[Mapping[str, Any]]) -> str:
    """The table of a run."""
    head = ("step", "contender", "rows", "median s", "best s", "rows/s", "peak MB", "ours is", "wanted")
    rows: list[tuple[str, ...]] = [head]
    for line in lines:
        for name, one in line["contenders"].items():
            times, wanted = line["ours_times_as_fast"].get(name), line["wanted"].get(name)
            rows.append(
                (
                    line["step"] if name == OURS else "",
                    name,
                    f"{one['rows']:,}",
                    f"{one['median_seconds']:.2f}",
                    f"{one['best_seconds']:.2f}",
                    f"{one['median_rows_per_second']:,}",
                    _megabytes(one["peak_mb"]),
                    "" if times is None else f"{times:.2f}x",
                    "" if wanted is None else f"{wanted:.2f}x{' MISSED' if name in line['missed'] else ''}",
                )
            )
        for what, seconds, times, most in _more(line):
            rows.append(("", what, "", seconds, "", "", "", times.replace("×", "x"), most.replace("×", "x")))
        for count, seconds, peak in zip(*(line.get("growth", {}).get(key, []) for key in _SIZES), strict=True):
            rows.append(
                ("", "ours", f"{count:,}", f"{seconds:.2f}", "", f"{count / seconds:,.0f}", f"{peak:,}", "", "")
            )
        if "growth" in line:
            one = line["growth"]
            said = f"rows^{one['exponent']}, {one['times_the_memory']:.2f}x memory"
            rows.append(("", "growth", "", "", "", "", "", said, f"{GROWTH:.2f}x{'' if one['flat'] else ' MISSED'}"))
    widths = [max(len(row[place]) for row in rows) for place in range(len(head))]
    left = {0, 1}
    texts = [
        "  ".join(cell.ljust(width) if at in left else cell.rjust(width) for at, (cell, width) in enumerate(cells))
        for cells in (zip(row, widths, strict=True) for row in rows)
    ]
    return "\n".join(text.rstrip() for text in texts)


def write(folder: Path, lines: Sequence[Mapping[str, Any]]) -> Path:
    """Puts lines under today's date; a line that was measured again today replaces its former self."""
    folder.mkdir(exist_ok=True)
    path = folder / f"{datetime.now(UTC):%Y-%m-%d}.json"
    former = json.loads(path.read_text())["lines"] if path.exists() else []
    told = {line["step"]: line for line in [*former, *lines]}
    path.write_text(json.dumps({"lines": list(told.values())}, indent=2) + "\n")
    return path


_HEADS = {
    "en": ("line", "contender", "rows", "seconds", "rows/s", "peak, MB", "ours is faster by", "wanted"),
    "ru": ("строка", "участник", "строк", "секунд", "строк/с", "пик, МБ", "наш быстрее в", "цель"),
}
_GROWTH_HEADS = {
    "en": ("line", "rows", "seconds", "peak, MB", "time grows as"),
    "ru": ("строка", "строк", "секунд", "пик, МБ", "время растёт как"),
}


def newest(folder: Path) -> dict[str, dict[str, Any]]:
    """Each line as it was measured last."""
    files = [json.loads(path.read_text())["lines"] for path in sorted(folder.glob("*.json"))]
    return {line["step"]: line for lines in files for line in lines}


def markdown(lines: Sequence[Mapping[str, Any]], language: str) -> str:
    """The tables for the documentation: contenders beside each other, and how ours grows.

    What has neither, the quality of drafted tasks for one, is left out.
    """
    rows = [row for line in lines for row in _markdown_rows(line, language)]
    grown = [
        (
            line["step"],
            *(
                _number(" / ".join(f"{one:,}" for one in line["growth"][key]), language)
                for key in ("rows", "seconds", "peak_mb")
            ),
            _number(f"n^{line['growth']['exponent']}", language),
        )
        for line in lines
        if "growth" in line
    ]
    tables = [_markdown(heads[language], cells) for heads, cells in ((_HEADS, rows), (_GROWTH_HEADS, grown)) if cells]
    return "\n\n".join(tables) + "\n"


def _markdown_rows(line: Mapping[str, Any], language: str) -> Iterator[tuple[str, ...]]:
    for name, one in line.get("contenders", {}).items():
        cells = (
            f"{one['rows']:,}",
            f"{one['median_seconds']:.2f}",
            f"{one['median_rows_per_second']:,}",
            _megabytes(one["peak_mb"]),
            _times(line["ours_times_as_fast"].get(name)),
            _times(line["wanted"].get(name)) + (" ✗" if name in line["missed"] else ""),
        )
        yield (line["step"] if name == OURS else "", name, *(_number(cell, language) for cell in cells))
    for what, seconds, times, wanted in _more(line):
        yield ("", what, *(_number(cell, language) for cell in ("", seconds, "", "", times, wanted)))


def _more(line: Mapping[str, Any]) -> Iterator[tuple[str, str, str, str]]:
    """What a table says below the contenders of a line: what it is, seconds, ours is so many times as, wanted."""
    beside = line.get("beside", {"median_seconds": {}})
    for name, seconds in beside["median_seconds"].items():
        yield f"{name}, without {beside['aside']}", f"{seconds:.2f}", _times(beside["ours_times_as_fast"].get(name)), ""
    for name, times in line.get("times_the_memory", {}).items():
        missed = " ✗" if f"memory of {name}" in line["missed"] else ""
        yield f"memory of ours beside {name}", "", _times(times), f"≤ {_times(line['memory_at_most'][name])}{missed}"


def _number(text: str, language: str) -> str:
    """A number as the language writes it."""
    return text.translate({ord(","): "\u00a0", ord("."): ","}) if language == "ru" else text


def _megabytes(value: int | None) -> str:
    return "" if value is None else f"{value:,}"


def _times(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}×"


def _markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *rows))
