import re

import pytest
from playwright.sync_api import Browser, Page, expect

from pipeline_assets.demo.flights import TASK
from tests.mart_page.conftest import PASSWORD, FlightsSite

NAMES = {
    "en": ("Batches", "Input mart", "Output mart", "Row passport", "Models", "Quality", "Drift", "Lineage"),
    "ru": (
        "Партии",
        "Входная витрина",
        "Выходная витрина",
        "Паспорт строки",
        "Модели",
        "Качество",
        "Дрейф",
        "Происхождение",
    ),
}
DOWN = re.compile("The server of the marts does not answer|Сервер витрин не отвечает")


def language_of(page: Page) -> str:
    return str(page.locator("html").first.get_attribute("lang"))


def test_every_view_is_a_link_and_the_task_is_picked(flights_site: FlightsSite, reader: Page) -> None:
    reader.goto(flights_site.url)
    names = reader.locator("header nav a")
    expect(names).to_have_text(list(NAMES[language_of(reader)]))
    expect(reader.locator("header select[name=task]")).to_have_value(TASK)
    expect(names.first).to_have_attribute("aria-current", "page")
    for place in range(names.count()):
        name = names.nth(place)
        name.click()
        expect(name).to_have_attribute("aria-current", "page")
        expect(reader.locator("main > section:visible h2").first).to_be_visible()
    reader.go_back()
    expect(names.nth(names.count() - 2)).to_have_attribute("aria-current", "page")


def test_the_language_is_switched_for_the_whole_page_and_remembered(flights_site: FlightsSite, reader: Page) -> None:
    reader.goto(flights_site.at("output", batch="2013-10"))
    other = {"en": "ru", "ru": "en"}[language_of(reader)]
    expect(reader.locator("tr[data-href]").first).to_be_visible()
    reader.locator(f"button[data-language={other}]").click()
    expect(reader.locator("html").first).to_have_attribute("lang", other)
    expect(reader.locator("header nav a")).to_have_text(list(NAMES[other]))
    expect(reader.locator("select[name=batch]").first).to_have_value("2013-10")
    point = reader.locator("tr[data-href]").first.locator("td.number").nth(2)
    expect(point).to_have_text(re.compile(r"\d,\d" if other == "ru" else r"\d\.\d"))
    reader.goto(flights_site.url)
    assert language_of(reader) == other


def test_light_is_switched_and_remembered(flights_site: FlightsSite, reader: Page) -> None:
    reader.goto(flights_site.url)
    root = reader.locator("html").first
    expect(root).to_have_attribute("data-bs-theme", "light")
    reader.locator("#light").focus()
    reader.keyboard.press("Enter")
    expect(root).to_have_attribute("data-bs-theme", "dark")
    reader.reload()
    expect(root).to_have_attribute("data-bs-theme", "dark")


def test_a_database_that_stops_is_told_and_comes_back_by_itself(flights_site: FlightsSite, reader: Page) -> None:
    reader.goto(flights_site.at("output", batch="2013-10"))
    rows = reader.locator("tr[data-href]")
    expect(rows).to_have_count(50)
    flights_site.server.stop()
    try:
        expect(reader.get_by_text(DOWN)).to_be_visible()
        reader.locator("header nav a[data-view=input]").click()
        expect(reader.get_by_text(DOWN)).to_be_visible()
        reader.locator(".state summary").click()
        assert PASSWORD not in reader.content()
    finally:
        flights_site.server.start()
    expect(reader.get_by_text(DOWN)).to_have_count(0)
    expect(rows).to_have_count(50)


@pytest.mark.parametrize("view", ["batches", "input", "output", "passport", "models", "quality", "drift", "lineage"])
def test_a_phone_shows_every_view_without_scrolling_sideways(
    flights_site: FlightsSite, browser: Browser, view: str
) -> None:
    context = browser.new_context(viewport={"width": 375, "height": 740})
    page = context.new_page()
    page.goto(flights_site.at(view, batch="2013-10", row=3))
    expect(page.locator("main > section:visible h2").first).to_be_visible()
    expect(page.locator("main > section:visible .recalculating:visible")).to_have_count(0)
    assert page.evaluate("document.documentElement.scrollWidth") <= 375
    context.close()


def test_by_keyboard_from_the_start_to_a_passport(flights_site: FlightsSite, reader: Page) -> None:
    reader.goto(flights_site.at("output", batch="2013-10"))
    expect(reader.locator("tr[data-href]")).to_have_count(50)
    reader.keyboard.press("Tab")
    expect(reader.locator(".skip")).to_be_focused()
    reader.keyboard.press("Enter")
    link = reader.locator("tr[data-href] th a").first
    for _ in range(80):
        reader.keyboard.press("Tab")
        if link.evaluate("one => one === document.activeElement"):
            break
    expect(link).to_be_focused()
    reader.keyboard.press("Enter")
    expect(reader.locator("header nav a[data-view=passport]")).to_have_attribute("aria-current", "page")


def test_another_sites_page_cannot_talk_to_ours(flights_site: FlightsSite, browser: Browser) -> None:
    page = browser.new_context().new_page()
    page.set_content("<p>elsewhere</p>")
    address = flights_site.url.replace("http", "ws") + "/websocket/"
    said = page.evaluate(
        """(address) => new Promise((done) => {
            const socket = new WebSocket(address);
            socket.onopen = () => done("open");
            socket.onerror = () => done("refused");
        })""",
        address,
    )
    assert said == "refused"
    page.context.close()
