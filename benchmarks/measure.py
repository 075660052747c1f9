"""Measuring: contenders in turn, each in a process of its own, and what medians and bests say of them."""

import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.clock import timed
from benchmarks.workspace import Workspace

# Does the work that is timed, and says of how many rows.
Work = Callable[[], int]
# Brings about what the work needs: imports, connections, empty tables. Not timed; its memory is counted.
Prepare = Callable[[Workspace], Work]

OURS, LIMIT = "ours", "limit"
# The peers' own Python: they need other versions of packages than the pipeline.
PEERS = Path(__file__).parents[1] / ".venv-peers" / "bin" / "python"
# Peers count their users over the network unless told not to.
_PRIVATE = {"RUNTIME__DLTHUB_TELEMETRY": "false", "FEAST_USAGE": "False"}


@dataclass(frozen=True)
class Line:
    """A line of the table.

    Attributes:
        name: of the step.
        contenders: by name; ``ours`` and ``limit`` are among them. Those that would take hours do a sample.
        wanted: ours at least so many times as fast as a contender.
        rounds: at most so many; some lines are long.
        flat: whether memory must not grow with the rows.
        peers: contenders of :mod:`benchmarks.peers`, by name: the module of each.
        aside: a contender that does only what all others do too; the report also compares what the others do beside it.
        memory: ours has at most so many times the peak of a contender.
        outside: whether the work is done by another program; the peak of the process that waits for it says nothing.
    """

    name: str
    contenders: Mapping[str, Prepare]
    wanted: Mapping[str, float]
    rounds: int | None = None
    flat: bool = True
    peers: Mapping[str, str] = field(default_factory=dict)
    aside: str | None = None
    memory: Mapping[str, float] = field(default_factory=dict)
    outside: bool = False

    @property
    def names(self) -> list[str]:
        """All contenders; the peers among them only where their environment is installed."""
        return [*self.contenders, *(self.peers if PEERS.exists() else ())]


@dataclass(frozen=True)
class Measured:
    """One contender, once.

    Attributes:
        peak: of the process's resident memory, in bytes; of servers and of psql, nothing.
    """

    seconds: float
    rows: int
    peak: int

    @property
    def speed(self) -> float:
        """Rows a second."""
        return self.rows / self.seconds


def once(prepare: Prepare, workspace: Workspace) -> Measured:
    """Measures in this process; call it in a fresh one."""
    told = timed(prepare(workspace))
    return Measured(told["seconds"], int(told["rows"]), int(told["peak"]))


def fresh(line: Line, contender: str, folder: Path) -> Measured:
    """Measures in a process that has done nothing before."""
    if contender in line.peers:
        command = [str(PEERS), "-m", f"benchmarks.peers.{line.peers[contender]}", str(folder)]
    else:
        command = [sys.executable, "-W", "ignore", "-m", "benchmarks.contender", str(folder), line.name, contender]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env={**os.environ, **_PRIVATE})
    return Measured(**json.loads(done.stdout.splitlines()[-1]))


def rounds(line: Line, names: Sequence[str], folder: Path, count: int) -> dict[str, list[Measured]]:
    """Each contender once a round, the first of a round the second of the next: noise meets all of them."""
    measured: dict[str, list[Measured]] = {name: [] for name in names}
    for number in range(count):
        shift = number % len(names)
        for name in [*names[shift:], *names[:shift]]:
            one = fresh(line, name, folder)
            measured[name].append(one)
            print(
                f"  {line.name}, {name}: {one.rows:,} rows in {one.seconds:.2f} s, {one.peak / 2**20:.0f} MB",
                file=sys.stderr,
                flush=True,
            )
    return measured


def ratio(ours: Sequence[Measured], other: Sequence[Measured]) -> float:
    """How many times as fast as another we are: the median of the rounds' own ratios."""
    return statistics.median(mine.speed / its.speed for mine, its in zip(ours, other, strict=True))
