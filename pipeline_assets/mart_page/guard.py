"""Protection of the page: no page of another site may talk to its server, and no text from data may run as a script."""

from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# Hashes of the two scripts that Shiny writes into the page, for its calendar and its busy indicators.
_SHINY = "'sha256-gb2teCJPKprj3suUu96YMl66Mzjq9dgXvxYaiNc7fh4=' 'sha256-erP5hScmId9gRru9k52QQl/lSJmUl8NfFAiLNMbPtcg='"
_HEADERS = {
    # Scripts of Shiny and plotly set styles; scripts and connections are allowed from this server only.
    "content-security-policy": (
        f"default-src 'self'; script-src 'self' {_SHINY}; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:;"
        " font-src 'self' data:; object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
}


class Guard:
    """Refuses websockets that a page of another site opens, and sends headers that forbid scripts from elsewhere."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] == "websocket" and not _same_origin(Headers(scope=scope)):
            await receive()  # ASGI wants the connection received before it is closed
            await send({"type": "websocket.close", "code": 1008})
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, with_headers)


def _same_origin(headers: Headers) -> bool:
    """Whether a page of this server asks. Browsers always send the origin; other programs may not."""
    origin = headers.get("origin")
    return origin is None or urlsplit(origin).netloc == headers.get("host")
