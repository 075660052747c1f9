"""Free ports of the loopback."""

import random
import socket
from contextlib import ExitStack, suppress

# Below those that the kernel gives to outgoing connections (Linux from 32768, macOS from 49152): a port of that
# range may be taken before the server that it is meant for has started.
_RANGE = range(20000, 32768)


def free_ports(count: int) -> list[int]:
    """Returns ``count`` different free ports; they are not reserved until a server listens on them."""
    ports: list[int] = []
    with ExitStack() as held:
        for port in random.SystemRandom().sample(_RANGE, len(_RANGE)):
            if len(ports) == count:
                break
            with suppress(OSError):
                held.enter_context(socket.socket()).bind(("127.0.0.1", port))
                ports.append(port)
    if len(ports) < count:
        raise OSError(f"fewer than {count} ports of the loopback are free")
    return ports
