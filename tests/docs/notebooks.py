"""Runs a notebook of the documentation and compares what it gives with the outputs that it is kept with.

``RENEW_NOTEBOOKS=1`` writes the outputs into the notebook and its English twin instead.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

DOCS = Path(__file__).parents[2] / "docs"
RUSSIAN, ENGLISH = DOCS / "examples", DOCS / "en" / "examples"
NOTEBOOKS = sorted(path.relative_to(RUSSIAN).as_posix() for path in RUSSIAN.rglob("*.ipynb"))
_QUIET = {"MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false", "TF_CPP_MIN_LOG_LEVEL": "3"}
_SECONDS = 600  # for a cell; some run whole trainings


def check(name: str, environment: Mapping[str, str], folder: Path) -> None:
    """Runs the notebook in a folder and compares its outputs.

    Args:
        name: below ``docs/examples``.
        environment: more variables than the test's own.
        folder: its working directory.
    """
    kept = read(RUSSIAN, name)
    fresh = nbformat.from_dict(kept)
    client = NotebookClient(fresh, timeout=_SECONDS, resources={"metadata": {"path": str(folder)}}, record_timing=False)
    client.execute(env={**os.environ, **_QUIET, **environment})
    if os.environ.get("RENEW_NOTEBOOKS") == "1":
        _renew(RUSSIAN / name, fresh)
        _renew(ENGLISH / name, fresh)
    else:
        for (code, given), (_, expected) in zip(outputs(fresh), outputs(kept), strict=True):
            assert given == expected, f"{name}: {given} instead of {expected} of\n{code}"


def read(tree: Path, name: str) -> Any:
    """A notebook as it is kept."""
    return nbformat.read(tree / name, as_version=4)


def outputs(notebook: Any) -> list[tuple[str, list[str]]]:
    """The text of every output by the code that made it, so that a difference names its cell.

    A cell with the tag ``varies`` shows what another machine may compute otherwise, and its output is not compared.
    """
    return [
        (cell.source, [_text(output) for output in _said(cell.outputs)])
        for cell in notebook.cells
        if cell.cell_type == "code" and "varies" not in cell.metadata.get("tags", ())
    ]


def _said(given: list[Any]) -> list[Any]:
    """The outputs without what packages write to stderr: warnings with paths of the machine.

    What a cell printed is one output: into how many messages the kernel cuts it depends on time.
    """
    said: list[Any] = []
    for output in given:
        if output.get("name") == "stderr":
            continue
        if said and output.output_type == said[-1].output_type == "stream":
            said[-1] = nbformat.from_dict({**said[-1], "text": said[-1].text + output.text})
        else:
            said.append(output)
    return said


def _text(output: Any) -> str:
    return str(output.get("text") or output.get("data", {}).get("text/plain"))


def _renew(path: Path, fresh: Any) -> None:
    """Puts the outputs of a run into a notebook; counters and times of the run stay out."""
    kept = nbformat.read(path, as_version=4)
    ran = [cell for cell in fresh.cells if cell.cell_type == "code"]
    for cell, run in zip((cell for cell in kept.cells if cell.cell_type == "code"), ran, strict=True):
        for output in run.outputs:
            if "execution_count" in output:
                output.execution_count = None
        cell.outputs = _said(run.outputs)
    nbformat.validate(kept)
    path.write_text(nbformat.writes(kept, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
