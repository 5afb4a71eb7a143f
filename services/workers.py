"""Several notify processes on one port: a small parent that starts again what dies, and passes signals on.

Each worker listens for itself (SO_REUSEPORT) and the kernel spreads connections; the parent serves nobody and holds the
port, so that a stranger is noticed at the start and can't slip in while workers come and go.
"""

import asyncio
import signal
import sys
from collections.abc import Mapping

import click

from services.notify.settings import NotifySettings
from services.outcome import DONE, INTERRUPTED
from services.supervisor import Supervisor
from shared.listening import PortTaken, is_free, reserve

LEAVING = 3.0
"""Seconds that a worker has for HTTP requests under way, beyond its drain."""


def run_workers(settings: NotifySettings, count: int, first: int | None, environ: Mapping[str, str]) -> int:
    """Runs `count` workers until a signal; the exit code: 0 left in good order, 130 told twice.

    Worker n alone answers on port `first` + n; None: right after the shared one. Raises PortTaken, and Failed when a
    worker can't use its settings.
    """
    with reserve(settings.host, settings.notify_port) as held:
        port: int = held.getsockname()[1]
        own = [(first or port + 1) + n for n in range(count)]
        for each in own:
            if not is_free(settings.host, each):
                raise PortTaken(settings.host, each, "it is taken, and a worker is to answer there; see --worker-ports")
        env = {**environ, "CHORUS_NOTIFY_PORT": str(port)}
        return asyncio.run(_keep(own, env, settings.drain))


async def _keep(own: list[int], env: Mapping[str, str], drain: float) -> int:
    supervisor = Supervisor(_say)
    asked, insisted = asyncio.Event(), asyncio.Event()

    def hear() -> None:
        if asked.is_set():
            insisted.set()
            supervisor.send(signal.SIGTERM)  # a worker that is told twice leaves at once
        asked.set()

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, hear)
    command = [sys.executable, "-m", "services.cli", "notify", "--own-port"]
    keepers = {supervisor.keep(f"worker {port}", [*command, str(port)], env) for port in own}
    stopping = asyncio.ensure_future(asked.wait())
    try:
        done, _ = await asyncio.wait({stopping, *keepers}, return_when=asyncio.FIRST_COMPLETED)
        for task in done - {stopping}:
            await task  # ends only by an error
    finally:
        stopping.cancel()
        await supervisor.stop(drain + LEAVING)
    return INTERRUPTED if insisted.is_set() else DONE


def _say(name: str, line: str) -> None:
    """A worker's log lines as they are; what happens to a worker with its name before it."""
    click.echo(line if line.startswith("{") else f"{name}: {line}", err=True)
