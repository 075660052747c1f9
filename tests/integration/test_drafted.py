"""Tasks as the command drafts them, run with no edit: a file is learned, the next one is predicted."""

from pathlib import Path

import dagster as dg
import numpy as np
import pyarrow.parquet as pq
import pytest

from pipeline_assets.engine.duckdb.draft import Source, Wish, draft_task
from pipeline_assets.stores.files.anywhere import FileAnywhere
from pipeline_assets.stores.marts import embedded_postgres
from tests.task.drafting.tables import EXAMPLES
from tests.workbench import Workbench

# By kind: the table, and the score columns of the output.
SHOWN = {
    "bank": ["probability", "predicted_label"],
    "forest": ["predicted_label", "probability", "probabilities"],
    "heavy_tail": ["prediction"],
}


@pytest.mark.server
@pytest.mark.parametrize("name", SHOWN)
def test_a_drafted_task_learns_and_predicts_with_no_edit(name: str, tmp_path: Path) -> None:
    example = EXAMPLES[name]()
    table = example.table.take(np.random.default_rng(0).permutation(example.table.num_rows))
    train, later = table.slice(0, 2000), table.slice(2000, 300).drop_columns([example.target])
    path = tmp_path / "labelled.parquet"
    pq.write_table(train, path)
    source = Source(FileAnywhere(str(path), None, tmp_path), path.name)
    task = draft_task(Wish(name, example.target), source, None, tmp_path / "spill").task()
    with dg.DagsterInstance.ephemeral() as instance:
        place = Workbench(tmp_path, task, instance)
        try:
            place.put("train", "first", train)
            place.put("predict", "next", later)
            place.succeed("train", "first")
            place.succeed("predict", "next")
            output = place.output("next")
        finally:
            if (tmp_path / ".pipeline" / "postgres").exists():
                embedded_postgres.stop(tmp_path / ".pipeline" / "postgres")
    assert output.num_rows == later.num_rows
    assert [each for each in output.column_names if each in SHOWN[name]] == SHOWN[name]
    assert all(output.column(score).null_count == 0 for score in SHOWN[name])
