import os
from datetime import UTC, datetime
from time import monotonic

import pytest

from pipeline_assets.lineage_events.events import EventMaker
from pipeline_assets.lineage_events.facts import Run
from pipeline_assets.lineage_events.sender import Sender
from tests.fixtures.receiver import Receiver

RUN = Run("shop_train", "0b0d2c1e-6c5c-4b53-9d0c-0b8a9d1d1f00", {})


def sent(count: int = 2, patience: float = 20.0) -> str | None:
    sender = Sender(lambda: EventMaker("prod", "0.1.0", "1.13"), patience)
    for _ in range(count):
        sender.send(lambda maker: [maker.run_started(RUN, datetime.now(UTC))])
    return sender.close()


def test_events_arrive_with_the_key_which_is_left_nowhere_else(server: Receiver) -> None:
    before = dict(os.environ)
    assert sent() is None
    assert [event["job"]["name"] for event in server.posted] == ["shop_train", "shop_train"]
    assert server.paths[0] == "/api/v1/lineage"
    assert server.headers[0]["Authorization"] == "Bearer hidden"
    assert dict(os.environ) == before


def test_an_event_that_is_refused_does_not_stop_the_others(server: Receiver) -> None:
    server.answers = [422]
    assert sent(3) == "1 of 3 reports of this run were not sent to OpenLineage: status 422"
    assert len(server.posted) == 3


@pytest.fixture
def few_tries(monkeypatch: pytest.MonkeyPatch) -> None:
    """The client's own settings: by itself it tries for some ten seconds."""
    monkeypatch.setenv("OPENLINEAGE__TRANSPORT__TYPE", "http")
    monkeypatch.setenv("OPENLINEAGE__TRANSPORT__TIMEOUT", "0.3")
    monkeypatch.setenv("OPENLINEAGE__TRANSPORT__RETRY", '{"total": 0}')


@pytest.mark.usefixtures("few_tries")
def test_a_server_that_is_not_there_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENLINEAGE__TRANSPORT__URL", "http://me:hidden@127.0.0.1:1")
    assert sent(5) == "5 of 5 reports of this run were not sent to OpenLineage: no answer (ConnectionError)"


@pytest.mark.usefixtures("few_tries")
def test_a_server_that_holds_its_answer_back_is_given_up(server: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENLINEAGE__TRANSPORT__URL", server.url)
    server.held.clear()
    assert sent(5) == "5 of 5 reports of this run were not sent to OpenLineage: no answer (ConnectionError)"
    assert len(server.posted) == 1


def test_the_end_of_a_run_does_not_wait_for_a_slow_server(server: Receiver) -> None:
    server.held.clear()
    begun = monotonic()
    problem = sent(1, patience=0.5)
    assert problem is not None
    assert "the server did not take them within 0.5 s" in problem
    assert monotonic() - begun < 10


def test_a_configuration_that_cannot_be_used_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENLINEAGE_URL", "hidden")
    problem = sent()
    assert problem is not None
    assert "its configuration cannot be used (ValueError)" in problem
    assert "hidden" not in problem
