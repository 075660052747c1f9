"""Truth: judges the predictions of a batch by the labels that came later, and writes the judgement to a mart."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import dagster as dg

from pipeline_assets.assets import describe
from pipeline_assets.assets.graph import TaskGraph
from pipeline_assets.io_managers.errors import translate_errors
from pipeline_assets.monitoring.truth_batch import JudgedBatch, Stores, judge_batch, quality_rows
from pipeline_assets.stores.files.base import FileStore
from pipeline_assets.stores.marts.greenplum import MartStore
from pipeline_assets.stores.marts.quality import quality
from pipeline_assets.stores.registry.registry import Registry
from pipeline_assets.task.batch import TruthRef
from pipeline_assets.task.judged_metrics import judged_metrics
from pipeline_assets.task.spec import TaskSpec


def truth_asset(graph: TaskGraph) -> dg.AssetsDefinition:
    """``<task>/truth``, by predict batch."""
    task = graph.task

    @graph.asset(
        "predict",
        "truth",
        kinds=["parquet", "greenplum"],
        description="How good the predictions of a batch were, by the labels of the file truth/<batch>.parquet or of a"
        " later train batch with the same keys: every metric against the constant baseline, by version and segment.",
        metadata=describe.mart_schema(quality(task)),
        deps=[graph.key("predict_output_mart"), graph.key("predict_input_mart")],
    )
    def truth(
        context: dg.AssetExecutionContext,
        files: dg.ResourceParam[FileStore],
        marts: dg.ResourceParam[MartStore],
        registry: dg.ResourceParam[Registry],
        scratch: dg.ResourceParam[Path],
    ) -> dg.MaterializeResult[None]:
        ref = TruthRef(task.name, context.partition_key)
        with translate_errors(context.retry_number):
            found = judge_batch(task, ref, Stores(files, marts, registry, scratch))
            table = quality(task)
            where = {"model_version": found.version, "batch": ref.batch}
            marts.replace(table, where, quality_rows(task, found, context.run.run_id))
            where_it_is = {"uri": marts.uri(table.name), "dagster/table_name": table.name}
        return dg.MaterializeResult(metadata={**_metadata(task, found), **where_it_is})

    return truth


def _metadata(task: TaskSpec, found: JudgedBatch) -> dict[str, Any]:
    """Numbers that Dagster plots over the batches, the counts of the matching, and a table of the segments."""
    whole, *by_segment = found.judged
    return {
        "dagster/row_count": whole.rows,
        "model_version": found.version,
        "metric": task.training.metric,
        **{name: round(value, 6) for name, value in whole.metrics.items()},
        **{f"{name}_of_constant_baseline": round(value, 6) for name, value in whole.baseline.items()},
        **{name: count for name, count in asdict(found.matching).items() if count is not None},
        "truth_from": found.truth_from,
        **({"problem": whole.problem} if whole.problem else {}),
        **({"segments": _segments(task, by_segment)} if by_segment else {}),
    }


def _segments(task: TaskSpec, judged: list[Any]) -> dg.TableMetadataValue:
    names = list(judged_metrics(task.target.kind))
    columns = [
        *(dg.TableColumn(name, "string") for name in ("segment", "value")),
        *(dg.TableColumn(name, "int") for name in ("predictions", "judged_rows")),
        *(dg.TableColumn(name, "float") for name in names),
        dg.TableColumn("problem", "string"),
    ]
    records = [
        dg.TableRecord(
            {
                "segment": each.segment,
                "value": each.value,
                "predictions": each.predictions,
                "judged_rows": each.rows,
                **{name: each.metrics.get(name) for name in names},
                "problem": each.problem,
            }
        )
        for each in judged
    ]
    return dg.MetadataValue.table(records, schema=dg.TableSchema(columns))
