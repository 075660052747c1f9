from dataclasses import replace

import dagster as dg

from pipeline_assets.assets.sensors import RUNS_PER_TICK, Seen, fingerprint, look
from pipeline_assets.stores.files.base import Found
from pipeline_assets.task.batch import Part
from tests.examples import orders
from tests.workbench import Workbench


def found(*batches: str, stamp: str = "1") -> dict[str, Found]:
    return {batch: Found(f"data/{batch}.parquet", (Part(f"data/{batch}.parquet", 10, stamp),)) for batch in batches}


NOTHING = Seen({}, 0)


def test_new_files_are_asked_for_once() -> None:
    changed, seen = look(found("a", "b"), NOTHING)
    assert changed == ["a", "b"]
    assert look(found("a", "b"), seen) == ([], seen)


def test_a_changed_file_is_asked_for_again() -> None:
    _, seen = look(found("a", "b"), NOTHING)
    assert look({**found("a"), **found("b", stamp="2")}, seen)[0] == ["b"]


def test_a_part_added_to_a_folder_is_a_change() -> None:
    one = found("a")["a"]
    two = replace(one, parts=(*one.parts, Part("data/a/2.parquet", 10, "1")))
    assert fingerprint(one) != fingerprint(two)


def test_a_file_that_comes_back_unchanged_is_asked_for_under_a_new_key() -> None:
    _, seen = look(found("a"), NOTHING)
    _, gone = look({}, seen)
    changed, back = look(found("a"), gone)
    assert changed == ["a"]
    assert back.asked == seen.asked + 1


def test_no_more_runs_than_a_tick_takes_and_the_rest_in_the_next() -> None:
    names = [f"{number:04}" for number in range(2 * RUNS_PER_TICK + 3)]
    seen, asked = NOTHING, []
    for _ in range(3):
        changed, seen = look(found(*names), seen)
        asked.append(changed)
    assert [len(each) for each in asked] == [RUNS_PER_TICK, RUNS_PER_TICK, 3]
    assert [name for each in asked for name in each] == names


def test_what_is_seen_survives_the_cursor() -> None:
    _, seen = look(found("a", "Отчёт 1"), NOTHING)
    assert Seen.from_cursor(seen.to_cursor()) == seen
    assert Seen.from_cursor(None) == NOTHING


def tick(place: Workbench, cursor: str | None, stage: str = "train") -> dg.SensorResult:
    sensor = place.defs.resolve_sensor_def(f"shop_{stage}_files")
    context = dg.build_sensor_context(
        instance=place.instance, cursor=cursor, definitions=place.defs, resources={"files": place.stores["files"]}
    )
    result = sensor(context)
    assert isinstance(result, dg.SensorResult)
    return result


def test_the_sensor_asks_for_partitions_and_their_runs(place: Workbench) -> None:
    place.put("train", "2026-01", orders(3))
    place.put("train", "2026-02", orders(3))
    first = tick(place, None)
    assert [request.partition_key for request in first.run_requests or ()] == ["2026-01", "2026-02"]
    (partitions,) = first.dynamic_partitions_requests or ()
    assert (partitions.partitions_def_name, list(partitions.partition_keys)) == (
        "shop_train_batches", ["2026-01", "2026-02"]
    )  # fmt: skip
    second = tick(place, first.cursor)
    assert not second.run_requests
    assert "no new or changed file among 2" in str(second.skip_reason)
    place.put("train", "2026-01", orders(4))
    third = tick(place, second.cursor)
    (request,) = third.run_requests or ()
    assert request.partition_key == "2026-01"
    assert request.run_key not in {each.run_key for each in first.run_requests or ()}


def test_a_file_of_truth_waits_until_its_batch_was_predicted(place: Workbench) -> None:
    place.put("truth", "2026-01", orders(3))
    early = tick(place, None, "truth")
    assert not early.run_requests
    place.instance.add_dynamic_partitions("shop_predict_batches", ["2026-01", "2026-02"])
    first = tick(place, early.cursor, "truth")
    assert [request.partition_key for request in first.run_requests or ()] == ["2026-01"]
    assert not first.dynamic_partitions_requests
    assert not tick(place, first.cursor, "truth").run_requests
