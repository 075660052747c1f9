"""One contender in a process of its own: ``python -m benchmarks.contender <folder> <line> <contender>``."""

import json
import sys
from dataclasses import asdict
from pathlib import Path

from benchmarks.ground import Ground
from benchmarks.lines import LINES
from benchmarks.measure import once


def main(folder: str, line: str, contender: str) -> None:
    """Prints what was measured as the last line of its output."""
    ground = Ground.at(Path(folder))
    if line == "make":
        ground.make()
        if contender == "csv":
            ground.make_csv()
        return
    print(json.dumps(asdict(once(LINES[line].contenders[contender], ground))))


if __name__ == "__main__":
    main(*sys.argv[1:])
