"""A server that answers as it is told, with what a real Dagster has answered or with anything else."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

ANSWERS = Path(__file__).parent / "answers"


def recorded(name: str) -> dict[str, Any]:
    """What a real Dagster 1.13.27 has answered."""
    answer: dict[str, Any] = json.loads((ANSWERS / f"{name}.json").read_text())
    return answer


class Server:
    """Gives the answers it is told, one a question, and the last one for ever.

    Attributes:
        asked: the questions: path, headers and body.
    """

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, str], Any]] = []
        self._answers: list[tuple[int, str, dict[str, str]]] = []
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                server.asked.append((self.path, dict(self.headers), json.loads(body)))
                status, text, headers = server._next()
                self.send_response(status)
                for name, value in {"Content-Length": str(len(text.encode())), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, *_: Any) -> None:
                """Nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def says(self, *answers: str | dict[str, Any], status: int = 200, headers: dict[str, str] | None = None) -> None:
        """Adds answers: names of recorded ones, data as GraphQL gives it, or any text."""
        for answer in answers:
            if isinstance(answer, str) and (ANSWERS / f"{answer}.json").exists():
                text = json.dumps(recorded(answer))
            else:
                text = answer if isinstance(answer, str) else json.dumps({"data": answer})
            self._answers.append((status, text, headers or {}))

    def answer(self, answer: dict[str, Any]) -> None:
        """Gives this one from now on."""
        self._answers.clear()
        self.says(answer)

    def _next(self) -> tuple[int, str, dict[str, str]]:
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
