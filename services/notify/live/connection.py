"""One socket's conversation: what each request does, and the timers that end it. Decoding is the session's, frames
reach it from the hub. Everything but hello and renew is answered without an await.
"""

import asyncio

from services.notify.identity import Known
from services.notify.live import metrics
from services.notify.live.codes import (
    EXPIRING_NOTICE,
    HELLO_TIMEOUT,
    MAX_FRAME,
    MAX_SUBSCRIPTIONS,
    MESSAGES_PER_SECOND,
    STALL_TIMEOUT,
    TICKET_SESSION,
    Close,
)
from services.notify.live.credentials import Credentials
from services.notify.live.frames import (
    PING,
    Asked,
    ErrorFrame,
    Expiring,
    Hello,
    Limits,
    Ping,
    Pong,
    Renew,
    Renewed,
    Request,
    Subscribe,
    Unsubscribe,
    Unsubscribed,
    Welcome,
    encode,
)
from services.notify.live.generation import Generation
from services.notify.live.protocol import LiveProtocol
from services.notify.live.session import Ended, Refused, Session, asked_of
from shared import clock
from shared.auth import Principal
from shared.visibility import may_subscribe, parse_channel

LIMITS = Limits(frame_bytes=MAX_FRAME, subscriptions=MAX_SUBSCRIPTIONS, messages_per_second=MESSAGES_PER_SECOND)


class Timing:
    """Seconds; tests shorten them."""

    hello = HELLO_TIMEOUT
    stall = STALL_TIMEOUT
    notice = EXPIRING_NOTICE
    ticket = TICKET_SESSION
    ping = 25.0


class Connection:
    """A socket with its session, within one generation. Its timers run from `open` to `close`."""

    __slots__ = ("_expiry", "_generation", "_loop", "_pinged", "_progress", "_stall", "_tick", "_timing", "protocol")

    def __init__(self, protocol: LiveProtocol, generation: Generation, timing: Timing) -> None:
        self.protocol = protocol
        self._generation = generation
        self._timing = timing
        self._loop = asyncio.get_running_loop()
        self._expiry: asyncio.TimerHandle | None = None
        self._stall: asyncio.TimerHandle | None = None
        self._pinged = 0.0
        self._progress = (0, 0.0)
        self._tick = self._loop.call_later(timing.ping, self._keep_alive)
        protocol.on_pause = self._watch

    def resume_with(self, session: Session) -> None:
        """A drained write buffer counts as progress and lets the session go on."""

        def resumed() -> None:
            self._progress = (self.protocol.taken(), clock.monotonic())
            self._generation.recovery.resume(session)

        self.protocol.on_resume = resumed

    def close(self) -> None:
        """No timer runs any more. Safe twice."""
        for timer in (self._expiry, self._stall, self._tick):
            if timer is not None:
                timer.cancel()
        self.protocol.on_pause = self.protocol.on_resume = None

    async def answer(self, session: Session, request: Request, credentials: Credentials) -> None:
        """Does what `request` asks. Raises Refused and Ended."""
        self._check_epoch()
        metrics.REQUESTS.labels(type(request).__struct_config__.tag).inc()
        if isinstance(request, Hello):
            await self._hello(session, request, credentials)
        elif isinstance(request, Subscribe):
            self._subscribe(session, asked_of(request), request.id)
        elif isinstance(request, Unsubscribe):
            self._unsubscribe(session, request)
        elif isinstance(request, Renew):
            await self._renew(session, request, credentials)
        elif isinstance(request, Ping):
            self.protocol.tell(encode(Pong(id=request.id)))

    def refuse(self, refused: Refused) -> None:
        """Answers with an `error`."""
        metrics.ERRORS.labels(refused.code).inc()
        frame = ErrorFrame(id=refused.request_id, code=refused.code, detail=str(refused)[:500], channel=refused.channel)
        self.protocol.tell(encode(frame))

    def _check_epoch(self) -> None:
        """A hub that hears no revocations any more answers nobody."""
        if self._generation.retired:
            raise Ended(Close.NEW_EPOCH)

    async def _hello(self, session: Session, hello: Hello, credentials: Credentials) -> None:
        hub = self._generation.hub
        session.greeted = True
        expires_in: float | None = None
        if hello.token is not None:
            principal = credentials.read(hello.token)
            session.signed_in(principal)
            hub.expect(session)  # before asking: a revocation is either in the answer or heard of
            known = await credentials.check(principal)
            self._check_epoch()
            expires_in = self._expires_in(principal, known)
            self._expire_in(expires_in)
        welcome = Welcome(
            session=session.id,
            epoch=hub.epoch,
            logs=hub.logs,
            ping_interval=self._timing.ping,
            expires_in=expires_in,
            limits=LIMITS,
        )
        self.protocol.tell(encode(welcome))
        hub.enter(session)  # not before: no mark may go ahead of the welcome
        self._subscribe(session, asked_of(hello), hello.id)

    def _subscribe(self, session: Session, asked: tuple[Asked, ...], request_id: int | None) -> None:
        generation = self._generation
        session.check_asked(asked, request_id, generation.hub.logs)
        if any(each.since is not None and each.since.epoch > generation.hub.epoch for each in asked):
            raise Ended(Close.NOT_NOW)
        for each in asked:
            channel = parse_channel(each.channel)
            assert channel is not None  # noqa: S101 - checked above
            since = None if each.since is None else each.since.seq
            if not may_subscribe(session.account_id, channel):
                generation.refuse(session, each, "forbidden")
            elif each.since is not None and each.since.epoch < generation.hub.epoch:
                generation.refuse(session, each, "epoch")
            else:
                generation.start(session, each.channel, request_id, since)

    def _unsubscribe(self, session: Session, request: Unsubscribe) -> None:
        names = list(dict.fromkeys(name for name in request.channels if parse_channel(name) is not None))
        if len(names) > MAX_SUBSCRIPTIONS:
            detail = f"A session follows {MAX_SUBSCRIPTIONS} at most."
            raise Refused("too_many_subscriptions", detail, request.id)
        for name in names:
            subscription = session.subscriptions.get(name)
            if subscription is not None:
                self._generation.hub.drop(session, subscription)
        self.protocol.tell(encode(Unsubscribed(id=request.id, channels=names)))

    async def _renew(self, session: Session, request: Renew, credentials: Credentials) -> None:
        if session.account_id is None:
            raise Refused("guest", "A guest has nothing to renew; connect again with a token.", request.id)
        bad = Refused("bad_credentials", "The credentials are not valid or have ended.", request.id)
        try:
            principal = credentials.read(request.token)
        except Ended:
            raise bad from None
        if principal.account_id != session.account_id:
            raise Refused("another_member", "These credentials are another member's.", request.id)
        session.renewed(principal)
        try:
            known = await credentials.check(principal)
        except Ended as ended:
            session.not_renewed()
            if ended.code is Close.NOT_NOW:
                raise
            raise bad from None
        expires_in = self._expires_in(principal, known)
        self._expire_in(expires_in)
        self.protocol.tell(encode(Renewed(id=request.id, expires_in=expires_in)))

    def _expires_in(self, principal: Principal, known: Known) -> float:
        """A ticket is short and opens a session for longer; nothing outlives the session that it is of: who signs out
        everywhere ends those that still last."""
        now = clock.now()
        lasts = self._timing.ticket if principal.kind == "ticket" else (principal.expires_at - now).total_seconds()
        return max(0.0, round(min(lasts, (known.expires_at - now).total_seconds()), 1))

    def _expire_in(self, seconds: float) -> None:
        if self._expiry is not None:
            self._expiry.cancel()
        notice = min(self._timing.notice, seconds)
        self._expiry = self._loop.call_later(seconds - notice, self._announce_expiry, notice)

    def _announce_expiry(self, notice: float) -> None:
        self.protocol.tell(encode(Expiring(in_=round(notice, 1))))
        self._expiry = self._loop.call_later(notice, self.protocol.end, Close.EXPIRED)

    def _keep_alive(self) -> None:
        """A ping each interval; a peer silent since the last one is gone, unless our own bytes are in its way."""
        protocol = self.protocol
        if protocol.heard < self._pinged:
            if not protocol.waiting():
                protocol.end(Close.NO_PONG)
                return
            self._watch()
        elif not protocol.paused:  # who was sent no ping owes no pong; while paused the stall watch looks on
            self._pinged = clock.monotonic()
            protocol.write(PING)
        self._tick = self._loop.call_later(self._timing.ping, self._keep_alive)

    def _watch(self) -> None:
        """From now on what waits to go out has to shrink."""
        if self._stall is None:
            self._progress = (self.protocol.taken(), clock.monotonic())
            self._stall = self._loop.call_later(self._timing.stall / 10, self._look)

    def _look(self) -> None:
        self._stall = None
        if not self.protocol.waiting():
            return
        # What was taken, not what waits: a peer may read on while more is written to it than it reads.
        taken, now = self.protocol.taken(), clock.monotonic()
        if taken > self._progress[0]:
            self._progress = (taken, now)
        elif now - self._progress[1] >= self._timing.stall:
            self.protocol.end(Close.TOO_SLOW)
            return
        self._stall = self._loop.call_later(self._timing.stall / 10, self._look)
