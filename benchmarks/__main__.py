"""``python -m benchmarks``: starts the servers, measures every line, prints the table and writes the JSON."""

import argparse
import signal
import subprocess
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks import page, report, servers
from benchmarks.lines import LINES
from benchmarks.measure import OURS, fresh, rounds
from benchmarks.workspace import Workspace

_ROWS, _LARGE = 1_000_000, 10_000_000


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="of every line but the whole jobs, which have one")
    parser.add_argument("--rows", type=int, help=f"of each stage; {_ROWS:,} by default")
    parser.add_argument("--line", action="append", choices=LINES, help="only this one; may be given again")
    parser.add_argument("--ten-million", action="store_true", help="memory at ten million rows as well")
    parser.add_argument(
        "--page", action="store_true", help="only the mart page's answers, at --rows or ten million rows"
    )
    parser.add_argument("--results", type=Path, default=Path(__file__).parent / "results")
    given = parser.parse_args()
    # Whoever stops the run, stops the servers: an exception unwinds the stack.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))
    lines = [line for line in LINES.values() if not given.page and (given.line is None or line.name in given.line)]
    done: dict[str, dict[str, Any]] = {}

    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="benchmarks-")))
        postgres = stack.enter_context(servers.postgres(folder / "postgres"))
        tarantool = stack.enter_context(servers.tarantool(folder / "tarantool"))
        login = servers.pipeline_login(tarantool)

        def workspace(rows: int, csv: str) -> Path:
            place = Workspace(folder / str(rows), rows, postgres, login, tarantool.admin)
            place.save()
            command = [sys.executable, "-m", "benchmarks.contender", str(place.folder), "make", csv]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
            return place.folder

        if given.page:
            answers = page.measure(Workspace.at(workspace(given.rows or _LARGE, "no csv")))
            report.write(given.results, [answers])
            print(page.table(answers))
            return
        small = workspace(given.rows or _ROWS, "csv")
        measured, machines = {}, {}
        for line in lines:
            measured[line.name] = rounds(line, line.names, small, line.rounds or given.rounds)
            machines[line.name] = report.machine()
            done[line.name] = report.summary(line, measured[line.name], machines[line.name])
            # A run is long, and may be stopped.
            report.write(given.results, list(done.values()))
        if given.ten_million:
            place = workspace(_LARGE, "no csv")
            for line in lines:
                if line.flat:
                    large = fresh(line, OURS, place)
                    done[line.name] = report.summary(line, measured[line.name], machines[line.name], large)
                    report.write(given.results, list(done.values()))
            if given.line is None:
                answers = page.measure(Workspace.at(place))
                report.write(given.results, [*done.values(), answers])
                print(page.table(answers))
    print(report.table(list(done.values())))


if __name__ == "__main__":
    main()
