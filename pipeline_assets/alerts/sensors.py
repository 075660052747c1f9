"""Sensors of the whole code location that post failed runs, failed checks and late data to the webhook."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import dagster as dg
from dagster._core.definitions.freshness import TimeWindowFreshnessPolicy
from dagster._core.storage.tags import PARTITION_NAME_TAG

from pipeline_assets.alerts.late import Watched, late_message, moment, newly_late, read_told, write_told
from pipeline_assets.alerts.message import Event, Message, Problem
from pipeline_assets.alerts.webhook import Webhook
from pipeline_assets.errors import TransientError
from pipeline_assets.io_managers.errors import failed_by_check, said_by, text_for_people
from pipeline_assets.settings import WebhookSettings

# Seconds between two looks.
_RUNS_EVERY, _LATE_EVERY = 30, 60

Post = Callable[[Message], None]
Clock = Callable[[], datetime]


def _now() -> datetime:
    return datetime.now(UTC)


def alert_sensors(
    settings: WebhookSettings | None, dagster_ui: str | None, clock: Clock = _now
) -> list[dg.SensorDefinition]:
    """Three sensors for all tasks, switched on; none where no webhook is configured.

    Args:
        settings: the webhook.
        dagster_ui: where people open Dagster; for links to runs.
        clock: says what time it is, with a zone.
    """
    if settings is None:
        return []
    post = Webhook(settings).post
    return [_failed_runs(post, dagster_ui), _failed_checks(post, dagster_ui), _late_data(post, clock)]


def _failed_runs(post: Post, ui: str | None) -> dg.SensorDefinition:
    # Runs of `pipeline-assets run` belong to no code location as Dagster sees it, so this looks at all and picks ours.
    @dg.run_failure_sensor(
        name="alerts_failed_runs",
        monitor_all_code_locations=True,
        minimum_interval_seconds=_RUNS_EVERY,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Posts every failed run to the webhook: the steps that failed and the checks that did not pass.",
    )
    def failed_runs(context: dg.RunFailureSensorContext) -> None:
        if not _ours(context):
            return
        problems = tuple(_failed_steps(context)) + tuple(_failed(context))
        if not problems:  # before any step, as by a resource; or the process is gone
            error = context.failure_event.job_failure_data.error
            said = text_for_people(error) if error else None
            problems = (Problem("run", said or "no step says why; the run's log does", may_hold_values=True),)
        _tell(post, _message(context, "run_failed", problems, ui))

    return failed_runs


def _failed_checks(post: Post, ui: str | None) -> dg.SensorDefinition:
    @dg.run_status_sensor(
        run_status=dg.DagsterRunStatus.SUCCESS,
        name="alerts_failed_checks",
        monitor_all_code_locations=True,
        minimum_interval_seconds=_RUNS_EVERY,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Posts the checks that did not pass in a run that succeeded all the same.",
    )
    def failed_checks(context: dg.RunStatusSensorContext) -> None:
        problems = tuple(_failed(context)) if _ours(context) else ()
        if problems:
            _tell(post, _message(context, "check_failed", problems, ui))

    return failed_checks


def _late_data(post: Post, clock: Clock) -> dg.SensorDefinition:
    @dg.sensor(
        name="alerts_late_data",
        minimum_interval_seconds=_LATE_EVERY,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Posts each asset that was not made again within its task's monitoring.freshness, once.",
    )
    def late_data(context: dg.SensorEvaluationContext) -> dg.SensorResult:
        watched, told = _watched(context), read_told(context.cursor)
        now = clock()
        late = newly_late(watched, told, now)
        for assets in late:
            try:
                post(late_message(assets, now))
            except TransientError as fault:  # the next tick tries it again
                context.log.warning(str(fault))
            else:
                told |= {each.name: each.made.timestamp() for each in assets}
        said = f"{len(late)} newly late among {len(watched)} assets with a freshness policy"
        return dg.SensorResult(skip_reason=said, cursor=write_told(told, watched))

    return late_data


def _tell(post: Post, message: Message) -> None:
    """Posts; what the webhook does not take is an error of the sensor, and the run stays as it is."""
    try:
        post(message)
    except TransientError as fault:
        raise dg.Failure(description=str(fault)) from None


def _ours(context: dg.RunStatusSensorContext) -> bool:
    """Whether a run is one of this code location: by its job, or by its assets if a person picked those."""
    location, run = context.repository_def, context.dagster_run
    if location is None:
        return False
    if run.asset_selection:
        return any(location.asset_graph.has(key) for key in run.asset_selection)
    return location.has_job(run.job_name)


def _message(
    context: dg.RunStatusSensorContext, event: Event, problems: tuple[Problem, ...], ui: str | None
) -> Message:
    run = context.dagster_run
    return Message(
        event,
        problems,
        task=_task(run),
        stage=run.tags.get("stage"),
        batch=run.tags.get(PARTITION_NAME_TAG),
        job=run.job_name,
        run_id=run.run_id,
        link=f"{ui}/runs/{run.run_id}" if ui else None,
    )


def _task(run: dg.DagsterRun) -> str | None:
    """The task of a run: by its job, by the assets that a person picked, or by the config of an operation."""
    keys = sorted(run.asset_selection or ())
    config = (run.run_config.get("ops") or {}).get(run.job_name) or {}
    named = (config.get("config") or {}).get("task")
    return run.tags.get("task") or (keys[0].path[0] if keys else None) or (str(named) if named else None)


def _failed_steps(context: dg.RunFailureSensorContext) -> Iterator[Problem]:
    for event in context.get_step_failure_events():
        data = event.step_failure_data
        if not failed_by_check(data):
            yield Problem(f"step {event.step_key}", said_by(data), may_hold_values=True)


def _failed(context: dg.RunStatusSensorContext) -> Iterator[Problem]:
    """The checks of a run that did not pass: by what they check, since what they found may be a value of a row."""
    location = context.repository_def
    found = context.instance.get_records_for_run(
        context.dagster_run.run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION
    ).records
    for record in found:
        event = record.event_log_entry.dagster_event
        if event is None or event.asset_check_evaluation_data.passed:
            continue
        done = event.asset_check_evaluation_data
        known = location is not None and location.asset_graph.has(done.asset_check_key)
        should = location.asset_graph.get_check_spec(done.asset_check_key).description if location and known else None
        yield Problem(
            f"check {done.check_name} of {done.asset_key.to_user_string()}",
            "\n".join([f"should be: {should}" if should else "did not pass", *_details(done.description)]),
            "error" if done.severity == dg.AssetCheckSeverity.ERROR else "warn",
            may_hold_values=True,
        )


def _details(description: str | None) -> list[str]:
    """What a check found, in the form of an error's fact, so that it is left out like one."""
    return [f"  found:     {description}"] if description else []


def _watched(context: dg.SensorEvaluationContext) -> list[Watched]:
    """Every asset with a freshness policy that was made at least once."""
    if context.repository_def is None:
        return []
    policies = {
        node.key: node.freshness_policy
        for node in context.repository_def.asset_graph.asset_nodes
        if isinstance(node.freshness_policy, TimeWindowFreshnessPolicy)
    }
    watched = []
    for record in context.instance.get_asset_records(list(policies)) if policies else ():
        made = record.asset_entry.last_materialization
        if made is None:
            continue
        key = record.asset_entry.asset_key
        node = context.repository_def.asset_graph.get(key)
        batch = made.asset_materialization.partition if made.asset_materialization else None
        watched.append(
            Watched(
                key.path[0],
                node.tags.get("stage", ""),
                key.path[-1],
                policies[key].fail_window.to_timedelta(),
                moment(made.timestamp),
                batch,
            )
        )
    return watched
