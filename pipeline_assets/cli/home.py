"""Where Dagster keeps its runs and partitions."""

import os
import shutil
from pathlib import Path

SETTINGS = "dagster.yaml"


def folder() -> Path:
    """``DAGSTER_HOME``, by default ``.pipeline/dagster``; it may not be there yet."""
    return Path(os.environ.get("DAGSTER_HOME") or Path.cwd() / ".pipeline" / "dagster")


def home() -> Path:
    """The folder, for Dagster too; made, with the laptop's settings, if it is not there."""
    place = folder()
    os.environ["DAGSTER_HOME"] = str(place)
    place.mkdir(parents=True, exist_ok=True)
    if not (place / SETTINGS).exists():
        shutil.copy(Path(__file__).parents[1] / "instance.yaml", place / SETTINGS)
    return place
