"""One contender in a process of its own: ``python -m benchmarks.contender <folder> <line> <contender>``."""

import json
import sys
from dataclasses import asdict
from pathlib import Path

from benchmarks.lines import LINES
from benchmarks.measure import once
from benchmarks.workspace import Workspace


def main(folder: str, line: str, contender: str) -> None:
    """Prints what was measured as the last line of its output."""
    workspace = Workspace.at(Path(folder))
    if line == "make":
        workspace.make()
        if contender == "csv":
            workspace.make_csv()
        return
    print(json.dumps(asdict(once(LINES[line].contenders[contender], workspace))))


if __name__ == "__main__":
    main(*sys.argv[1:])
