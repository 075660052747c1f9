"""The page over a slice of the demo's real flights, whose marts are on a server that can be stopped and started."""

import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

import dagster as dg
import pytest

from pipeline_assets.cli.run import failures, run_batch
from pipeline_assets.demo.flights import TASK, TRAIN
from pipeline_assets.stack import postgres
from pipeline_assets.stack.plan import HOST
from pipeline_assets.stack.ports import free_ports
from pipeline_assets.stores.marts import embedded_postgres
from pipeline_assets.task.batch import BatchRef, TruthRef
from tests.end_to_end.test_flights import Flights, came_true, put_truth
from tests.fixtures.postgres import embedded_server, marts, own_tcp_server, tcp_server
from tests.mart_page.site import served

__all__ = ["embedded_server", "marts", "own_tcp_server", "tcp_server"]

PASSWORD = "a-password-that-no-page-shows"
MONTHS = ("2013-10", "2013-11")


@dataclass(frozen=True)
class Server:
    """A PostgreSQL over TCP."""

    data: Path
    port: int

    def start(self) -> None:
        self._pg_ctl("start", f"--log={self.data / 'log'}")

    def stop(self) -> None:
        self._pg_ctl("stop", "--mode=fast")

    def _pg_ctl(self, verb: str, *arguments: str) -> None:
        line = embedded_postgres.command(
            "pg_ctl", verb, *arguments, "--wait", "--silent", f"--pgdata={self.data}", data=self.data
        )
        subprocess.run(
            line, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, env=postgres.environment()
        )


@dataclass(frozen=True)
class FlightsSite:
    """The page, and what lies behind it."""

    url: str
    flights: Flights
    server: Server

    def at(self, view: str, **more: object) -> str:
        """The address of a place on the page."""
        return f"{self.url}/?{urlencode({'view': view, 'task': TASK, **more})}"


@pytest.fixture(scope="session")
def flights_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FlightsSite]:
    """Flights trained and two months of them predicted, and the page over them."""
    folder = tmp_path_factory.mktemp("page_postgres")
    server = Server(folder / "data", free_ports(1)[0])
    postgres.make(server.data, server.port, PASSWORD, durable=False)
    server.start()
    try:
        flights = Flights(tmp_path_factory.mktemp("page_flights"))
        flights.variables |= {
            "GREENPLUM_HOST": HOST,
            "GREENPLUM_PORT": str(server.port),
            "GREENPLUM_DATABASE": "postgres",
            "GREENPLUM_LOGIN": postgres.ROOT,
            "GREENPLUM_PASSWORD": PASSWORD,
        }
        # In a thread of its own: Playwright keeps an event loop in this one, and Dagster wants to start another.
        with ThreadPoolExecutor(1) as alone:
            alone.submit(_run, flights).result()
        with served(flights.root, flights.variables) as url:
            yield FlightsSite(url, flights, server)
    finally:
        server.stop()


def _run(flights: Flights) -> None:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in flights.variables.items():
            patch.setenv(name, value)
        from pipeline_assets.definitions import defs

        location = defs()
        with dg.DagsterInstance.get() as instance:
            for month in MONTHS:
                put_truth(flights, month, came_true(month))
            predicts = (BatchRef(TASK, "predict", month) for month in MONTHS)
            truths = (TruthRef(TASK, month) for month in MONTHS)
            for ref in (BatchRef(TASK, "train", TRAIN), *predicts, *truths):
                quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
                result = run_batch(location, instance, ref, quiet)
                assert result.success, failures(result)
