"""The whole of Chorus on one machine: servers, schema, demo and three services, in the order of their needs.

The composition root of `chorus up`. What it decides: addresses, ports, the secret. What it does not: how a process is
kept alive (supervisor), what lies in the data folder (installation), what is shown (commands/up.py).
"""

import asyncio
import signal
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from services.embedded import Postgres, Redis, servers_folder
from services.feed.settings import FeedSettings
from services.installation import Installation
from services.notify.settings import NotifySettings
from services.supervisor import Failed, Say, Supervisor
from shared import clock
from shared.environment import is_given
from shared.listening import PortTaken, is_free
from shared.settings import Common, SettingsError, described, load

READY_TIMEOUT = 60.0
_SPREAD = 200
"""How many pairs of ports are tried before giving up."""


class UpSettings(Common, frozen=True, kw_only=True):
    """What `chorus up` is told; `drain` is short here, because a person waits for the prompt."""

    drain: Annotated[float, described("Seconds over which sockets are asked to leave.", ge=0, le=600)] = 1.0


class Up:
    """One run of `chorus up`; `facts` fills with what the banner shows, as it becomes known."""

    def __init__(self, environ: Mapping[str, str], say: Say) -> None:
        self._environ = environ
        self._say = say
        self._settings = _settings(environ)
        self._installation = Installation.hold(Path(self._settings.data_dir))
        self._supervisor = Supervisor(say, self._tell)
        self._own: dict[str, str] = {}
        self.facts: dict[str, str] = {}
        self.logins: list[str] = []

    async def until_stopped(self, *, empty: bool, ready: "asyncio.Event") -> int:
        """Up, then down when a signal asks: the signal's number. `ready` is set once both services answer.

        Raises what keeps it from coming up: PortTaken, EngineUnavailable, Failed. Everything has ended by then.
        """
        asked: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(number, _answer, asked, number)
        life = asyncio.ensure_future(self._live(empty, ready))
        try:
            waiting: set[asyncio.Future[Any]] = {life, asked}
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            if not asked.done():
                await life  # it ends only by an error
            return asked.result()
        finally:
            life.cancel()
            await asyncio.gather(life, return_exceptions=True)
            await self._supervisor.stop(self._settings.drain)
            self._installation.release()

    async def _live(self, empty: bool, ready: "asyncio.Event") -> None:
        for name in self._installation.end_leftovers():
            self._say("chorus", f"ended a {name} that an earlier run had left behind")
        self._choose_ports()
        await self._start_servers()
        command = [sys.executable, "-m", "services.cli"]
        env = self._environment()
        await self._supervisor.run("migrate", [*command, "migrate"], env)
        self.logins = await self._supervisor.run("demo", [*command, "demo", *(["--empty"] if empty else [])], env)
        keepers = {self._supervisor.keep(name, [*command, name], env) for name in ("sequencer", "feed", "notify")}
        answering = asyncio.ensure_future(self._await_ready())
        done, _ = await asyncio.wait({answering, *keepers}, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            await task
        ready.set()
        await asyncio.gather(*keepers)

    def _choose_ports(self) -> None:
        """Given and taken is an error; a pair that isn't given is the next free one."""
        settings, given = self._settings, self._given
        feed, notify = settings.feed_port, settings.notify_port
        for name, port in (("CHORUS_FEED_PORT", feed), ("CHORUS_NOTIFY_PORT", notify)):
            if given(name) and not is_free(settings.host, port):
                raise PortTaken(settings.host, port, f"it is taken, and {name} asks for it")
        for step in range(_SPREAD):
            pair = (
                feed if given("CHORUS_FEED_PORT") else feed + 2 * step,
                notify if given("CHORUS_NOTIFY_PORT") else notify + 2 * step,
            )
            if pair[0] != pair[1] and all(is_free(settings.host, port) for port in pair):
                break
        else:
            raise PortTaken(settings.host, feed, f"nor can the next {_SPREAD} pairs")
        if pair != (feed, notify):
            self._say("chorus", f"ports {feed} and {notify} are not both free; taking {pair[0]} and {pair[1]}")
        self._own |= {"CHORUS_FEED_PORT": str(pair[0]), "CHORUS_NOTIFY_PORT": str(pair[1])}

    async def _start_servers(self) -> None:
        """Embedded servers for whatever has no address."""
        here = servers_folder(self._installation.folder, self._installation.identity())
        self.facts["data folder"] = str(self._installation.folder)
        if here.moved:
            self.facts["database folder"] = f"{here.path} ({here.moved})"
        if not self._given("CHORUS_DATABASE_URL"):
            postgres = Postgres(here.path / "postgres")
            await self._supervisor.serve("postgres", postgres)
            self.facts["Postgres"] = str(postgres.engine)
            self._own |= {
                "CHORUS_DATABASE_URL": postgres.url("chorus_feed"),
                "CHORUS_NOTIFY_DATABASE_URL": postgres.url("chorus_notify"),
                "CHORUS_DIRECT_DATABASE_URL": postgres.url("chorus"),
            }
        else:
            self.facts["Postgres"] = "as CHORUS_DATABASE_URL says"
        if not self._given("CHORUS_REDIS_URL"):
            redis = Redis(here.path / "redis")
            await self._supervisor.serve("redis", redis)
            self.facts["Redis"] = str(redis.engine)
            self._own["CHORUS_REDIS_URL"] = redis.url
        else:
            self.facts["Redis"] = "as CHORUS_REDIS_URL says"
        if (letters := self._mail().get("CHORUS_MAIL_DIR")) is not None:
            self.facts["letters"] = f"{letters} (set CHORUS_SMTP_URL and CHORUS_MAIL_FROM to send them)"

    async def _await_ready(self) -> None:
        """Both services answer, and it is ours that do: their processes live."""
        deadline = clock.monotonic() + READY_TIMEOUT
        for name, url in (("feed", self._address("FEED")), ("notify", self._address("NOTIFY"))):
            while not (name in self._supervisor.processes() and await asyncio.to_thread(_answers, f"{url}/readyz")):
                if clock.monotonic() > deadline:
                    raise Failed(f"{name}, not ready after {READY_TIMEOUT:g} s,", 1)
                await asyncio.sleep(0.05)
        merged = load(UpSettings, self._environment())
        self.facts = {"page": f"{merged.page_url()}/", "live": merged.socket_url(), **self.facts}
        self._tell()

    def _environment(self) -> dict[str, str]:
        """What every process of ours is told: the user's settings, and ours where theirs are silent."""
        ours = {
            **self._own,
            "CHORUS_DATA_DIR": str(self._installation.folder),
            "CHORUS_SECRET_KEY": self._installation.secret_key(),
            "CHORUS_DRAIN": f"{self._settings.drain:g}",
            "CHORUS_LOG_FORMAT": "console",
            **self._mail(),
            "PYTHONUNBUFFERED": "1",
        }
        silent = {name: value for name, value in ours.items() if not self._given(name) or name == "CHORUS_DATA_DIR"}
        return {**self._environ, **silent}

    def _mail(self) -> dict[str, str]:
        """Without a mail server letters are laid where whoever runs this finds them."""
        if self._settings.mail_from:
            return {}
        return {
            "CHORUS_MAIL_FROM": "Chorus <chorus@localhost>",
            "CHORUS_MAIL_DIR": str(self._installation.folder / "mail"),
        }

    def _given(self, name: str) -> bool:
        return is_given(self._environ, name)

    def _address(self, service: str) -> str:
        host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(self._settings.host, self._settings.host)  # noqa: S104
        return f"http://{host}:{self._own[f'CHORUS_{service}_PORT']}"

    def _tell(self) -> None:
        """run.json: how others find this run. Only what we chose ourselves: a user's URL may hold a password."""
        if "CHORUS_FEED_PORT" not in self._own:
            return
        processes: dict[str, Any] = {**self._supervisor.processes()}
        merged = load(UpSettings, self._environment())
        self._installation.tell(
            {
                "pid": self._installation.pid,
                "page_url": f"{merged.page_url()}/",
                "live_url": merged.socket_url(),
                "feed_url": self._address("FEED"),
                "notify_url": self._address("NOTIFY"),
                "feed_port": int(self._own["CHORUS_FEED_PORT"]),
                "notify_port": int(self._own["CHORUS_NOTIFY_PORT"]),
                "processes": {"chorus": self._installation.process(), **processes},
                "engines": {name: self.facts[name] for name in ("Postgres", "Redis") if name in self.facts},
                "settings": self._own,
            }
        )


def _settings(environ: Mapping[str, str]) -> UpSettings:
    """Ours, once those of every service hold too: a fault is told before anything starts, not by whoever meets it."""
    faults: dict[str, None] = {}
    for kind in (UpSettings, FeedSettings, NotifySettings):
        try:
            load(kind, environ)
        except SettingsError as error:
            faults |= dict.fromkeys(error.faults)
    if faults:
        raise SettingsError(list(faults))
    return load(UpSettings, environ)


def _answer(asked: "asyncio.Future[int]", number: int) -> None:
    if not asked.done():  # an impatient second Ctrl-C: leaving is under way, and bounded
        asked.set_result(number)


def _answers(url: str) -> bool:
    """Whether it says 200. Loopback is asked directly, whatever proxy the environment names."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(url, timeout=2) as reply:
            return bool(reply.status == 200)
    except (urllib.error.URLError, OSError):
        return False
