"""The feed under uvicorn: a listening socket, and limits that suit a service behind nothing but loopback or a proxy."""

import socket

import uvicorn

from services.feed.settings import FeedSettings
from shared import telemetry
from shared.garbage import settle
from shared.listening import listen

GRACE = 2
"""Seconds that requests under way get on SIGTERM: our longest statement is bounded, and `chorus up` stops in five."""


class Server(uvicorn.Server):
    """uvicorn's server, which sets aside what it loaded."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """See uvicorn."""
        await super().startup(sockets)
        settle()


def run(settings: FeedSettings) -> None:
    """Serve until SIGTERM or SIGINT. Raises PortTaken before anything else is started."""
    telemetry.configure("feed", level=settings.log_level, style=settings.log_format)
    door = listen(settings.host, settings.feed_port)
    from services.feed.app import create_app

    config = uvicorn.Config(
        create_app(settings),
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan="on",
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=GRACE,
    )
    Server(config).run(sockets=[door])
