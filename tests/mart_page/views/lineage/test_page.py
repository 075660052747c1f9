"""The lineage in a browser: a click on a column shows its path both ways."""

import re

from playwright.sync_api import Page, expect

from pipeline_assets.mart_page.language import Texts, ViewTexts
from tests.mart_page.conftest import FlightsSite
from tests.mart_page.views.conftest import Site


def words(reader: Page) -> ViewTexts:
    return Texts(reader.locator("html").get_attribute("lang") or "")("lineage")


def links_below(reader: Page, title: str) -> list[str]:
    table = reader.locator("#lineage-path table", has=reader.locator("caption", has_text=title))
    return [text.strip() for text in table.locator("tbody th").all_text_contents()]


def test_a_click_on_a_column_shows_its_path_both_ways(reader: Page, flights_site: FlightsSite) -> None:
    reader.goto(flights_site.at("lineage"))
    drawing = reader.locator("#lineage-drawing")
    expect(drawing.locator(".textpoint text", has_text="plane_age")).to_be_visible()
    says = words(reader)
    # The marks of raw columns are the first layer, and names stand beside them in the same order.
    layer = drawing.locator("g.trace", has=reader.locator("text", has_text="plane_age"))
    place = layer.locator(".textpoint text").all_text_contents().index("plane_age")
    layer.locator(".points path").nth(place).click(force=True)
    expect(reader).to_have_url(re.compile("column=feature%3Aplane_age"))
    expect(reader.locator("#lineage-path h3")).to_have_text(says("path", column="plane_age"))
    assert links_below(reader, says("comes_from")) == ["flight_date", "plane_year"]
    assert links_below(reader, says("goes_to")) == ["probability", "decision"]
    expect(reader.locator("#lineage-drawing .picture-says")).to_contain_text("flight_date, plane_year")
    expect(drawing.locator("text tspan", has_text="plane_age")).to_have_css("font-weight", "700")


def test_the_keyboard_and_the_links_lead_along_the_path_and_back(reader: Page, flights_site: FlightsSite) -> None:
    reader.goto(flights_site.at("lineage"))
    picker = reader.locator("#lineage-picker select")
    expect(picker).to_be_visible()
    says = words(reader)
    picker.select_option("raw:flight_date")
    expect(reader.locator("#lineage-path h3")).to_have_text(says("path", column="flight_date"))
    assert links_below(reader, says("goes_to")) == ["weekday", "plane_age", "probability", "decision"]
    expect(reader.locator("#lineage-path")).to_contain_text(says("origin"))
    reader.locator("#lineage-path").get_by_role("link", name="weekday").press("Enter")
    expect(reader.locator("#lineage-path")).to_contain_text("isodow(flight_date)")
    reader.go_back()
    expect(picker).to_have_value("raw:flight_date")
    picker.select_option("")
    expect(reader.locator("#lineage-path")).to_contain_text(
        says("unused", names="sched_arr_time, carrier_name, flight")[:40]
    )


def test_a_column_that_is_not_there_is_as_none(reader: Page, shop_site: Site) -> None:
    reader.goto(shop_site.at("lineage", column="feature:<script>"))
    expect(reader.locator("#lineage-picker select")).to_have_value("")
    expect(reader.locator("#lineage-drawing .textpoint text", has_text="ordered_on")).to_be_visible()
