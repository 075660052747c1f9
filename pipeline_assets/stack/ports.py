"""Ports of the loopback that nobody uses."""

import socket


def free_ports(count: int) -> list[int]:
    """As many different ports; nothing keeps them until somebody listens there."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()
