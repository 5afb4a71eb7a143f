"""Random lives of sessions on the hub: whatever happens, no client that follows the proof rule misses anything.

The clients know only the frames; the truth is the list of everything that was appended. Rounds are cut open between
any two sockets, buffers fill and drain at any moment, and Postgres answers late.
"""

from collections.abc import Callable
from typing import Any

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, multiple, precondition, rule

from services.notify.live import hub as hub_module
from services.notify.live import pieces as pieces_module
from services.notify.live.hub import Hub
from services.notify.live.recovery import Recovery
from services.notify.live.ring import Ring
from services.notify.live.session import Session, Subscription
from shared.eventlog.entries import Entry
from tests.live_client import Proof
from tests.notify.live.judge import EPOCH, Client, fold

CHANNELS = ["topic:a", "post:1", "post:2"]
USUAL = (hub_module.SLICE, pieces_module.BUDGET, pieces_module.PICKS, pieces_module.STRIDE)
CAPACITY, SLACK, EXTENSION = 6, 2, 8


class World(RuleBasedStateMachine):
    """The hub, its recovery, some clients, and a Postgres that answers when it likes."""

    clients = Bundle("clients")

    @initialize(
        logs=st.integers(1, 2),
        budget=st.integers(1, 2_000),
        picks=st.integers(1, 9),
        stride=st.integers(1, 4),
        target=clients,
    )
    def start(self, logs: int, budget: int, picks: int, stride: int) -> Any:
        hub_module.SLICE = 1
        pieces_module.BUDGET, pieces_module.PICKS, pieces_module.STRIDE = budget, picks, stride
        self.truth: list[list[Entry]] = [[] for _ in range(logs)]
        self.hub = Hub(EPOCH, [Ring(log, CAPACITY, 0, SLACK) for log in range(logs)])
        self.recovery = Recovery(self.hub, self)
        self.hub.on_behind = self.recovery.resume
        self.sessions: dict[Client, Session] = {}
        self.answers: list[Callable[[], None]] = []
        self.untaken: list[tuple[int, Entry]] = []
        self.rounds: Any = None
        self.request = 0
        return multiple(*(self.follower(channel) for channel in CHANNELS[:2]))

    def follower(self, channel: str) -> Client:
        """A client that is live on a channel from the start: most of what can go wrong happens to those."""
        client = self.connect_one()
        self.subscribe_to(client, channel, False)
        return client

    # What the recovery asks of Postgres.
    def reach(self, number: int) -> int:
        ring = self.hub.rings[number]
        return max(ring.end - CAPACITY - EXTENSION, 0)

    def extend(self, number: int, after: int, done: Callable[[bool], None]) -> None:
        def answer() -> None:
            ring = self.hub.rings[number]
            ring.hold()
            ring.prepend([e for e in self.truth[number] if after < e.seq < ring.floor])
            done(after + 1 >= ring.floor)

        self.answers.append(answer)

    def confirm(self, number: int, seq: int, done: Callable[[bool], None]) -> None:
        self.answers.append(lambda: done(seq <= len(self.truth[number])))

    # What happens.
    @rule(
        data=st.data(),
        channels=st.sets(st.sampled_from(CHANNELS), min_size=1, max_size=2),
        kind=st.sampled_from(["x"] * 9 + ["counts.changed"] * 9 + ["topic.reloaded"]),
        post=st.sampled_from(["1", "2"]),
        times=st.integers(1, 6),
    )
    def commit(self, data: st.DataObject, channels: set[str], kind: str, post: str, times: int) -> None:
        """Events are numbered; this process has not seen them yet."""
        log = data.draw(st.integers(0, len(self.truth) - 1))
        for _ in range(times if kind != "topic.reloaded" else 1):
            seq = len(self.truth[log]) + 1
            payload = msgspec.json.encode({"post_id": post})
            entry = Entry(seq, 1000 + seq, kind, "2026-11-23T00:00:00.000Z", tuple(sorted(channels)), payload)
            self.truth[log].append(entry)
            self.untaken.append((log, entry))

    @rule(count=st.integers(1, 8))
    def arrive(self, count: int) -> None:
        """The tails bring some of them."""
        taken, self.untaken = self.untaken[:count], self.untaken[count:]
        for log, entry in taken:
            self.hub.take(log, [entry])

    @precondition(lambda self: len(self.sessions) < 5)
    @rule(target=clients)
    def connect(self) -> Client:
        return self.connect_one()

    def connect_one(self) -> Client:
        client = Client(self.truth)
        session = Session(client, 0.0)
        self.sessions[client] = session
        self.hub.enter(session)
        return client

    @precondition(lambda self: len(self.sessions) > 3)
    @rule(client=consumes(clients))
    def leave(self, client: Client) -> None:
        self.hub.exit(self.sessions.pop(client))

    @rule(client=clients, channel=st.sampled_from(CHANNELS), page=st.booleans())
    def subscribe(self, client: Client, channel: str, page: bool) -> None:
        self.subscribe_to(client, channel, page)

    def subscribe_to(self, client: Client, channel: str, page: bool) -> None:
        """From what is held, or from a page read from Postgres just now, or from now on."""
        proof = client.proofs.setdefault(channel, Proof(channel))
        since = proof.since
        if since is None:
            client.folds[channel] = {}
            if page:
                since = {"epoch": EPOCH, "seq": [len(each) for each in self.truth]}
                for log, entries in enumerate(self.truth):
                    for e in entries:
                        if channel in e.channels:
                            fold(client.folds[channel], e.type, msgspec.json.decode(e.payload), (log, e.seq))
        self.request += 1
        proof.ask(self.request, since)
        seq = None if since is None else tuple(since["seq"])
        self.recovery.start(self.sessions[client], Subscription(channel, self.request, seq))

    @rule(client=clients, channel=st.sampled_from(CHANNELS[2:]))
    def unsubscribe(self, client: Client, channel: str) -> None:
        session = self.sessions[client]
        if channel in session.subscriptions:
            self.hub.drop(session, session.subscriptions[channel])
        client.proofs.pop(channel, None)

    @rule(client=clients)
    def fill_up(self, client: Client) -> None:
        client.paused = True

    @rule(client=clients, share=st.integers(2, 1_500))
    def clog(self, client: Client, share: int) -> None:
        """Something waits to go out; what is larger than a share has to wait until nothing does."""
        client.clogged, client.share = True, share

    @rule(client=clients)
    def unclog(self, client: Client) -> None:
        client.clogged = False

    @rule(client=clients)
    def drain(self, client: Client) -> None:
        client.paused = False
        self.recovery.resume(self.sessions[client])

    @rule()
    def marks(self) -> None:
        self.hub.want_marks()

    @rule(sockets=st.integers(1, 4))
    def write_to_some(self, sockets: int) -> None:
        """A round goes on for some sockets, or begins."""
        for _ in range(sockets):
            if self.rounds is None:
                self.rounds = self.hub.round()
            try:
                self.rounds.send(None)
            except StopIteration:
                self.rounds = None
                return

    @rule()
    def write_to_all(self) -> None:
        """The round under way ends; what has gathered goes out in another."""
        self.write_to_some(100)
        self.write_to_some(100)

    @rule()
    def recover_a_step(self) -> None:
        self.recovery.step()

    @precondition(lambda self: self.answers)
    @rule()
    def postgres_answers(self) -> None:
        self.answers.pop(0)()

    @rule()
    def forget_extension(self) -> None:
        for ring in self.hub.rings:
            ring.release()

    def teardown(self) -> None:
        """Everything settles: every subscription is live, at the head, and holds what a fresh page holds."""
        try:
            if hasattr(self, "hub"):
                self.settle()
        finally:
            hub_module.SLICE, pieces_module.BUDGET, pieces_module.PICKS, pieces_module.STRIDE = USUAL

    def settle(self) -> None:
        self.arrive(len(self.untaken))
        for client in self.sessions:
            self.unclog(client)  # a mark, too, is larger than the smallest share
            self.drain(client)
        for _ in range(50):
            self.write_to_some(100)
            while self.recovery.step():
                pass
            while self.answers:
                self.answers.pop(0)()
        self.hub._marked = [0] * len(self.truth)
        self.hub.want_marks()
        self.write_to_some(100)
        self.write_to_some(100)
        for client in self.sessions:
            for channel, proof in client.proofs.items():
                if proof.state == "ended":
                    assert channel not in self.sessions[client].subscriptions
                    continue
                assert proof.state == "live", f"{channel} is {proof.state}"
                assert proof.mine == [len(each) for each in self.truth]
                assert not self.between_missing(client, channel)
        assert all(ring.channels() <= len(CHANNELS) for ring in self.hub.rings)

    def between_missing(self, client: Client, channel: str) -> list[Entry]:
        """What the fold lacks, of all that was committed after its first event."""
        state = client.folds[channel]
        places = [
            place for place in (*state, *state.values()) if isinstance(place, tuple) and isinstance(place[0], int)
        ]
        missing: list[Entry] = []
        for log, entries in enumerate(self.truth):
            held = [seq for at, seq in places if at == log]
            first = min(held, default=len(entries))
            kept = [e for e in entries if e.seq > first and channel in e.channels and e.type == "x"]
            missing += [e for e in kept if (log, e.seq) not in state]
        return missing


TestWorld = World.TestCase
TestWorld.settings = settings(max_examples=120, stateful_step_count=60, deadline=None)
