"""Quality in a browser, beside what the mart has."""

from typing import Any

from playwright.sync_api import Page, expect

from pipeline_assets.demo.flights import TASK
from pipeline_assets.mart_page.language import Formats, Texts, ViewTexts
from pipeline_assets.resources import resources
from pipeline_assets.settings import Settings
from tests.mart_page.conftest import MONTHS, FlightsSite
from tests.mart_page.views.conftest import KIND_BATCHES, PREDICT, UNJUDGED, KindsSite, Site


def words(reader: Page) -> tuple[ViewTexts, Formats]:
    language = reader.locator("html").get_attribute("lang") or ""
    return Texts(language)("quality"), Formats(language)


def judged(site: FlightsSite, month: str) -> dict[str, Any]:
    marts = resources(Settings.from_env(site.flights.variables, site.flights.root))["marts"]
    where = {"batch": month, "segment": ""}
    (row,) = marts.read(f"{TASK}_quality", where).read_all().to_pylist()
    found: dict[str, Any] = row
    return found


def test_every_batch_is_there_with_its_metrics_and_the_baseline(reader: Page, flights_site: FlightsSite) -> None:
    reader.goto(flights_site.at("quality"))
    rows = reader.locator("#quality-table tbody tr")
    expect(rows).to_have_count(len(MONTHS))
    says, formats = words(reader)
    for month, row in zip(reversed(MONTHS), rows.all(), strict=True):
        found = judged(flights_site, month)
        expect(row).to_contain_text(month)
        for name in ("roc_auc", "log_loss", "precision"):
            both = (formats.number(round(found[each], 3)) for each in (name, f"baseline_{name}"))
            expect(row).to_contain_text("{} ({})".format(*both))
    expect(reader.locator("#quality-over_batches .plot")).to_have_attribute(
        "aria-label",
        says(
            "picture_batches",
            metric="roc_auc",
            first=MONTHS[0],
            last=MONTHS[1],
            before=formats.number(round(judged(flights_site, MONTHS[0])["roc_auc"], 4)),
            after=formats.number(round(judged(flights_site, MONTHS[1])["roc_auc"], 4)),
        ),
    )


def test_a_batch_a_metric_and_a_segment_are_picked(reader: Page, flights_site: FlightsSite) -> None:
    reader.goto(flights_site.at("quality"))
    says, _ = words(reader)
    reader.locator("#quality-table").get_by_role("link", name=MONTHS[0]).click()
    expect(reader.locator("#quality-batch_head h3")).to_have_text(says("of_batch", batch=MONTHS[0], version=1))
    expect(reader.locator("#quality-calibration .plot")).to_be_visible()
    for airport in ("EWR", "JFK", "LGA"):
        expect(reader.locator("#quality-segments tbody th", has_text=f"origin: {airport}")).to_be_visible()
    reader.locator("#quality-picker select[name=metric]").select_option("brier_score")
    expect(reader.locator("#quality-over_batches .plot")).to_contain_text("brier_score")
    reader.locator("#quality-picker select[name=segment]").select_option("origin")
    expect(reader.locator("#quality-over_batches .legendtext", has_text="JFK")).to_be_visible()


def test_what_did_not_meet_is_told_and_names_are_text(reader: Page, shop_site: Site) -> None:
    reader.goto(shop_site.at("quality"))
    head = reader.locator("#quality-batch_head")
    expect(head).to_contain_text(PREDICT)
    says, _ = words(reader)
    place = head.locator("dt", has_text=says("count_unpredicted")).locator("xpath=following-sibling::dd[1]")
    expect(place).to_have_text("2")  # the rejected order, and the key that is nobody's
    expect(reader.locator("#quality-segments tbody tr").first).to_contain_text(says("few_rows", needed=100))


def test_every_kind_is_judged(reader: Page, kinds_site: KindsSite) -> None:
    for task, metric in (("fates", "log_loss ↓"), ("refunds", "rmse ↓")):
        reader.goto(kinds_site.at(task, "quality"))
        expect(reader.locator("#quality-table thead")).to_contain_text(metric)
        expect(reader.locator("#quality-table tbody tr")).to_have_count(len(KIND_BATCHES))
        expect(reader.locator("#quality-calibration .plot")).to_be_visible()
    reader.goto(kinds_site.at(UNJUDGED, "quality"))
    says, _ = words(reader)
    expect(reader.locator("#quality-picker")).to_contain_text(says("none"))
    expect(reader.locator("#quality-picker")).to_contain_text(f"{UNJUDGED}_truth")
