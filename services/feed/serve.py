"""The feed under uvicorn: a listening socket, and limits that suit a service behind nothing but loopback or a proxy."""

import socket

import uvicorn

from services.feed.settings import FeedSettings
from shared import clock, faults, telemetry
from shared.garbage import settle
from shared.listening import listen
from shared.web_heads import BoundedHeads

GRACE = 2
"""Seconds that requests under way get on SIGTERM: our longest statement is bounded, and `chorus up` stops in five."""


class Server(uvicorn.Server):
    """uvicorn's server, which sets aside what it loaded, and leaves when a background task broke."""

    broken = False

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """See uvicorn."""
        await super().startup(sockets)
        settle()

    def fail(self, _error: BaseException) -> None:
        """A background task broke: out, and `broken`."""
        self.broken = True
        self.should_exit = True


def run(settings: FeedSettings) -> int:
    """Serve until SIGTERM or SIGINT, which then end the process; 1 when something broke before.

    Raises PortTaken before anything else is started.
    """
    telemetry.configure("feed", level=settings.log_level, style=settings.log_format)
    clock.configure(settings.clock_offset, settings.clock_file)
    faults.configure(settings.faults, settings.faults_log)
    door = listen(settings.host, settings.feed_port)
    from services.feed.app import create_app

    running: list[Server] = []
    config = uvicorn.Config(
        create_app(settings, on_fatal=lambda error: running[0].fail(error)),
        loop="uvloop",
        http=BoundedHeads,
        ws="none",
        lifespan="on",
        access_log=False,
        log_config=None,
        # Said here, or uvicorn would believe whoever is on loopback, or FORWARDED_ALLOW_IPS.
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=list(settings.trusted_proxies),
        server_header=False,
        timeout_graceful_shutdown=GRACE,
    )
    running.append(Server(config))
    running[0].run(sockets=[door])
    return 1 if running[0].broken or not running[0].started else 0
