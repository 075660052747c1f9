"""Who was champion by whose decision, and what the latest challenger changes, as a reader sees it."""

import json
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
from playwright.sync_api import Page, expect

from pipeline_assets.ml.difference import ChangedRow, Difference, Moves, Segment, Way
from pipeline_assets.stores.marts.model_choices import model_choices
from tests.mart_page.filled import choice
from tests.mart_page.views.conftest import PREDICT, Site
from tests.mart_page.views.models.test_page import words

FOUND = Difference(
    batch=PREDICT,
    rows=100,
    of=200,
    champion=1,
    challenger=2,
    flipped=4,
    rule="another decision by output.where",
    ways=(Way("false → true", 3), Way("up", 1)),
    changed=(ChangedRow(17, True, {"probability": 0.25, "decision": False}, {"probability": 0.75, "decision": True}),),
    segments=(Segment("country", "DE", 50, 4), Segment("country", "", 50, 0)),
    moves=Moves((-1.0, 1.0), (100,)),
)


def put(site: Site, *rows: dict[str, Any]) -> None:
    table = model_choices(site.place.task)
    for row in rows:
        where = {"run_id": row["run_id"], "stage": row["stage"]}
        site.place.stores["marts"].replace(table, where, pa.Table.from_pylist([row], table.schema).to_reader())


def test_the_history_names_the_person_and_the_challenge_its_rows(reader: Page, shop_site: Site) -> None:
    held = choice("ann", "rollback", 1, day=1, chosen_by="Ann <b>", chosen_because="it was better")
    held.update(
        reason_code="held_from_now",
        reason_values=json.dumps({"winner": 1, "by": "Ann <b>", "words": "it was better"}),
        chosen_at=datetime.now(UTC),
    )
    challenged = choice("challenge", "train", 1, day=2, difference=json.dumps(FOUND.to_json(), ensure_ascii=False))
    put(shop_site, held, {**challenged, "gain": 0.02, "gain_low": 0.01, "gain_high": 0.03})
    reader.goto(shop_site.at("models"))
    history = reader.locator("#models-history details").first
    expect(history).to_be_visible()
    says, formats = words(reader)
    history.locator("summary").click()
    first = history.locator("tbody tr").first
    expect(first).to_contain_text(says("by_person", name="Ann <b>"))
    expect(first).to_contain_text(says("reason_held_from_now", winner=1, by="Ann <b>", words="it was better"))

    challenge = reader.locator("#models-history details").nth(1)
    expect(challenge.locator("summary")).to_have_text(says("difference", challenger=2, share=formats.share(0.04)))
    challenge.locator("summary").click()
    for text in (
        "false → true",
        says("way_up"),
        says("empty_text"),
        f"{formats.number(0.25)} → {formats.number(0.75)}",
    ):
        expect(challenge).to_contain_text(text)
    expect(challenge.get_by_role("link", name=PREDICT)).to_be_visible()


def test_a_version_shows_the_interval_of_its_metric(reader: Page, shop_site: Site) -> None:
    (record,) = [row for row in shop_site.place.mart("model_choices", stage="train") if row["run_id"] != "challenge"]
    (judged,) = json.loads(record["candidates"])
    reader.goto(shop_site.at("models"))
    row = reader.locator("#models-versions tbody tr").first
    expect(row).to_be_visible()
    _, formats = words(reader)
    ends = " … ".join(formats.number(round(end, 4)) for end in judged["interval"])
    expect(row).to_contain_text(f"{formats.number(round(judged['same_rows'], 4))} ({ends})")
