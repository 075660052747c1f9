"""``dg scaffold defs pipeline_assets.components.MLTask NAME``: drafts the task from a file, as ``task new`` does."""

import shlex

import dagster as dg
from pydantic import BaseModel, ConfigDict, Field

from pipeline_assets.engine.duckdb.draft import Source, Wish, draft_task
from pipeline_assets.errors import TaskError
from pipeline_assets.resources import file_at
from pipeline_assets.settings import Settings
from pipeline_assets.task.loading import FILE


class ScaffoldParams(BaseModel):
    """What ``dg scaffold defs`` takes beside the name; the same as ``pipeline-assets task new``."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    file: str = Field(alias="from", description="Labelled parquet: a file, a folder of part files, or s3://bucket/key")
    target: str = Field(description="A column, or an SQL expression over columns")
    predict: str | None = Field(default=None, description="A file to predict: its columns decide the stages")
    kind: str | None = Field(default=None, description="Of the target, instead of a guess")


class MLTaskScaffolder(dg.Scaffolder[ScaffoldParams]):
    """Writes the ``defs.yaml`` of a drafted task; its name is that of the folder."""

    @classmethod
    def get_scaffold_params(cls) -> type[ScaffoldParams]:
        """The options of the command."""
        return ScaffoldParams

    def scaffold(self, request: dg.ScaffoldRequest[ScaffoldParams]) -> None:
        """Drafts the task and writes its folder.

        Raises:
            PipelineError: nothing was written; the error says why.
        """
        if request.scaffold_format != "yaml" or request.append:
            raise TaskError("a task is a defs.yaml of its own", file=request.target_path, do="leave --format away")
        settings, given, name = Settings.from_env(), request.params, request.target_path.name
        source = file_at(given.file, settings)
        other = None if given.predict is None else file_at(given.predict, settings)
        words = ["pipeline-assets", "task", "new", name, "--from", given.file, "--target", given.target]
        drafted = draft_task(
            Wish(name, given.target, given.kind, shlex.join(words)),
            Source(source, source.name),
            None if other is None else Source(other, other.name),
            settings.state / "scratch",
        )
        drafted.task()
        (request.target_path / FILE).write_text(drafted.text, encoding="utf-8")
