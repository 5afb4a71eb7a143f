"""Runs the notify process: uvicorn with the live protocol, and a drain before uvicorn's own way out.

uvicorn's shutdown sends 1012 to every socket at once, and its lifespan ends only after that; so the drain runs first.
"""

import asyncio
import signal
import socket
from types import FrameType

import uvicorn

from services.notify.app import Notify
from services.notify.live.codes import MAX_FRAME
from services.notify.live.protocol import LiveProtocol
from services.notify.settings import NotifySettings
from shared import clock, faults
from shared.garbage import settle
from shared.listening import listen
from shared.telemetry import configure, get_logger
from shared.web_heads import BoundedHeads

log = get_logger(__name__)

LEAVING = 3
"""Seconds for HTTP requests under way, once the sockets are gone."""


class Server(uvicorn.Server):
    """uvicorn's server, which drains on the first signal and leaves at once on the second."""

    def __init__(self, config: uvicorn.Config, app: Notify) -> None:
        super().__init__(config)
        self._app = app
        self._hurry = asyncio.Event()
        self.broken = False

    def fail(self, error: BaseException) -> None:
        """A background task broke: out, without a drain, and `broken`."""
        self.broken = True
        self.should_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """See uvicorn; then what was loaded is set aside."""
        await super().startup(sockets)
        settle()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """The first signal asks, the second insists."""
        if self.should_exit:
            self.force_exit = True
            self._hurry.set()
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Drains, then does what uvicorn does."""
        if not (self.force_exit or self.broken):
            drain = asyncio.ensure_future(self._app.gateway.drain(self._app.settings.drain))
            hurry = asyncio.ensure_future(self._hurry.wait())
            await asyncio.wait({drain, hurry}, return_when=asyncio.FIRST_COMPLETED)
            for task in (drain, hurry):
                task.cancel()
            await asyncio.gather(drain, hurry, return_exceptions=True)
        await super().shutdown(sockets)


def server(settings: NotifySettings, app: Notify) -> Server:
    """A server for `app`, not running yet; tests run it in their own loop."""
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.notify_port,
        loop="uvloop",
        http=BoundedHeads,
        ws=LiveProtocol,
        ws_max_size=MAX_FRAME,
        ws_per_message_deflate=False,
        ws_ping_interval=None,
        ws_ping_timeout=None,
        timeout_graceful_shutdown=LEAVING,
        access_log=False,
        log_config=None,
        # Said here, or uvicorn would believe whoever is on loopback, or FORWARDED_ALLOW_IPS.
        proxy_headers=bool(settings.trusted_proxies),
        forwarded_allow_ips=list(settings.trusted_proxies),
        server_header=False,
        backlog=4096,  # thousands of pages come back in the same second after a restart
    )
    return Server(config, app)


def run(settings: NotifySettings, own_port: int | None = None) -> int:
    """Serves until a signal; the exit code: 0 left in good order, 1 something broke, 130 told twice.

    A worker shares its port with others, and is reached alone at `own_port`; its log lines bear that. Raises PortTaken.
    """
    name = "notify" if own_port is None else f"notify:{own_port}"
    configure(name, level=settings.log_level, style=settings.log_format)
    clock.configure(settings.clock_offset, settings.clock_file)
    faults.configure(settings.faults, settings.faults_log)
    running: list[Server] = []
    app = Notify(settings, on_fatal=lambda error: running[0].fail(error))
    running.append(server(settings, app))
    doors = [listen(settings.host, settings.notify_port, shared=own_port is not None)]
    if own_port is not None:
        doors.append(listen(settings.host, own_port))
    running[0].run(sockets=doors)
    if running[0].broken or not running[0].started:
        return 1
    return 128 + signal.SIGINT if running[0].force_exit else 0
