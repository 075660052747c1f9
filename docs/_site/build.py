"""``python docs/_site/build.py``: builds both sites into a folder, ``.pipeline/site`` by default.

A warning of Sphinx ends the build with exit code 1.
"""

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
SOURCES = {"ru": HERE.parent, "en": HERE.parent / "en"}


def built(into: Path, builder: str = "html") -> int:
    """Builds both sites; 0 if neither has a warning.

    Args:
        into: gets the folders ``ru`` and ``en``, and ``index.html``, which leads to the one of the browser's language.
        builder: of Sphinx: ``html``, or ``linkcheck``, which asks the addresses outside as well.
    """
    codes = []
    for language, source in SOURCES.items():
        # Each in a process of its own: Sphinx keeps the words of its pages' frame, in the first language, for its life.
        # Everything anew (-E, -a): a page that did not change itself would keep a former navigation.
        options = ["-b", builder, "-q", "-E", "-a", "-W", "--keep-going", "-t", language, "-c", str(HERE)]
        command = [sys.executable, "-m", "sphinx", *options, "-d", str(into / ".cache" / language)]
        codes.append(subprocess.run([*command, str(source), str(into / language)], check=False).returncode)
    if (working := into / "jupyter_execute").exists():  # of myst_nb, which is told no other place; no page asks for it
        shutil.rmtree(working)
    (into / "index.html").write_text((HERE / "index.html").read_text(encoding="utf-8"), encoding="utf-8")
    return max(codes)


def main() -> int:
    """Builds what the command line asks for, and says where it is."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--into", type=Path, default=ROOT / ".pipeline" / "site")
    arguments.add_argument("--builder", default="html", choices=["html", "linkcheck"])
    given = arguments.parse_args()
    code = built(given.into.resolve(), given.builder)
    if code == 0:
        sys.stdout.write(f"{given.into.resolve() / 'index.html'}\n")
    return code


if __name__ == "__main__":
    sys.exit(main())
