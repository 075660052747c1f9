import copy
import re
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow.parquet as pq
import pytest
import yaml
from click.testing import CliRunner, Result

from pipeline_assets.cli.main import main
from pipeline_assets.task.loading import COMPONENT
from tests.examples import SHOP, orders, shop, with_column
from tests.workbench import Workbench

BATCH = "2026-02"
PRICE, COUNTRY = "price: breaks price > 0", "country: not allowed"


class Home:
    """The folder of a project: a task whose YAML is edited, and its trained model."""

    def __init__(self, place: Workbench) -> None:
        self.place = place
        self.task: dict[str, Any] = copy.deepcopy(SHOP)
        self.task["limits"] = {"rejected_share": 0.2}
        self.edit()

    def edit(self) -> None:
        folder = self.place.root / "tasks" / "shop"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "defs.yaml").write_text(yaml.safe_dump({"type": COMPONENT, "attributes": self.task}))
        self.place.use(shop(**{name: value for name, value in self.task.items() if name != "name"}))

    def put(self, **values: dict[int, Any]) -> None:
        """A file of 40 orders to predict, some of whose values are replaced, by column and row."""
        table = orders(40, stage="predict")
        for name, by_row in values.items():
            column = [by_row.get(row, value) for row, value in enumerate(table[name].to_pylist())]
            table = with_column(table, name, column, table.schema.field(name).type)
        self.place.put("predict", BATCH, table)

    def replay(self, batch: str = BATCH) -> Result:
        return CliRunner().invoke(main, ["replay", "shop", "predict", batch])

    def kept(self) -> list[dict[str, Any]]:
        path = Path(self.place.settings.data_uri) / "shop" / "replayed" / "predict" / f"{BATCH}.parquet"
        rows: list[dict[str, Any]] = pq.read_table(path).to_pylist()
        return rows


@pytest.fixture
def home(place: Workbench, monkeypatch: pytest.MonkeyPatch) -> Home:
    (place.root / "home").mkdir()
    (place.root / "home" / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    monkeypatch.setenv("PIPELINE_TASKS", str(place.root / "tasks"))
    monkeypatch.setenv("DAGSTER_HOME", str(place.root / "home"))
    monkeypatch.chdir(place.root)
    return Home(place)


def test_a_mended_rule_then_a_mended_file_say_what_became_of_each_row(home: Home) -> None:
    home.place.put("train", "2026-01", orders(200))
    home.place.succeed("train", "2026-01")
    home.put(price={3: -1.0, 4: -1.0}, country={5: "US", 6: "US"})
    home.place.succeed("predict", BATCH)
    home.task["columns"]["country"]["allowed"].append("US")
    home.edit()

    done = home.replay()
    assert done.exit_code == 0, done.output
    assert f"shop predict {BATCH}: 2 of 40 rows are rejected" in done.stdout
    assert re.search(r"Rows rejected by the check before on [0-9: -]+ UTC: 4\n", done.stdout)
    assert "          2  accepted now" in done.stdout
    assert "          2  still rejected, by a rule as before" in done.stdout
    assert "row 3: price: -1.0 breaks price > 0 -> still rejected, by a rule as before" in done.stdout
    score = {row["row_number"]: row for row in home.place.mart("predict_output", batch=BATCH)}
    said = f"-> accepted now, probability {score[5]['probability']:.4g}"
    assert said in done.stdout
    written = sum(score[row]["decision"] for row in (5, 6))
    assert f"2  accepted now, {written} of them in the output file" in done.stdout
    by_rule = [line.split() for line in done.stdout.splitlines() if line.strip().startswith((PRICE, COUNTRY))]
    assert [line[-4:] for line in by_rule] == [["2", "0", "0", "0"], ["0", "2", "0", "0"]]

    # Run again without a change: nothing new is found, and what the change brought stays on record.
    again = home.replay()
    assert again.exit_code == 0, again.output
    assert "The file and the contract are as they were" in again.stdout
    assert re.search(r"Rows rejected by the check before on [0-9: -]+ UTC: 4\n", again.stdout)
    assert [row["outcome"] for row in home.kept()] == ["same_rule"] * 2 + ["accepted"] * 2

    home.put(price={4: -1.0, 9: -1.0}, country={6: "US"})
    done = home.replay()
    assert done.exit_code == 0, done.output
    assert "1  accepted now, 1 of them with other content" in done.stdout
    assert "-> accepted now, changed: price, probability" in done.stdout
    assert "Rows rejected now and not before: 1 (9)" in done.stdout
    assert [(row["row_number"], row["outcome"], row["order_id"]) for row in home.kept()] == [
        (3, "accepted", 3), (4, "same_rule", 4),
    ]  # fmt: skip

    rejections = sorted(
        home.place.mart("rejections", stage="predict"), key=lambda row: (row["checked_at"], row["rule"])
    )
    assert [(row["rule"], row["rows"], row["rejected_rows"], row["batch_rows"]) for row in rejections] == [
        (COUNTRY, 2, 4, 40), (PRICE, 2, 4, 40), (PRICE, 2, 2, 40), (PRICE, 2, 2, 40), (PRICE, 2, 2, 40),
    ]  # fmt: skip
    trained = home.place.mart("rejections", stage="train")
    assert [(row["rule"], row["rows"], row["batch_rows"]) for row in trained] == [("", 0, 200)]

    home.put()
    assert home.replay().exit_code == 0
    clean = home.replay()
    assert clean.exit_code == 0, clean.output
    assert f"{BATCH}: 0 of 40 rows are rejected\nThe file and the contract are as they were" in clean.stdout

    gone = CliRunner().invoke(main, ["forget", "shop", "predict", BATCH, "--yes"])
    assert gone.exit_code == 0, gone.output
    assert f"replayed/predict/{BATCH}.parquet" in gone.stdout
    assert {row["stage"] for row in home.place.mart("rejections")} == {"train"}


def test_nothing_is_started_for_a_batch_that_is_not_there_or_was_never_checked(home: Home) -> None:
    home.put()
    unknown = home.replay("2026-03")
    assert unknown.exit_code == 2
    assert "there is no such batch" in unknown.stderr
    unchecked = home.replay()
    assert unchecked.exit_code == 2
    assert "the batch has not been checked yet" in unchecked.stderr
    with dg.DagsterInstance.get() as instance:
        assert instance.get_runs() == []


def test_a_run_that_fails_before_its_check_leaves_everything_as_it_was(home: Home) -> None:
    home.put(price={3: -1.0})
    home.place.fail("predict", BATCH)  # for want of a model, after the check
    before, rejected = home.place.everything(), home.place.rejected("predict", BATCH)
    home.place.path("predict", BATCH).write_bytes(b"not parquet")
    done = home.replay()
    assert done.exit_code == 1
    assert "cannot be read as parquet" in done.stderr
    assert "the batch was not checked again; what was rejected (1 of 40 rows) is as it was" in done.stderr
    assert home.place.everything() == before
    assert home.place.rejected("predict", BATCH).equals(rejected)


def test_a_run_that_fails_after_its_check_says_what_the_check_found(home: Home) -> None:
    home.put(price={3: -1.0, 4: -1.0})
    home.place.fail("predict", BATCH)  # for want of a model, after the check
    before = home.place.everything()
    home.put(price=dict.fromkeys(range(3, 20), -1.0), order_id={3: 77})
    done = home.replay()
    assert done.exit_code == 1
    assert "17 of 40 rows rejected (42.50%); the limit is 20.00%" in done.stderr
    assert re.search(r"Rows rejected by the check before on [0-9: -]+ UTC: 2\n", done.stdout)
    assert "Rows rejected now and not before: 16 (" in done.stdout
    assert home.place.everything() == before
