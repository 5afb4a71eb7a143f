// Words, numbers and times as the page shows them: pure functions, no DOM.

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** 1834 → "1.8K", 12000 → "12K": rounds down, so that a number never claims what is not there yet. */
export function abbreviate(n) {
  for (const [size, letter] of [[1e9, "B"], [1e6, "M"], [1e3, "K"]]) {
    if (n < size) continue;
    const tenths = Math.floor(n / (size / 10));
    return tenths < 1000 && tenths % 10 ? `${Math.floor(tenths / 10)}.${tenths % 10}${letter}` : `${Math.floor(tenths / 10)}${letter}`;
  }
  return String(n);
}

/** plural(1, "reaction") → "1 reaction"; plural(0, "story", "stories") → "0 stories" */
export function plural(n, one, many = `${one}s`) {
  return `${abbreviate(n)} ${n === 1 ? one : many}`;
}

/** The parts of a post's count line, zero parts left out; empty when there is nothing to say. */
export function countLine({ reaction_total: reactions = 0, comments = 0 }) {
  return [reactions && plural(reactions, "reaction"), comments && plural(comments, "comment")].filter(Boolean);
}

/** "just now", "12 min", "3 h", "2 d", then the date. */
export function ago(time, now = Date.now()) {
  const then = new Date(time);
  const passed = now - then;
  if (passed < MINUTE) return "just now";
  if (passed < HOUR) return `${Math.floor(passed / MINUTE)} min`;
  if (passed < DAY) return `${Math.floor(passed / HOUR)} h`;
  if (passed < 7 * DAY) return `${Math.floor(passed / DAY)} d`;
  const year = then.getFullYear() === new Date(now).getFullYear() ? undefined : "numeric";
  return then.toLocaleDateString("en-GB", { day: "numeric", month: "short", year });
}

/** The whole time, for a tooltip and for readers who ask. */
export function fullTime(time) {
  return new Date(time).toLocaleString("en-GB", { dateStyle: "long", timeStyle: "short" });
}

/** Code points, as the server counts them. */
export function lengthOf(text) {
  let n = 0;
  for (const _ of text) n += 1;
  return n;
}

/** The body cut at its entities, whose offsets count code points: [{text, entity?}]. Overlaps and nonsense are skipped. */
export function pieces(body, entities = []) {
  const points = Array.from(body);
  const found = [];
  let at = 0;
  for (const entity of [...entities].sort((a, b) => a.start - b.start)) {
    if (entity.start < at || entity.end <= entity.start || entity.end > points.length) continue;
    if (entity.start > at) found.push({ text: points.slice(at, entity.start).join("") });
    found.push({ text: points.slice(entity.start, entity.end).join(""), entity });
    at = entity.end;
  }
  if (at < points.length) found.push({ text: points.slice(at).join("") });
  return found;
}

/** The first letter or sign of a name, for a face. Flags and joined emoji stay whole. */
export function initial(name) {
  const { segment = "?" } = new Intl.Segmenter().segment(name.trim()).containing(0) ?? {};
  return segment.toLocaleUpperCase();
}

/** Ids are 63-bit numbers in strings: longer is larger. */
export function compareIds(a, b) {
  return a.length - b.length || (a < b ? -1 : a > b ? 1 : 0);
}

/** A key of 128 random bits; randomUUID is missing on plain http. */
export function randomKey() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
