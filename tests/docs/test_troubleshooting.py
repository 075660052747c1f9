"""Messages that the page on troubleshooting quotes are those of the code."""

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from tests.docs.pages import DOCS, ROOT

PAGES = [DOCS / "инструкции" / "устранение проблем.md", DOCS / "en" / "guides" / "troubleshooting.md"]


@cache
def messages() -> frozenset[str]:
    """Every text of the source; what is put in at run time is ``…``."""
    found = set()
    for path in (ROOT / "pipeline_assets").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.JoinedStr):
                parts = [part.value if isinstance(part, ast.Constant) else "…" for part in node.values]
                found.add(re.sub("…+", "…", "".join(map(str, parts))))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.add(re.sub(r"\{[^{}]*\}", "…", node.value))
    return frozenset(found)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: Path(page).stem)
def test_a_quoted_message_is_one_of_the_source(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    tables = text[: text.rindex("\n## ")]  # the last section is about what has no message
    quoted = re.findall(r"^\| `([^`]+)` \|", tables, re.MULTILINE)
    assert len(quoted) > 70
    assert [message for message in quoted if not any(message in known for known in messages())] == []
