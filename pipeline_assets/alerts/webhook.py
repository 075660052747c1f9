"""Posts a message to the webhook: a few tries with short time-outs, and never a word about its address."""

import json
import time
from base64 import b64encode
from collections.abc import Callable
from http.client import HTTPException
from urllib.error import HTTPError, URLError
from urllib.parse import unquote, urlsplit
from urllib.request import (
    HTTPDefaultErrorHandler,
    HTTPErrorProcessor,
    HTTPHandler,
    HTTPSHandler,
    OpenerDirector,
    ProxyHandler,
    Request,
)

from pipeline_assets.alerts.message import Message
from pipeline_assets.errors import TransientError
from pipeline_assets.settings import WebhookSettings

# Seconds to wait for an answer, and before each further try: at most 17 in all.
_TIMEOUT = 5.0
_WAITS = (0.5, 1.5)
_TOO_MANY_REQUESTS, _SERVER_FAULT = 429, 500


class Webhook:
    """Where messages are posted.

    It uses ``urllib``, because ``urllib3`` logs the path of an address that does not answer: in it is the secret.

    Args:
        settings: the address and the form.
        timeout: seconds to wait for an answer.
        waits: seconds before each further try.
    """

    def __init__(
        self, settings: WebhookSettings, *, timeout: float = _TIMEOUT, waits: tuple[float, ...] = _WAITS
    ) -> None:
        self._settings, self._timeout, self._waits = settings, timeout, waits
        self._opener = _opener()

    def post(self, message: Message) -> None:
        """Posts a message, without what may be a value of a row unless the settings ask for it.

        Raises:
            TransientError: the webhook did not take it; the text has no part of its address.
        """
        told = message if self._settings.details else message.without_values()
        body = json.dumps(told.body(self._settings.form), ensure_ascii=False).encode()
        problem = _tried(lambda: self._once(body), self._waits)
        if problem is not None:
            raise TransientError(
                "the webhook did not take the message",
                task=message.task,
                stage=message.stage,
                batch=message.batch,
                found=problem,
                do="check PIPELINE_WEBHOOK_URL and the server behind it",
            )

    def _once(self, body: bytes) -> tuple[str | None, bool]:
        """Why it was not taken, ``None`` if it was; and whether another try may help."""
        request = _request(self._settings.url, body)
        try:
            with self._opener.open(request, timeout=self._timeout):
                return None, False
        except HTTPError as refused:
            refused.close()
            return f"status {refused.code}", refused.code == _TOO_MANY_REQUESTS or refused.code >= _SERVER_FAULT
        except URLError as fault:
            return f"no answer ({type(fault.reason).__name__})", True
        except (OSError, HTTPException) as fault:  # a time-out while the answer is read, or an answer that is none
            return f"no answer ({type(fault).__name__})", True


def _tried(once: Callable[[], tuple[str | None, bool]], waits: tuple[float, ...]) -> str | None:
    problem, again = once()
    for seconds in waits:
        if not again:
            break
        time.sleep(seconds)
        problem, again = once()
    return problem


def _opener() -> OpenerDirector:
    """Opens addresses by the proxy that the environment names, and follows no redirect: that would drop the message."""
    opener = OpenerDirector()
    for handler in (ProxyHandler, HTTPHandler, HTTPSHandler, HTTPErrorProcessor, HTTPDefaultErrorHandler):
        opener.add_handler(handler())
    return opener


def _request(url: str, body: bytes) -> Request:
    """A message to an address, whose login and password, if it has any, go into a header."""
    parts = urlsplit(url)
    bare = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
    headers = {"Content-Type": "application/json; charset=utf-8", "User-Agent": "pipeline-assets"}
    if parts.username:
        login = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        headers["Authorization"] = f"Basic {b64encode(login.encode()).decode()}"
    return Request(bare, body, headers, method="POST")  # noqa: S310 - the settings have checked the scheme
