"""Both languages have the same pages, and twins say the same: sections, tables, code, numbers."""

import os
import re
from collections import Counter
from pathlib import Path
from urllib.parse import unquote

import pytest

from tests.docs import pages
from tests.docs.pages import ROOT

PAIRS = list(pages.pairs())
# A number in a text; thousands stand apart by commas in English, by spaces in Russian, whose decimals have a comma.
_THOUSANDS = {"en": re.compile(r"(?<=\d),(?=\d{3}(?!\d))"), "ru": re.compile(r"(?<=\d)[   ](?=\d{3}(?!\d))")}
_NUMBER = re.compile(r"(?<![\w.])\d+(?:[.,]\d+)?(?![\w])")


def named(page: Path) -> str:
    return str(page.relative_to(ROOT))


def test_every_page_has_a_twin_that_names_it_back() -> None:
    twins = pages.of_the_site("twins")
    for language in ("ru", "en"):
        for page in pages.pages(language):
            twin = twins.twin_of(page)
            assert twin is not None, f"{named(page)} names no twin below its title"
            assert twin.is_file(), f"the twin of {named(page)} is not there: {twin}"
            assert twins.twin_of(twin) == page


@pytest.mark.parametrize(("english", "russian"), PAIRS, ids=[named(english) for english, _ in PAIRS])
def test_twins_have_the_same_sections_tables_and_code(english: Path, russian: Path) -> None:
    def outline(page: Path) -> dict[str, object]:
        text = page.read_text(encoding="utf-8")
        outside = pages.prose(text)
        return {
            "headings": re.findall(r"^(#+) ", outside, re.MULTILINE),
            "code": pages.code(text),
            "rows of tables": [row.count("|") for row in re.findall(r"^\|.*$", outside, re.MULTILINE)],
            "points of lists": re.findall(r"^( *)(?:-|\d+\.) ", outside, re.MULTILINE),
            "pictures": len(re.findall(r"!\[", outside)),
        }

    assert outline(english) == outline(russian)


def numbers(page: Path) -> Counter[str]:
    """The numbers of a page's prose and tables of more than one digit, decimals with a point.

    Code is compared as it is, and measured tables by a test of their own. Numbers in words are not seen.
    """
    language = "en" if page.name == "README.md" or "en" in page.relative_to(ROOT).parts else "ru"
    text = pages.prose(page.read_text(encoding="utf-8"))
    text = re.sub(r"<!-- measured -->.*<!-- /measured -->", "", text, flags=re.DOTALL)
    text = re.sub(r"^    .*$|`[^`]*`|(?<=\])\([^)]*\)", "", text, flags=re.MULTILINE)
    text = _THOUSANDS[language].sub("", text)
    found = [number.replace(",", ".") for number in _NUMBER.findall(text)]
    return Counter(number for number in found if len(number) > 1)


@pytest.mark.parametrize(("english", "russian"), PAIRS, ids=[named(english) for english, _ in PAIRS])
def test_twins_have_the_same_numbers(english: Path, russian: Path) -> None:
    assert numbers(english) == numbers(russian)


@pytest.mark.parametrize("page", [page for pair in PAIRS for page in pair], ids=named)
def test_links_and_paths_of_a_page_lead_somewhere_in_the_repository(page: Path) -> None:
    missing = {link for link in pages.links(page) if not (page.parent / unquote(link)).exists()}
    assert missing == set()
    text = page.read_text(encoding="utf-8")
    paths = {path.rstrip("/") for path in re.findall(r"`((?:pipeline_assets|tests|docs|deploy)/[\w./-]+)`", text)}
    assert {path for path in paths if not (ROOT / path).exists()} == set()
    assert os.fspath(ROOT) not in text
