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
    "candidates", "chosen_at",
)  # fmt: skip


@dataclass(frozen=True)
class Looked:
    """A candidate in a record of choice.

    Attributes:
        metrics: on the version's own validation rows.
        why_not: why it could not predict; ``None`` where it could.
        same_rows: its metric on the challenger's validation rows, where it was compared.
    """

    version: int
    metrics: Mapping[str, float]
    why_not: str | None
    same_rows: float | None


@dataclass(frozen=True)
class ChoiceMade:
    """A record of choice.

    Attributes:
        run_id: the Dagster run that chose.
        stage: ``train`` after a training, ``predict`` before scoring.
        model_version: the version that was chosen.
        previous_version: the champion before; ``None`` if there was none.
        reason: why, in one English sentence.
        gain: the challenger's over the champion on the same rows; ``None`` where they were not compared.
        candidates: every version that was looked at, by number.
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
    """

    trainings: tuple[ChoiceMade, ...] = ()
    batches: tuple[Predicted, ...] = ()

    def crowned(self, version: int) -> ChoiceMade | None:
        """The latest training's choice that made a version champion; ``None`` if none did."""
        return next(
            (each for each in self.trainings if each.model_version == version and each.previous_version != version),
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
    output = catalog.mart(cursor, schema, task, "predict_output")
    return Record(
        trainings=tuple(choices_where(cursor, choices, SQL("stage = 'train'"))),
        batches=() if output is None else tuple(predicted(cursor, output, choices)),
    )


def choices_where(cursor: Cursor, choices: Mart, condition: Composable, limit: int = 1000) -> list[ChoiceMade]:
    """Records of choice that meet a condition, the latest first."""
    columns = SQL(", ").join(map(Identifier, _COLUMNS))
    query = SQL("SELECT {} FROM {} WHERE {} ORDER BY chosen_at DESC LIMIT {}")
    cursor.execute(query.format(columns, choices.sql, condition, Literal(limit)))
    return [_choice(row) for row in cursor.fetchall()]


def _choice(row: tuple[Any, ...]) -> ChoiceMade:
    values = dict(zip(_COLUMNS, row, strict=True))
    candidates = tuple(
        Looked(each["version"], each["metrics"], each["why_not"], each.get("same_rows"))
        for each in json.loads(values.pop("candidates"))
    )
    return ChoiceMade(**values, candidates=candidates)
