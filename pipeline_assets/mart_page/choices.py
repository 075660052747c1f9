"""Records of choice as the marts keep them: which version became champion, when, and why."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg2.extensions import cursor as Cursor  # noqa: N812 - it is a class
from psycopg2.sql import SQL, Composable, Identifier, Literal

from pipeline_assets.mart_page import catalog
from pipeline_assets.mart_page.catalog import Mart
from pipeline_assets.mart_page.predicted import Predicted, predicted
from pipeline_assets.task.spec import TaskSpec

_COLUMNS = (
    "run_id", "stage", "batch", "policy", "model_version", "previous_version", "reason", "metric", "gain",
    "candidates", "chosen_at", "reason_code", "reason_values", "judged_on", "gain_low", "gain_high", "difference",
    "chosen_by", "chosen_because",
)  # fmt: skip


@dataclass(frozen=True)
class Because:
    """A reason as data.

    Attributes:
        code: names the sentence.
        values: what the sentence names; a reason inside it is a mapping of ``code`` and ``values``.
    """

    code: str
    values: Mapping[str, Any]


@dataclass(frozen=True)
class Looked:
    """A candidate in a record of choice.

    Attributes:
        metrics: on the version's own validation rows.
        why_not: why it could not predict, in English; ``None`` where it could.
        same_rows: its metric on the rows on which champion and challenger were compared, where it was.
        because: why it could not predict, as data; records of former versions of the pipeline have none.
        interval: the ends of the 95 % interval of ``same_rows``, where it is known.
    """

    version: int
    metrics: Mapping[str, float]
    why_not: str | None
    same_rows: float | None
    because: Because | None = None
    interval: tuple[float, float] | None = None


@dataclass(frozen=True)
class ChoiceMade:
    """A record of choice.

    Attributes:
        run_id: the Dagster run that chose.
        stage: ``train`` after a training, ``predict`` before scoring, ``rollback`` or ``promote`` by a person.
        model_version: the version that was chosen.
        previous_version: the champion before; ``None`` if there was none.
        reason: why, in one English sentence.
        gain: the challenger's over the champion on the same rows; ``None`` where they were not compared.
        candidates: every version that was looked at, by number.
        because: the reason as data; records of former versions of the pipeline have none.
        judged_on: ``rows`` on which champion and challenger were compared, and how many of them the champion may have
            ``learned``; ``None`` where the record does not say.
        gain_interval: the ends of the 95 % interval of the gain, where it is known.
        difference: what the challenger changes in a predict batch, as
            :meth:`pipeline_assets.ml.difference.Difference.to_json` says; ``None`` where it was not looked at.
        chosen_by: the person who decided; ``None`` where none did.
        chosen_because: why, in that person's words.
    """

    run_id: str
    stage: str
    batch: str
    policy: str
    model_version: int
    previous_version: int | None
    reason: str
    metric: str
    gain: float | None
    candidates: tuple[Looked, ...]
    chosen_at: datetime
    because: Because | None = None
    judged_on: Mapping[str, Any] | None = None
    gain_interval: tuple[float, float] | None = None
    difference: Mapping[str, Any] | None = None
    chosen_by: str | None = None
    chosen_because: str | None = None

    def candidate(self, version: int | None) -> Looked | None:
        """What the choice knew of a version."""
        return next((each for each in self.candidates if each.version == version), None)

    @property
    def newest(self) -> Looked | None:
        """The newest version that was looked at: in train, the one just trained."""
        return max(self.candidates, key=lambda each: each.version, default=None)


@dataclass(frozen=True)
class Record:
    """What the marts know of a task's versions.

    Attributes:
        trainings: the choice at the end of each training, the latest first.
        batches: what was predicted, by which version.
        changes: each choice of another champion and each order of a person, the latest first.
    """

    trainings: tuple[ChoiceMade, ...] = ()
    batches: tuple[Predicted, ...] = ()
    changes: tuple[ChoiceMade, ...] = ()

    def crowned(self, version: int) -> ChoiceMade | None:
        """The latest choice that made a version champion; ``None`` if none did."""
        return next(
            (each for each in self.changes if each.model_version == version and each.previous_version != version),
            None,
        )

    def of_run(self, run_id: str | None) -> ChoiceMade | None:
        """The choice of one training."""
        return next((each for each in self.trainings if each.run_id == run_id), None)


def record(cursor: Cursor, schema: str, task: TaskSpec) -> Record:
    """The record of a task; empty where nothing was trained yet."""
    choices = catalog.mart(cursor, schema, task, "model_choices")
    if choices is None:
        return Record()
    changes = "stage in ('rollback', 'promote') or previous_version is distinct from model_version"
    output = catalog.mart(cursor, schema, task, "predict_output")
    return Record(
        trainings=tuple(choices_where(cursor, choices, SQL("stage = 'train'"))),
        batches=() if output is None else tuple(predicted(cursor, output, choices)),
        changes=tuple(choices_where(cursor, choices, SQL(changes))),
    )


def choices_where(cursor: Cursor, choices: Mart, condition: Composable, limit: int = 1000) -> list[ChoiceMade]:
    """Records of choice that meet a condition, the latest first."""
    names = [name for name in _COLUMNS if name in choices.columns]  # a mart of a former version lacks some
    query = SQL("SELECT {} FROM {} WHERE {} ORDER BY chosen_at DESC LIMIT {}")
    columns = SQL(", ").join(map(Identifier, names))
    cursor.execute(query.format(columns, choices.sql, condition, Literal(limit)))
    return [_choice(dict(zip(names, row, strict=True))) for row in cursor.fetchall()]


def _choice(values: dict[str, Any]) -> ChoiceMade:
    code, reason_values, judged_on, difference, low, high = (
        values.pop(name, None)
        for name in ("reason_code", "reason_values", "judged_on", "difference", "gain_low", "gain_high")
    )
    candidates = tuple(
        Looked(
            each["version"],
            each["metrics"],
            each["why_not"],
            each.get("same_rows"),
            because(each.get("why_not_reason")),
            _pair(each.get("interval")),
        )
        for each in json.loads(values.pop("candidates"))
    )
    return ChoiceMade(
        **values,
        candidates=candidates,
        because=None if code is None else Because(code, json.loads(reason_values or "{}")),
        judged_on=None if judged_on is None else json.loads(judged_on),
        gain_interval=None if low is None or high is None else (low, high),
        difference=None if difference is None else json.loads(difference),
    )


def _pair(found: object) -> tuple[float, float] | None:
    return (float(found[0]), float(found[1])) if isinstance(found, list) and len(found) == 2 else None  # noqa: PLR2004


def because(found: object) -> Because | None:
    """A reason from its JSON: a mapping of ``code`` and ``values``; ``None`` for anything else."""
    if isinstance(found, dict) and isinstance(found.get("code"), str) and isinstance(found.get("values"), dict):
        return Because(found["code"], found["values"])
    return None
