"""What became true of the demo's months, from the flights themselves, as files of truth."""

from functools import cache
from importlib.resources import files
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from pipeline_assets.demo.flights import ORDER, PREDICT, TASK, source
from pipeline_assets.errors import PipelineError
from pipeline_assets.task import sql
from pipeline_assets.task.spec import TaskSpec
from pipeline_assets.task.validation import CheckedTask

_DELAY = "arr_delay"


def truth(month: str) -> pa.Table:
    """How late each flight of a month arrived.

    Args:
        month: the batch, such as ``2013-10``.

    Returns:
        One row per flight in the order of the batch's file: the columns of the task's key, and ``arr_delay`` in
        minutes, null where the flight was cancelled or diverted.

    Raises:
        PipelineError: there is no such month, or the flights are not installed.
    """
    if month not in PREDICT:
        raise PipelineError("the demo holds no truth of this batch", task=TASK, found=month, available=PREDICT)
    columns = ", ".join(sql.name(column) for column in (*demo_task().key, _DELAY))
    with source() as connection:
        return connection.sql(
            f"select {columns}"
            f" from (select make_date(year, month, day) as flight_date, * from flights where month = {PREDICT[month]})"
            f" order by {ORDER}"
        ).to_arrow_table()


def write_truth(month: str, folder: Path) -> Path:
    """The file of truth of a month, written into a folder; the same package gives the same bytes.

    Raises:
        PipelineError: as :func:`truth`.
    """
    path = folder / f"{month}.parquet"
    pq.write_table(truth(month), path, compression="zstd")
    return path


@cache
def demo_task() -> TaskSpec:
    """The demo's task: what its key and its target are is said there alone."""
    # Imported here: Dagster reads the YAML everywhere else.
    import yaml

    text = files("pipeline_assets.defs").joinpath(TASK, "defs.yaml").read_text(encoding="utf-8")
    return CheckedTask.model_validate(yaml.safe_load(text)["attributes"])
