"""The door of the live side: accepts a socket, runs its conversation, sees it off; and empties the house in good order.

A socket that can't be served is accepted first and then closed with a code: a refused handshake gives a browser a bare
403. Only a wrong Origin gets that, being nobody we owe an explanation.
"""

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any

from services.notify.live import metrics
from services.notify.live.codes import SUBPROTOCOL, Close
from services.notify.live.connection import Connection, Timing
from services.notify.live.credentials import Credentials
from services.notify.live.frames import Drain, encode
from services.notify.live.generation import Generation
from services.notify.live.protocol import LiveProtocol, live_protocol_of
from services.notify.live.session import Ended, Refused, Session
from services.notify.live.witness import Witness
from services.notify.settings import NotifySettings
from shared import clock
from shared.garbage import Residents
from shared.telemetry import get_logger

log = get_logger(__name__)


class Gateway:
    """An ASGI application for `GET /v1/live`. `current` gives the generation to join, None when there is none."""

    def __init__(self, settings: NotifySettings, current: Callable[[], Generation | None], timing: Timing) -> None:
        self._settings = settings
        self._origins = settings.origins()
        self._current = current
        self._timing = timing
        self._addresses: Counter[str] = Counter()
        self._sockets: dict[Session, Generation] = {}
        self.witness = Witness(self._sockets)
        self.credentials: Credentials | None = None
        self.draining = False
        self._retiring: set[asyncio.Task[None]] = set()
        self._residents = Residents()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """One socket, from its handshake to its end."""
        protocol = live_protocol_of(scope)
        await receive()
        origin = next((value for name, value in scope["headers"] if name == b"origin"), None)
        if origin is not None and origin.decode("latin-1").rstrip("/") not in self._origins:
            await send({"type": "websocket.close"})
            return
        offered = scope["subprotocols"]
        # A browser drops a socket whose server takes none of what it offered, and never shows the close code.
        taken = SUBPROTOCOL if SUBPROTOCOL in offered else next(iter(offered), None)
        await send({"type": "websocket.accept", "subprotocol": taken, "headers": []})
        address = scope["client"][0] if scope.get("client") else ""
        generation = self._current()
        refusal = self._refusal(taken, address, generation)
        if refusal is not None or generation is None:
            protocol.end(refusal or Close.NOT_NOW)
            return
        await self._serve(protocol, generation, receive, address)

    def _refusal(self, taken: str | None, address: str, generation: Generation | None) -> Close | None:
        if taken != SUBPROTOCOL:
            return Close.UNKNOWN_VERSION
        if self.draining:
            return Close.DRAIN
        if generation is None:
            return Close.NOT_NOW
        if self._addresses[address] >= self._settings.sockets_per_address:
            return Close.TOO_MANY_SOCKETS
        return None

    async def _serve(self, protocol: LiveProtocol, generation: Generation, receive: Any, address: str) -> None:
        loop = asyncio.get_running_loop()
        session = Session(protocol, clock.monotonic())
        connection = Connection(protocol, generation, self._timing)
        connection.resume_with(session)
        protocol.bound(self._settings.write_buffer)
        protocol.forget_handshake()
        self._addresses[address] += 1
        self._sockets[session] = generation
        self._residents.came()
        metrics.SOCKETS.inc()
        patience = loop.call_later(self._timing.hello, self._no_hello, session)
        try:
            await self._converse(session, connection, receive)
        except Ended as ended:
            protocol.end(ended.code)
        except Exception:
            log.exception("socket_broke", session=session.id)
            protocol.end(Close.INTERNAL)
        finally:
            patience.cancel()
            connection.close()
            self.witness.closed(session, generation.hub, protocol.ended)
            generation.hub.exit(session)
            del self._sockets[session]
            self._residents.left(len(self._sockets))
            self._addresses[address] -= 1
            if not self._addresses[address]:
                del self._addresses[address]
            metrics.SOCKETS.dec()

    async def _converse(self, session: Session, connection: Connection, receive: Any) -> None:
        assert self.credentials is not None  # noqa: S101 - set before the first socket
        while True:
            await connection.protocol.drained()  # who does not read what we answer is not heard either
            message = await receive()
            if message["type"] == "websocket.disconnect":
                if not connection.protocol.close_sent:
                    metrics.CLOSES.labels("client").inc()
                return
            text = message.get("text")
            if text is None:
                raise Ended(Close.BAD_FRAMES)
            try:
                request = session.receive(text, clock.monotonic())
                if request is not None:
                    await connection.answer(session, request, self.credentials)
            except Refused as refused:
                connection.refuse(refused)

    def _no_hello(self, session: Session) -> None:
        if not session.greeted:
            session.outlet.end(Close.NO_HELLO)

    async def drain(self, seconds: float) -> None:
        """No socket is left, nor let in: each is told its slot and closed with 4000 when it comes. Cancellable."""
        self.draining = True
        sockets = list(self._sockets)
        log.info("draining", sockets=len(sockets), seconds=seconds)
        step = seconds / max(len(sockets), 1)
        for place, session in enumerate(sockets, 1):
            welcomed = session in self._sockets[session].hub.sessions
            if welcomed and not session.outlet.paused:
                session.outlet.write(encode(Drain(in_=round(place * step, 3))))
        await self._close_spread(sockets, step, Close.DRAIN)

    def sessions(self) -> list[Session]:
        """Whoever is connected now."""
        return list(self._sockets)

    def retire(self, generation: Generation) -> None:
        """Closes the sockets of a generation that has ended with 4006, spread like a drain."""
        sockets = [session for session, lives_in in self._sockets.items() if lives_in is generation]
        step = self._settings.drain / max(len(sockets), 1)
        task = asyncio.create_task(self._close_spread(sockets, step, Close.NEW_EPOCH), name="retire")
        self._retiring.add(task)
        task.add_done_callback(self._retiring.discard)

    async def close(self) -> None:
        """Nothing of its own runs any more. Safe twice."""
        for task in list(self._retiring):
            task.cancel()
        await asyncio.gather(*self._retiring, return_exceptions=True)

    def close_all(self, code: Close) -> None:
        """Closes every socket now."""
        for session in list(self._sockets):
            session.outlet.end(code)

    @staticmethod
    async def _close_spread(sockets: list[Session], step: float, code: Close) -> None:
        began = clock.monotonic()
        for place, session in enumerate(sockets, 1):
            late = began + place * step - clock.monotonic()
            if late > 0:
                await asyncio.sleep(late)
            session.outlet.end(code)
