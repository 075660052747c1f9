import logging

import pytest

from pipeline_assets.alerts.message import Message, Problem
from pipeline_assets.alerts.webhook import Webhook
from pipeline_assets.errors import TransientError
from pipeline_assets.settings import WebhookSettings
from tests.fixtures.receiver import Receiver

MESSAGE = Message("run_failed", (Problem("step", "bad\n  found:     secret row", may_hold_values=True),), task="shop")


def webhook(receiver: Receiver, **more: object) -> Webhook:
    settings = WebhookSettings(f"{receiver.url}/services/hidden", **more)  # type: ignore[arg-type]  # by the test
    return Webhook(settings, timeout=0.3, waits=(0.01, 0.01))


def test_a_message_arrives_as_json(receiver: Receiver) -> None:
    webhook(receiver).post(MESSAGE)
    (body,) = receiver.posted
    assert (body["event"], body["task"], body["text"]) == ("run_failed", "shop", "shop: the run failed\nstep: bad")
    assert receiver.paths == ["/services/hidden"]
    assert receiver.headers[0]["Content-Type"] == "application/json; charset=utf-8"


def test_it_arrives_as_slack_and_mattermost_take_it_and_with_details_if_asked(receiver: Receiver) -> None:
    webhook(receiver, form="slack", details=True).post(MESSAGE)
    assert receiver.posted == [{"text": "shop: the run failed\nstep: bad\n  found:     secret row"}]


def test_a_login_in_the_address_goes_into_a_header(receiver: Receiver) -> None:
    settings = WebhookSettings(receiver.url.replace("//", "//me:p%40ss@"))
    Webhook(settings).post(MESSAGE)
    assert receiver.headers[0]["Authorization"] == "Basic bWU6cEBzcw=="


@pytest.mark.parametrize("status", [500, 503, 429])
def test_a_server_that_fails_for_a_moment_is_asked_again(status: int, receiver: Receiver) -> None:
    receiver.answers = [status, status]
    webhook(receiver).post(MESSAGE)
    assert len(receiver.posted) == 3


@pytest.mark.parametrize(
    ("answers", "found", "tries"),
    [([500] * 9, "status 500", 3), ([404] * 9, "status 404", 1), ([302] * 9, "status 302", 1)],
)
def test_a_server_that_refuses_is_asked_no_more_than_helps(
    answers: list[int], found: str, tries: int, receiver: Receiver
) -> None:
    receiver.answers = answers
    with pytest.raises(TransientError, match="the webhook did not take the message") as refused:
        webhook(receiver).post(MESSAGE)
    assert refused.value.facts["found"] == found
    assert len(receiver.posted) == tries


def test_a_server_that_does_not_answer_in_time_is_given_up(
    receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    receiver.held.clear()
    with caplog.at_level(logging.DEBUG), pytest.raises(TransientError, match="no answer") as late:
        webhook(receiver).post(MESSAGE)
    assert "hidden" not in f"{late.value}{caplog.text}"


def test_a_server_that_is_not_there_is_no_secret_told(caplog: pytest.LogCaptureFixture) -> None:
    settings = WebhookSettings("http://me:hidden-1@127.0.0.1:1/services/hidden-2")
    with caplog.at_level(logging.DEBUG), pytest.raises(TransientError, match="ConnectionRefusedError") as away:
        Webhook(settings, timeout=0.3, waits=(0.01,)).post(MESSAGE)
    assert "hidden" not in f"{away.value}{caplog.text}{settings!r}"
