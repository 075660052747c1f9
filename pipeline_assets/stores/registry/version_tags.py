"""The tags of a model version: written when it is registered, read when one is chosen."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from pipeline_assets.ml.prediction import HALF
from pipeline_assets.ml.selection import Candidate, FeatureColumns
from pipeline_assets.ml.split import SplitRule

if TYPE_CHECKING:
    from mlflow.entities.model_registry import ModelVersion

READY = "ready"
BATCH = "batch"
DAGSTER_RUN = "dagster_run_id"  # as dagster-mlflow names it
METRICS = "metrics"
FEATURES = "features"
FINGERPRINTS = "fingerprints"
SPLIT = "split"
PACKAGE = "package"
THRESHOLD = "threshold"  # of a version whose task asks for one, as JSON
REFIT = "refit"  # "true": the run keeps the model that was evaluated beside the registered one
REPRODUCTION = "reproduction"  # the verdict when the version was last made again
REPRODUCTION_RUN = "reproduction_run"  # the Dagster run that did so
CHAMPION_RECORD = "champion_record"  # of the registered model: the record of choice by which the alias was last set
CHOSEN = "chosen"  # of the registered model: the newest choice, which the alias follows

_LONGEST = 4000  # characters; an MLflow 2 server takes 5,000 a tag


def divided(name: str, text: str) -> dict[str, str]:
    """A text as one tag, or as several (``name``, ``name.1``, ...) where it is too long for one."""
    parts = [text[start : start + _LONGEST] for start in range(0, len(text), _LONGEST)] or [""]
    return {name if number == 0 else f"{name}.{number}": part for number, part in enumerate(parts)}


def joined(name: str, tags: Mapping[str, str]) -> str | None:
    """The text that :func:`divided` made tags of; ``None`` where there is none."""
    if name not in tags:
        return None
    text, number = tags[name], 1
    while f"{name}.{number}" in tags:
        text += tags[f"{name}.{number}"]
        number += 1
    return text


def candidate(version: "ModelVersion", holder: int | None) -> Candidate:
    """A registered version as a candidate.

    Args:
        version: as MLflow has it. People edit tags and register versions by hand: without its tag a value is unknown.
        holder: the number of the champion.
    """
    tags = version.tags
    return Candidate(
        version=int(version.version),
        run_id=version.run_id or "",
        ready=tags.get(READY) == "true",
        features=_features(_read(joined(FEATURES, tags))),
        metrics=_numbers(_read(tags.get(METRICS))),
        created=datetime.fromtimestamp(version.creation_timestamp / 1000, UTC),
        champion=int(version.version) == holder,
        fingerprints=texts(tags.get(FINGERPRINTS)),
        split=_split(_read(joined(SPLIT, tags))),
        dagster_run=tags.get(DAGSTER_RUN),
        package=tags.get(PACKAGE),
        threshold=_threshold(_read(tags.get(THRESHOLD))),
    )


def texts(text: str | None) -> dict[str, str] | None:
    """The texts by name in a tag's JSON; ``None`` where the tag holds anything else."""
    value = _read(text)
    if not isinstance(value, dict) or not all(isinstance(each, str) for each in value.values()):
        return None
    return value


def _read(text: str | None) -> Any:
    try:
        return None if text is None else json.loads(text)
    except ValueError:
        return None


def _features(value: Any) -> FeatureColumns | None:
    if not isinstance(value, list):
        return None
    if not all(isinstance(pair, list) and [type(part) for part in pair] == [str, str] for pair in value):
        return None
    return tuple((name, kind) for name, kind in value)


def _split(value: Any) -> SplitRule | None:
    try:
        return None if value is None else SplitRule.from_json(value)
    except (TypeError, ValueError, KeyError, AttributeError):
        return None


def _threshold(value: Any) -> float:
    return float(value) if isinstance(value, int | float) and 0 <= value <= 1 else HALF


def _numbers(value: Any) -> dict[str, float]:
    entries = value.items() if isinstance(value, dict) else ()
    return {name: float(number) for name, number in entries if isinstance(number, int | float)}
