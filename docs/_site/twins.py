"""Two trees, one documentation: the link to a page's twin, and links that leave the tree of a site.

A page names its twin by the line below its title, ``[English](../en/…)`` or ``[Русская версия](…)``, which works
wherever Markdown is shown. The site takes the line out and puts a switch beside the search instead.
"""

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform
from sphinx.util.typing import ExtensionMetadata

DOCS = Path(__file__).resolve().parents[1]
ROOT = DOCS.parent
TREES = {"ru": DOCS, "en": DOCS / "en"}
# Documents of the repository that are pages of both sites.
INCLUDED = {
    DOCS / "decisions.md": "project/decisions",
    ROOT / "CONTRIBUTING.md": "project/contributing",
    ROOT / "SECURITY.md": "project/security",
    ROOT / "CHANGELOG.md": "project/changelog",
}
_TWIN = re.compile(r"^\[(?:English|Русская версия)\]\((?:<([^>\n]+)>|([^)\n]+))\)\n+", re.MULTILINE)
_FENCE = re.compile(r"^(`{3,}).*?^\1$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"(?<=\]\()(?:<([^>\n]+)>|([^)\s]+))(?=\))")


def language_of(page: Path) -> str:
    """The language of the tree in which a page is."""
    return "en" if page.is_relative_to(TREES["en"]) else "ru"


def twin_of(page: Path) -> Path | None:
    """The page of the other language that a page names; ``None`` if it names none."""
    if page.suffix != ".md" or (found := _TWIN.search(page.read_text(encoding="utf-8"))) is None:
        return None
    return Path(os.path.normpath(page.parent / unquote(found[1] or found[2])))


def address(page: Path) -> str:
    """The address of a page below the folder of its site."""
    return quote(page.relative_to(TREES[language_of(page)]).with_suffix(".html").as_posix())


def across(start: Path, page: Path) -> str:
    """The address of a page of the other site, from a page of this one."""
    depth = len(start.relative_to(TREES[language_of(start)]).parts)
    return f"{'../' * depth}{language_of(page)}/{address(page)}"


def outside_code(text: str, change: Callable[[str], str]) -> str:
    """Changes a Markdown text everywhere but in fenced code."""
    parts, end = [], 0
    for fence in _FENCE.finditer(text):
        parts += [change(text[end : fence.start()]), fence[0]]
        end = fence.end()
    return "".join([*parts, change(text[end:])])


def _for_the_site(page: Path, text: str) -> str:
    """A page's text, its links led to where the site has what they name."""
    here = language_of(page)

    def leads(link: re.Match[str]) -> str:
        given = link[1] or link[2]
        name, hash_, anchor = given.partition("#")
        if not name or ":" in name:
            return link[0]
        target = Path(os.path.normpath(page.parent / unquote(name)))
        if target in INCLUDED:
            inside = TREES[here] / f"{INCLUDED[target]}.md"
            return f"<{os.path.relpath(inside, page.parent)}{hash_}{anchor}>"
        if target.suffix == ".md" and target.is_relative_to(DOCS) and language_of(target) != here:
            return f"site:{across(page, target)}{hash_}{anchor}"
        return link[0]

    return outside_code(_TWIN.sub("", text, count=1), lambda part: _LINK.sub(leads, part))


def _read(app: Sphinx, docname: str, source: list[str]) -> None:
    page = Path(app.env.doc2path(docname))
    if page.suffix == ".md":
        source[0] = _for_the_site(page, source[0])


def _switch(app: Sphinx, pagename: str, _template: str, context: dict[str, Any], _doctree: object) -> None:
    """Tells the templates where the twin of a page is; of a page that Sphinx makes, such as the search, its like."""
    here = str(app.config.language)
    other = "en" if here == "ru" else "ru"
    up = "../" * (pagename.count("/") + 1)
    if pagename in app.env.found_docs:
        page = Path(app.env.doc2path(pagename))
        twin = twin_of(page)
        context["twin"] = across(page, twin) if twin else f"{up}{other}/index.html"
    else:
        context["twin"] = f"{up}{other}/{quote(pagename)}.html"
    context["twin_language"] = other
    context["twin_name"] = {"en": "English", "ru": "Русский"}[other]


class ImagePaths(SphinxTransform):
    """Names images by their files: Markdown writes what is not ASCII in a path as ``%D1…``, and Sphinx opens it so."""

    default_priority = 200

    def apply(self, **_kwargs: Any) -> None:
        """Changes the page's images."""
        for image in self.document.findall(nodes.image):
            if "://" not in image["uri"]:
                image["uri"] = unquote(image["uri"])


def setup(app: Sphinx) -> ExtensionMetadata:
    """Sphinx's door."""
    app.add_transform(ImagePaths)
    app.connect("source-read", _read)
    app.connect("html-page-context", _switch)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
