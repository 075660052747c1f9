"""The records of choice: which version became champion, when, and why."""

from dataclasses import dataclass

from psycopg2.extensions import cursor as Cursor  # noqa: N812 - it is a class
from psycopg2.sql import SQL

from pipeline_assets.mart_page import catalog
from pipeline_assets.mart_page.predicted import Predicted, predicted
from pipeline_assets.mart_page.views.passport.queries import ChoiceMade, choices_where
from pipeline_assets.task.spec import TaskSpec


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
        trainings=tuple(choices_where(cursor, choices, SQL("stage = 'train'"), [])),
        batches=() if output is None else tuple(predicted(cursor, output, choices)),
    )
