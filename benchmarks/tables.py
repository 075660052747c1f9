"""``python -m benchmarks.tables``: writes the newest results into the pages on speed."""

import re
from pathlib import Path

from benchmarks.lines import LINES
from benchmarks.report import markdown, newest

_ROOT = Path(__file__).parents[1]
RESULTS = _ROOT / "benchmarks" / "results"
# The page of each language.
PAGES = {"en": _ROOT / "docs/en/reference/speed.md", "ru": _ROOT / "docs/reference/speed.md"}
_MEASURED = re.compile(r"(?<=^<!-- measured -->\n).*?(?=^<!-- /measured -->$)", re.MULTILINE | re.DOTALL)
_MACHINE = {
    "en": "Measured from {first} to {last} on {cpus} cores; load average as a line ended: {least} to {most}.",
    "ru": "Измерено с {first} по {last} на {cpus} ядрах; средняя нагрузка в конце строки: от {least} до {most}.",
}


def renewed(language: str) -> str:
    """The page of a language with the newest results of the lines that there are."""
    told = newest(RESULTS)
    lines = [told[name] for name in LINES if name in told]
    machines = [line["machine"] for line in lines]
    loads = [machine["load_average"][0] for machine in machines]
    dates = sorted(machine["measured_at"][:10] for machine in machines)
    cpus = " / ".join(sorted({str(machine["cpus"]) for machine in machines}))
    said = _MACHINE[language].format(first=dates[0], last=dates[-1], cpus=cpus, least=min(loads), most=max(loads))
    text = f"\n{markdown(lines, language)}\n{said}\n\n"
    return _MEASURED.sub(lambda _: text, PAGES[language].read_text())


def main() -> None:
    """Writes both pages."""
    for language, page in PAGES.items():
        page.write_text(renewed(language))


if __name__ == "__main__":
    main()
