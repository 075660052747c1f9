"""Features and input mart: prepares accepted rows for a model and for people, in one pass, for both stores at once."""

from collections.abc import Callable, Iterator
from functools import partial

import dagster as dg

from pipeline_assets.assets import describe
from pipeline_assets.assets.graph import TaskGraph
from pipeline_assets.engine.duckdb.accepted import RawBatch
from pipeline_assets.io_managers.alongside import Alongside
from pipeline_assets.io_managers.errors import translate_errors
from pipeline_assets.stores.load import Load
from pipeline_assets.stores.marts.greenplum import MartStore
from pipeline_assets.stores.marts.tables import input_mart
from pipeline_assets.task.preparation import (
    features_of,
    features_query,
    features_schema,
    input_mart_of,
    input_mart_query,
    input_mart_schema,
    prepared_query,
)
from pipeline_assets.task.spec import Stage, TaskSpec


def prepared_assets(graph: TaskGraph, stage: Stage) -> dg.AssetsDefinition:
    """``<task>/<stage>_features`` and ``<task>/<stage>_input_mart``; each can be made alone.

    The mart has the columns of the features too, so one query gives both, and each expression is computed once. Both
    stores take the rows at the same time; the mart's new rows become visible after those of the features.
    """
    features, mart = f"{stage}_features", f"{stage}_input_mart"
    raw_key = graph.key(f"{stage}_raw")

    @dg.multi_asset(
        name=f"{graph.task.name}__{stage}_prepared",
        outs={
            features: dg.AssetOut(
                **graph.attributes(
                    stage,
                    features,
                    {
                        **describe.features_schema(graph.task, stage),
                        **describe.features_lineage(graph.task, stage, raw_key),
                    },
                ),
                is_required=False,
                kinds={"tarantool"},
                description=f"Accepted {stage} rows, prepared for the model; the same expressions in both stages.",
                io_manager_key=graph.resource("features_io"),
            ),
            mart: dg.AssetOut(
                **graph.attributes(
                    stage,
                    mart,
                    {
                        **describe.mart_schema(input_mart(graph.task, stage)),
                        **describe.input_mart_lineage(graph.task, stage, raw_key),
                    },
                ),
                is_required=False,
                kinds={"greenplum"},
                description=f"What the model gets to see in {stage}: accepted rows, raw columns and features side by"
                " side.",
                io_manager_key=graph.resource("mart_io"),
            ),
        },
        ins={"raw": dg.AssetIn(key=raw_key)},
        partitions_def=graph.partitions(stage),
        can_subset=True,
    )
    def prepared(
        context: dg.AssetExecutionContext, raw: RawBatch, marts: dg.ResourceParam[MartStore]
    ) -> Iterator[dg.Output[object]]:
        wanted = {key.path[-1] for key in context.selected_asset_keys}
        table = input_mart(graph.task, stage)
        where = {table.batch_column: context.partition_key}
        with translate_errors(context.retry_number):
            if features not in wanted:
                yield dg.Output(raw.stream(input_mart_query), output_name=mart)
            elif mart not in wanted:
                yield dg.Output(raw.stream(features_query), output_name=features)
            else:
                both = _both(graph.task, stage, raw, partial(marts.begin, table, where, 1))
                try:
                    yield dg.Output(both.first(), output_name=features)
                    yield dg.Output(both, output_name=mart)
                finally:
                    both.abandon()

    return prepared


def _both(task: TaskSpec, stage: Stage, raw: RawBatch, begin: Callable[[], Load]) -> Alongside:
    """Features first, and the mart beside them."""
    rows = raw.stream(prepared_query)
    pairs = ((features_of(task, stage, batch), input_mart_of(task, stage, batch)) for batch in rows)
    return Alongside(pairs, (features_schema(task, stage), input_mart_schema(task, stage)), begin)
