// Reads joined to the socket: a read says what it is complete up to, and the socket goes on from there. It owns which
// channels are followed and what happens at a reset; positions and proof are live.js's.

import { Live } from "../live.js";
import { lowest, takeTicket } from "./api.js";
import { fold } from "./fold.js";
import { change, me, state } from "./store.js";
import { signal } from "./ui.js";

const AGAIN = 4000; // ms until a read that failed after a reset is tried again
const LATER = 60_000; // ms until a subscription that was refused is asked for once more

/** The connection, for the badge: see live.js. */
export const connection = signal({ state: "connecting" });

const followed = new Map(); // channel → the reads that stand on it
const noticed = new Map(); // event type → what else to do, beside folding
let live = null;
let opened;

/** Resolved once there is a socket to follow with; config and who reads are known by then. */
export const isOpen = new Promise((resolve) => (opened = resolve));

/** Open the one socket of this page. `onstop` is called when the server said not to come back. */
export function open(url, { onstop }) {
  live = new Live({
    url,
    ticket: async () => (me.value ? takeTicket({ fresh: true }) : null),
    onstate(now) {
      connection.value = now;
      if (now.state === "stopped") onstop(now.code);
    },
  });
  opened();
}

/** A new connection for whoever reads now. */
export const reopen = () => live?.reconnect();

/** Do `act(event)` at each live event of this type. */
export const notice = (type, act) => noticed.set(type, act);

/**
 * Read, then follow `channel` from what the read was complete up to, for as long as the result is not called. `read`
 * puts what it found into the store and gives its `as_of`; it is called again after a reset. `also`: live.js's handlers
 * beside the folding, `ready` and `changed`. Throws what `read` throws.
 */
export async function follow(channel, read, also = {}) {
  const asOf = await read();
  await isOpen;
  const reads = followed.get(channel) ?? new Set();
  followed.set(channel, reads.add(read));
  others.set(channel, also);
  subscribe(channel, lowest(asOf, live.since(channel)));
  return () => {
    reads.delete(read);
    if (reads.size || followed.get(channel) !== reads) return;
    followed.delete(channel);
    unsubscribers.get(channel)?.();
  };
}

/** A further read of what `channel` tells of was made: nothing between it and the socket's position may be missing. */
export function cover(channel, asOf) {
  const held = live?.since(channel);
  if (!held || !asOf || (held.epoch === asOf.epoch && held.seq.every((seq, log) => seq <= asOf.seq[log]))) return;
  if (held.epoch <= asOf.epoch) subscribe(channel, lowest(held, asOf));
}

const unsubscribers = new Map();
const others = new Map(); // channel → handlers beside the folding

function subscribe(channel, since) {
  const stop = live.subscribe(channel, since, {
    ...others.get(channel),
    event(event, frame) {
      change(fold, event, frame, me.value?.id ?? null);
      noticed.get(event.type)?.(event);
      if (event.type === "redacted") readAgain(channel); // what it said is gone, and what it did is to be read
    },
    reset: (reason) => reason !== "forbidden" && readAgain(channel, reason === "refused" ? LATER : undefined),
  });
  unsubscribers.set(channel, stop);
}

// Many pages are reset at once (an import, a new epoch): each reads again at a moment of its own.
function readAgain(channel, wait = Math.random() * 1000) {
  setTimeout(async () => {
    const reads = followed.get(channel);
    if (!reads?.size) return;
    try {
      const cursors = await Promise.all([...reads].map((read) => read()));
      if (followed.get(channel) === reads) subscribe(channel, cursors.reduce(lowest));
    } catch {
      readAgain(channel, AGAIN + Math.random() * AGAIN);
    }
  }, wait);
}

/** For tests and the curious: what is held right now. */
globalThis.chorus = { state, connection, since: (channel) => live?.since(channel) ?? null };
