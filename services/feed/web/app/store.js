// What the page knows, as signals, and the one way it changes. No fetching, no DOM.

import { EMPTY } from "./fold.js";
import { signal } from "./ui.js";

/** Entities and lists; changed by fold.js's pure functions alone. */
export const state = signal(EMPTY);
/** Who reads: undefined (not known yet), null (a guest), or {id, handle, display_name}. */
export const me = signal(undefined);
/** Whose words are being kept: the id of who was signed in last, until they sign out themselves; or null. */
export const writer = signal(null);
/** What GET /v1/config said, or null. */
export const config = signal(null);
/** Grows when the reader becomes somebody else: views fetch again. */
export const visit = signal(0);
/** The time, to the minute: what "12 min" is counted from. */
export const minute = signal(Date.now());

setInterval(() => (minute.value = Date.now()), 60_000);

/** change(keepTopic, header): the state becomes what the pure function makes of it. */
export function change(how, ...facts) {
  state.value = how(state.value, ...facts);
}
