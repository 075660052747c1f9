import socket

from pipeline_assets.stack.ports import free_ports


def test_they_differ_and_can_be_listened_on_at_once() -> None:
    ports = free_ports(5)
    assert len(set(ports)) == 5
    sockets = [socket.create_server(("127.0.0.1", port)) for port in ports]
    for each in sockets:
        each.close()
