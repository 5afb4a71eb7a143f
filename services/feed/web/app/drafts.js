// Words not yet saved: kept in this browser until the server has them. Nothing here is ever thrown away by an error.

import { randomKey } from "./text.js";

const PREFIX = "chorus.draft.";

/** The draft of one place ("topic:sleep", "post:12", "reply:34"), or an empty one. */
export function load(place) {
  try {
    return JSON.parse(localStorage.getItem(PREFIX + place)) ?? {};
  } catch {
    return {};
  }
}

/** Keep it; an empty draft is forgotten. A full or forbidden store is no reason to stop somebody writing. */
export function keep(place, draft) {
  try {
    const words = Object.entries(draft).some(([field, value]) => field !== "sent" && value);
    if (words) localStorage.setItem(PREFIX + place, JSON.stringify(draft));
    else localStorage.removeItem(PREFIX + place);
  } catch {
    /* the words are still in the field */
  }
}

export const forget = (place) => keep(place, {});

/**
 * The Idempotency-Key for sending `body`: the same for the same words, so that trying again never posts twice, and
 * a new one once they changed. `sent` is what an earlier try gave back; keep it with the draft.
 */
export function keyFor(sent, body) {
  const words = JSON.stringify(body);
  return sent?.words === words ? sent : { key: randomKey(), words };
}
