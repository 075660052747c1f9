"""``python -m benchmarks``: starts the servers, measures every line, prints the table and writes the JSON."""

import argparse
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks import page, report, servers
from benchmarks.lines import LINES
from benchmarks.measure import OURS, Line, Measured, fresh, rounds
from benchmarks.workspace import Workspace

_ROWS, _LARGE = 1_000_000, 10_000_000
_GROWTH = (100_000, 1_000_000, 10_000_000)

# Makes a workspace of so many rows, with "csv" also what psql loads; its folder.
Make = Callable[[int, str], Path]


def main() -> None:
    """The command line."""
    given = _given()
    # Whoever stops the run, stops the servers: an exception unwinds the stack.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="benchmarks-")))
        postgres = stack.enter_context(servers.postgres(folder / "postgres"))
        tarantool = stack.enter_context(servers.tarantool(folder / "tarantool"))
        login = servers.pipeline_login(tarantool)

        def make(rows: int, more: str) -> Path:
            place = Workspace(folder / str(rows), rows, postgres, login, tarantool.admin)
            place.save()
            command = [sys.executable, "-m", "benchmarks.contender", str(place.folder), "make", more]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            return place.folder

        if given.page:
            answers = page.measure(Workspace.at(make(given.rows or _LARGE, "")))
            report.write(given.results, [answers])
            print(page.table(answers))
        else:
            lines = [line for line in LINES.values() if given.line is None or line.name in given.line]
            place = make(given.rows or _ROWS, "csv")
            done = _compare(lines, place, given.rounds, given.results)
            if given.growth is not None:
                shutil.rmtree(place)  # the sizes have folders of their own, and one may be this one
                flat = [line for line in lines if line.flat]
                _grow(flat, given.growth or _GROWTH, make, done, given.results)
            print(report.table(list(done.values())))


def _given() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="of every line but the whole jobs, which have one")
    parser.add_argument("--rows", type=int, help=f"of each stage; {_ROWS:,} by default")
    parser.add_argument("--line", action="append", choices=LINES, help="only this one; may be given again")
    sizes = ", ".join(f"{rows:,}" for rows in _GROWTH)
    growth = f"also ours alone at so many rows; {sizes} by default"
    parser.add_argument("--growth", nargs="*", type=int, metavar="ROWS", help=growth)
    parser.add_argument(
        "--page", action="store_true", help="only the mart page's answers, at --rows or ten million rows"
    )
    parser.add_argument("--results", type=Path, default=Path(__file__).parent / "results")
    return parser.parse_args()


def _compare(lines: Sequence[Line], place: Path, count: int, results: Path) -> dict[str, dict[str, Any]]:
    """Every contender of every line. A run is long and may be stopped, so each line is written when it is done."""
    done = {}
    for line in lines:
        measured = rounds(line, line.names, place, line.rounds or count)
        done[line.name] = report.summary(line, measured, report.machine())
        report.write(results, list(done.values()))
    return done


def _grow(
    lines: Sequence[Line], counts: Sequence[int], make: Make, done: dict[str, dict[str, Any]], results: Path
) -> None:
    """Ours alone, at each size."""
    sizes: dict[str, list[Measured]] = {line.name: [] for line in lines}
    for rows in counts:
        place = make(rows, "")
        for line in lines:
            sizes[line.name].append(fresh(line, OURS, place))
            done[line.name]["growth"] = report.growth(sizes[line.name])
            report.write(results, list(done.values()))
        shutil.rmtree(place)


if __name__ == "__main__":
    main()
