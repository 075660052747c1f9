"""Events of OpenLineage, by its standard client: run events of a run and of its steps.

Everything here imports that client, so this module is imported where events are sent and nowhere else.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from openlineage.client import event_v2 as ol
from openlineage.client.facet_v2 import (
    column_lineage_dataset,
    data_quality_assertions_dataset,
    dataset_type_dataset,
    dataset_version_dataset,
    documentation_job,
    error_message_run,
    input_statistics_input_dataset,
    job_type_job,
    output_statistics_output_dataset,
    ownership_job,
    parent_run,
    processing_engine_run,
    schema_dataset,
    tags_run,
)

from pipeline_assets.lineage_events.facts import Assertion, Dataset, End, Origin, Run, Step


class EventMaker:
    """Makes the events of one code location.

    Args:
        namespace: of its jobs.
        version: of this package.
        dagster_version: of Dagster.
    """

    def __init__(self, namespace: str, version: str, dagster_version: str) -> None:
        self._namespace, self._version, self._dagster_version = namespace, version, dagster_version
        self._producer = f"urn:pipeline-assets:{version}"
        ol.set_producer(self._producer)

    def run_started(self, run: Run, at: datetime) -> ol.RunEvent:
        """START of a run."""
        return self._of_run(run, ol.RunState.START, at, {})

    def run_ended(self, run: Run, end: End, at: datetime, error: str | None) -> ol.RunEvent:
        """The end of a run."""
        return self._of_run(run, ol.RunState[end], at, _error(error))

    def step(self, run: Run, step: Step) -> list[ol.RunEvent]:
        """START and the end of a step that has ended."""
        end = ol.RunState.COMPLETE if step.error is None else ol.RunState.FAIL
        facets = self._run_facets(run) | {
            "parent": parent_run.ParentRunFacet(
                run=parent_run.Run(runId=run.run_id), job=parent_run.Job(namespace=self._namespace, name=run.job)
            )
        }
        # The same whenever it is sent, so that an event sent twice is one.
        run_id = str(uuid5(NAMESPACE_URL, f"{run.run_id}/{step.key}"))
        ended = ol.Run(runId=run_id, facets=facets | _error(step.error))
        inputs, outputs = [_input(each) for each in step.inputs], [_output(each) for each in step.outputs]
        job = ol.Job(namespace=self._namespace, name=step.job, facets=_job_facets(step))
        return [
            self._event(ol.RunState.START, step.started, ol.Run(runId=run_id, facets=facets), job),
            self._event(end, step.ended, ended, job, inputs=inputs, outputs=outputs),
        ]

    def _of_run(self, run: Run, state: ol.RunState, at: datetime, more: Mapping[str, Any]) -> ol.RunEvent:
        job = ol.Job(namespace=self._namespace, name=run.job, facets=_job_type("JOB"))
        facets = {**self._run_facets(run), **more}
        return self._event(state, at, ol.Run(runId=run.run_id, facets=facets), job)

    def _run_facets(self, run: Run) -> dict[str, Any]:
        tags = [tags_run.TagsRunFacetFields(key, value, "pipeline_assets") for key, value in run.tags.items()]
        return {
            "processing_engine": processing_engine_run.ProcessingEngineRunFacet(
                version=self._dagster_version, name="Dagster", openlineageAdapterVersion=self._version
            ),
            "tags": tags_run.TagsRunFacet(tags=tags),
        }

    def _event(
        self,
        state: ol.RunState,
        at: datetime,
        run: ol.Run,
        job: ol.Job,
        *,
        inputs: Sequence[ol.InputDataset] = (),
        outputs: Sequence[ol.OutputDataset] = (),
    ) -> ol.RunEvent:
        return ol.RunEvent(
            eventType=state,
            eventTime=at.astimezone(UTC).isoformat(),
            run=run,
            job=job,
            inputs=list(inputs),
            outputs=list(outputs),
            producer=self._producer,
        )


def _job_type(kind: str) -> dict[str, Any]:
    return {"jobType": job_type_job.JobTypeJobFacet(processingType="BATCH", integration="DAGSTER", jobType=kind)}


def _job_facets(step: Step) -> dict[str, Any]:
    facets = _job_type("STEP")
    if step.description:
        facets["documentation"] = documentation_job.DocumentationJobFacet(description=step.description)
    if step.owners:
        owners = [ownership_job.Owner(name=name) for name in step.owners]
        facets["ownership"] = ownership_job.OwnershipJobFacet(owners=owners)
    return facets


def _error(text: str | None) -> dict[str, Any]:
    if text is None:
        return {}
    return {"errorMessage": error_message_run.ErrorMessageRunFacet(message=text, programmingLanguage="Python")}


def _input(dataset: Dataset) -> ol.InputDataset:
    facets: dict[str, Any] = {}
    if (dataset.rows, dataset.size, dataset.files) != (None, None, None):
        facets["inputStatistics"] = input_statistics_input_dataset.InputStatisticsInputDatasetFacet(
            rowCount=dataset.rows, size=dataset.size, fileCount=dataset.files
        )
    if dataset.assertions:
        facets["dataQualityAssertions"] = data_quality_assertions_dataset.DataQualityAssertionsDatasetFacet(
            assertions=[_assertion(each) for each in dataset.assertions]
        )
    name = dataset.name
    return ol.InputDataset(
        namespace=name.namespace, name=name.name, facets=_dataset_facets(dataset), inputFacets=facets
    )


def _output(dataset: Dataset) -> ol.OutputDataset:
    facets: dict[str, Any] = {}
    if (dataset.rows, dataset.size, dataset.files) != (None, None, None):
        facets["outputStatistics"] = output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet(
            rowCount=dataset.rows, size=dataset.size, fileCount=dataset.files
        )
    name = dataset.name
    return ol.OutputDataset(
        namespace=name.namespace, name=name.name, facets=_dataset_facets(dataset), outputFacets=facets
    )


def _assertion(each: Assertion) -> data_quality_assertions_dataset.Assertion:
    return data_quality_assertions_dataset.Assertion(
        assertion=each.check,
        name=each.check,
        success=each.passed,
        description=each.description,
        severity="error" if each.blocks else "warn",
    )


def _dataset_facets(dataset: Dataset) -> dict[str, Any]:
    facets: dict[str, Any] = {
        "datasetType": dataset_type_dataset.DatasetTypeDatasetFacet(datasetType=dataset.type),
    }
    if dataset.version is not None:
        facets["version"] = dataset_version_dataset.DatasetVersionDatasetFacet(datasetVersion=dataset.version)
    if dataset.columns:
        facets["schema"] = schema_dataset.SchemaDatasetFacet(
            fields=[
                schema_dataset.SchemaDatasetFacetFields(
                    name=each.name, type=each.type, description=each.description or None, ordinal_position=place
                )
                for place, each in enumerate(dataset.columns, 1)
            ]
        )
    if dataset.origins:
        facets["columnLineage"] = column_lineage_dataset.ColumnLineageDatasetFacet(
            fields={
                column: column_lineage_dataset.Fields(inputFields=[_field(each) for each in origins])
                for column, origins in dataset.origins.items()
            }
        )
    return facets


def _field(origin: Origin) -> column_lineage_dataset.InputField:
    name = origin.dataset
    return column_lineage_dataset.InputField(namespace=name.namespace, name=name.name, field=origin.column)
