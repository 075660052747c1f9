"""Messages that the page on troubleshooting quotes are those of the code."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.docs.pages import DOCS, ROOT

PAGES = [DOCS / "инструкции" / "устранение проблем.md", DOCS / "en" / "guides" / "troubleshooting.md"]
_FOR_PEOPLE = {
    f"{kind}Error"
    for kind in ("Settings", "Task", "Contract", "Data", "Store", "Transient", "Selection", "Pipeline", "Dagster")
}


def _template(node: ast.AST) -> str | None:
    """A text of the source; what is put in at run time is ``…``."""
    if isinstance(node, ast.JoinedStr):
        parts = [part.value if isinstance(part, ast.Constant) else "…" for part in node.values]
        return re.sub("…+", "…", "".join(map(str, parts)))
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return re.sub(r"\{[^{}]*\}", "…", node.value)
    return None


@cache
def messages() -> frozenset[str]:
    """Every text of the source."""
    found = set()
    for path in (ROOT / "pipeline_assets").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if (text := _template(node)) is not None:
                found.add(text)
    return frozenset(found)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: Path(page).stem)
def test_a_quoted_message_is_one_of_the_source(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    tables = text[: text.rindex("\n## ")]  # the last section is about what has no message
    quoted = re.findall(r"^\| `([^`]+)` \|", tables, re.MULTILINE)
    assert len(quoted) > 70
    assert [message for message in quoted if not any(message in known for known in messages())] == []


def raised() -> Iterator[tuple[str, str]]:
    """Every message of an error for people that does not itself say what to do, with its module."""
    for path in sorted((ROOT / "pipeline_assets").rglob("*.py")):
        if path.is_relative_to(ROOT / "pipeline_assets" / "demo"):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.args):
                continue
            told = any(keyword.arg == "do" for keyword in node.keywords)
            if node.func.id in _FOR_PEOPLE and not told and (text := _template(node.args[0])) is not None:
                yield path.name, text


@pytest.mark.parametrize("page", PAGES, ids=lambda page: Path(page).stem)
def test_a_message_without_advice_of_its_own_has_it_on_the_page(page: Path) -> None:
    quoted = re.findall(r"^\| `([^`]+)` \|", page.read_text(encoding="utf-8"), re.MULTILINE)
    missing = [(name, text) for name, text in raised() if not any(message in text for message in quoted)]
    assert missing == [], "give the error a fact `do`, or put its message and cure onto the page and its twin"
