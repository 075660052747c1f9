from pipeline_assets.alerts.message import Message, Problem
from pipeline_assets.errors import DataError

ERROR = str(DataError("an expression failed", column="price", found="could not convert '12 Main St'", do="mend it"))
FAILED = Message(
    "run_failed",
    (Problem("step shop__predict_raw", ERROR, may_hold_values=True),),
    task="shop",
    stage="predict",
    batch="2026-01",
    job="shop_predict",
    run_id="run-1",
    link="https://dagster/runs/run-1",
)


def test_the_text_names_the_batch_what_failed_and_where_to_look() -> None:
    assert FAILED.without_values().text().splitlines() == [
        "shop, predict, batch 2026-01: the run failed",
        "step shop__predict_raw: an expression failed",
        "  column:    price",
        "  do:        mend it",
        "https://dagster/runs/run-1",
    ]


def test_values_of_rows_are_told_only_to_those_who_ask_for_them() -> None:
    for form in ("json", "slack"):
        assert "Main St" in str(FAILED.body(form))
        assert "Main St" not in str(FAILED.without_values().body(form))


def test_a_value_of_several_lines_is_left_out_whole() -> None:
    error = str(DataError("no text", found="a\n  b: c\n  do not tell", do="mend it"))
    message = Message("run_failed", (Problem("step", error, may_hold_values=True),))
    assert message.without_values().problems[0].text == "no text\n  do:        mend it"


def test_json_has_every_fact() -> None:
    body = FAILED.body("json")
    assert {name: body[name] for name in ("event", "task", "stage", "batch", "job", "run_id", "link")} == {
        "event": "run_failed",
        "task": "shop",
        "stage": "predict",
        "batch": "2026-01",
        "job": "shop_predict",
        "run_id": "run-1",
        "link": "https://dagster/runs/run-1",
    }
    assert body["problems"] == [{"where": "step shop__predict_raw", "severity": "error", "text": ERROR}]


def test_slack_gets_one_text_in_which_a_batch_calls_nobody() -> None:
    message = Message("late", (Problem("model", "old & <!channel>"),), task="shop", stage="train")
    assert message.body("slack") == {"text": "shop, train: late\nmodel: old &amp; &lt;!channel&gt;"}


def test_of_a_long_error_the_beginning_is_told_and_the_link_stays() -> None:
    message = Message("run_failed", (Problem("step", "x" * 10_000),), task="shop", run_id="run-1")
    assert len(message.text()) < 3100
    assert message.text().endswith("…\nrun run-1")
