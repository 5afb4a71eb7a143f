"""Ports to listen on: taken or not, and said in a sentence. Bound before anything else starts, so a taken port
costs nothing; uvicorn's own way ends the process with the code that means "invalid input" here.
"""

import socket


class PortTaken(Exception):
    """Somebody else listens there, or this account may not."""

    def __init__(self, host: str, port: int, reason: str) -> None:
        super().__init__(f"Port {port} on {host} can't be had: {reason}.")


def listen(host: str, port: int, *, shared: bool = False) -> socket.socket:
    """A socket that listens on host and port (0: any free one) and is inherited by nobody; raises PortTaken.

    `shared`: others of this account may share the port so too (SO_REUSEPORT), and the kernel spreads connections.
    """
    bound = _bound(host, port, shared=shared)
    bound.listen(2048)  # the backlog that uvicorn takes: a storm of reconnections waits here
    return bound


def reserve(host: str, port: int) -> socket.socket:
    """A socket that gets no connection, and keeps the port for those who share it; raises PortTaken, also when it is
    shared by others already."""
    if port:
        _bound(host, port, shared=False).close()
    return _bound(host, port, shared=True)


def _bound(host: str, port: int, *, shared: bool) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Named as TCP, or asyncio leaves Nagle's algorithm on: each answer would wait 40 ms for an acknowledgement.
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        bound.bind((host, port))
    except OSError as error:
        bound.close()
        raise PortTaken(host, port, (error.strerror or str(error)).lower()) from None
    bound.setblocking(False)
    return bound


def is_free(host: str, port: int) -> bool:
    """Whether nobody listens there now."""
    try:
        listen(host, port).close()
    except PortTaken:
        return False
    return True
