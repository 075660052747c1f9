"""Raw check and preparation: fingerprint, contract, rejected rows, features; beside DuckDB with the same SQL alone."""

from benchmarks.measure import LIMIT, OURS, Line, Work
from benchmarks.workspace import BATCH, Workspace, drain
from pipeline_assets.engine.duckdb.scan import ROWS_PER_BATCH, scan
from pipeline_assets.task import sql
from pipeline_assets.task.contract import FAILURES, ROW, bits, of_file, raw
from pipeline_assets.task.preparation import AcceptedRows, features_query, input_mart_query
from pipeline_assets.task.spec import Stage


def _ours(workspace: Workspace) -> Work:
    def work() -> int:
        workspace.check("train")
        return drain(workspace.raw("train").stream(features_query))

    return work


def duckdb_alone(workspace: Workspace, stage: Stage = "train", *, mart: bool = False) -> Work:
    """The pipeline's SQL over the file and nothing else: nobody looks at what comes."""
    file, scratch = workspace.file(stage), workspace.folder / "scratch"
    with scan([file], scratch) as view:
        contract, count = of_file(workspace.task, stage, view.columns), view.rows
    rejected = workspace.raw(stage).rejected
    rows = AcceptedRows(contract, BATCH, any_rejected=len(rejected) > 0)
    reasons = contract.rejected_query() if len(rejected) else contract.no_rejected_query()  # as the check has it
    queries = [contract.check_query(), reasons, features_query(rows)]
    if mart:
        queries.append(input_mart_query(rows))
    marks = bits(rejected, count)

    def work() -> int:
        with sql.connect(spill=str(scratch)) as connection:
            columns = ", ".join(f"{sql.name(name)} as {raw(place)}" for place, name in enumerate(contract.raw))
            connection.execute(
                f"create view raw as select file_row_number as {ROW}, {columns}"
                f" from read_parquet({sql.text(str(file))}, file_row_number = true)"
            )
            connection.execute(f"set variable {FAILURES} = map {{}}::MAP(VARCHAR, VARCHAR)")
            connection.execute("set variable rejected = ?::BIT", [marks])
            counts = [drain(connection.sql(query).to_arrow_reader(ROWS_PER_BATCH)) for query in queries]
        return counts[2]

    return work


def _pandas(workspace: Workspace) -> Work:
    import pandas as pd

    from benchmarks import pandas_way

    def work() -> int:
        rows = pd.read_parquet(workspace.file("train"))
        good = pandas_way.accepted(rows, "train")
        prepared = pandas_way.features(good)
        prepared["label"] = pandas_way.label(good)
        return len(prepared)

    return work


LINE = Line(
    "raw check and preparation",
    {OURS: _ours, LIMIT: duckdb_alone, "pandas": _pandas},
    wanted={LIMIT: 0.85, "pandas": 1},
)
