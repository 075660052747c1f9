"""Replays a batch: runs its job, then prints what became of the rows that were rejected before."""

from collections.abc import Sequence

import click
import dagster as dg

from pipeline_assets.cli.run import files_of, run_shown
from pipeline_assets.engine.record import manifest_of
from pipeline_assets.engine.replay import OUTCOMES, Outcome, Replay, StoredReplay, replay_of
from pipeline_assets.monitoring.replayed import FormerRow, first_rows, scores_of, written
from pipeline_assets.stores.files.base import FileStore
from pipeline_assets.task.batch import BatchRef, Manifest

_SAID: dict[Outcome, str] = {
    "accepted": "accepted now",
    "same_rule": "still rejected, by a rule as before",
    "other_rule": "still rejected, by another rule",
    "gone": "gone from the file",
}
_FIRST = 10
_RULES = 12


def replay_batch(location: dg.Definitions, ref: BatchRef, *, debug: bool = False) -> bool:
    """Runs the batch; the comparison goes to stdout, progress and errors to stderr.

    Returns:
        Whether the run succeeded and every check passed.

    Raises:
        ContractError: there is no such batch; nothing was started.
        DataError: it was not checked yet; nothing was started.
    """
    files = files_of(location)
    files.find(ref)
    former = manifest_of(files, ref)
    with dg.DagsterInstance.get() as instance:
        result, problems = run_shown(location, instance, ref, debug=debug)
    for text in problems:
        click.echo(text, err=True)
    now = manifest_of(files, ref)
    if now.run_id != result.run_id:
        rejected = f"{former.rejected:,} of {former.rows:,} rows"
        click.echo(f"the batch was not checked again; what was rejected ({rejected}) is as it was", err=True)
        return False
    click.echo("\n".join(said(files, ref, former, now)))
    return not problems


def said(files: FileStore, ref: BatchRef, former: Manifest, now: Manifest) -> list[str]:
    """What became of the rows, as lines.

    Args:
        files: where the records are.
        ref: the batch.
        former: the record before the run.
        now: the record that the run has made.
    """
    head = f"{ref.task} {ref.stage} {ref.batch}: {now.rejected:,} of {now.rows:,} rows are rejected"
    found = replay_of(files, ref)
    lines = []
    if former.same_as(now):
        lines.append("The file and the contract are as they were at the check before.")
    if found is None:
        return [head, *lines, f"Rejected as before: {now.rejected:,}"]
    if former.same_as(now):
        lines.append("This is what the last change brought:")
    scores = scores_of(files, ref, now)
    decided = None if scores is None else written(found, scores)
    return [
        head,
        *lines,
        *_outcomes(found.replay, decided),
        *_by_rule(found.replay),
        *_newly(found.replay),
        *_first(first_rows(found, scores, _FIRST), found),
    ]


def _outcomes(replay: Replay, decided: int | None) -> list[str]:
    when = f" on {replay.former.checked_at[:16].replace('T', ' ')} UTC" if replay.former.checked_at else ""
    if not replay.former.rejected:
        return [f"Rows rejected by the check before{when}: none"]
    lines = [f"Rows rejected by the check before{when}: {replay.former.rejected:,}"]
    for each in OUTCOMES:
        if rows := replay.outcomes[each]:
            more = [f"{replay.changed[each]:,} of them with other content"] if replay.changed[each] else []
            if each == "accepted" and decided is not None:
                more.append(f"{decided:,} of them in the output file")
            lines.append(f"  {rows:>9,}  {', '.join([_SAID[each], *more])}")
    return lines


def _by_rule(replay: Replay) -> list[str]:
    rules = list(dict.fromkeys(each.rule for each in replay.by_rule))
    rows = {(each.rule, each.outcome): each.rows for each in replay.by_rule}
    short = {"accepted": "accepted", "same_rule": "same rule", "other_rule": "other rule", "gone": "gone"}
    width = max((len(rule) for rule in rules), default=0)
    lines = [f"  {rule:<{width}}{''.join(f'{rows.get((rule, each), 0):>12,}' for each in OUTCOMES)}" for rule in rules]
    head = f"  {'by former rule':<{width}}{''.join(f'{short[each]:>12}' for each in OUTCOMES)}"
    more = [f"  and {len(rules) - _RULES} more rules"] if len(rules) > _RULES else []
    return [head, *lines[:_RULES], *more] if rules else []


def _newly(replay: Replay) -> list[str]:
    if not replay.newly_rejected:
        return []
    first = ", ".join(str(row) for row in replay.newly_first)
    more = ", ..." if replay.newly_rejected > len(replay.newly_first) else ""
    lines = [f"  {rows:>9,}  {rule}" for rule, rows in list(replay.newly.items())[:_RULES]]
    return [f"Rows rejected now and not before: {replay.newly_rejected:,} ({first}{more})", *lines]


def _first(rows: Sequence[FormerRow], found: StoredReplay) -> list[str]:
    if not rows:
        return []
    return [*map(_row, rows), f"All of them: {found.stored.uri}"]


def _row(row: FormerRow) -> str:
    found = row.values
    outcome: Outcome = found["outcome"]
    moved = found["row_number_now"] is not None and found["row_number_now"] != found["row_number"]
    parts = [
        _SAID[outcome],
        *([f"now row {found['row_number_now']}"] if moved else []),
        *([f"changed: {', '.join(found['changed_columns'])}"] if found["changed_columns"] else []),
        *([f"rejected by {'; '.join(found['rules_now'])}"] if outcome == "other_rule" else []),
        *(
            f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}"
            for name, value in row.score.items()
        ),
    ]
    return f"  row {found['row_number']}: {found['reason']} -> {', '.join(parts)}"
