"""The feed under uvicorn: a listening socket, and limits that suit a service behind nothing but loopback or a proxy."""

import uvicorn

from services.feed.settings import FeedSettings
from shared import telemetry
from shared.listening import listen

GRACE = 2
"""Seconds that requests under way get on SIGTERM: our longest statement is bounded, and `chorus up` stops in five."""


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
    uvicorn.Server(config).run(sockets=[door])
