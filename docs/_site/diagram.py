"""``python docs/_site/diagram.py``: writes the scheme of the pipeline, as drawio and as SVG, in both languages.

The drawing is data here: what a box says and where it stands. Who edits the scheme in drawio instead exports the SVG
from there; a test compares the words of both files.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

HERE = Path(__file__).resolve().parent
FILES = {
    "ru": HERE.parent / "инструкции" / "пример pipeline" / "схема pipeline.drawio",
    "en": HERE.parent / "en" / "guides" / "example-pipeline" / "pipeline-diagram.drawio",
}
_BOX, _PITCH, _MARGIN, _LINE = (180, 64), (225, 124), 40, 16
# The fill and the outline of a box, by what it is.
_COLOURS = {
    "file": ("#fff2cc", "#b8860b"),
    "program": ("#dae8fc", "#3b6ea5"),
    "store": ("#e1d5e7", "#7b5a91"),
    "mart": ("#d5e8d4", "#4f8a4a"),
}


@dataclass(frozen=True)
class Box:
    """A box of the drawing.

    Attributes:
        kind: what it is: ``file``, ``program``, ``store`` or ``mart``.
        place: column and row of the grid.
        says: its text by language; a line break is one in the box.
    """

    kind: str
    place: tuple[int, int]
    says: Mapping[str, str]

    @property
    def corner(self) -> tuple[int, int]:
        """Its upper left corner."""
        return 2 * _MARGIN + self.place[0] * _PITCH[0], 2 * _MARGIN + self.place[1] * _PITCH[1]


def _says(russian: str, english: str) -> Mapping[str, str]:
    return {"ru": russian, "en": english}


BOXES: Mapping[str, Box] = {
    "train_input": Box(
        "file",
        (0, 0),
        _says("входные данные\nдля обучения,\nparquet на S3", "input data\nfor training,\nparquet on S3"),
    ),
    "train_prepare": Box("program", (1, 0), _says("обработка данных", "data processing")),
    "train_features": Box("store", (2, 0), _says("признаки,\nTarantool", "features,\nTarantool")),
    "fit": Box("program", (3, 0), _says("тренировка данных", "training")),
    "train_mart": Box("mart", (1, 1), _says("витрина входных\nданных, Greenplum", "input mart,\nGreenplum")),
    "model": Box("store", (3, 1), _says("модели,\nMLflow", "models,\nMLflow")),
    "predict_input": Box(
        "file",
        (0, 2),
        _says("входные данные\nдля предсказания,\nparquet на S3", "input data\nfor prediction,\nparquet on S3"),
    ),
    "predict_prepare": Box("program", (1, 2), _says("обработка данных", "data processing")),
    "predict_features": Box("store", (2, 2), _says("признаки,\nTarantool", "features,\nTarantool")),
    "predict": Box("program", (3, 2), _says("предсказание", "prediction")),
    "output": Box("file", (4, 2), _says("выходные данные,\nparquet на S3", "output data,\nparquet on S3")),
    "predict_mart": Box("mart", (1, 3), _says("витрина входных\nданных, Greenplum", "input mart,\nGreenplum")),
    "output_mart": Box("mart", (3, 3), _says("витрина выходных\nданных, Greenplum", "output mart,\nGreenplum")),
}
ARROWS = (
    ("train_input", "train_prepare"),
    ("train_prepare", "train_features"),
    ("train_features", "fit"),
    ("train_prepare", "train_mart"),
    ("fit", "model"),
    ("model", "predict"),
    ("predict_input", "predict_prepare"),
    ("predict_prepare", "predict_features"),
    ("predict_features", "predict"),
    ("predict", "output"),
    ("predict_prepare", "predict_mart"),
    ("predict", "output_mart"),
    ("predict_mart", "output_mart"),
)
# The frame of each process: its first row and its title.
FRAMES = (
    (0, _says("процесс тренировки модели", "training process")),
    (2, _says("процесс предсказания", "prediction process")),
)
_SIZE = (4 * _MARGIN + 4 * _PITCH[0] + _BOX[0], 3 * _MARGIN + 3 * _PITCH[1] + _BOX[1] + 10)


def _frame(row: int) -> tuple[int, int, int, int]:
    """Left, top, width and height of a process's frame."""
    top = 2 * _MARGIN + row * _PITCH[1] - 36
    return _MARGIN, top, _SIZE[0] - 2 * _MARGIN, _PITCH[1] + _BOX[1] + 46


def drawio(language: str) -> ET.Element:
    """The drawing in drawio's format."""
    file = ET.Element("mxfile", host="pipeline_assets")
    model = ET.SubElement(ET.SubElement(file, "diagram", id="pipeline", name="pipeline"), "mxGraphModel", grid="1")
    root = ET.SubElement(model, "root")
    ET.SubElement(root, "mxCell", id="0")
    ET.SubElement(root, "mxCell", {"id": "1", "parent": "0"})

    def vertex(name: str, text: str, style: str, place: tuple[int, ...]) -> None:
        said = {"id": name, "value": text, "style": style, "vertex": "1", "parent": "1"}
        cell = ET.SubElement(root, "mxCell", said)
        sides = dict(zip(("x", "y", "width", "height"), map(str, place), strict=True))
        ET.SubElement(cell, "mxGeometry", {**sides, "as": "geometry"})

    for row, says in FRAMES:
        style = "rounded=0;dashed=1;html=1;verticalAlign=top;fontStyle=1;fillColor=none;strokeColor=#888888"
        vertex(f"frame_{row}", says[language], style, _frame(row))
    for name, box in BOXES.items():
        fill, stroke = _COLOURS[box.kind]
        style = f"rounded=1;whiteSpace=wrap;html=1;fillColor={fill};strokeColor={stroke}"
        vertex(name, box.says[language].replace("\n", "<br>"), style, (*box.corner, *_BOX))
    for start, end in ARROWS:
        said = {"id": f"{start}__{end}", "style": "html=1;endArrow=block", "edge": "1", "parent": "1"}
        cell = ET.SubElement(root, "mxCell", {**said, "source": start, "target": end})
        ET.SubElement(cell, "mxGeometry", {"relative": "1", "as": "geometry"})
    return file


def svg(language: str) -> ET.Element:
    """The same drawing as SVG."""
    width, height = map(str, _SIZE)
    picture = ET.Element(
        "svg", {"xmlns": "http://www.w3.org/2000/svg", "viewBox": f"0 0 {width} {height}", "width": width,
                "height": height, "font-family": "sans-serif", "font-size": "14", "text-anchor": "middle"},
    )  # fmt: skip
    marker = ET.SubElement(
        ET.SubElement(picture, "defs"), "marker",
        {"id": "end", "viewBox": "0 0 10 10", "refX": "10", "refY": "5", "markerWidth": "8", "markerHeight": "8",
         "orient": "auto"},
    )  # fmt: skip
    ET.SubElement(marker, "path", d="M0,0 L10,5 L0,10 z", fill="#444444")
    ET.SubElement(picture, "rect", width=width, height=height, fill="#ffffff")

    def rectangle(place: tuple[int, ...], **looks: str) -> None:
        sides = dict(zip(("x", "y", "width", "height"), map(str, place), strict=True))
        ET.SubElement(picture, "rect", {**sides, **{name.replace("_", "-"): value for name, value in looks.items()}})

    for row, says in FRAMES:
        place = _frame(row)
        rectangle(place, fill="none", stroke="#888888", stroke_dasharray="6 4")
        where = {"x": str(place[0] + place[2] // 2), "y": str(place[1] + 20), "font-weight": "bold"}
        ET.SubElement(picture, "text", where).text = says[language]
    for start, end in ARROWS:
        (x1, y1), (x2, y2) = _ends(BOXES[start], BOXES[end])
        ends = {"x1": str(x1), "y1": str(y1), "x2": str(x2), "y2": str(y2)}
        ET.SubElement(picture, "line", {**ends, "stroke": "#444444", "marker-end": "url(#end)"})
    for box in BOXES.values():
        fill, stroke = _COLOURS[box.kind]
        rectangle((*box.corner, *_BOX), rx="8", fill=fill, stroke=stroke)
        lines = box.says[language].split("\n")
        x, y = box.corner[0] + _BOX[0] // 2, box.corner[1] + _BOX[1] // 2 + 5 - (len(lines) - 1) * _LINE // 2
        text = ET.SubElement(picture, "text")
        for number, line in enumerate(lines):
            ET.SubElement(text, "tspan", x=str(x), y=str(y + number * _LINE)).text = line
    return picture


def _ends(start: Box, end: Box) -> tuple[tuple[int, int], tuple[int, int]]:
    """Where an arrow between two boxes of one row or one column starts and ends."""
    (x1, y1), (x2, y2) = start.corner, end.corner
    half = (_BOX[0] // 2, _BOX[1] // 2)
    if start.place[1] == end.place[1]:
        return (x1 + _BOX[0], y1 + half[1]), (x2, y2 + half[1])
    return (x1 + half[0], y1 + _BOX[1]), (x2 + half[0], y2)


def main() -> None:
    """Writes the four files."""
    for language, file in FILES.items():
        for target, drawn in ((file, drawio(language)), (file.with_suffix(".svg"), svg(language))):
            ET.indent(drawn)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(ET.tostring(drawn, encoding="unicode") + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
