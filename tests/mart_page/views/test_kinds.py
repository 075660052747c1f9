"""Every view in a browser over tasks of other kinds than the example's own, run through the pipeline."""

import json
import re
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from pipeline_assets.mart_page.language import Formats, Texts, ViewTexts
from pipeline_assets.monitoring.truth import evaluation
from tests.mart_page.views.conftest import KIND_BATCHES, TRAIN, KindsSite

FIRST, LAST = KIND_BATCHES
SECTION = "main > section:visible"


def words(reader: Page, view: str) -> tuple[ViewTexts, Formats]:
    language = reader.locator("html").get_attribute("lang") or ""
    return Texts(language)(view), Formats(language)


def scored(site: KindsSite, task: str, batch: str, row: int) -> dict[str, Any]:
    (found,) = site.places[task].mart("predict_output", batch=batch, row_number=row)
    return found


def test_the_quality_of_a_batch_is_that_of_its_kind(kinds_site: KindsSite, reader: Page) -> None:
    reader.goto(kinds_site.at("refunds", "batches", batch=FIRST, stage="predict"))
    quality = reader.locator("#batches-quality")
    _, formats = words(reader, "batches")
    expect(quality).to_contain_text("rmse ↓")
    labels = {row["order_id"]: row["label"] for row in kinds_site.places["refunds"].mart("train_input")}
    rows = kinds_site.places["refunds"].mart("predict_output", batch=FIRST)
    inputs = kinds_site.places["refunds"].mart("predict_input", batch=FIRST)
    keys = {row["row_number"]: row["order_id"] for row in inputs}
    known = [(labels[keys[row["row_number"]]], row["prediction"]) for row in rows]
    known = [pair for pair in known if pair[0] is not None]
    own = evaluation(
        kinds_site.places["refunds"].task, [label for label, _ in known], {"prediction": [said for _, said in known]}
    )
    place = quality.locator("dt", has_text="rmse ↓").locator("xpath=following-sibling::dd[1]")
    expect(place).to_have_text(formats.number(own.metrics["rmse"]))

    reader.goto(kinds_site.at("fates", "batches", batch=FIRST, stage="predict"))
    expect(quality).to_contain_text("log_loss ↓")
    expect(quality.locator("table tbody tr", has_text="<b>lost</b>")).to_be_visible()
    expect(reader.locator("#batches-said table tbody tr", has_text="<b>lost</b>").locator(".bar")).to_be_visible()
    reader.goto(kinds_site.at("churn", "batches", batch=FIRST, stage="predict"))
    expect(quality).to_contain_text("accuracy ↑")


def test_marts_show_classes_with_their_probabilities_and_labels_that_are_text(
    kinds_site: KindsSite, reader: Page
) -> None:
    reader.goto(kinds_site.at("fates", "output", batch=LAST, about="predicted_label"))
    rows = reader.locator("table.mart tbody tr")
    expect(rows).to_have_count(50)
    says, formats = words(reader, "marts")
    probabilities = json.loads(scored(kinds_site, "fates", LAST, 0)["probabilities"])
    expect(rows.first).to_contain_text(formats.shares(probabilities))
    expect(reader.locator(f"{SECTION} .about")).to_contain_text(says("own_multiclass_predicted_label"))
    reader.goto(kinds_site.at("fates", "input", stage="train", about="label"))
    expect(reader.locator(f"{SECTION} .mart-picture .plot")).to_have_attribute("aria-label", re.compile("label"))
    reader.goto(kinds_site.at("refunds", "output", batch=LAST, sort="prediction", down=1))
    expect(reader.locator("th[aria-sort=descending]")).to_contain_text("prediction")


def test_the_passport_says_the_most_probable_classes_and_what_made_the_score(
    kinds_site: KindsSite, reader: Page
) -> None:
    reader.goto(kinds_site.at("fates", "passport", batch=LAST, row=4))
    expect(reader.locator("[data-agrees]")).to_have_attribute("data-agrees", "yes")
    says, _ = words(reader, "passport")
    row = scored(kinds_site, "fates", LAST, 4)
    expect(reader.locator("[data-score]")).to_have_text(row["predicted_label"])
    expect(reader.locator("#passport-scored table tbody tr")).to_have_count(3)
    expect(reader.locator("#passport-explained")).to_contain_text(row["predicted_label"])
    reader.goto(kinds_site.at("fates", "passport", batch=TRAIN, row=1, stage="train"))
    label = reader.locator("#passport-prepared dd").last
    expect(label).to_contain_text(re.compile("kept|returned|lost|" + re.escape(says("label_none"))))


def test_the_passport_of_a_number_is_in_the_targets_unit(kinds_site: KindsSite, reader: Page) -> None:
    reader.goto(kinds_site.at("refunds", "passport", batch=LAST, row=4))
    expect(reader.locator("[data-agrees]")).to_have_attribute("data-agrees", "yes")
    _, formats = words(reader, "passport")
    row = scored(kinds_site, "refunds", LAST, 4)
    expect(reader.locator("[data-score]")).to_have_attribute("data-score", repr(row["prediction"]))
    picture = reader.locator("#passport-contributions .plot")
    expect(picture).to_have_attribute("aria-label", re.compile(re.escape(formats.number(row["prediction"]))))


def test_a_model_that_cannot_explain_is_explained_on_request(kinds_site: KindsSite, reader: Page) -> None:
    reader.goto(kinds_site.at("churn", "passport", batch=LAST, row=4))
    button = reader.locator("#passport-permute")
    expect(button).to_be_visible()
    says, _ = words(reader, "passport")
    expect(reader.locator("#passport-contributions .plot")).to_have_count(0)
    button.click()
    expect(reader.locator("[data-agrees]")).to_have_text(says("agrees_permuted"))
    expect(reader.locator("#passport-contributions .bars .point").first).to_be_visible()
    # Another row is not explained before it is asked for.
    reader.goto(kinds_site.at("churn", "passport", batch=LAST, row=5))
    expect(button).to_be_visible()


@pytest.mark.parametrize("task", ["fates", "refunds", "churn"])
def test_models_have_their_package_baseline_and_curves(kinds_site: KindsSite, reader: Page, task: str) -> None:
    reader.goto(kinds_site.at(task, "models"))
    expect(reader.locator("#models-curves .plot")).to_be_visible()
    says, formats = words(reader, "models")
    place = kinds_site.places[task]
    metric = next(iter(reader.locator("#models-of_version table th[scope=row]").all_inner_texts()))
    assert metric.startswith(place.task.training.metric)
    run = place.stores["registry"].candidates(task)[0].run_id
    baseline = place.stores["registry"].training(run).metrics[f"baseline/{place.task.training.metric}"]
    expect(reader.locator("#models-of_version table tbody tr").first).to_contain_text(
        formats.number(round(baseline, 4) if abs(baseline) < 1 else baseline)
    )
    expect(reader.locator("#models-versions tbody tr").first).to_contain_text(place.task.training.package)
    expect(reader.locator("#models-history summary")).to_have_text(says("history", n=1))


@pytest.mark.parametrize("task", ["fates", "refunds"])
def test_scores_of_two_batches_are_compared_by_what_they_are(kinds_site: KindsSite, reader: Page, task: str) -> None:
    reader.goto(kinds_site.at(task, "drift"))
    rows = reader.locator("#drift-scores_table tbody tr")
    expect(rows).to_have_count(2)
    says, _ = words(reader, "drift")
    expect(reader.locator("#drift-scores_of_batch .plot")).to_contain_text(
        says({"fates": "axis_multiclass", "refunds": "axis_regression"}[task])
    )
    expect(rows.last.locator("data")).to_have_count(1)  # how far they are from those of its version
    expect(reader.locator("#drift-scores_table")).to_contain_text("kept" if task == "fates" else "95")


def test_lineage_ends_in_the_score_of_the_kind(kinds_site: KindsSite, reader: Page) -> None:
    reader.goto(kinds_site.at("refunds", "lineage"))
    drawing = reader.locator("#lineage-drawing .plot")
    expect(drawing).to_have_attribute("aria-label", re.compile("prediction"))
    expect(drawing).to_contain_text("decision")
