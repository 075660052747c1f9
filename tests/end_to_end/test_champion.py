"""Who is champion, on a slice of the real flights: held back, promoted, set back, and found again by date."""

from collections.abc import Iterator
from typing import Any

import dagster as dg
import numpy as np
import psycopg2
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner, Result

from pipeline_assets.cli.main import main
from pipeline_assets.cli.sql import command
from pipeline_assets.demo.flights import TASK, write
from pipeline_assets.demo.truth import demo_task
from pipeline_assets.stores.marts import embedded_postgres
from pipeline_assets.task.spec import TaskSpec
from tests.workbench import Workbench

MONTH = "2013-10"
# As README has them: which version was champion at a moment, and every champion so far.
CHAMPION_AT = """
select model_version, chosen_at, stage, chosen_by, chosen_because, reason
from flight_delays_model_choices
where chosen_at <= %s
order by chosen_at desc
limit 1
"""
CHAMPIONS = """
select model_version, chosen_at as since, lead(chosen_at) over (order by chosen_at) as until, chosen_by
from flight_delays_model_choices
where model_version is distinct from previous_version
order by chosen_at
"""


def task(**selection: Any) -> TaskSpec:
    """The demo's task, fitted in a moment."""
    demo = demo_task()
    training = demo.training.model_copy(update={"parameters": {"iterations": 40, "depth": 4}, "search": None})
    chosen = demo.selection.model_copy(update=selection)
    return demo.model_copy(update={"training": training, "selection": chosen})


@pytest.fixture(scope="module")
def flights(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workbench]:
    root = tmp_path_factory.mktemp("champion")
    (root / "home").mkdir()
    (root / "home" / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    with dg.DagsterInstance.ephemeral() as instance:
        bench = Workbench(root, task(max_flip_share=0.0), instance)
        for file in write(root / "whole"):
            table = pq.read_table(file.path)
            if file.stage == "train":
                for name, every in (("few", 100), ("more", 20), ("again", 21)):
                    bench.put("train", name, table.take(np.arange(0, len(table), every)))
            elif file.batch == MONTH:
                bench.put("predict", MONTH, table.take(np.arange(0, len(table), 20)))
        yield bench
    embedded_postgres.stop(root / ".pipeline" / "postgres")


@pytest.fixture(autouse=True)
def _home(flights: Workbench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAGSTER_HOME", str(flights.root / "home"))
    monkeypatch.chdir(flights.root)


def say(*arguments: str) -> Result:
    return CliRunner().invoke(main, [*arguments])


def predicted_by(flights: Workbench) -> int:
    flights.succeed("predict", MONTH)
    (version,) = {row["model_version"] for row in flights.mart("predict_output", batch=MONTH)}
    return int(version)


def decisions(flights: Workbench) -> dict[int, bool]:
    return {row["row_number"]: row["decision"] for row in flights.mart("predict_output", batch=MONTH)}


def ask(flights: Workbench, query: str, *values: object) -> list[dict[str, Any]]:
    """The rows of a query that a person puts to the marts."""
    _, place = command(flights.settings)
    connection = psycopg2.connect(
        host=place["PGHOST"],
        port=place["PGPORT"],
        dbname=place["PGDATABASE"],
        user=place["PGUSER"],
        options=place["PGOPTIONS"],
    )
    with connection.cursor() as cursor:
        cursor.execute(query, values)
        names = [column.name for column in cursor.description or ()]
        rows = cursor.fetchall()
    connection.close()
    return [dict(zip(names, row, strict=True)) for row in rows]


def check_history(flights: Workbench) -> None:
    """Each record names the champion from its moment on, up to the next one."""
    records = sorted(flights.mart("model_choices"), key=lambda row: row["chosen_at"])
    for record, following in zip(records, [*records[1:], None], strict=True):
        moment = record["chosen_at"]
        for at in (moment, moment if following is None else moment + (following["chosen_at"] - moment) / 2):
            (found,) = ask(flights, CHAMPION_AT, at)
            assert (found["model_version"], found["reason"]) == (record["model_version"], record["reason"])
    champions = ask(flights, CHAMPIONS)
    assert [(each["model_version"], each["chosen_by"]) for each in champions] == [(1, None), (2, "Ann"), (1, "Boris")]
    assert [each["until"] for each in champions] == [*(each["since"] for each in champions[1:]), None]


def test_a_champion_is_held_back_promoted_set_back_and_held(flights: Workbench) -> None:
    registry = flights.stores["registry"]
    flights.succeed("train", "few")
    assert predicted_by(flights) == 1

    # A better challenger changes decisions, and the task leaves that to a person.
    shown = flights.metadata(flights.succeed("train", "more"), "model")
    assert (shown["model_version"], shown["champion"], registry.champion(TASK)) == (2, 1, 1)
    difference, record = shown["choice"]["difference"], shown["choice"]
    assert difference["batch"] == MONTH
    assert difference["rows"] == difference["of"] == len(pq.read_table(flights.path("predict", MONTH)))
    assert 0 < difference["flipped"] == sum(each["rows"] for each in difference["ways"])
    assert shown["flip_share"] == difference["share"]
    assert "pipeline-assets promote flight_delays 2 gives it the alias" in shown["reason"]
    assert shown["difference"].startswith(f"version 2 would change {difference['flipped']} of")
    assert 0 < len({each["feature"] for each in difference["segments"]} & set(flights.task.features.categorical)) <= 3
    assert record["gain_interval"][0] < record["gain"] < record["gain_interval"][1]
    (made,) = [each for each in registry.candidates(TASK) if each.version == 2]
    plots = {file.path for file in registry.client.list_artifacts(made.run_id, "plots")}
    assert "plots/difference.png" in plots
    assert predicted_by(flights) == 1

    # What was said of the batch is what becomes of it.
    before = decisions(flights)
    done = say("promote", TASK, "2", "--because", "the flips are right", "--by", "Ann")
    assert done.exit_code == 0, done.output
    assert "version 2 becomes champion: Ann promoted it over version 1 (the flips are right)" in done.stdout
    assert predicted_by(flights) == 2
    after = decisions(flights)
    assert sum(before[row] != after[row] for row in before) == difference["flipped"]
    flipped = [each["row_number"] for each in difference["changed"] if each["flipped"]]
    assert flipped
    assert all(before[row] != after[row] for row in flipped)

    done = say("rollback", TASK, "--because", "night flights are off", "--by", "Boris")
    assert done.exit_code == 0, done.output
    assert registry.champion(TASK) == 1
    flights.use(task())
    shown = flights.metadata(flights.succeed("train", "again"), "model")
    assert (shown["model_version"], shown["champion"], registry.champion(TASK)) == (3, 1, 1)
    assert "version 1 stays champion: Boris holds it since" in shown["reason"]
    assert "(night flights are off)" in shown["reason"]
    assert predicted_by(flights) == 1
    check_history(flights)

    assert say("promote", TASK, "3", "--because", "it was the weather").exit_code == 0
    assert predicted_by(flights) == 3


def test_what_cannot_be_champion_is_refused(flights: Workbench) -> None:
    before = flights.stores["registry"].champion(TASK)
    unknown = say("rollback", TASK, "--version", "99", "--because", "no")
    assert unknown.exit_code == 1
    assert "there is no such model version" in unknown.stderr
    assert say("promote", "no_such_task", "1", "--because", "no").exit_code == 2
    assert say("promote", TASK, "1", "--because", " ").exit_code == 1
    assert flights.stores["registry"].champion(TASK) == before
