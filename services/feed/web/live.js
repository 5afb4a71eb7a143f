// Chorus's live client: one socket, any number of channels, and the proof that nothing was missed.
// It owns positions, reconnecting and tickets; it knows no page. No dependency; see README.md beside it.
//
//   const live = new Live({ url, ticket: async () => "…" /* or null: a guest */, onstate: console.log });
//   const stop = live.subscribe("topic:sleep", asOf, { event(event, frame) {}, ready(asOf) {}, reset(reason) {} });
//   live.reconnect()  after signing in or out      live.close()  for good
//
// `asOf` is what the HTTP read gave ({epoch, seq: […]}), or null: from now on. `event` is called in order, once per
// position. After `reset` the subscription is over: fetch again and subscribe from the new `asOf` (after "forbidden"
// not before the credentials change). States: connecting, live, waiting {until}, offline {until}, stopped {code}.

const FIRST = 1000; // ms; the first try is spread over this, so that a restart is not met by everybody at once
const LONGEST = 30_000; // ms; full jitter doubles up to here
const PATIENCE = 10_000; // ms for a ticket and a welcome, and for any frame after a ping of ours
const STEADY = 5000; // ms live before the next cut counts as a first one; else welcome-and-close would hammer
const SUBSCRIPTIONS_A_FRAME = 100; // well under the gateway's 64 KB

/** The proof rule for one channel: what a frame means, given the positions held. Pure; held to tests/vectors. */
export class Proof {
  constructor(channel) {
    Object.assign(this, { channel, epoch: null, mine: null, id: null, state: "ended" });
  }

  /** A subscribe request with this id was sent, from `since` ({epoch, seq}) or, with null, from now on. */
  ask(id, since) {
    Object.assign(this, { id, state: "pending", epoch: since?.epoch ?? null, mine: since ? [...since.seq] : null });
  }

  /** @returns {"apply"|"drop"|"gap"|"ignore"|"live"|"mark"|"reset"} what the receiver has to do */
  take(frame) {
    if (frame.type === "mark") {
      if (this.state !== "live" || this.mine[frame.log] === undefined) return "ignore";
      this.mine[frame.log] = Math.max(this.mine[frame.log], frame.seq);
      return "mark";
    }
    if (frame.channel !== this.channel || this.state === "ended") return "ignore";
    if (frame.type === "reset") {
      Object.assign(this, { state: "ended", mine: null, id: null });
      return "reset";
    }
    if (frame.type === "subscribed" && frame.id === this.id) {
      const mine = frame.as_of.seq.map((seq, log) => Math.max(seq, this.mine?.[log] ?? 0));
      Object.assign(this, { state: "live", epoch: frame.as_of.epoch, mine });
      return "live";
    }
    const mine = frame.type === "event" ? this.mine?.[frame.log] : undefined;
    if (mine === undefined) return "ignore";
    if (frame.seq <= mine) return "drop";
    if (frame.prev <= mine) {
      this.mine[frame.log] = frame.seq;
      return "apply";
    }
    if (this.state === "pending") return "ignore"; // the replay brings it
    Object.assign(this, { state: "pending", id: null }); // no answer to an older request may end this
    return "gap";
  }

  /** Where to ask from: what is held, or null. */
  get since() {
    return this.mine && { epoch: this.epoch, seq: [...this.mine] };
  }
}

/** How long to wait before try number `failures` (0: the first), in ms; `random` gives [0, 1). */
export function backoff(failures, random = Math.random) {
  return random() * Math.min(LONGEST, FIRST * 2 ** failures);
}

export class Live {
  #url; #ticket; #onstate; #random;
  #socket = null; #turn = 0; #closed = false; #state = { state: "connecting" };
  #failures = 0; #since = 0; #heard = 0; #interval = 25_000;
  #timers = {}; #subscriptions = new Map(); #unsent = new Set(); #nextId = 1; #slot = false;

  /**
   * `url`: ws:// or wss:// of /v1/live. `ticket`: called before each connection and renewal; gives a ticket or
   * token, or null for a guest; when it throws, that counts as a failed try. `onstate`: called at each change.
   */
  constructor({ url, ticket = async () => null, onstate = () => {}, random = Math.random }) {
    [this.#url, this.#ticket, this.#onstate, this.#random] = [url, ticket, onstate, random];
    globalThis.addEventListener?.("online", this.#hasten);
    globalThis.addEventListener?.("offline", this.#look);
    globalThis.document?.addEventListener("visibilitychange", this.#look);
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
    const subscription = { proof: new Proof(channel), handlers };
    subscription.proof.ask(null, since);
    this.#subscriptions.set(channel, subscription);
    this.#sendLater(subscription);
    return () => {
      if (this.#subscriptions.get(channel) !== subscription) return;
      this.#subscriptions.delete(channel);
      this.#send({ type: "unsubscribe", id: this.#nextId++, channels: [channel] });
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
    globalThis.removeEventListener?.("online", this.#hasten);
    globalThis.removeEventListener?.("offline", this.#look);
    globalThis.document?.removeEventListener("visibilitychange", this.#look);
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
    const id = this.#nextId++;
    const all = [...this.#subscriptions.values()].filter(({ proof }) => proof.state !== "ended");
    const hello = { type: "hello", id, subscribe: all.splice(0, SUBSCRIPTIONS_A_FRAME).map((s) => asked(s, id)) };
    this.#send(token ? { ...hello, token } : hello);
    for (const subscription of all) this.#sendLater(subscription);
  }

  // One frame for everything asked in the same turn: the gateway takes 20 messages a second.
  #sendLater(subscription) {
    if (this.#unsent.size === 0) queueMicrotask(() => this.#sendAsked());
    this.#unsent.add(subscription);
  }

  #sendAsked() {
    const waiting = [...this.#unsent].filter((s) => this.#subscriptions.get(s.proof.channel) === s);
    this.#unsent.clear();
    if (this.#socket?.readyState !== 1) return; // the hello will bring them
    while (waiting.length) {
      const id = this.#nextId++;
      const channels = waiting.splice(0, SUBSCRIPTIONS_A_FRAME).map((s) => asked(s, id));
      this.#send({ type: "subscribe", id, channels });
    }
  }

  #send(frame) {
    if (this.#socket?.readyState === 1) this.#socket.send(JSON.stringify(frame));
  }

  #take(data) {
    this.#heard = Date.now();
    const frame = JSON.parse(data);
    switch (frame.type) {
      case "welcome":
        clearTimeout(this.#timers.patience);
        this.#since = Date.now();
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

  #judge(frame) {
    const subscription = this.#subscriptions.get(frame.channel);
    if (!subscription) return;
    const { proof, handlers } = subscription;
    if (frame.type === "now") return void handlers.now?.(frame);
    switch (proof.take(frame)) {
      case "apply":
        return void handlers.event?.(frame.event, frame);
      case "gap":
        return this.#sendLater(subscription);
      case "live":
        return void handlers.ready?.(frame.as_of);
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
    const silent = Date.now() - this.#heard;
    if (silent < this.#interval) return this.#after("watch", this.#interval - silent + 50, this.#watch);
    this.#send({ type: "ping", id: this.#nextId++ });
    const turn = this.#turn;
    this.#after("watch", PATIENCE, () => (Date.now() - this.#heard > PATIENCE ? this.#lost(turn) : this.#watch()));
  };

  #lost(turn, code = 4003) {
    if (this.#closed || turn !== this.#turn) return;
    if (this.#since && Date.now() - this.#since > STEADY) this.#failures = 0;
    if (this.#slot) this.#failures = 0;
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

  #hasten = () => {
    if (this.#state.state === "waiting" || this.#state.state === "offline") {
      this.#after("retry", backoff(0, this.#random), () => this.#connect());
    }
  };

  // Back from sleep, or the network says it went: ask the socket rather than believe either.
  #look = () => {
    if (globalThis.document?.visibilityState === "hidden" || this.#state.state !== "live") return;
    this.#heard = Math.min(this.#heard, Date.now() - this.#interval);
    this.#watch();
  };
}

function asked({ proof }, id) {
  const since = proof.since;
  proof.ask(id, since);
  return since ? { channel: proof.channel, since } : { channel: proof.channel };
}
