import re

from playwright.sync_api import Page, expect

from pipeline_assets.demo.flights import TRAIN
from tests.mart_page.conftest import MONTHS, FlightsSite
from tests.mart_page.views.conftest import MENDED, PREDICT, REJECTED, Site
from tests.mart_page.views.conftest import TRAIN as SHOP_TRAIN
from tests.mart_page.views.test_shell import language_of


def test_batches_of_both_stages_and_what_waits(flights_site: FlightsSite, reader: Page) -> None:
    reader.goto(flights_site.at("batches"))
    section = reader.locator("main > section:visible")
    expect(section.locator("tbody tr")).to_have_count(4)
    for month in MONTHS:
        row = section.locator("tbody tr", has_text=month)
        expect(row).to_contain_text("✓")
        rows = flights_site.flights.file("predict", month).num_rows
        written = flights_site.flights.file("predictions", month).num_rows
        numbers = [re.sub(r"\D", "", text) for text in row.locator("td.number").all_inner_texts()]
        assert numbers == [str(rows), "0", "1", str(written)]
    waiting = section.locator("tbody tr", has_text="2013-12")
    expect(waiting).to_contain_text({"en": "not run yet", "ru": "ещё не запускалась"}[language_of(reader)])
    expect(section.locator(".cards")).to_contain_text("2013-12")
    waiting.locator("a").click()
    expect(section.locator(".one-batch code").first).to_contain_text("STAGE=predict BATCH=2013-12")


def test_a_batch_leads_to_its_rows(flights_site: FlightsSite, reader: Page) -> None:
    reader.goto(flights_site.at("batches", batch=TRAIN, stage="train"))
    reader.locator(".one-batch a", has_text=re.compile("input mart|входной витрине")).click()
    expect(reader).to_have_url(re.compile("view=input.*stage=train"))
    expect(reader.locator("tr[data-href]")).to_have_count(50)


def test_why_rows_were_rejected_and_that_the_truth_is_unknown(shop_site: Site, reader: Page) -> None:
    reader.goto(shop_site.at("batches", batch=PREDICT, stage="predict"))
    section = reader.locator("main > section:visible")
    expect(section.locator("#batches-reasons")).to_contain_text("price > 0")
    expect(section.locator(".one-batch")).to_contain_text("1 (")
    expect(section.locator("tbody tr", has_text=SHOP_TRAIN)).to_contain_text("✓")
    assert REJECTED == 7


def test_the_truth_is_shown_where_a_train_batch_knows_it(shop_site: Site, reader: Page) -> None:
    # The example's orders of both stages have the same numbers, so the train batch holds the predicted orders' labels.
    reader.goto(shop_site.at("batches", batch=PREDICT, stage="predict"))
    section = reader.locator("main > section:visible")
    expect(section).to_contain_text("roc_auc")
    expect(section).to_contain_text(
        {"en": "learned from these very rows", "ru": "училась на этих самых"}[language_of(reader)]
    )
    labels = shop_site.place.mart("train_input")
    scored = {row["row_number"] for row in shop_site.place.mart("predict_output", batch=PREDICT)}
    known = sum(row["label"] is not None and row["order_id"] in scored for row in labels)
    place = section.locator("dt", has_text=re.compile("truth is known|известной правдой"))
    expect(place.locator("xpath=following-sibling::dd[1]")).to_have_text(str(known))


def test_rejected_rows_by_rule_and_what_became_of_those_of_the_check_before(shop_site: Site, reader: Page) -> None:
    reader.goto(shop_site.at("batches", batch=PREDICT, stage="predict"))
    section = reader.locator("main > section:visible")
    language = language_of(reader)
    said = {
        "en": "Of 2 formerly rejected rows 1 is accepted now.",
        "ru": "Из ранее отклонённых строк (2) теперь принято: 1.",
    }
    expect(section.locator(".became")).to_have_text(said[language])
    words = {"en": ("rejected by the same rule", "changed: price"), "ru": ("тем же правилом", "изменено: price")}
    for row, text in zip((REJECTED, MENDED), words[language], strict=True):
        line = section.locator("tr", has=reader.get_by_role("rowheader", name=str(row), exact=True))
        expect(line).to_contain_text(text)
    head = {"en": "by rule, batch by batch: predict", "ru": "партия за партией: предсказание"}
    table = section.get_by_text(head[language]).locator("xpath=following-sibling::div").locator("tbody tr")
    expect(table).to_have_count(1)
    expect(table).to_contain_text({"en": "1 (1.7%)", "ru": "1 (1,7"}[language])
    expect(section.locator(".mart-picture").last).to_contain_text("price > 0")
    section.get_by_role("link", name=str(MENDED), exact=True).click()
    expect(reader).to_have_url(re.compile(f"view=passport.*row={MENDED}"))


def test_train_batches_that_rejected_nothing_say_so(shop_site: Site, reader: Page) -> None:
    reader.goto(shop_site.at("batches", batch=SHOP_TRAIN, stage="train"))
    said = {"en": "No row of the 1 batch that was checked is rejected.", "ru": "В 1 проверенной партии нет"}
    expect(reader.locator("main > section:visible")).to_contain_text(said[language_of(reader)])
