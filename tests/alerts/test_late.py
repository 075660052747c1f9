from datetime import UTC, datetime, timedelta

from pipeline_assets.alerts.late import Watched, late_message, newly_late, read_told, write_told

NOW = datetime(2026, 1, 10, 12, tzinfo=UTC)


def watched(asset: str, hours: float, stage: str = "predict", task: str = "shop") -> Watched:
    return Watched(task, stage, asset, timedelta(hours=36), NOW - timedelta(hours=hours), "2026-01")


def test_an_asset_is_late_when_its_time_is_over() -> None:
    assert newly_late([watched("predictions", 35.9)], {}, NOW) == []
    assert newly_late([watched("predictions", 36)], {}, NOW) == [[watched("predictions", 36)]]


def test_people_are_told_once_and_again_when_it_was_made_and_is_late_again() -> None:
    late = watched("predictions", 40)
    told = {late.name: late.made.timestamp()}
    assert newly_late([late], told, NOW) == []
    assert newly_late([watched("predictions", 38)], told, NOW) == [[watched("predictions", 38)]]


def test_late_assets_are_told_by_task_and_stage() -> None:
    each = [watched("predict_raw", 40), watched("predictions", 40), watched("model", 50, "train"), watched("a", 1)]
    assert [[one.asset for one in some] for some in newly_late(each, {}, NOW)] == [
        ["predict_raw", "predictions"],
        ["model"],
    ]


def test_the_message_says_since_when() -> None:
    message = late_message([watched("predictions", 100)], NOW)
    assert message.text() == (
        "shop, predict: late\n"
        "predictions: last made 4 days ago, of batch 2026-01, at 2026-01-06 08:00 UTC; it should be made every 36 hours"
    )


def test_the_cursor_forgets_what_nobody_watches() -> None:
    kept = watched("predictions", 40)
    cursor = write_told({kept.name: 1.5, "gone/model": 2.0}, [kept])
    assert read_told(cursor) == {"shop/predictions": 1.5}
    assert read_told(None) == {}
