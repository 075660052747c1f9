"""What is left when a verb of the command is killed, and that the next run of it heals it."""

import os
import re
import signal
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from pipeline_assets.cli.main import main
from pipeline_assets.engine.record import manifest_of
from pipeline_assets.engine.replay import replay_of
from tests.cli.test_replay import BATCH, PRICE, Home, home
from tests.examples import orders
from tests.fixtures.killing import Point, killed

__all__ = ["home"]

BAD = [{3: -1.0, 4: -1.0}, {4: -1.0, 9: -1.0}]


def variables() -> dict[str, str]:
    return {name: os.environ[name] for name in ("PIPELINE_TASKS", "DAGSTER_HOME")}


RAW = "pipeline_assets.io_managers.raw"
# Where it dies, whether what became of the rows and the new record are there then, and the count of the rejected ones.
WINDOWS = [
    (Point(f"{RAW}:RawIOManager._compare"), False, False),
    (Point(f"{RAW}:RawIOManager._compare", "after"), False, False),
    (Point("pipeline_assets.stores.marts.greenplum:MartStore.replace", of="_rejections"), True, False),
    (Point("pipeline_assets.stores.marts.greenplum:MartStore.replace", "after", of="_rejections"), True, True),
]


def test_a_replay_killed_anywhere_keeps_the_former_record_or_has_the_new_one_with_its_comparison(home: Home) -> None:
    place, files, ref = home.place, home.place.stores["files"], home.place.ref("predict", BATCH)
    home.put(price=BAD[0])
    place.fail("predict", BATCH)  # for want of a model, after the check
    for at, (point, recorded, counted) in enumerate(WINDOWS):
        former, rejected = manifest_of(files, ref), place.rejected("predict", BATCH)
        home.put(price=BAD[(at + 1) % 2])
        code = killed(["replay", "shop", "predict", BATCH], place.root, variables(), point)
        assert code == -signal.SIGKILL, point
        found, now = replay_of(files, ref), manifest_of(files, ref)
        if recorded:
            assert now.run_id != former.run_id
            assert found is not None
            assert found.replay.former == former
        else:
            assert now == former
            assert place.rejected("predict", BATCH).equals(rejected)
            assert found is None or found.replay.now.same_as(former)
        assert bool(place.mart("rejections", run_id=now.run_id)) == (counted or not recorded)

        done = CliRunner().invoke(main, ["replay", "shop", "predict", BATCH])
        assert re.search(r"Rows rejected by the check before on [0-9: -]+ UTC: 2\n", done.stdout), done.output
        healed = replay_of(files, ref)
        assert healed is not None
        assert healed.replay.former == former
        assert healed.replay.outcomes == {"accepted": 1, "same_rule": 1, "other_rule": 0, "gone": 0}
        assert healed.replay.newly == {PRICE: 1}
        (counts,) = place.mart("rejections", run_id=manifest_of(files, ref).run_id)
        assert (counts["rule"], counts["rows"]) == (PRICE, 2)


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_forget_killed_between_two_stores_goes_on_where_it_was(home: Home, moment: str) -> None:
    place = home.place
    home.put(price=BAD[0])
    place.fail("predict", BATCH)
    home.put(price=BAD[1])
    place.fail("predict", BATCH)
    point = Point("pipeline_assets.stores.files.base:FileStore.forget", "before" if moment == "before" else "after")
    command = ["forget", "shop", "predict", BATCH, "--yes"]
    assert killed(command, place.root, variables(), point) == -signal.SIGKILL
    assert place.mart("rejections") == []
    # The comparison goes first: what is left never speaks of a record that is gone.
    there = {path.parent.parent.name for path in Path(place.settings.data_uri).rglob(f"{BATCH}.parquet")}
    assert there == {"shop", "rejected", *(["replayed"] if moment == "before" else [])}
    done = CliRunner().invoke(main, command)
    assert done.exit_code == 0, done.output
    assert list(Path(place.settings.data_uri).rglob(f"{BATCH}.parquet")) == [place.path("predict", BATCH)]


def succeeds(*command: str) -> None:
    done = CliRunner().invoke(main, [*command])
    assert done.exit_code == 0, done.output


def dies(point: Point, *command: str) -> None:
    assert killed([*command], folder=Path.cwd(), env=variables(), point=point) == -signal.SIGKILL, (point, command)


RECORD = Point("pipeline_assets.stores.marts.greenplum:MartStore.replace", of="_model_choices")
ALIAS = Point("pipeline_assets.stores.registry.registry:Registry.set_champion")
WHY = ("--because", "a test", "--by", "tester")


def test_orders_over_the_champion_verdicts_and_judgements_killed_anywhere_are_whole_after_the_next_run(
    home: Home,
) -> None:
    place, registry = home.place, home.place.stores["registry"]
    place.put("train", "2026-01", orders(200))
    for _ in range(2):
        place.succeed("train", "2026-01")
    home.put()
    place.succeed("predict", BATCH)

    def champion() -> tuple[int | None, int]:
        last = max(place.mart("model_choices"), key=lambda row: row["chosen_at"])
        return registry.champion("shop"), last["model_version"]

    assert champion() == (1, 1)
    dies(RECORD, "promote", "shop", "2", *WHY)
    assert champion() == (1, 1)
    dies(ALIAS, "promote", "shop", "2", *WHY)
    assert champion() == (1, 2)
    succeeds("promote", "shop", "2", *WHY)
    assert champion() == (2, 2)
    dies(replace(ALIAS, moment="after"), "rollback", "shop", *WHY)
    assert champion() == (1, 1)
    succeeds("promote", "shop", "2", *WHY)
    dies(ALIAS, "rollback", "shop", *WHY)
    assert champion() == (2, 1)
    # The next prediction does what the person has decided.
    place.succeed("predict", BATCH)
    assert champion() == (1, 1)
    assert {row["model_version"] for row in place.mart("predict_output", batch=BATCH)} == {1}

    before = place.everything()
    dies(Point("pipeline_assets.stores.registry.registry:Registry.log_reproduction"), "reproduce", "shop", "1")
    assert [row["verdict"] for row in place.mart("reproductions")] == ["identical"]
    succeeds("reproduce", "shop", "1")
    assert [row["verdict"] for row in place.mart("reproductions")] == ["identical"] * 2

    truth = place.path("predict", BATCH).parents[1] / "truth" / f"{BATCH}.parquet"
    truth.parent.mkdir()
    pq.write_table(orders(40).select(["order_id", "returned"]), truth)
    quality = Point("pipeline_assets.stores.marts.greenplum:MartStore.replace", of="_quality")
    dies(quality, "run", "shop", "truth", BATCH)
    assert place.stores["marts"].count("shop_quality", {}) == 0
    dies(replace(quality, moment="after"), "run", "shop", "truth", BATCH)
    judged = place.mart("quality", batch=BATCH, segment="")
    succeeds("run", "shop", "truth", BATCH)
    (row,) = place.mart("quality", batch=BATCH, segment="")
    assert [each["roc_auc"] for each in judged] == [row["roc_auc"]]
    assert {name: kept for name, kept in place.everything().items() if name != str(truth)} == before
