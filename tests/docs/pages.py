"""The documents as the tests read them: pages, twins, and what a Markdown text is made of."""

import importlib
import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
SITE = DOCS / "_site"
FENCES = re.compile(r"^( *)(`{3,})([^\n]*)\n(.*?)^\1\2$", re.MULTILINE | re.DOTALL)
LINKS = re.compile(r"\]\((?:<([^>\n]+)>|([^)\s]+))\)")


@cache
def of_the_site(name: str) -> ModuleType:
    """A module of docs/_site, which is no package."""
    sys.path.insert(0, str(SITE))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(str(SITE))


def pages(language: str) -> list[Path]:
    """The pages of a tree."""
    if language == "en":
        return sorted((DOCS / "en").rglob("*.md"))
    apart = (DOCS / "en", SITE, DOCS / "decisions.md")
    return sorted(page for page in DOCS.rglob("*.md") if not any(page.is_relative_to(each) for each in apart))


def pairs() -> Iterator[tuple[Path, Path]]:
    """README and its twin, then every English page and the Russian one that it names."""
    yield ROOT / "README.md", ROOT / "README.ru.md"
    for page in pages("en"):
        yield page, of_the_site("twins").twin_of(page)


def code(text: str) -> list[str]:
    """Fenced code, without comments, which are in the page's language, and without paths, which differ by tree."""
    return [
        re.sub(r"(?:\.\./)+", "", re.sub(r"\s*#.*", "", f"{kind}\n{body}"))
        for _, _, kind, body in FENCES.findall(text)
        if not kind.startswith(("{toctree}", "{include}", "mermaid"))
    ]


def prose(text: str) -> str:
    """A text without fenced code."""
    return FENCES.sub("", text)


def links(page: Path) -> list[str]:
    """Where the links of a page lead within the repository, without anchors."""
    found = [first or second for first, second in LINKS.findall(prose(page.read_text(encoding="utf-8")))]
    inside = [link.partition("#")[0] for link in found if not re.match(r"[a-z]+:", link)]
    return [link for link in inside if link]
