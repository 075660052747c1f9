"""Everything that is known of one row, each part read once for all outputs of the passport."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import pyarrow as pa
from shiny import reactive
from shiny.types import SafeException

from pipeline_assets.mart_page.loaded_models import Inexplicable
from pipeline_assets.mart_page.page import Page
from pipeline_assets.mart_page.problem import Problem, attempt
from pipeline_assets.mart_page.views.passport.queries import MartRows, mart_rows
from pipeline_assets.mart_page.views.passport.raw_row import NoRow, NotChecked, RawRow, raw_row
from pipeline_assets.ml.explanation import Explanation
from pipeline_assets.monitoring import batch_status
from pipeline_assets.monitoring.batch_status import Difference, MadeFrom, Outcome
from pipeline_assets.stores.features.base import FeatureStore, feature_table
from pipeline_assets.stores.files.base import Area, FileStore
from pipeline_assets.task.batch import BatchRef
from pipeline_assets.task.spec import STAGES, Stage, TaskSpec

PERMUTED = 200  # rows whose values take the place of a row's own
_LOOKED_AT = 20_000  # rows of a batch, of which those are taken

Prepared: TypeAlias = pa.RecordBatch | Problem | None


@dataclass(frozen=True)
class Row:
    """The row that is shown."""

    task: TaskSpec
    ref: BatchRef
    row: int


@dataclass(frozen=True)
class RowFacts:
    """What is known of the row: each part is read once for all outputs, and again when the address names another row.

    Attributes:
        row: the row that the address names; ``None`` if it names none.
        raw: the row as it came.
        accepted: the row again if it was accepted, else ``None``: rejected rows go no further.
        prepared: the row as the feature store has it.
        marts: what the marts hold of it; raises where the server refuses.
        marts_or_nothing: the same, and nothing where the server refuses.
        differences: in what the stored prediction differs from the last check of the batch and the task's description.
        explaining: whether the contributions are still being computed.
        explanation: the contributions; waits for them silently.
        permute: computes them by permutation, for models that cannot say what each feature adds.
    """

    row: Callable[[], Row | None]
    raw: Callable[[], Awaitable[RawRow | NoRow | NotChecked | Problem | None]]
    accepted: Callable[[], Awaitable[Row | None]]
    prepared: Callable[[], Awaitable[Prepared]]
    marts: Callable[[], Awaitable[MartRows]]
    marts_or_nothing: Callable[[], Awaitable[MartRows]]
    differences: Callable[[], Awaitable[tuple[Difference, ...]]]
    explaining: Callable[[], bool]
    explanation: Callable[[], Awaitable[Explanation | Inexplicable | Problem | None]]
    permute: Callable[[], Awaitable[None]]


def row_facts(page: Page) -> RowFacts:  # noqa: C901 - short functions, one after another
    """Reactive readers of everything that is known of the row."""
    stores = page.app_state.stores

    @reactive.calc
    def row() -> Row | None:
        route = page.route()
        if route.view != "passport" or route.batch is None or route.row is None:
            return None
        task = page.task()
        return Row(task, BatchRef(task.name, stage_of(page), route.batch), route.row)

    @reactive.calc
    async def raw() -> RawRow | NoRow | NotChecked | Problem | None:
        at = row()
        if at is None:
            return None
        return await page.work(attempt, raw_row, page.files, at.task, at.ref, at.row, stores["scratch"])

    @reactive.calc
    async def accepted() -> Row | None:
        found = await raw()
        return row() if isinstance(found, RawRow) and found.accepted else None

    @reactive.calc
    async def prepared() -> Prepared:
        at = await accepted()
        if at is None:
            return None
        table = feature_table(at.task, at.ref.stage)
        return await page.work(attempt, stores["features"].row, table, at.ref.batch, at.row)

    @reactive.calc
    async def marts() -> MartRows:
        at = await accepted()
        return MartRows() if at is None else await page.ask(mart_rows, page.schema, at.task, at.ref, at.row)

    @reactive.calc
    async def marts_or_nothing() -> MartRows:
        try:
            return await marts()
        except SafeException:
            return MartRows()  # one output shows the error; an exception in an effect would end the session

    @reactive.calc
    async def differences() -> tuple[Difference, ...]:
        at, found, prediction = await accepted(), await raw(), (await marts_or_nothing()).prediction
        if at is None or prediction is None or not isinstance(found, RawRow):
            return ()
        outcome = Outcome(prediction.model_version, prediction.predicted_at, prediction.run_id)
        made_from = await page.work(attempt, _made_from, page.files, at.ref)
        if made_from is None or isinstance(made_from, Problem):
            return ()
        return batch_status.differences(at.task, found.manifest, outcome, made_from)

    @reactive.extended_task
    async def explain(
        at: Row, version: int, features: pa.RecordBatch, sample: pa.RecordBatch | None = None
    ) -> tuple[Row, Explanation | Inexplicable | Problem]:
        # In a task of its own: the first explanation loads MLflow, the package and the model, which takes seconds.
        return at, await asyncio.to_thread(attempt, page.app_state.models.explain, at.task, version, features, sample)

    @reactive.effect(priority=1)
    async def _explain() -> None:
        explain.cancel()
        at, features = row(), await prepared()
        prediction = (await marts_or_nothing()).prediction
        if at is not None and prediction is not None and isinstance(features, pa.RecordBatch):
            explain(at, prediction.model_version, features)

    async def permute() -> None:
        at, features, prediction = row(), await prepared(), (await marts_or_nothing()).prediction
        if at is None or prediction is None or not isinstance(features, pa.RecordBatch):
            return
        sample = await page.work(attempt, sample_rows, stores["features"], at.task, at.ref)
        if isinstance(sample, pa.RecordBatch):
            explain(at, prediction.model_version, features, sample)

    @reactive.calc
    async def explanation() -> Explanation | Inexplicable | Problem | None:
        if (await marts_or_nothing()).prediction is None or not isinstance(await prepared(), pa.RecordBatch):
            return None
        of, found = explain.result()
        return found if of == row() else None

    return RowFacts(
        row=row,
        raw=raw,
        accepted=accepted,
        prepared=prepared,
        marts=marts,
        marts_or_nothing=marts_or_nothing,
        differences=differences,
        explaining=lambda: explain.status() == "running",
        explanation=explanation,
        permute=permute,
    )


def sample_rows(store: FeatureStore, task: TaskSpec, ref: BatchRef) -> pa.RecordBatch:
    """Some rows of a batch that has any, from the feature store, spread evenly over its first twenty thousand."""
    batches, count = [], 0
    with store.read(feature_table(task, ref.stage), ref.batch) as stream:
        while count < _LOOKED_AT and (batch := next(iter(stream), None)) is not None:
            batches.append(batch)
            count += batch.num_rows
        rows = pa.Table.from_batches(batches, stream.schema)
    places = np.unique(np.linspace(0, len(rows) - 1, PERMUTED).astype(np.int64))
    return rows.take(pa.array(places)).combine_chunks().to_batches()[0]


def _made_from(files: FileStore, ref: BatchRef) -> MadeFrom | None:
    stored = files.read(Area.SCORES, ref)
    return None if stored is None else batch_status.predictions_made_from(stored.metadata)


def stage_of(page: Page) -> Stage:
    """The stage that the address names; predict without one."""
    wanted = page.route().more.get("stage")
    return next((each for each in STAGES if each == wanted), "predict")
