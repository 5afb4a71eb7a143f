"""The newest entries of one log, in memory, with an index by channel.

One ring per log, not per channel: every post makes a channel, and the rings would never stop growing. The index leaves
with the entries. Entries are dense: position `end` follows `end - 1`, and a hole is a broken assumption.
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence

from shared.eventlog.entries import Entry

LEAST_SLACK = 100
"""Entries beyond the capacity (at least; a fiftieth of it) before the oldest are cut, all at once: one by one costs
O(ring) each."""
EACH = 2_560
"""Bytes of payload that an entry may have on average before the oldest go although there is room for more: a post has
some hundred, so 100,000 are 100 MB as a rule; the longest stories would be 16 GB."""
LEAST = 16 << 20
"""Bytes of payload that a ring may hold however few its entries."""
REDACTED = "redacted"


def tombstone(entry: Entry) -> Entry:
    """What is left of an entry whose words were removed: its position, channels and time."""
    return entry._replace(type=REDACTED, payload=b"{}")


class Ring:
    """Entries `floor` … `end`; empty, `floor` is `end + 1`. It may hold a fiftieth more than `capacity`, and has fewer
    entries when their payloads are more than `most` bytes, or twice that while it is held.

    `redactions` counts the entries, here or not, that lost their words: what was made of entries before is void then.
    """

    __slots__ = (
        "_entries",
        "_extension",
        "_held",
        "_index",
        "_redacted",
        "_slack",
        "_weight",
        "capacity",
        "end",
        "floor",
        "log",
        "most",
        "redactions",
    )

    def __init__(self, log: int, capacity: int, end: int, slack: int | None = None, most: int | None = None) -> None:
        self.log = log
        self.capacity = capacity
        self.end = end
        self.floor = end + 1
        self.most = max(capacity * EACH, LEAST) if most is None else most
        self.redactions = 0
        self._weight = 0
        self._entries: list[Entry] = []
        self._index: dict[str, list[int]] = {}
        self._extension = 0
        self._held = False
        self._redacted: set[int] = set()
        self._slack = max(capacity // 50, LEAST_SLACK) if slack is None else slack

    def append(self, entry: Entry) -> None:
        """The ring ends with `entry`. Raises AssertionError when that is not the next one."""
        if entry.seq != self.end + 1:
            raise AssertionError(f"log {self.log}: {entry.seq} after {self.end}")
        self.end = entry.seq
        self._entries.append(entry)
        self._weight += len(entry.payload)
        index = self._index
        for channel in entry.channels:
            found = index.get(channel)
            if found is None:
                index[channel] = [entry.seq]
            elif found[-1] != entry.seq:  # a channel named twice is one
                found.append(entry.seq)
        if len(self._entries) > self.capacity + self._extension + self._slack:
            self._cut(self.end - self.capacity - self._extension + 1)
        self._lighten()

    @property
    def spare(self) -> int:
        """Bytes of payload that may be prepended: what is read for whoever comes back is bounded, too."""
        return 2 * self.most - self._weight

    def prepend(self, older: Sequence[Entry]) -> None:
        """The ring begins with `older`, which ends right below its floor; `release` lets them go again."""
        if not older:
            return
        if older[-1].seq != self.floor - 1 or len(older) != older[-1].seq - older[0].seq + 1:
            raise AssertionError(f"log {self.log}: {older[0].seq} to {older[-1].seq} are not right below {self.floor}")
        # Read before their words were removed, perhaps, and the news of that has come in since.
        older = [tombstone(entry) if entry.seq in self._redacted else entry for entry in older]
        fresh: dict[str, list[int]] = {}
        for entry in older:
            for channel in dict.fromkeys(entry.channels):
                fresh.setdefault(channel, []).append(entry.seq)
        for channel, seqs in fresh.items():
            known = self._index.get(channel)
            self._index[channel] = seqs + known if known else seqs
        self._entries[:0] = older
        self._weight += sum(len(entry.payload) for entry in older)
        self.floor = older[0].seq
        self.hold()

    def hold(self, room: int = 0) -> None:
        """What is here now and `room` more that may be prepended are not too many entries, until `release`."""
        self._held = True
        self._extension = max(self._extension, len(self._entries) - self.capacity + room, 0)

    def release(self) -> None:
        """What exceeds the capacity goes."""
        self._extension = 0
        self._held = False
        self._redacted.clear()
        self._cut(self.end - self.capacity + 1)
        self._lighten()

    def entry(self, seq: int) -> Entry:
        """The entry at a position between `floor` and `end`."""
        return self._entries[seq - self.floor]

    def positions(self, channel: str, after: int, limit: int) -> Sequence[int]:
        """The first `limit` positions of a channel after `after`, in order."""
        found = self._index.get(channel)
        if found is None or found[-1] <= after:
            return ()
        start = bisect_right(found, after)
        return found[start : start + limit]

    def previous(self, channel: str, seq: int) -> int:
        """The channel's position before `seq`, or 0 when the ring holds none."""
        found = self._index.get(channel)
        place = bisect_right(found, seq - 1) if found else 0
        return found[place - 1] if found and place else 0

    def redact(self, seq: int) -> Entry | None:
        """The entry at `seq` loses its words, also if prepended only later; returns what is left, None: not here."""
        self.redactions += 1
        if seq < self.floor and self._held:
            self._redacted.add(seq)
        if not self.floor <= seq <= self.end:
            return None
        words = self._entries[seq - self.floor]
        left = self._entries[seq - self.floor] = tombstone(words)
        self._weight -= len(words.payload) - len(left.payload)
        return left

    def fill(self, entries: Iterable[Entry]) -> None:
        """Appends all of `entries`."""
        for entry in entries:
            self.append(entry)

    def __len__(self) -> int:
        return len(self._entries)

    def channels(self) -> int:
        """How many channels the index knows: bounded by the entries."""
        return len(self._index)

    def _lighten(self) -> None:
        """Of too many bytes the oldest go, and a fiftieth more, but never the newest."""
        most = 2 * self.most if self._held else self.most
        if self._weight <= most:
            return
        floor, weight = self.floor, self._weight
        while weight > most - most // 50 and floor < self.end:
            weight -= len(self.entry(floor).payload)
            floor += 1
        self._cut(floor)

    def _cut(self, floor: int) -> None:
        if floor <= self.floor:
            return
        gone = self._entries[: floor - self.floor]
        del self._entries[: floor - self.floor]
        self._weight -= sum(len(entry.payload) for entry in gone)
        self.floor = floor
        for channel in {channel for entry in gone for channel in entry.channels}:
            seqs = self._index[channel]
            if seqs[-1] < floor:
                del self._index[channel]
            else:
                del seqs[: bisect_right(seqs, floor - 1)]
