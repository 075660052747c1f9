"""A page over the example task, run through the pipeline with embedded stores and with Tarantool; and a browser."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

import dagster as dg
import pyarrow as pa
import pytest
import yaml
from playwright.sync_api import Browser, Page, expect, sync_playwright

from pipeline_assets.settings import TarantoolSettings
from pipeline_assets.stores.marts import embedded_postgres
from pipeline_assets.task.spec import TaskSpec
from tests.examples import orders, shop, with_column
from tests.fixtures.tarantool import tarantool_server, tarantool_settings
from tests.mart_page.kinds_of_orders import fated, tasks
from tests.mart_page.site import served
from tests.workbench import Workbench

__all__ = ["tarantool_server", "tarantool_settings"]

SCRIPT = "<script>alert(1)</script>"
TRAIN, PREDICT = "2026-01", "a'; drop table x; --"
REJECTED, MENDED = 7, 20  # rows with a price below 0, the second one only at first
KIND_BATCHES = {"2026-02": 1.0, "2026-03": 1.5}  # of the tasks of every kind, with the factor of their prices
UNJUDGED = "churn"  # one of them, whose predictions are not compared with the truth
_PATIENCE = 30_000  # milliseconds; the first page of a process imports much, and machines are shared
_CHROMIUM = "/usr/bin/chromium"
# As root it has no sandbox; and it is to ask nobody for anything.
_ALONE = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip


@dataclass(frozen=True)
class Site:
    """A page that runs, and what lies behind it."""

    url: str
    place: Workbench

    def at(self, view: str, **more: object) -> str:
        """The address of a place on the page."""
        return f"{self.url}/?{urlencode({'view': view, 'task': self.place.task.name, **more})}"


@pytest.fixture(scope="session")
def shop_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Orders, trained and predicted: a rejected row, a value that is a script, a batch whose name is SQL."""
    yield from _site(tmp_path_factory.mktemp("shop"), "shop", {})


@pytest.fixture(scope="session")
def tarantool_site(tmp_path_factory: pytest.TempPathFactory, tarantool_settings: TarantoolSettings) -> Iterator[Site]:
    """The same with features in Tarantool."""
    env = {
        "TARANTOOL_HOST": tarantool_settings.host,
        "TARANTOOL_PORT": str(tarantool_settings.port),
        "TARANTOOL_LOGIN": tarantool_settings.login,
        "TARANTOOL_PASSWORD": tarantool_settings.password,
    }
    yield from _site(tmp_path_factory.mktemp("shop_tarantool"), "shop_tarantool", env)


@dataclass(frozen=True)
class KindsSite:
    """A page over tasks of every kind."""

    url: str
    places: dict[str, Workbench]

    def at(self, task: str, view: str, **more: object) -> str:
        """The address of a place on the page."""
        return f"{self.url}/?{urlencode({'view': view, 'task': task, **more})}"


@pytest.fixture(scope="session")
def kinds_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KindsSite]:
    """Tasks of several classes, of numbers, and of a third party's kind, run through the pipeline."""
    root = tmp_path_factory.mktemp("kinds")
    with ThreadPoolExecutor(1) as alone:  # as in _site
        places = {name: alone.submit(_of_kind, root, task).result() for name, task in tasks().items()}
    defs = [_defs(place) for place in places.values()]
    settings = places["fates"].settings
    try:
        # The third party's kind is in the tests.
        with served(root, {"PYTHONPATH": str(Path(__file__).parents[3])}, f"--defs={defs[0]}") as url:
            yield KindsSite(url, places)
    finally:
        embedded_postgres.stop(settings.state / "postgres")


def _of_kind(root: Path, task: TaskSpec) -> Workbench:
    with dg.DagsterInstance.ephemeral() as instance:
        place = Workbench(root, task, instance)
        place.put("train", TRAIN, fated(400))
        place.succeed("train", TRAIN)
        for batch, factor in KIND_BATCHES.items():
            place.put("predict", batch, fated(60, stage="predict", factor=factor))
            place.succeed("predict", batch)
            if task.name != UNJUDGED:
                place.put("truth", batch, fated(60, factor=factor))  # a train file is a file of truth
                place.succeed("truth", batch)
        return place


@pytest.fixture(params=["shop_site", "tarantool_site"])
def site(request: pytest.FixtureRequest) -> Site:
    """Each of the two."""
    found: Site = request.getfixturevalue(request.param)
    return found


def _site(root: Path, name: str, env: dict[str, str]) -> Iterator[Site]:
    # In a thread of its own: Playwright keeps an event loop in this one, and Dagster wants to start another.
    with ThreadPoolExecutor(1) as alone:
        place = alone.submit(_filled, root, shop(name=name), env).result()
    try:
        with served(root, env, f"--defs={_defs(place)}") as url:
            yield Site(url, place)
    finally:
        embedded_postgres.stop(place.settings.state / "postgres")


def _filled(root: Path, task: TaskSpec, env: dict[str, str]) -> Workbench:
    with dg.DagsterInstance.ephemeral() as instance:
        place = Workbench(root, task, instance, env)
        place.put("train", TRAIN, _noted(orders(400), 11))
        assert place.run("train", TRAIN).success
        coming = _noted(orders(60, stage="predict"), 8)
        prices = coming["price"].to_pylist()
        for bad in ({REJECTED: -1.0, MENDED: -2.0}, {REJECTED: -1.0}):  # the second is the file once it was mended
            there = [bad.get(row, price) for row, price in enumerate(prices)]
            place.put("predict", PREDICT, with_column(coming, "price", there))
            assert place.run("predict", PREDICT).success
        # Every fourth order is not known to have come back or not; one key is nobody's.
        labels = [row % 3 == 0 if row % 4 else None for row in range(60)]
        place.put("truth", PREDICT, pa.table({"order_id": [*range(60), 1000], "returned": [*labels, True]}))
        assert place.run("truth", PREDICT).success
        return place


def _noted(table: pa.Table, every: int) -> pa.Table:
    """The table with a script for a note every so many rows."""
    notes = table["note"].to_pylist()
    return with_column(table, "note", [SCRIPT if row % every == 0 else note for row, note in enumerate(notes)])


def _defs(place: Workbench) -> Path:
    """A folder of tasks with the place's own."""
    defs = place.root / "defs" / place.task.name
    defs.mkdir(parents=True)
    text = {"type": "pipeline_assets.components.MLTask", "attributes": place.task.model_dump(mode="json")}
    (defs / "defs.yaml").write_text(yaml.safe_dump(text))
    return defs.parent


# Playwright runs an event loop in this thread for as long as it is open. A process of pytest-xdist that kept it after
# the last test of a module would fail whatever calls asyncio.run next: other modules' tests, and Dagster.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium, closed after each module."""
    if not Path(_CHROMIUM).exists():
        (pytest.fail if os.environ.get("REQUIRE_SERVERS") == "1" else pytest.skip)("there is no chromium")
    expect.set_options(timeout=_PATIENCE)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=_CHROMIUM, args=[*_ALONE])
        yield browser
        browser.close()


@pytest.fixture(params=["en", "ru"])
def reader(request: pytest.FixtureRequest, browser: Browser) -> Iterator[Page]:
    """A page of a browser that prefers a language; whatever it says against the page's scripts fails the test."""
    context = browser.new_context(locale=request.param, viewport={"width": 1280, "height": 900})
    page = context.new_page()
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("dialog", lambda dialog: wrong.append(f"a dialog: {dialog.message}"))
    page.set_default_timeout(_PATIENCE)
    yield page
    context.close()
    assert wrong == []
