"""The models in a browser, beside what the registry and the marts have."""

from playwright.sync_api import Page, expect

from pipeline_assets.engine.record import manifest_of
from pipeline_assets.mart_page.language import Formats, Texts, ViewTexts
from pipeline_assets.task.batch import BatchRef
from tests.mart_page.conftest import MONTHS, FlightsSite
from tests.mart_page.views.conftest import PREDICT, TRAIN, Site


def words(reader: Page) -> tuple[ViewTexts, Formats]:
    language = reader.locator("html").get_attribute("lang") or ""
    return Texts(language)("models"), Formats(language)


def test_a_version_shows_its_input_its_choice_its_importance_and_what_it_predicted(
    reader: Page, shop_site: Site
) -> None:
    place = shop_site.place
    reader.goto(shop_site.at("models"))
    expect(reader.locator("#models-importance .plot")).to_be_visible()
    says, formats = words(reader)
    (candidate,) = place.stores["registry"].candidates("shop")
    made_of = place.stores["registry"].training(candidate.run_id)
    row = reader.locator("#models-versions tbody tr")
    expect(row).to_have_count(1)
    expect(row).to_contain_text(says("champion"))
    for value in candidate.metrics.values():
        expect(row).to_contain_text(formats.number(round(value, 4)))
    shown = reader.locator("#models-of_version")
    for text in (
        manifest_of(place.stores["files"], BatchRef("shop", "train", TRAIN)).sha256,
        says("reason_first_champion", winner=1),
        str(made_of.dagster_run_id),
        PREDICT,
    ):
        expect(shown).to_contain_text(text)
    reader.locator("#models-importance_table summary").click()
    table = reader.locator("#models-importance_table tbody tr")
    assert [
        (str(line.locator("th").text_content()), str(line.locator("td").text_content())) for line in table.all()
    ] == [(name, formats.share(value / 100)) for name, value in made_of.importance.items()]
    first = next(iter(made_of.importance))
    assert first in str(reader.locator("#models-importance .plot").get_attribute("aria-label"))


def test_the_batches_of_a_version_lead_to_the_output_mart(reader: Page, flights_site: FlightsSite) -> None:
    reader.goto(flights_site.at("models"))
    shown = reader.locator("#models-of_version")
    expect(shown.get_by_role("link", name=MONTHS[0])).to_be_visible()
    says, _ = words(reader)
    expect(reader.locator("#models-versions tbody")).to_contain_text(says("batches", n=len(MONTHS)))
    shown.get_by_role("link", name=MONTHS[1]).click()
    expect(reader.locator("tr[data-href]").first).to_be_visible()
    assert f"view=output&task=flight_delays&batch={MONTHS[1]}" in reader.url


def test_a_version_that_is_not_there_gives_way_to_the_champion(reader: Page, shop_site: Site) -> None:
    reader.goto(shop_site.at("models", version="<i>9</i>"))
    expect(reader.locator("#models-of_version h3")).to_contain_text("1")
