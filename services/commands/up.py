"""`chorus up`: starts everything and shows what a person needs to know."""

import asyncio
import contextlib
import os
import signal

import click
from rich.console import Console
from rich.markup import escape

from services.outcome import DONE, INTERRUPTED
from services.up import Up

_COLOURS = {"feed": "cyan", "notify": "magenta", "sequencer": "yellow", "chorus": "bold green"}


@click.command()
@click.option("--empty", is_flag=True, help="Leave the demo community out.")
def command(empty: bool) -> int:
    """Start Chorus here, with its own Postgres and Redis where no address is set.

    Ctrl-C stops it. An empty database gets a demo community. The data folder (CHORUS_DATA_DIR) keeps everything.
    """
    console = Console(highlight=False, soft_wrap=True)

    def say(name: str, line: str) -> None:
        with contextlib.suppress(OSError):  # nobody reads any more (a closed pipe): that is no reason to die
            console.print(f"[{_COLOURS.get(name, 'blue')}]{name:<9}[/] │ {escape(line)}")

    return asyncio.run(_up(console, Up(os.environ, say), empty))


async def _up(console: Console, up: Up, empty: bool) -> int:
    ready = asyncio.Event()
    banner = asyncio.ensure_future(_announce(console, up, ready))
    try:
        number = await up.until_stopped(empty=empty, ready=ready)
    finally:
        banner.cancel()
    with contextlib.suppress(OSError):
        console.print("Chorus has stopped.")
    return INTERRUPTED if number == signal.SIGINT else DONE


async def _announce(console: Console, up: Up, ready: asyncio.Event) -> None:
    await ready.wait()
    lines = ["", "[bold green]Chorus is up.[/] Ctrl-C stops it.", ""]
    for name, value in up.facts.items():
        lines.append(f"  {name:<15} [bold]{escape(value)}[/]" if name == "page" else f"  {name:<15} {escape(value)}")
    for number, login in enumerate(up.logins):
        lines.append(f"  {'demo logins' if number == 0 else '':<15} {escape(login)}")
    with contextlib.suppress(OSError):
        console.print("\n".join(lines), end="\n\n")  # at once: no line of a process comes in between
