// Chorus's live client: one socket, any number of channels, and the proof that nothing was missed.
// It owns reconnecting and tickets; what a frame means is proof.js's; it knows no page. See README.md beside it.
//
//   const live = new Live({ url, ticket: async () => "…" /* or null: a guest */, onstate: console.log });
//   const stop = live.subscribe("topic:sleep", asOf, { event(event, frame) {}, ready(asOf) {}, reset(reason) {} });
//   live.reconnect()  after signing in or out      live.close()  for good
//
// `asOf` is what the HTTP read gave ({epoch, seq: […]}), or null: from now on. `event` is called in order, once per
// position. After `reset` the subscription is over: fetch again and subscribe from the new `asOf` (after "forbidden"
// not before the credentials change). `home` stands for many channels: `ready(asOf, channels)`, and `changed({added,
// removed, as_of})`; what was added is complete from that `as_of` on. States: connecting, live, waiting {until},
// offline {until}, stopped {code}.

import { HomeProof, Proof } from "./proof.js";

export { HomeProof, Proof };

const FIRST = 1000; // ms; the first try is spread over this, so that a restart is not met by everybody at once
const LONGEST = 30_000; // ms; full jitter doubles up to here
const PATIENCE = 10_000; // ms for a ticket and a welcome, and for any frame after a ping of ours
const STEADY = 5000; // ms live before the next cut counts as a first one; else welcome-and-close would hammer
const SUBSCRIPTIONS_A_FRAME = 100; // well under the gateway's 64 KB

/** How long to wait before try number `failures` (0: the first), in ms; `random` gives [0, 1). */
export function backoff(failures, random = Math.random) {
  return random() * Math.min(LONGEST, FIRST * 2 ** failures);
}

export class Live {
  #url; #ticket; #onstate; #random;
  #socket = null; #turn = 0; #closed = false; #state = { state: "connecting" };
  #failures = 0; #since = 0; #heard = 0; #interval = 25_000;
  #timers = {}; #subscriptions = new Map(); #unsent = new Set(); #left = new Set(); #nextId = 1; #slot = false;

  /**
   * `url`: ws:// or wss:// of /v1/live. `ticket`: called before each connection and renewal; gives a ticket or
   * token, or null for a guest; when it throws, that counts as a failed try. `onstate`: called at each change.
   */
  constructor({ url, ticket = async () => null, onstate = () => {}, random = Math.random }) {
    [this.#url, this.#ticket, this.#onstate, this.#random] = [url, ticket, onstate, random];
    this.#listen("addEventListener");
    this.#connect();
  }

  get state() {
    return this.#state;
  }

  /** The position held on `channel` ({epoch, seq}), or null when it is not followed or not known yet. */
  since(channel) {
    return this.#subscriptions.get(channel)?.proof.since ?? null;
  }

  /** Follow `channel` from `since`; a second subscription to it replaces the first. Returns how to stop. */
  subscribe(channel, since, handlers) {
    const subscription = { proof: channel === "home" ? new HomeProof("home") : new Proof(channel), handlers };
    subscription.proof.ask(null, since);
    this.#subscriptions.set(channel, subscription);
    this.#sendLater(subscription);
    return () => {
      if (this.#subscriptions.get(channel) !== subscription) return;
      this.#subscriptions.delete(channel);
      this.#leaveLater(channel);
    };
  }

  /** A new connection now, with new credentials; positions are kept. */
  reconnect() {
    if (this.#closed) return;
    this.#failures = 0;
    this.#drop(1000);
    this.#connect();
  }

  /** The end: nothing is called any more. Safe twice. */
  close() {
    this.#closed = true;
    this.#drop(1000);
    this.#subscriptions.clear();
    this.#listen("removeEventListener");
  }

  #listen(how) {
    for (const told of ["online", "offline"]) globalThis[how]?.(told, this.#look);
    globalThis.document?.[how]("visibilitychange", this.#look);
  }

  #say(state) {
    this.#state = state;
    this.#onstate(state);
  }

  #after(name, ms, act) {
    clearTimeout(this.#timers[name]);
    this.#timers[name] = setTimeout(act, ms);
  }

  async #connect() {
    const turn = ++this.#turn;
    this.#say({ state: "connecting" });
    this.#after("patience", PATIENCE, () => this.#lost(turn));
    let token = null;
    try {
      token = await this.#ticket();
    } catch {
      return this.#lost(turn);
    }
    if (turn !== this.#turn) return;
    const socket = new WebSocket(this.#url, ["chorus.v1"]);
    this.#socket = socket;
    socket.onopen = () => turn === this.#turn && this.#hello(token);
    socket.onmessage = ({ data }) => turn === this.#turn && this.#take(data);
    socket.onclose = ({ code }) => this.#lost(turn, code);
  }

  #hello(token) {
    this.#unsent.clear();
    this.#left.clear();
    const id = this.#nextId++;
    const all = [...this.#subscriptions.values()].filter(({ proof }) => proof.state !== "ended");
    const hello = { type: "hello", id, subscribe: all.splice(0, SUBSCRIPTIONS_A_FRAME).map((s) => asked(s, id)) };
    this.#send(token ? { ...hello, token } : hello);
    for (const subscription of all) this.#sendLater(subscription);
  }

  // One frame for everything asked or left in the same turn: the gateway takes 20 messages a second.
  #sendLater(subscription) {
    if (this.#unsent.size + this.#left.size === 0) queueMicrotask(() => this.#sendAsked());
    this.#unsent.add(subscription);
  }

  #leaveLater(channel) {
    if (this.#unsent.size + this.#left.size === 0) queueMicrotask(() => this.#sendAsked());
    this.#left.add(channel);
  }

  #sendAsked() {
    const channels = [...this.#left].filter((channel) => !this.#subscriptions.has(channel));
    const waiting = [...this.#unsent].filter((s) => this.#subscriptions.get(s.proof.channel) === s);
    this.#unsent.clear();
    this.#left.clear();
    if (this.#socket?.readyState !== 1) return; // the hello will bring them
    if (channels.length) this.#send({ type: "unsubscribe", id: this.#nextId++, channels });
    while (waiting.length) {
      const id = this.#nextId++;
      const asking = waiting.splice(0, SUBSCRIPTIONS_A_FRAME).map((s) => asked(s, id));
      this.#send({ type: "subscribe", id, channels: asking });
    }
  }

  #send(frame) {
    if (this.#socket?.readyState === 1) this.#socket.send(JSON.stringify(frame));
  }

  #take(data) {
    this.#heard = performance.now();
    const frame = JSON.parse(data);
    switch (frame.type) {
      case "welcome":
        clearTimeout(this.#timers.patience);
        this.#since = performance.now();
        this.#interval = (frame.ping_interval ?? 25) * 1000;
        this.#after("watch", this.#interval, this.#watch);
        return this.#say({ state: "live", session: frame.session });
      case "mark":
        for (const { proof } of this.#subscriptions.values()) proof.take(frame);
        return undefined;
      case "expiring":
        return this.#renew(this.#turn);
      case "drain":
        this.#slot = true; // a close before our slot is still a first cut
        return this.#after("drain", (frame.in ?? 0) * 1000, () => this.reconnect());
      case "error":
        return this.#refused(frame);
      default:
        return this.#judge(frame);
    }
  }

  // A channel may be followed by itself, by `home`, or by both.
  #judge(frame) {
    for (const subscription of new Set([frame.channel, "home"].map((name) => this.#subscriptions.get(name)))) {
      if (subscription) this.#tell(subscription, frame);
    }
  }

  #tell(subscription, frame) {
    const { proof, handlers } = subscription;
    if (frame.type === "now") return void handlers.now?.(frame);
    switch (proof.take(frame)) {
      case "apply":
        return void handlers.event?.(frame.event, frame);
      case "gap":
        return this.#sendLater(subscription);
      case "live":
        for (const each of proof.caught ?? []) handlers.event?.(each.event, each);
        return void handlers.ready?.(frame.as_of, frame.channels);
      case "changed":
        return void handlers.changed?.(frame);
      case "reset":
        this.#subscriptions.delete(frame.channel);
        return void handlers.reset?.(frame.reason);
    }
  }

  // A subscribe that was refused for now is asked again; one refused for good ends like a reset.
  #refused({ id, code, retry_after }) {
    for (const [channel, subscription] of this.#subscriptions) {
      if (id == null || subscription.proof.id !== id || subscription.proof.state !== "pending") continue;
      if (retry_after != null) this.#after(`retry ${channel}`, retry_after * 1000, () => this.#sendLater(subscription));
      else {
        this.#subscriptions.delete(channel);
        subscription.handlers.reset?.(code === "forbidden" ? "forbidden" : "refused");
      }
    }
  }

  async #renew(turn) {
    try {
      const token = await this.#ticket();
      if (turn === this.#turn && token) this.#send({ type: "renew", id: this.#nextId++, token });
    } catch {
      if (turn === this.#turn) this.#after("renew", PATIENCE, () => this.#renew(turn)); // 4001 is the net
    }
  }

  // Silence for a ping interval is asked about; silence after that is a dead connection that nobody told us of.
  #watch = () => {
    const silent = performance.now() - this.#heard;
    if (silent < this.#interval) return this.#after("watch", this.#interval - silent + 50, this.#watch);
    this.#send({ type: "ping", id: this.#nextId++ });
    const turn = this.#turn;
    this.#after("watch", PATIENCE, () => (performance.now() - this.#heard > PATIENCE ? this.#lost(turn) : this.#watch()));
  };

  #lost(turn, code = 4003) {
    if (this.#closed || turn !== this.#turn) return;
    if (this.#slot || (this.#since && performance.now() - this.#since > STEADY)) this.#failures = 0;
    this.#drop(1000);
    if (code >= 4500 && code < 5000) return this.#say({ state: "stopped", code });
    const wait = backoff(this.#failures++, this.#random);
    const state = globalThis.navigator?.onLine === false ? "offline" : "waiting";
    this.#say({ state, until: Date.now() + wait, code });
    this.#after("retry", wait, () => this.#connect());
  }

  #drop(code) {
    this.#turn++; // whatever the old socket still says belongs to an older turn
    for (const name of Object.keys(this.#timers)) clearTimeout(this.#timers[name]);
    [this.#timers, this.#since, this.#slot] = [{}, 0, false];
    this.#socket?.close(code);
    this.#socket = null;
  }

  // Back from sleep or from behind another tab, or the network came or went: ask the socket rather than believe any of
  // them, and don't wait for a timer that a hidden tab's browser may have put off.
  #look = () => {
    if (globalThis.document?.visibilityState === "hidden") return;
    if (this.#state.state === "live") {
      this.#heard = Math.min(this.#heard, performance.now() - this.#interval);
      this.#watch();
    } else if (this.#state.until && globalThis.navigator?.onLine !== false) {
      this.#after("retry", backoff(0, this.#random), () => this.#connect());
    }
  };
}

function asked({ proof }, id) {
  const since = proof.since;
  proof.ask(id, since);
  return since ? { channel: proof.channel, since } : { channel: proof.channel };
}
