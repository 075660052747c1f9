"""The page in a process of its own, as a user starts it."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.request import urlopen

from pipeline_assets.stack.ports import free_ports
from tests.waiting import eventually

_OF_THE_PIPELINE = ("GREENPLUM", "TARANTOOL", "MLFLOW", "AWS", "DATA_URI", "PIPELINE", "DAGSTER")


@contextmanager
def served(folder: Path, variables: Mapping[str, str], *arguments: str) -> Iterator[str]:
    """The address of a page that runs until the end of the block.

    Args:
        folder: where it is started.
        variables: of the pipeline; the test's own environment has none for it.
        arguments: of its command line.
    """
    (port,) = free_ports(1)
    own = {name: value for name, value in os.environ.items() if not name.startswith(_OF_THE_PIPELINE)}
    process = subprocess.Popen(
        [sys.executable, "-m", "pipeline_assets.mart_page", f"--port={port}", *arguments],
        cwd=folder,
        env={**own, **variables},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        eventually(lambda: process.poll() is not None or _answers(url), 60)
        yield url
    finally:
        process.terminate()
        process.wait(30)


def _answers(url: str) -> bool:
    try:
        with urlopen(url, timeout=5) as answer:  # noqa: S310 - our own page
            return bool(answer.status == 200)
    except OSError:
        return False
