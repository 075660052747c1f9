"""The passport in a browser, beside the files, the feature store and CatBoost itself."""

from typing import Any

import psycopg2
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from playwright.sync_api import Page, expect

from pipeline_assets.mart_page.language import Formats, Texts
from pipeline_assets.mart_page.views.passport.exact import exact
from pipeline_assets.ml.dataset import scoring_frame
from pipeline_assets.stores.marts import embedded_postgres
from pipeline_assets.task.spec import Stage
from tests.mart_page.views.conftest import PREDICT, REJECTED, SCRIPT, TRAIN, Site


def open_passport(reader: Page, site: Site, row: int, stage: Stage = "predict") -> None:
    batch = PREDICT if stage == "predict" else TRAIN
    reader.goto(site.at("passport", batch=batch, row=row, stage=stage))


def words(reader: Page) -> tuple[Any, Formats]:
    language = reader.locator("html").get_attribute("lang") or ""
    return Texts(language)("passport"), Formats(language)


def cells(reader: Page, caption: str) -> dict[str, list[str]]:
    """Rows of a table by the name that leads each."""
    table = reader.locator("#main table", has=reader.locator("caption", has_text=caption)).first
    rows = table.locator("tbody tr").all()
    return {
        str(row.locator("th").text_content()): [str(cell.text_content()).strip() for cell in row.locator("td").all()]
        for row in rows
    }


def stored_row(site: Site, row: int) -> dict[str, Any]:
    """The row as the parquet file has it."""
    table = pq.read_table(site.place.path("predict", PREDICT))
    found: dict[str, Any] = table.slice(row, 1).to_pylist()[0]
    return found


def features_of(site: Site, row: int) -> pa.RecordBatch:
    """The row of the whole feature stream, read as the pipeline's own scoring reads it."""
    from pipeline_assets.stores.features.base import feature_table

    stream = site.place.stores["features"].read(feature_table(site.place.task, "predict"), PREDICT).read_all()
    (batch,) = stream.filter(pa.compute.equal(stream["row_number"], row)).to_batches()
    return batch


@pytest.mark.parametrize("row", [0, 8, 58])
def test_what_the_page_shows_is_what_the_files_have(reader: Page, site: Site, row: int) -> None:
    open_passport(reader, site, row)
    says, formats = words_of(reader)
    expect(reader.locator("[data-agrees]")).to_have_attribute("data-agrees", "yes")

    raw = stored_row(site, row)
    assert {name: shown[0] for name, shown in cells(reader, says("raw_values")).items()} == {
        name: says("missing") if value is None else exact(value, "", formats) for name, value in raw.items()
    }
    features = features_of(site, row)
    values = features.to_pylist()[0]
    assert {name: shown[0] for name, shown in cells(reader, says("feature_values")).items()} == {
        name: formats.value(values[name]) for name in site.place.task.features.names
    }

    (scored,) = site.place.mart("predict_output", batch=PREDICT, row_number=row)
    shown = reader.locator("[data-probability]").get_attribute("data-probability")
    assert shown == repr(scored["probability"])

    model = site.place.stores["registry"].load(site.place.task.name, scored["model_version"])
    frame = scoring_frame(features, site.place.task.features)
    *own, base = model.contributions(frame)[0].tolist()
    table = reader.locator("#passport-contributions_table tbody tr")
    contributions = {
        str(line.locator("th").text_content()): float(line.locator("data").get_attribute("value") or "")
        for line in table.all()
    }
    assert contributions == {
        says("base"): base,
        **dict(zip(site.place.task.features.names, own, strict=True)),
    }
    picture = reader.locator("#passport-contributions .plot")
    expect(picture).to_have_attribute("role", "img")
    assert formats.share(scored["probability"]) in str(picture.get_attribute("aria-label"))


def words_of(reader: Page) -> tuple[Any, Formats]:
    """What the page says, in the language that it speaks."""
    expect(reader.locator("#passport-came h3").first).to_be_visible()
    return words(reader)


def test_a_rejected_row_says_why_and_goes_no_further(reader: Page, shop_site: Site) -> None:
    open_passport(reader, shop_site, REJECTED)
    says, _ = words_of(reader)
    verdict = reader.locator("[data-verdict]")
    expect(verdict).to_have_attribute("data-verdict", "rejected")
    expect(verdict).to_have_text(says("rejected", reason="price: -1.0 breaks price > 0"))
    assert cells(reader, says("raw_values"))["price"][0] == "-1"
    expect(reader.locator("#passport-prepared h3")).to_have_count(0)
    expect(reader.locator("#passport-scored h3")).to_have_count(0)


def test_a_training_row_has_its_features_and_its_label(reader: Page, shop_site: Site) -> None:
    open_passport(reader, shop_site, 0, "train")
    says, _ = words_of(reader)
    expect(reader.locator("#passport-prepared")).to_contain_text(says("label_true", what="returned"))
    expect(reader.locator("#passport-chosen")).to_contain_text(says("trained_from"))
    open_passport(reader, shop_site, 3, "train")
    expect(reader.locator("#passport-prepared")).to_contain_text(says("label_none"))


def test_a_script_among_the_values_is_shown_as_text(reader: Page, shop_site: Site) -> None:
    open_passport(reader, shop_site, 8)
    says, _ = words_of(reader)
    assert cells(reader, says("raw_values"))["note"][0] == SCRIPT
    expect(reader.locator("[data-agrees]")).to_be_visible()
    expect(reader.locator("#passport-contributions .ytick", has_text="note = <script>")).to_be_visible()
    assert reader.locator("main script").count() == 0


def test_rows_and_batches_that_are_not_there_say_what_to_do(reader: Page, shop_site: Site) -> None:
    open_passport(reader, shop_site, 60)
    notice = reader.locator("#passport-came .notice")
    expect(notice).to_be_visible()
    says, formats = words(reader)
    expect(notice).to_contain_text(says("no_row_do", rows=formats.number(60), last=formats.number(59)))
    reader.goto(shop_site.at("passport", batch="<b>none</b>", row=0))
    expect(notice).to_contain_text(says("not_checked", batch="<b>none</b>"))
    reader.locator("#passport-came nav a", has_text=PREDICT).click()
    expect(reader.locator("[data-verdict]")).to_have_attribute("data-verdict", "accepted")
    reader.goto(shop_site.at("passport"))
    expect(notice).to_contain_text(says("none_do"))


def test_the_finder_opens_a_row_and_steps_lead_to_its_neighbours(reader: Page, shop_site: Site) -> None:
    reader.goto(shop_site.at("passport"))
    reader.locator("#passport-finder input[name=row]").fill("6")
    reader.keyboard.press("Enter")
    says, formats = words_of(reader)
    expect(reader.locator("[data-verdict]")).to_have_attribute("data-verdict", "accepted")
    reader.get_by_role("link", name=says("next", row=formats.number(7))).click()
    expect(reader.locator("[data-verdict]")).to_have_attribute("data-verdict", "rejected")
    reader.go_back()
    expect(reader.locator("[data-verdict]")).to_have_attribute("data-verdict", "accepted")
    assert "row=6" in reader.url


def test_a_click_in_the_output_mart_opens_a_passport_and_the_input_row_leads_back_to_it(
    reader: Page, shop_site: Site
) -> None:
    reader.goto(shop_site.at("output", batch=PREDICT))
    reader.locator("#output-rows tr[data-href]").nth(2).locator("td").last.click()
    expect(reader.locator("[data-agrees]")).to_have_attribute("data-agrees", "yes")
    assert "row=2" in reader.url
    prediction = reader.locator("[data-probability]").get_attribute("data-probability")
    says, _ = words(reader)
    reader.get_by_role("link", name=says("in_input")).click()
    reader.locator("#input-rows tr[data-href]").nth(2).locator("td").last.click()
    expect(reader.locator("[data-probability]")).to_have_attribute("data-probability", str(prediction))
    assert "view=passport" in reader.url
    # The place is a link, for others too.
    address = reader.url
    reader.goto("about:blank")
    reader.goto(address)
    expect(reader.locator("[data-probability]")).to_have_attribute("data-probability", str(prediction))


def test_the_version_and_the_reasons_for_it_are_those_of_the_record(reader: Page, shop_site: Site) -> None:
    open_passport(reader, shop_site, 1)
    says, _ = words_of(reader)
    chosen = reader.locator("#passport-chosen")
    said = Texts(says.language)("models")
    expect(chosen).to_contain_text(said("reason_champion", winner=1))
    expect(chosen).to_contain_text(said("reason_first_champion", winner=1))
    (scored,) = shop_site.place.mart("predict_output", batch=PREDICT, row_number=1)
    answer = reader.locator("#passport-answered")
    expect(answer).to_contain_text(says("answer_yes" if scored["decision"] else "answer_no"))
    expect(answer).to_contain_text(Formats(says.language).share(scored["probability"]))
    expect(reader.locator("#passport-because li").first).to_contain_text("country")  # it decides in these orders
    link = reader.get_by_role("link", name=scored["run_id"])
    expect(link).to_have_attribute("href", f"http://127.0.0.1:3000/runs/{scored['run_id']}")
    chosen.get_by_role("link", name=says("version_number", version=1)).click()
    expect(reader.locator("#models-of_version h3").first).to_be_visible()


def test_features_that_were_prepared_anew_are_not_passed_off_as_those_of_the_score(reader: Page, site: Site) -> None:
    """Also when a part is gone: the passport says which, and shows the rest."""
    from pipeline_assets.stores.features.base import feature_table

    store, table = site.place.stores["features"], feature_table(site.place.task, "predict")
    before = store.read(table, PREDICT).read_all()
    at = before.schema.get_field_index("country")  # the one that decides in these orders
    changed = before.set_column(at, before.schema.field(at), pa.array(["DE"] * len(before)))
    store.replace(table, PREDICT, changed.to_reader())
    try:
        open_passport(reader, site, 1)
        expect(reader.locator("[data-agrees]")).to_have_attribute("data-agrees", "no")
        without = changed.filter(pa.compute.not_equal(changed["row_number"], 1))
        store.replace(table, PREDICT, without.to_reader())
        open_passport(reader, site, 1)
        says, _ = words_of(reader)
        expect(reader.locator("#passport-prepared")).to_contain_text(says("no_features"))
        expect(reader.locator("[data-probability]")).to_be_visible()
    finally:
        store.replace(table, PREDICT, before.to_reader())


def test_a_mart_that_the_server_refuses_to_read_leaves_the_rest_of_the_passport(reader: Page, shop_site: Site) -> None:
    folder = shop_site.place.settings.state / "postgres"
    connection = psycopg2.connect(**embedded_postgres.use(folder))  # type: ignore[call-overload]  # of a TypedDict
    rename = "ALTER TABLE marts.shop_predict_output RENAME COLUMN {} TO {}"
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(rename.format("probability", "other"))
        open_passport(reader, shop_site, 1)
        expect(reader.locator("#passport-prepared table")).to_be_visible()
        expect(reader.locator("#passport-chosen")).to_contain_text("probability")
        expect(reader.locator("#passport-scored h3")).to_have_count(0)
        # The session lives on: another row is shown without loading the page anew.
        says, formats = words_of(reader)
        reader.get_by_role("link", name=says("previous", row=formats.number(0))).click()
        expect(reader.locator("#passport-finder input[type=number]")).to_have_value("0")
        expect(reader.locator("#passport-came")).to_contain_text(says("place_value", row=formats.number(0)))
    finally:
        with connection, connection.cursor() as cursor:
            cursor.execute(rename.format("other", "probability"))
        connection.close()
