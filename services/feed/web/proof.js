// What a live frame means, given the positions held: apply, drop, ask again. Pure: no socket, no timer, no page.
// It is DESIGN.md section 6's proof, held to tests/vectors/proof.json and home.json; live.js acts on what it says.

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
      Object.assign(this, { state: "live", epoch: frame.as_of.epoch, mine: further(this.mine, frame.as_of) });
      return "live";
    }
    return frame.type === "event" ? this.place(this.mine, frame) : "ignore";
  }

  /** What an event means at these positions, which it moves when it is to be applied. */
  place(mine, { log, prev, seq }) {
    if (mine?.[log] === undefined) return "ignore";
    if (seq <= mine[log]) return "drop";
    if (prev <= mine[log]) {
      mine[log] = seq;
      return "apply";
    }
    if (this.state === "pending") return "ignore"; // the replay brings it
    Object.assign(this, { mine: this.since.seq, state: "pending", id: null }); // no older request's answer may end this
    return "gap";
  }

  /** Where to ask from: what is held, or null. */
  get since() {
    return this.mine && { epoch: this.epoch, seq: [...this.mine] };
  }
}

/**
 * The same for `home`, whose frames name real channels: `channels` holds positions for each, `mine` is what the whole is
 * complete from. A channel not known yet is held back until `subscribed` lists it; `caught` is what is then to be applied.
 */
export class HomeProof extends Proof {
  channels = new Map();
  caught = [];
  #held = [];

  ask(id, since) {
    super.ask(id, since);
    this.#held = [];
  }

  /** @returns as Proof does, or "hold", or "changed": what it stands for was told anew */
  take(frame) {
    if (frame.type === "event" && this.state !== "ended") {
      const mine = this.channels.get(frame.channel);
      if (mine || this.state === "live") return this.place(mine, frame);
      return this.#held.push(frame) && "hold";
    }
    if (frame.type === "home.changed") {
      if (this.state !== "live") return "ignore"; // `subscribed` lists it
      for (const channel of frame.removed) this.channels.delete(channel);
      for (const channel of frame.added) this.channels.set(channel, [...frame.as_of.seq]);
      return "changed";
    }
    const base = this.mine;
    const does = super.take(frame);
    if (does === "mark") for (const mine of this.channels.values()) mine[frame.log] = Math.max(mine[frame.log], frame.seq);
    if (does === "reset") this.channels.clear();
    if (does === "live") this.#list(frame, base);
    return does;
  }

  #list({ channels = [], as_of }, base) {
    this.channels = new Map(channels.map((channel) => [channel, this.channels.get(channel) ?? (base && [...base])]));
    this.state = "pending"; // what is held is a replay still
    this.caught = this.#held.filter((frame) => this.place(this.channels.get(frame.channel), frame) === "apply");
    this.state = "live";
    this.#held = [];
    for (const [channel, mine] of this.channels) this.channels.set(channel, further(mine, as_of));
  }

  /** The lowest position of each log: from there nothing is missing on any channel. */
  get since() {
    const all = this.state === "live" ? [...this.channels.values()] : [];
    return super.since && { epoch: this.epoch, seq: this.mine.map((seq, log) => (all.length ? Math.min(...all.map((mine) => mine[log])) : seq)) };
  }
}

const further = (mine, { seq }) => seq.map((each, log) => Math.max(each, mine?.[log] ?? 0));
