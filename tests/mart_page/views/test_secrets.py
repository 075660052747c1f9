"""What the environment holds in secret is in no view, though a server behind it refuses to answer."""

import pytest
from playwright.sync_api import Browser, expect

from pipeline_assets.stack.ports import free_ports
from tests.mart_page.site import served
from tests.mart_page.views.conftest import PREDICT, Site

VIEWS = ("batches", "input", "output", "passport", "models", "drift", "lineage")
SECRET = "a-secret-that-no-page-shows"


@pytest.fixture(scope="module")
def address() -> str:
    """Of MLflow, as careless people write it; nobody answers there."""
    return f"http://ann:{SECRET}@127.0.0.1:{free_ports(1)[0]}"


def test_no_view_shows_a_secret_of_the_environment(shop_site: Site, browser: Browser, address: str) -> None:
    place = shop_site.place
    variables = {
        "MLFLOW_URL": address,
        "AWS_ACCESS_KEY_ID": f"{SECRET}-key",
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    }
    arguments = (f"--defs={place.root / 'defs'}", f"--dagster={address}", f"--mlflow={address}")
    for given in (arguments[:2], arguments):
        with served(place.root, variables, *given) as url:
            page = browser.new_context(locale="ru").new_page()
            for view in VIEWS:
                page.goto(f"{url}/?view={view}&task={place.task.name}&batch={PREDICT}&row=1")
                expect(page.locator("main > section:visible h2").first).to_be_visible()
                expect(page.locator("main > section:visible .recalculating:visible")).to_have_count(0)
                page.wait_for_function("() => !document.documentElement.classList.contains('shiny-busy')")
                html = page.content()
                assert SECRET not in html, view
                assert "ann:" not in html, view
            page.context.close()
