"""Puts the reports to OpenLineage into a code location: a hook on every step, and the sender of a run."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

import dagster as dg
from dagster_shared.record import replace

from pipeline_assets.errors import needs_extra
from pipeline_assets.lineage_events.facts import DatasetName, End
from pipeline_assets.lineage_events.observed import Graph, run_of, step_of
from pipeline_assets.lineage_events.sender import Sender
from pipeline_assets.settings import Settings

if TYPE_CHECKING:
    from pipeline_assets.lineage_events.events import EventMaker

_RESOURCE = "lineage_events"

Asset = TypeVar("Asset", bound=dg.AssetsDefinition)


def reporting(location: dg.Definitions, settings: Settings) -> dg.Definitions:
    """The code location with its runs reported to OpenLineage; unchanged where that is not configured.

    Raises:
        SettingsError: OpenLineage's client is not installed.
    """
    if settings.lineage_namespace is None:
        return location
    with needs_extra("openlineage", "lineage events"):
        if find_spec("openlineage") is None:
            raise ModuleNotFoundError("no client", name="openlineage.client")
    graph = _graph(location, settings)
    hook = dg.HookDefinition(name=_RESOURCE, hook_fn=_report, required_resource_keys={_RESOURCE})
    return replace(
        location,
        assets=[_with_hook(each, hook) for each in location.assets or ()],
        asset_checks=[_with_hook(each, hook) for each in location.asset_checks or ()],
        resources={**(location.resources or {}), _RESOURCE: _resource(graph, settings.lineage_namespace)},
    )


def _with_hook(asset: object, hook: dg.HookDefinition) -> object:
    if not isinstance(asset, dg.AssetsDefinition) or not asset.is_executable:
        return asset
    return type(asset)(**{**asset.get_attributes_dict(), "hook_defs": {*asset.hook_defs, hook}})


def _graph(location: dg.Definitions, settings: Settings) -> Graph:
    made = [
        each
        for each in (*(location.assets or ()), *(location.asset_checks or ()))
        if isinstance(each, dg.AssetsDefinition) and each.is_executable
    ]
    return Graph(
        steps={each.node_def.name: tuple(each.specs) for each in made},
        assets={spec.key: spec for each in made for spec in each.specs},
        checks={spec.key: spec for each in made for spec in each.check_specs},
        model_name=partial(_model_name, settings),
    )


def _model_name(settings: Settings, task: str) -> DatasetName:
    """The standard names no models; this is its pattern for servers, and for embedded MLflow the folder."""
    if settings.mlflow is None:
        return DatasetName("file", str(settings.state / "mlflow" / task))
    return DatasetName(f"mlflow://{urlsplit(settings.mlflow.url).netloc}", task)


def _resource(graph: Graph, namespace: str) -> dg.ResourceDefinition:
    @dg.resource(description="Reports the steps of a run to OpenLineage")
    def lineage_events(context: dg.InitResourceContext) -> Iterator[Reports | None]:
        if context.run is None or context.instance is None:  # no run
            yield None
            return
        reports = Reports(graph, context.run, Sender(partial(_maker, namespace)))
        reports.started()
        try:
            yield reports
        finally:
            problem = reports.ended(context.instance)
            if problem is not None and context.log is not None:
                context.log.warning(problem)

    return lineage_events


def _maker(namespace: str) -> "EventMaker":
    from pipeline_assets.lineage_events.events import EventMaker

    return EventMaker(namespace, version("pipeline-assets"), version("dagster"))


class Reports:
    """The reports of one run.

    Args:
        graph: the code location's.
        run: that is reported.
        sender: sends them.
    """

    def __init__(self, graph: Graph, run: dg.DagsterRun, sender: Sender) -> None:
        self._graph, self._run, self._sender = graph, run, sender
        self._about = run_of(run)

    def started(self) -> None:
        """Reports that the run has begun."""
        now, about = datetime.now(UTC), self._about
        self._sender.send(lambda maker: [maker.run_started(about, now)])

    def step(self, context: dg.HookContext, events: Sequence[dg.DagsterEvent]) -> None:
        """Reports a step that has ended."""
        step, about = step_of(self._graph, self._run, context, events), self._about
        if step is not None:
            self._sender.send(lambda maker: maker.step(about, step))

    def ended(self, instance: dg.DagsterInstance) -> str | None:
        """Reports how the run has ended, by its stored steps.

        Returns:
            What could not be sent, for the run's log.
        """
        now, about = datetime.now(UTC), self._about
        end, error = _ending(instance, self._run.run_id)
        self._sender.send(lambda maker: [maker.run_ended(about, end, now, error)])
        return self._sender.close()


def _ending(instance: dg.DagsterInstance, run_id: str) -> tuple[End, str | None]:
    """How a run has ended, and for a failed one which steps failed: Dagster itself writes the end only later."""
    statuses = {each.step_key: each.status.value for each in instance.get_run_step_stats(run_id) if each.status}
    failed = [step for step, status in statuses.items() if status == "FAILURE"]
    if failed:
        return "FAIL", f"failed: {', '.join(failed)}"
    return "ABORT" if "IN_PROGRESS" in statuses.values() else "COMPLETE", None


def _report(context: dg.HookContext, events: Sequence[dg.DagsterEvent]) -> dg.HookExecutionResult:
    reports: Reports | None = getattr(context.resources, _RESOURCE)
    if reports is not None:
        reports.step(context, events)
    return dg.HookExecutionResult(_RESOURCE)
