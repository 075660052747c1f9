"""Reads from Dagster what a step did: which datasets it read and wrote, and what its checks found."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import dagster as dg
from dagster._core.storage.tags import PARTITION_NAME_TAG

from pipeline_assets.assets.describe import LINEAGE, SCHEMA
from pipeline_assets.errors import without_values
from pipeline_assets.io_managers.errors import said_by
from pipeline_assets.lineage_events.facts import (
    Assertion,
    Column,
    Dataset,
    DatasetName,
    Origin,
    Run,
    Step,
    dataset_name,
)

Metadata = Mapping[str, Any]


@dataclass(frozen=True)
class Graph:
    """The assets and checks of a code location.

    Attributes:
        steps: by the key of a step, the assets that it makes; none for a step of checks.
        assets: by their keys.
        checks: by their keys.
        model_name: the dataset's name of a task's registered model.
    """

    steps: Mapping[str, tuple[dg.AssetSpec, ...]]
    assets: Mapping[dg.AssetKey, dg.AssetSpec]
    checks: Mapping[dg.AssetCheckKey, dg.AssetCheckSpec]
    model_name: Callable[[str], DatasetName]


def run_of(run: dg.DagsterRun) -> Run:
    """What events say of a run."""
    tags = {"task": run.tags.get("task"), "stage": run.tags.get("stage"), "batch": run.tags.get(PARTITION_NAME_TAG)}
    return Run(run.job_name, run.run_id, {name: value for name, value in tags.items() if value})


def step_of(
    graph: Graph, run: dg.DagsterRun, context: dg.HookContext, events: Sequence[dg.DagsterEvent]
) -> Step | None:
    """A step that has ended; ``None`` where it has not, because it will be tried again.

    Args:
        graph: the code location's.
        run: of the step.
        context: of a hook on the step.
        events: those of the step's last attempt.
    """
    own = [event for event in events if event.step_key == context.step_key]
    failures = [event.step_failure_data for event in own if event.is_step_failure]
    if not failures and not any(event.is_step_success for event in own):
        return None
    made = {
        each.asset_key: _values(each.metadata)
        for each in (event.step_materialization_data.materialization for event in own if event.is_step_materialization)
    }
    (stats,) = context.instance.get_run_step_stats(run.run_id, [context.step_key])
    ended = datetime.fromtimestamp(stats.end_time or stats.start_time or 0, UTC)
    specs = graph.steps.get(context.step_key, ())
    datasets = _Datasets(graph, context.instance, run.tags.get(PARTITION_NAME_TAG), made)
    checked = _assertions(graph, own)
    about = (*specs, *(graph.assets[key] for key in checked if key in graph.assets))
    return Step(
        job=_job(run, context.step_key, about),
        key=context.step_key,
        started=datetime.fromtimestamp(stats.start_time, UTC) if stats.start_time else ended,
        ended=ended,
        inputs=tuple(datasets.inputs(specs, checked)),
        outputs=tuple(datasets.outputs(specs)),
        error=without_values(said_by(failures[0])) if failures else None,
        description="\n".join(each.description for each in specs if each.description),
        owners=tuple(dict.fromkeys(owner for each in about for owner in each.owners)),
    )


def _job(run: dg.DagsterRun, step_key: str, about: Sequence[dg.AssetSpec]) -> str:
    """The same name in whatever job the step runs: assets that a person picks run in a job of Dagster's own."""
    task, stage = (about[0].tags.get(tag) for tag in ("task", "stage")) if about else (None, None)
    if task is None or stage is None:
        return f"{run.job_name}.{step_key}"
    return f"{task}_{stage}.{step_key.removeprefix(f'{task}__')}"


def _assertions(graph: Graph, events: Iterable[dg.DagsterEvent]) -> dict[dg.AssetKey, tuple[Assertion, ...]]:
    found: dict[dg.AssetKey, tuple[Assertion, ...]] = {}
    for event in events:
        if event.event_type == dg.DagsterEventType.ASSET_CHECK_EVALUATION:
            done = event.asset_check_evaluation_data
            spec = graph.checks.get(done.asset_check_key)
            assertion = Assertion(
                done.check_name,
                passed=done.passed,
                description=spec.description if spec else None,
                blocks=done.severity == dg.AssetCheckSeverity.ERROR,
            )
            found[done.asset_key] = (*found.get(done.asset_key, ()), assertion)
    return found


class _Datasets:
    """The datasets of assets in one run.

    Args:
        graph: the code location's.
        instance: knows what was made in earlier runs.
        batch: of the run.
        made: metadata of what the step has made.
    """

    def __init__(
        self, graph: Graph, instance: dg.DagsterInstance, batch: str | None, made: Mapping[dg.AssetKey, Metadata]
    ) -> None:
        self._graph, self._instance, self._batch, self._made = graph, instance, batch, made
        self._known: dict[dg.AssetKey, Dataset | None] = {}

    def inputs(
        self, specs: Sequence[dg.AssetSpec], checked: Mapping[dg.AssetKey, tuple[Assertion, ...]]
    ) -> list[Dataset]:
        """What assets are made of, and what was checked; a raw file is what its own step reads."""
        keys = dict.fromkeys(dep.asset_key for spec in specs for dep in spec.deps)
        raw = [spec.key for spec in specs if "rejected_rows_uri" in self._made.get(spec.key, ())]
        found = []
        for key in dict.fromkeys([*raw, *(key for key in keys if key not in self._made), *checked]):
            dataset = self._dataset(key)
            if dataset is not None:
                found.append(replace(dataset, assertions=checked.get(key, ())))
        return found

    def outputs(self, specs: Sequence[dg.AssetSpec]) -> list[Dataset]:
        """What the step wrote: the datasets of its assets, and the files that it writes beside them."""
        found = []
        for spec in specs:
            made = self._made.get(spec.key)
            dataset = None if made is None else self._dataset(spec.key)
            if made is None or dataset is None:
                continue
            if "rejected_rows_uri" in made:
                found.append(_file(made["rejected_rows_uri"], made.get("rejected_rows")))
                continue
            found.append(replace(dataset, origins=self._origins(spec)))
            if "scores_uri" in made:
                found.append(_file(made["scores_uri"], made.get("scored_rows")))
        return found

    def _dataset(self, key: dg.AssetKey) -> Dataset | None:
        if key not in self._known:
            self._known[key] = self._looked_up(key)
        return self._known[key]

    def _looked_up(self, key: dg.AssetKey) -> Dataset | None:
        """The dataset of an asset as it was last made for the batch; a model is that of the version in question."""
        spec, made = self._graph.assets.get(key), self._made.get(key)
        if key.path[-1] == "model":
            versions = [each["model_version"] for each in self._made.values() if "model_version" in each]
            name = self._graph.model_name(key.path[0])
            return Dataset(name, "MODEL", version=str(versions[0])) if versions else self._trained(key, name)
        made = made or self._earlier(key, self._batch)
        if made is None or "uri" not in made:
            return None
        name, kind = dataset_name(str(made["uri"]))
        rows = made.get("dagster/row_count")
        return Dataset(
            name,
            kind,
            version=made.get("sha256"),
            columns=() if spec is None else _columns(spec),
            rows=None if rows is None else int(rows),
            size=made.get("bytes"),
            files=made.get("parts"),
        )

    def _trained(self, key: dg.AssetKey, name: DatasetName) -> Dataset | None:
        made = self._earlier(key, self._batch)
        return None if made is None else Dataset(name, "MODEL", version=str(made["model_version"]))

    def _earlier(self, key: dg.AssetKey, batch: str | None) -> Metadata | None:
        if batch is None:
            return None
        found = self._instance.fetch_materializations(
            dg.AssetRecordsFilter(asset_key=key, asset_partitions=[batch]), limit=1
        ).records
        made = found[0].asset_materialization if found else None
        return None if made is None else _values(made.metadata)

    def _origins(self, spec: dg.AssetSpec) -> dict[str, tuple[Origin, ...]]:
        lineage = spec.metadata.get(LINEAGE)
        if not isinstance(lineage, dg.TableColumnLineage):
            return {}
        found = {}
        for column, deps in lineage.deps_by_column.items():
            named = ((self._dataset(dep.asset_key), dep.column_name) for dep in deps)
            origins = tuple(Origin(dataset.name, name) for dataset, name in named if dataset is not None)
            if origins:
                found[column] = origins
        return found


def _file(uri: str, rows: int | None) -> Dataset:
    name, kind = dataset_name(uri)
    return Dataset(name, kind, rows=rows)


def _columns(spec: dg.AssetSpec) -> tuple[Column, ...]:
    schema = spec.metadata.get(SCHEMA)
    if not isinstance(schema, dg.TableSchema):
        return ()
    return tuple(Column(each.name, each.type, each.description or "") for each in schema.columns)


def _values(metadata: Mapping[str, dg.MetadataValue[Any]]) -> dict[str, Any]:
    return {name: value.value for name, value in metadata.items()}
