"""Sends events from a thread of its own: a run waits for no server, and does not fail by one."""

import os
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from queue import SimpleQueue
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from openlineage.client.client import OpenLineageClient
    from openlineage.client.event_v2 import RunEvent

    from pipeline_assets.lineage_events.events import EventMaker

    Making = Callable[[EventMaker], Iterable[RunEvent]]

# Seconds that the end of a run waits for events that are still on their way.
_PATIENCE = 10.0


class Sender:
    """A queue of events and the thread that makes and sends them, in the order of the queue.

    The standard client is imported, configured and used in that thread. When the server does not answer, the events
    that follow are dropped; one that it refuses is dropped alone.

    Args:
        maker: makes the maker of events.
        patience: seconds that :meth:`close` waits at most.
    """

    def __init__(self, maker: "Callable[[], EventMaker]", patience: float = _PATIENCE) -> None:
        self._maker, self._patience = maker, patience
        self._queue: SimpleQueue[Making | None] = SimpleQueue()
        self._asked = self._sent = 0
        self._problem: str | None = None
        self._gone = False
        # A daemon, because the process must be able to end while a server holds an answer back.
        self._thread = threading.Thread(target=self._work, name="lineage events", daemon=True)
        self._thread.start()

    def send(self, making: "Making") -> None:
        """Sends the events that a function makes of the maker."""
        self._asked += 1
        self._queue.put(making)

    def close(self) -> str | None:
        """Waits for what is on its way, but not long.

        Returns:
            What was not sent and why, in one sentence; ``None`` if all was sent.
        """
        self._queue.put(None)
        self._thread.join(self._patience)
        lost = self._asked - self._sent
        if not lost:
            return None
        why = self._problem or f"the server did not take them within {self._patience:g} s of the end of the run"
        return f"{lost} of {self._asked} reports of this run were not sent to OpenLineage: {why}"

    def _work(self) -> None:
        try:
            with _environment_kept():
                from openlineage.client.client import OpenLineageClient

                client = OpenLineageClient()
            maker = self._maker()
        # What the client raises for a configuration that it cannot use.
        except (ImportError, KeyError, OSError, RuntimeError, TypeError, ValueError) as fault:
            self._problem = f"its configuration cannot be used ({type(fault).__name__})"
            return
        for making in iter(self._queue.get, None):
            self._sent += not self._gone and self._taken(client, making(maker))
        client.close(self._patience)

    def _taken(self, client: "OpenLineageClient", events: "Iterable[RunEvent]") -> bool:
        """Whether the server took the events. The text of an error may tell a secret, so only its kind is kept."""
        from requests import HTTPError

        try:
            for event in events:
                client.emit(event)
        except HTTPError as refused:  # of this event alone; the next may be taken
            self._problem = f"status {refused.response.status_code if refused.response is not None else 'unknown'}"
            return False
        except (OSError, RuntimeError, TypeError, ValueError) as fault:
            self._problem, self._gone = f"no answer ({type(fault).__name__})", True
            return False
        return True


@contextmanager
def _environment_kept() -> Iterator[None]:
    """Takes out what the client writes into the environment, among it the API key under other names."""
    before = set(os.environ)
    try:
        yield
    finally:
        for name in set(os.environ) - before:
            if name.startswith("OPENLINEAGE__"):
                del os.environ[name]
