import asyncio

import pytest
from starlette.types import Message, Receive, Scope, Send

from pipeline_assets.mart_page.guard import Guard


async def page(scope: Scope, _receive: Receive, send: Send) -> None:
    """Accepts whoever gets through."""
    if scope["type"] == "websocket":
        await send({"type": "websocket.accept"})
    else:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"page"})


def answers(kind: str, headers: dict[str, str]) -> list[Message]:
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": f"{kind}.connect"}

    async def send(message: Message) -> None:
        sent.append(message)

    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    asyncio.run(Guard(page)({"type": kind, "headers": raw}, receive, send))
    return sent


@pytest.mark.parametrize(
    ("origin", "answer"),
    [
        ("http://127.0.0.1:8000", "websocket.accept"),
        (None, "websocket.accept"),
        ("http://127.0.0.1:8001", "websocket.close"),
        ("https://evil.example", "websocket.close"),
        ("null", "websocket.close"),
    ],
)
def test_only_our_own_page_opens_the_websocket(origin: str | None, answer: str) -> None:
    headers = {"host": "127.0.0.1:8000", **({"origin": origin} if origin else {})}
    assert [message["type"] for message in answers("websocket", headers)] == [answer]


def test_pages_forbid_scripts_of_others() -> None:
    start = answers("http", {})[0]
    policy = dict(start["headers"])[b"content-security-policy"].decode()
    scripts = next(part for part in policy.split(";") if part.strip().startswith("script-src"))
    assert "'self'" in scripts
    assert "unsafe" not in scripts
    assert "http" not in policy
