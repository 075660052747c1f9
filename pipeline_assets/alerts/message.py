"""What a message about a failure says, as JSON or as a text for Slack and Mattermost."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from pipeline_assets.errors import without_values
from pipeline_assets.settings import WebhookFormat

Event = Literal["run_failed", "check_failed", "late"]

_TITLES: Mapping[Event, str] = {
    "run_failed": "the run failed",
    "check_failed": "the run succeeded, but a check did not pass",
    "late": "late",
}
# Of a text. Slack shows no more than 4,000 characters well, and an error may be long.
_LONGEST = 3000


@dataclass(frozen=True)
class Problem:
    """One thing that went wrong.

    Attributes:
        where: the step, check or asset.
        text: what is wrong, or what should be, for people.
        severity: of a check.
        may_hold_values: whether the text may say a value of a row.
    """

    where: str
    text: str
    severity: Literal["error", "warn"] = "error"
    may_hold_values: bool = False


@dataclass(frozen=True)
class Message:
    """What is told, whatever the form.

    Attributes:
        task: ``None`` for a run that is of no single task.
        stage: ``None`` for a run of both, or of neither.
        batch: the partition of the run.
        job: the Dagster job.
        run_id: the Dagster run; ``None`` for what is no run.
        link: the page of the run.
    """

    event: Event
    problems: tuple[Problem, ...]
    task: str | None = None
    stage: str | None = None
    batch: str | None = None
    job: str | None = None
    run_id: str | None = None
    link: str | None = None

    def without_values(self) -> "Message":
        """The same without anything that may be a value of a row."""
        said = (
            replace(each, text=without_values(each.text), may_hold_values=False) if each.may_hold_values else each
            for each in self.problems
        )
        return replace(self, problems=tuple(said))

    def body(self, form: WebhookFormat) -> dict[str, Any]:
        """The JSON that is posted."""
        if form == "slack":
            # These three are Slack's own way to escape text; without it a batch named <!channel> would call everyone.
            escaped = self.text().replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
            return {"text": escaped}
        problems = [{"where": each.where, "severity": each.severity, "text": each.text} for each in self.problems]
        facts = {name: value for name, value in asdict(self).items() if name != "problems"}
        return {**facts, "problems": problems, "text": self.text()}

    def text(self) -> str:
        """A few lines for people; of a long error the beginning."""
        about = [
            *([self.task] if self.task else []),
            *([self.stage] if self.stage else []),
            *([f"batch {self.batch}"] if self.batch else []),
        ]
        lines = [f"{', '.join(about) or self.job or 'pipeline'}: {_TITLES[self.event]}"]
        lines += [f"{each.where}: {each.text}" for each in self.problems]
        told = "\n".join(lines)
        if len(told) > _LONGEST:
            told = f"{told[:_LONGEST]} …"
        where = self.link or (f"run {self.run_id}" if self.run_id else "")
        return f"{told}\n{where}".rstrip()
