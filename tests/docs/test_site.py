"""The sites are built without a warning; nothing in them asks another server; the reference names all that there is."""

import ast
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

from pipeline_assets.cli.main import main
from pipeline_assets.settings import VARIABLES
from tests.docs import pages
from tests.docs.pages import ROOT, SITE

LANGUAGES = ["ru", "en"]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    into = tmp_path_factory.mktemp("site")
    command = [sys.executable, str(SITE / "build.py"), "--into", str(into)]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (built.returncode, built.stderr) == (0, "")
    return into


class Loaded(HTMLParser):
    """What a page names: links, and what a browser loads by itself."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loads: list[str] = []
        self.anchors: set[str] = set()
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.anchors.update(value for name in ("id", "name") if (value := given.get(name)))
        if tag == "a" and (link := given.get("href")):
            self.links.append(link)
        elif tag == "link" and given.get("rel") in ("stylesheet", "icon", "preload", "preconnect", "prefetch"):
            self.loads.append(given.get("href") or "")
        elif tag in ("script", "img", "iframe", "source", "video", "object"):
            self.loads.append(given.get("src") or given.get("data") or "")


def test_links_inside_the_sites_lead_to_a_page_and_its_anchor(site: Path) -> None:
    found = {page: Loaded(page) for page in site.rglob("*.html") if "_modules" not in page.parts}
    assert len(found) > 2 * len(pages.pages("en"))
    broken = []
    for page, told in found.items():
        for link in told.links:
            parts = urlsplit(link)
            if parts.scheme:
                continue
            target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
            anchor = unquote(parts.fragment)
            if not target.is_file() or (anchor and target in found and anchor not in found[target].anchors):
                broken.append((str(page.relative_to(site)), link))
    assert broken == []


def test_no_link_is_left_as_text(site: Path) -> None:
    # A target in <> that goes on in the next line is no link; in code, text is as it was written.
    code = re.compile(r"<(code|pre)\b.*?</\1>", re.DOTALL)
    texts = {page: code.sub("", page.read_text(encoding="utf-8")) for page in site.rglob("*.html")}
    assert [str(page.relative_to(site)) for page, text in texts.items() if re.search(r"\]\((?:&lt;|<)", text)] == []


def test_the_folder_holds_the_two_sites_and_what_leads_to_them(site: Path) -> None:
    assert {path.name for path in site.iterdir() if not path.name.startswith(".")} == {"en", "ru", "index.html"}


def test_a_browser_asks_no_other_server(site: Path) -> None:
    for page in site.rglob("*.html"):
        outside = [address for address in Loaded(page).loads if re.match(r"(?:[a-z]+:)?//", address)]
        assert (page.name, outside) == (page.name, [])
    for style in site.rglob("*.css"):
        assert re.findall(r"(?:url\(|@import)\s*['\"]?(?:https?:)?//", style.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_reference_names_every_variable_verb_and_key(site: Path, language: str) -> None:
    def says(page: str) -> str:
        return (site / language / "reference" / f"{page}.html").read_text(encoding="utf-8")

    assert {name for name in VARIABLES if f">{name}<" not in says("environment")} == set()
    verbs = [*main.list_commands(main.make_context("pipeline-assets", ["task"])), "task new", "stack up"]
    commands = re.sub(r"<[^>]+>", "", says("cli"))
    assert {verb for verb in verbs if f"pipeline-assets {verb} [OPTIONS]" not in commands} == set()
    keys = pages.of_the_site("generated").keys_of_a_task()
    assert {"target.positive", "columns.<name>.type", "training.threshold.gain.true_positive"} <= {k.path for k in keys}
    shown = re.sub(r"<[^>]+>", "", says("task"))
    assert {key.path for key in keys if key.path.replace("<", "&lt;").replace(">", "&gt;") not in shown} == set()


def test_every_variable_has_its_meaning_in_both_languages() -> None:
    for language in LANGUAGES:
        assert set(pages.of_the_site("generated").meanings(language)) == set(VARIABLES)


def test_the_package_reads_no_other_variables_than_the_page_on_them_names() -> None:
    text = (ROOT / "docs/en/reference/environment.md").read_text(encoding="utf-8")
    known = {*VARIABLES, *re.findall(r"^\| `([A-Z_0-9]+)` \|", text, re.MULTILINE)}
    read = {name for path in (ROOT / "pipeline_assets").rglob("*.py") for name in asked(ast.parse(path.read_text()))}
    assert {name for name in read if name.startswith(("PIPELINE_", "GREENPLUM_", "TARANTOOL_"))} - known == set()


def asked(tree: ast.AST) -> list[Any]:
    """The names of variables that a module takes out of ``os.environ`` by constants."""
    return [
        node.slice.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Subscript)
        and ast.unparse(node.value) == "os.environ"
        and isinstance(node.slice, ast.Constant)
    ]
