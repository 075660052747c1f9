"""Drift in a browser, beside distances that the mart has, or that are computed from the marts here."""

import re

import pyarrow as pa
from playwright.sync_api import Page, expect
from psycopg2.sql import SQL, Identifier

from pipeline_assets.demo.flights import TASK, TRAIN
from pipeline_assets.mart_page.language import Formats, Texts, ViewTexts
from pipeline_assets.monitoring.drift import compare
from pipeline_assets.resources import resources
from pipeline_assets.settings import Settings
from pipeline_assets.stores.marts.greenplum import MartStore
from pipeline_assets.stores.marts.sql import reader_role
from tests.fixtures.postgres import Marts
from tests.mart_page.conftest import MONTHS, FlightsSite
from tests.mart_page.views.conftest import PREDICT, Site


def words(reader: Page) -> tuple[ViewTexts, Formats]:
    language = reader.locator("html").get_attribute("lang") or ""
    return Texts(language)("drift"), Formats(language)


def distances(reader: Page) -> dict[str, float]:
    """Every column's distance, to its last digit, in the order of the table."""
    rows = reader.locator("#drift-table table").last.locator("tbody tr").all()
    return {
        str(row.locator("th").text_content()).strip(): float(row.locator("data").get_attribute("value") or "")
        for row in rows
    }


def marts_of(site: FlightsSite) -> MartStore:
    return resources(Settings.from_env(site.flights.variables, site.flights.root))["marts"]


def column(marts: MartStore, mart: str, batch: str, name: str) -> pa.Array:
    return marts.read(f"{TASK}_{mart}", {"batch": batch}, [name]).read_all()[name].combine_chunks()


def test_a_batch_is_compared_whole_with_what_its_version_keeps(reader: Page, flights_site: FlightsSite) -> None:
    reader.goto(flights_site.at("drift"))
    expect(reader.locator("#drift-indexes .plot")).to_be_visible()
    says, formats = words(reader)
    shown = distances(reader)
    rows = marts_of(flights_site).read(f"{TASK}_drift", {"batch": MONTHS[1]}).read_all().to_pylist()
    assert shown == {row["column_name"]: row["distance"] for row in rows}
    assert list(shown.values()) == sorted(shown.values(), reverse=True)
    expect(reader.locator("#drift-sampled")).to_contain_text(formats.number(rows[0]["row_count"]))
    expect(reader.locator("#drift-sampled")).to_contain_text(formats.number(rows[0]["reference_rows"]))
    worst = next(iter(shown))
    warned = reader.locator("#drift-table table").last.locator("tr", has=reader.locator("th", has_text=worst))
    expect(warned.first).to_contain_text(says("verdict_warn"))
    expect(reader.locator("#drift-history .plot")).to_be_visible()
    reader.locator("#drift-column_head select").select_option("probability")
    expect(reader.locator("#drift-column_head h3")).to_have_text(says("bins", column="probability"))
    expect(reader.locator("#drift-history .plot")).to_have_attribute("aria-label", re.compile("probability"))


def test_columns_come_worst_first_by_a_distance_that_the_marts_confirm(reader: Page, flights_site: FlightsSite) -> None:
    reader.goto(flights_site.at("drift", columns="feature"))
    expect(reader.locator("#drift-indexes .plot")).to_be_visible()
    says, _ = words(reader)
    shown = distances(reader)
    assert list(shown.values()) == sorted(shown.values(), reverse=True)
    assert all(name.startswith("feature_") for name in shown)
    marts = marts_of(flights_site)
    for name in ("feature_dew_point", "feature_carrier", "feature_seats"):
        before = column(marts, "train_input", TRAIN, name)
        after = column(marts, "predict_input", MONTHS[1], name)
        # The slice of the tests is small: train is sampled a little, predict is taken whole.
        assert abs(shown[name] - compare(before, after).distance) < 0.04
    reader.locator("#drift-picker select[name=columns]").select_option("raw")
    expect(reader.locator("#drift-table").get_by_role("link", name="flight_date", exact=True)).to_be_visible()
    assert next(iter(distances(reader))) == "flight_date"
    expect(reader.locator("#drift-table table").last).to_contain_text(says("shift_much"))


def test_a_column_is_picked_by_a_click_by_a_link_and_by_the_keyboard(reader: Page, flights_site: FlightsSite) -> None:
    reader.goto(flights_site.at("drift", batch=MONTHS[0]))
    bars = reader.locator("#drift-indexes .bars .point path")
    expect(bars.first).to_be_visible()
    names = list(distances(reader))
    says, _ = words(reader)
    bars.nth(1).click(force=True)
    head = reader.locator("#drift-column_head h3")
    expect(head).to_have_text(says("bins", column=names[1]))
    reader.locator("#drift-table").get_by_role("link", name=names[3], exact=True).press("Enter")
    expect(head).to_have_text(says("bins", column=names[3]))
    reader.locator("#drift-column_head select").select_option(names[0])
    expect(head).to_have_text(says("bins", column=names[0]))
    expect(reader).to_have_url(re.compile(f"batch={MONTHS[0]}.*column={names[0]}"))
    expect(reader.locator("#drift-bins .plot")).to_have_attribute("aria-label", re.compile(names[0]))


def test_scores_of_every_batch_are_beside_each_other(reader: Page, flights_site: FlightsSite) -> None:
    reader.goto(flights_site.at("drift"))
    rows = reader.locator("#drift-scores_table tbody tr")
    expect(rows).to_have_count(len(MONTHS))
    _, formats = words(reader)
    marts = marts_of(flights_site)
    for month, row in zip(MONTHS, rows.all(), strict=True):
        decided = column(marts, "predict_output", month, "decision")
        expect(row).to_contain_text(formats.share(decided.true_count / len(decided)))
    expect(reader.locator("#drift-scores .plot")).to_be_visible()


def test_names_and_values_of_data_are_text(reader: Page, shop_site: Site) -> None:
    reader.goto(shop_site.at("drift", column="note", columns="raw"))
    expect(reader.locator("#drift-bins .xtick", has_text="<script>alert")).to_be_visible()
    expect(reader.locator("#drift-sampled")).to_contain_text(PREDICT)


def test_a_batch_that_is_not_there_says_what_to_do(reader: Page, shop_site: Site) -> None:
    reader.goto(shop_site.at("drift", batch="<b>none</b>"))
    notice = reader.locator("#drift-sampled .notice")
    expect(notice).to_be_visible()
    says, _ = words(reader)
    expect(notice).to_contain_text(says("no_rows_do"))


def test_a_query_that_fails_is_told_once(reader: Page, shop_site: Site) -> None:
    """Six outputs need it."""
    settings = shop_site.place.settings
    marts = Marts(settings.state / "postgres", settings.schema)
    table, role = Identifier(settings.schema, "shop_train_input"), Identifier(reader_role(settings.schema))
    failed = reader.locator("main .shiny-output-error, main .picture-error").filter(has_text="permission denied")
    marts.query(SQL("REVOKE SELECT ON {} FROM {}").format(table, role))
    try:
        reader.goto(shop_site.at("drift", columns="feature"))
        expect(failed).to_have_count(6)
        expect(failed.locator("visible=true")).to_have_count(1)
        expect(failed.first).to_be_visible()
    finally:
        marts.query(SQL("GRANT SELECT ON {} TO {}").format(table, role))
    reader.reload()
    expect(reader.locator("#drift-table")).to_contain_text("feature_price")
    expect(failed).to_have_count(0)
