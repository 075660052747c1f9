"""What the Batches view takes for the outcome of a batch, and what it shows of one that is not of the last check."""

from datetime import UTC, datetime
from typing import cast

import pytest

from pipeline_assets.mart_page.choices import ChoiceMade, Looked, Record
from pipeline_assets.mart_page.language import Formats, Texts
from pipeline_assets.mart_page.predicted import Predicted
from pipeline_assets.mart_page.route import Route
from pipeline_assets.mart_page.views.batches.page import _table, outcomes_of, versions_made_from
from pipeline_assets.ml.selection import Candidate
from pipeline_assets.monitoring.batch_status import BatchRecord, MadeFrom, Outcome, State
from pipeline_assets.stores.registry.registry import Registry
from pipeline_assets.task.batch import BatchRef, Manifest
from tests.examples import shop

TASK = shop()
MOMENT = datetime(2026, 1, 2, tzinfo=UTC)
REF = BatchRef("shop", "predict", "p")
MANIFEST = Manifest(REF, "p.parquet", (), (), "ab" * 32, 60, 0, 0, {}, ())


def test_the_version_trained_from_a_batch_is_the_newest_that_its_choice_looked_at_whichever_won() -> None:
    looked = (Looked(1, {"roc_auc": 0.6}, None, None), Looked(2, {"roc_auc": 0.7}, None, None))
    choice = ChoiceMade("r", "train", "t", "champion", 1, 1, "1 stays", "roc_auc", None, looked, MOMENT)
    made_from = MadeFrom("ab")
    found = outcomes_of(TASK, Record((choice,), (Predicted("p", 1, "q", MOMENT),)), {2: made_from})
    assert found == {
        BatchRef("shop", "train", "t"): Outcome(2, MOMENT, "r", 0.7, made_from),
        REF: Outcome(1, MOMENT, "q"),
    }


def test_versions_say_what_they_were_made_from_where_their_runs_do() -> None:
    class Known:
        def input_sha256(self, task: str) -> dict[str, str]:
            return {"run-1": f"sha of {task}"}

        def candidates(self, _task: str) -> list[Candidate]:
            return [
                Candidate(number, f"run-{number}", True, None, {}, MOMENT, fingerprints={"features": "f"})
                for number in (1, 2)
            ]

    found = versions_made_from(cast("Registry", Known()), "shop")
    assert found == {1: MadeFrom("sha of shop", {"features": "f"})}


@pytest.mark.parametrize(("language", "words"), [("en", "outdated"), ("ru", "устарела")])
@pytest.mark.parametrize("state", ["done", "outdated"])
def test_an_outcome_of_other_content_is_not_shown_as_the_batchs_own(language: str, words: str, state: State) -> None:
    one = BatchRecord(REF, state, MANIFEST, 4321, Outcome(77, MOMENT, "run"), ("content",) if state != "done" else ())
    says = Texts(language)("batches")
    shown = str(_table(Route("batches"), TASK, [one], says, Formats(language)))
    assert (words in shown) == (state == "outdated")
    assert (">77<" in shown) == (state == "done")
    assert ("4" in shown and "321" in shown) == (state == "done")
