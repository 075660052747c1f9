import re
from pathlib import Path

import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest
from playwright.sync_api import Locator, Page, expect

from tests.mart_page.conftest import FlightsSite
from tests.mart_page.views.conftest import PREDICT, SCRIPT, Site
from tests.mart_page.views.test_shell import language_of


def cells(page: Page, column: str) -> list[str]:
    """What a column shows, once all is there."""
    expect(page.locator("main > section:visible .recalculating:visible")).to_have_count(0)
    heads = [text.split(" ")[0].strip() for text in page.locator("table.mart thead th").all_inner_texts()]
    place = heads.index(column)
    return page.locator(f"table.mart tbody tr > :nth-child({place + 1})").all_inner_texts()


def rows(page: Page) -> Locator:
    return page.locator("tr[data-href]")


def add_filter(page: Page, column: str, word: str, value: str) -> None:
    form = page.locator("main > section:visible .filters form")
    form.locator("select").nth(0).select_option(column)
    form.locator("select").nth(1).select_option(word)
    form.locator("input[type=text]").fill(value)
    form.locator("button").click()
    expect(page.locator("main > section:visible .chip", has_text=column)).to_be_visible()


def count_shown(page: Page, rows: int) -> str:
    number = f"{rows:,}"
    return {"en": number, "ru": number.replace(",", "\u00a0")}[language_of(page)]


def test_task_batch_filter_sort_and_page(flights_site: FlightsSite, reader: Page) -> None:
    expected = flights_site.flights.file("predict", "2013-10")
    reader.goto(flights_site.at("input"))
    expect(rows(reader)).to_have_count(50)
    section = reader.locator("main > section:visible")
    section.locator("select[name=batch]").select_option("2013-10")
    expect(reader).to_have_url(re.compile("batch=2013-10"))
    told = section.locator("[role=status]").first
    expect(told).to_have_text(re.compile(count_shown(reader, expected.num_rows)))
    add_filter(reader, "carrier", "is", "UA")
    expect(reader.locator("table.mart tbody")).not_to_contain_text("AA ")
    united = expected.filter(pc.equal(expected["carrier"], "UA"))
    expect(told).to_have_text(re.compile(count_shown(reader, united.num_rows)))
    assert set(cells(reader, "carrier")) == {"UA"}

    distance = {"en": "2,227.5", "ru": "2\u00a0227,5"}[language_of(reader)]
    add_filter(reader, "distance", "at_least", distance)
    far = united.filter(pc.greater_equal(united["distance"], 2228))
    expect(told).to_have_text(re.compile(f"{far.num_rows:,}".replace(",", ".")))
    reader.locator("table.mart thead a", has_text=re.compile("^distance")).first.click()
    expect(reader.locator("th[aria-sort=ascending]")).to_contain_text("distance")
    reader.locator("table.mart thead a", has_text=re.compile("^distance")).first.click()
    expect(reader.locator("th[aria-sort=descending]")).to_contain_text("distance")
    most = pc.max(far["distance"]).as_py()
    assert re.sub(r"\D", "", cells(reader, "distance")[0]) == str(most)

    first = cells(reader, "row_number")
    reader.locator("main > section:visible a[rel=next]").click()
    expect(reader.locator("main > section:visible nav [aria-current=page]")).to_contain_text("2")
    expect(rows(reader).first).not_to_contain_text(f" {first[0]} ")
    second = cells(reader, "row_number")
    assert not set(first) & set(second)
    reader.locator("main > section:visible .chip a").first.click()
    expect(reader.locator("main > section:visible .chip")).to_have_count(1)


def test_what_cannot_be_a_value_is_told(flights_site: FlightsSite, reader: Page) -> None:
    reader.goto(flights_site.at("input", w1c="distance", w1o="at_least", w1v="far"))
    expect(reader.locator("main > section:visible [role=alert]")).to_contain_text("distance")
    expect(rows(reader)).to_have_count(50)


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_a_download_is_what_is_filtered(flights_site: FlightsSite, reader: Page, tmp_path: Path, form: str) -> None:
    reader.goto(flights_site.at("input", batch="2013-10", w1c="origin", w1o="is", w1v="JFK", sort="distance", down=1))
    expect(rows(reader)).to_have_count(50)
    with reader.expect_download() as waiting:
        reader.locator("main > section:visible .downloads a", has_text=form if form == "parquet" else "CSV").click()
    path = tmp_path / waiting.value.suggested_filename
    assert path.suffix == f".{form}"
    waiting.value.save_as(path)
    table = pacsv.read_csv(path) if form == "csv" else pq.read_table(path)
    source = flights_site.flights.file("predict", "2013-10")
    wanted = source.filter(pc.equal(source["origin"], "JFK"))
    assert table.num_rows == wanted.num_rows
    assert set(table["origin"].to_pylist()) == {"JFK"}
    assert table["distance"].to_pylist() == sorted(wanted["distance"].to_pylist(), reverse=True)
    assert "feature_distance" not in table.column_names


def test_columns_are_chosen_and_looked_at(flights_site: FlightsSite, reader: Page) -> None:
    reader.goto(flights_site.at("input", stage="train"))
    expect(rows(reader)).to_have_count(50)
    reader.locator("main > section:visible details.columns summary").click()
    form = reader.locator("main > section:visible details.columns form")
    while (ticked := form.locator("input:checked")).count():
        ticked.first.uncheck()
    form.locator("label", has_text=re.compile("^feature_plane_age$")).locator("input").check()
    form.locator("label", has_text=re.compile("^tailnum$")).locator("input").check()
    form.locator("button").click()
    expect(reader.locator("table.mart thead th")).to_have_count(5)
    reader.locator("table.mart .about-link").last.click()
    about = reader.locator("main > section:visible .about")
    expect(about.locator("h3")).to_have_text("feature_plane_age")
    expect(about).to_contain_text("Of the plane in years")
    nulls = sum(
        value is None for value in flights_site.flights.file("train", "2013-01_2013-09")["plane_year"].to_pylist()
    )
    expect(about).to_contain_text(re.compile(f"{nulls:,}".replace(",", ".")))
    expect(reader.locator("main > section:visible .mart-picture .plot svg").first).to_be_visible()


def test_a_row_leads_to_its_passport(flights_site: FlightsSite, reader: Page) -> None:
    reader.goto(flights_site.at("output", batch="2013-11", sort="probability", down=1))
    row = rows(reader).first
    number = re.sub(r"\D", "", row.locator("td").nth(1).inner_text())
    row.locator("td").nth(3).click()
    expect(reader).to_have_url(re.compile(f"view=passport.*batch=2013-11.*row={number}"))
    reader.go_back()
    row.locator("a").click()
    expect(reader).to_have_url(re.compile(f"view=passport.*batch=2013-11.*row={number}"))


def test_an_input_row_shows_what_was_predicted_from_it(flights_site: FlightsSite, reader: Page) -> None:
    reader.goto(flights_site.at("input", batch="2013-10"))
    expect(rows(reader)).to_have_count(50)
    shown = cells(reader, "probability")
    scores = flights_site.flights.file("scores", "2013-10")["probability"].to_pylist()
    point = "," if language_of(reader) == "ru" else "."
    assert [float(text.replace(point, ".")) for text in shown] == pytest.approx(scores[:50], abs=1e-4)


def test_hostile_names_and_values_are_text(shop_site: Site, reader: Page) -> None:
    reader.goto(shop_site.at("input"))
    reader.locator("main > section:visible select[name=batch]").select_option(PREDICT)
    expect(reader).to_have_url(re.compile("batch="))
    expect(reader.locator("table.mart")).to_contain_text(SCRIPT)
    assert set(cells(reader, "batch")) == {PREDICT}
    reader.goto(shop_site.at("input", batch=PREDICT, w1c="note", w1o="is", w1v=SCRIPT, about="note"))
    expect(reader.locator("main > section:visible .chip")).to_contain_text(SCRIPT)
    expect(reader.locator("main > section:visible .mart-picture")).to_contain_text(SCRIPT)
    assert set(cells(reader, "note")) == {SCRIPT}
    reader.goto(shop_site.at("input", batch=PREDICT, sort='id"; drop table x; --', w1c="1=1", w1o="is", w1v="' or 1=1"))
    expect(rows(reader).first).to_be_visible()


def test_no_row_is_told(flights_site: FlightsSite, reader: Page) -> None:
    reader.goto(flights_site.at("output", w1c="probability", w1o="at_least", w1v="2"))
    expect(reader.locator("main > section:visible .notice-empty")).to_be_visible()


def test_a_filter_that_was_begun_stays_when_the_rows_of_another_batch_come(
    flights_site: FlightsSite, reader: Page
) -> None:
    reader.goto(flights_site.at("input"))
    expect(rows(reader)).to_have_count(50)
    section = reader.locator("main > section:visible")
    form = section.locator(".filters form")
    form.locator("select").nth(0).select_option("carrier")
    form.locator("input[type=text]").fill("UA")
    section.locator("select[name=batch]").select_option("2013-10")
    number = flights_site.flights.file("predict", "2013-10").num_rows
    expect(section.locator("[role=status]").first).to_have_text(re.compile(count_shown(reader, number)))
    expect(form.locator("input[type=text]")).to_have_value("UA")
    form.locator("button").click()
    expect(section.locator(".chip", has_text="UA")).to_be_visible()
    expect(form.locator("input[type=text]")).to_have_value("")
    # A second one takes the next free number, and the first stays.
    add_filter(reader, "origin", "is", "JFK")
    expect(section.locator(".chip")).to_have_count(2)
