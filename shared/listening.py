"""Ports to listen on: taken or not, and said in a sentence. Bound before anything else starts, so a taken port
costs nothing; uvicorn's own way ends the process with the code that means "invalid input" here.
"""

import socket


class PortTaken(Exception):
    """Somebody else listens there, or this account may not."""

    def __init__(self, host: str, port: int, reason: str) -> None:
        super().__init__(f"Port {port} on {host} can't be had: {reason}.")


def listen(host: str, port: int) -> socket.socket:
    """A socket that is bound to host and port (0: any free one) and inherited by nobody; raises PortTaken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Named as TCP, or asyncio leaves Nagle's algorithm on: each answer would wait 40 ms for an acknowledgement.
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
        bound.listen(2048)  # the backlog that uvicorn takes: a storm of reconnections waits here
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
