from typing import Any

import pytest

from pipeline_assets.io_managers import predictions
from pipeline_assets.stores.files.base import Area, FileStore
from pipeline_assets.task.batch import BatchRef
from tests.examples import orders
from tests.fixtures.runs import BATCH, writers
from tests.workbench import Workbench


@pytest.mark.parametrize("when", ["beside the output", "under the mart"])
def test_scores_that_another_run_put_in_place_meanwhile_are_noticed_and_all_is_written_again(
    place: Workbench, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    place.put("train", "2026-01", orders(200))
    place.succeed("train", "2026-01")
    place.put("predict", BATCH, orders(30, stage="predict"))
    place.succeed("predict", BATCH)
    real, calls, kept = predictions.check_still_those_of, list[str](), list[dict[str, str]]()

    def another_comes_first(files: FileStore, ref: BatchRef, provenance: dict[str, str]) -> None:
        calls.append(provenance["run_id"])
        if len(calls) == (1 if when == "beside the output" else 2):
            stored = files.read(Area.SCORES, ref)
            assert stored is not None
            rows = list(stored.batches())
            with files.sink(Area.SCORES, ref, stored.schema) as sink:
                sink.metadata.update({**stored.metadata, "pipeline_assets.run_id": "another"})
                kept.append(dict(sink.metadata))
                for batch in rows:
                    sink.write(batch)
        real(files, ref, provenance)

    monkeypatch.setattr(predictions, "check_still_those_of", another_comes_first)
    result: Any = place.succeed("predict", BATCH)
    assert kept
    if when == "beside the output":
        assert writers(place) == {result.run_id}
        assert len(calls) == 3  # both files again, then the mart
    else:
        # The mart follows the scores that are on file; the run that put them there ends with its own output.
        assert len(calls) == 3
        scores = predictions.read_scores(place.stores["files"], place.ref("predict", BATCH))
        assert scores.provenance["run_id"] == "another"
        assert {row["run_id"] for row in place.mart("predict_output", batch=BATCH)} == {"another"}
