"""The scheme of the pipeline: valid drawio, the two processes, and an SVG that says the same."""

import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests.docs import pages

FILES = pages.of_the_site("diagram").FILES
_SVG = "{http://www.w3.org/2000/svg}"


def cells(file: Path) -> dict[str, ET.Element]:
    root = ET.parse(file).getroot()  # noqa: S314 - our own file
    assert root.tag == "mxfile"
    found = root.findall("./diagram/mxGraphModel/root/mxCell")
    named = {cell.attrib["id"]: cell for cell in found}
    assert len(named) == len(found)
    return named


@pytest.mark.parametrize("language", ["ru", "en"])
def test_arrows_connect_boxes_and_boxes_have_places(language: str) -> None:
    found = cells(FILES[language])
    for cell in found.values():
        if cell.get("edge") == "1":
            assert {cell.attrib["source"], cell.attrib["target"]} <= set(found)
        elif cell.get("vertex") == "1":
            geometry = cell.find("mxGeometry")
            assert geometry is not None
            assert float(geometry.attrib["width"]) > 0
        assert cell.get("parent") in (None, *found)


@pytest.mark.parametrize("language", ["ru", "en"])
def test_the_picture_says_the_same_as_the_scheme(language: str) -> None:
    scheme = [re.sub("<br>", " ", cell.get("value", "")) for cell in cells(FILES[language]).values()]
    picture = ET.parse(FILES[language].with_suffix(".svg")).getroot()  # noqa: S314 - our own file
    texts = [" ".join(part.strip() for part in text.itertext() if part.strip()) for text in picture.iter(f"{_SVG}text")]
    assert sorted(filter(None, scheme)) == sorted(texts)
    assert len(picture.findall(f"{_SVG}line")) == sum(
        cell.get("edge") == "1" for cell in cells(FILES[language]).values()
    )


def test_both_languages_draw_the_same() -> None:
    def shape(file: Path) -> list[tuple[str, ...]]:
        return [
            (name, cell.get("source", ""), cell.get("target", ""), cell.get("style", ""))
            for name, cell in cells(file).items()
        ]

    assert shape(FILES["ru"]) == shape(FILES["en"])


def test_the_files_are_those_that_the_script_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    diagram = pages.of_the_site("diagram")
    again = {language: tmp_path / language / file.name for language, file in FILES.items()}
    monkeypatch.setattr(diagram, "FILES", again)
    diagram.main()
    for language, file in FILES.items():
        for suffix in (".drawio", ".svg"):
            assert again[language].with_suffix(suffix).read_text() == file.with_suffix(suffix).read_text()
