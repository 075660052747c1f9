"""What the pipeline keeps of a batch, and how all of it goes; the input file stays."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from pipeline_assets.cli.home import SETTINGS, folder, home
from pipeline_assets.errors import ContractError, StoreError
from pipeline_assets.resources import Resources, resources
from pipeline_assets.settings import Settings
from pipeline_assets.stores.features.base import feature_table
from pipeline_assets.stores.files.base import Area
from pipeline_assets.stores.files.listing import check_name
from pipeline_assets.stores.marts.drift_table import drift_mart
from pipeline_assets.stores.marts.greenplum import MartStore
from pipeline_assets.stores.marts.rejections import no_rejections, rejections_mart
from pipeline_assets.stores.marts.tables import input_mart, output_mart
from pipeline_assets.task.batch import BatchRef
from pipeline_assets.task.loading import find_folder, task_named
from pipeline_assets.task.spec import Stage, TaskSpec

# What each stage has beside its marts and features.
_AREAS: dict[Stage, tuple[Area, ...]] = {
    "train": (Area.REPLAYED, Area.REJECTED),
    "predict": (Area.SCORES, Area.OUTPUT, Area.REPLAYED, Area.REJECTED),
}


@dataclass(frozen=True)
class Kept:
    """Something that is kept of a batch.

    Attributes:
        what: it is, for people.
        forget: removes it.
    """

    what: str
    forget: Callable[[], object]


def kept_of(name: str, stage: Stage, batch: str) -> list[Kept]:
    """Everything that is kept of a batch but its input, its models and the records of choice.

    What readers see first goes first: marts, output, features.

    Args:
        name: of the task.
        stage: of the batch.
        batch: its name.

    Raises:
        PipelineError: there is no such task, it is broken, or a store does not answer.
        ContractError: nothing is kept of such a batch.
    """
    settings = Settings.from_env()
    task = task_named(find_folder(settings.tasks, name), name)
    ref = BatchRef(name, stage, batch)
    check_name(ref)
    stores = resources(settings)
    kept = [*_marts(task, ref, stores), *_files(ref, stores), *_features(task, ref, stores), *_partition(ref)]
    if not kept:
        known = stores["marts"].batches(input_mart(task, stage).name)
        raise ContractError("nothing is kept of such a batch", **ref.facts(), available=sorted(known))
    return kept


def _marts(task: TaskSpec, ref: BatchRef, stores: Resources) -> list[Kept]:
    marts = stores["marts"]
    tables = [input_mart(task, ref.stage), *([output_mart(task), drift_mart(task)] if ref.stage == "predict" else [])]
    there = [(table, marts.count_batch(table, ref.batch)) for table in tables]
    what = [f"{rows:,} rows in {marts.uri(table.name)}" for table, rows in there if rows is not None]
    kept = [Kept("\n".join(what), partial(marts.forget, tables, ref.batch))] if what else []
    return [*kept, *_rejections(task, ref, marts)]


def _rejections(task: TaskSpec, ref: BatchRef, marts: MartStore) -> list[Kept]:
    """What is counted of the batch's rejected rows: a forgotten batch is in no view over batches."""
    table, where = rejections_mart(task), {"stage": ref.stage, "batch": ref.batch}
    rows = marts.count(table.name, where)
    what = f"{rows:,} rows in {marts.uri(table.name)}"
    return [Kept(what, lambda: marts.replace(table, where, no_rejections(task)))] if rows else []


def _files(ref: BatchRef, stores: Resources) -> list[Kept]:
    files = stores["files"]
    return [
        Kept(files.uri_of(area, ref), partial(files.forget, area, ref))
        for area in _AREAS[ref.stage]
        if files.holds(area, ref)
    ]


def _features(task: TaskSpec, ref: BatchRef, stores: Resources) -> list[Kept]:
    table = feature_table(task, ref.stage)
    rows = stores["features"].count(table, ref.batch)
    if rows is None:
        return []
    what = f"{rows:,} rows of features in {stores['features'].uri(table, ref.batch)}"
    return [Kept(what, partial(stores["features"].forget, table, ref.batch))]


def _partition(ref: BatchRef) -> list[Kept]:
    """The batch's partition in Dagster, where Dagster has run in this folder."""
    if not (folder() / SETTINGS).exists():
        return []
    import dagster as dg

    home()
    partitions = f"{ref.task}_{ref.stage}_batches"

    def forget() -> None:
        with dg.DagsterInstance.get() as instance:
            instance.delete_dynamic_partition(partitions, ref.batch)

    with dg.DagsterInstance.get() as instance:
        there = instance.has_dynamic_partition(partitions, ref.batch)
    return [Kept(f"the partition {ref.batch} of {partitions} in Dagster", forget)] if there else []


def forget(kept: list[Kept]) -> None:
    """Removes what is kept, one after the other; after an error the rest is still there.

    Raises:
        StoreError: a store refuses or does not answer; says what is left.
    """
    for number, each in enumerate(kept):
        try:
            each.forget()
        except StoreError as error:
            left = "; ".join(one.what.replace("\n", "; ") for one in kept[number:])
            raise error.located({"do": f"run the command again; left are: {left}"}) from error
