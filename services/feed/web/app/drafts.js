// Words not yet saved: kept in this browser until the server has them, each person's apart. Nothing here is ever thrown
// away by an error, a reload, a lost session or a full store: only by whoever wrote it.

import { writer } from "./store.js";
import { randomKey } from "./text.js";

const here = new Map(); // for as long as the page lives: a store may be full or forbidden

const nameOf = (place) => `chorus.draft.${writer.value ?? ""}.${place}`;

/** The draft of one place ("topic:sleep", "post:12", "reply:34"), or an empty one. */
export function load(place) {
  const name = nameOf(place);
  try {
    return here.get(name) ?? JSON.parse(localStorage.getItem(name)) ?? {};
  } catch {
    return {};
  }
}

/** Where changes of a post are kept. */
export const editPlace = (id) => `edit:${id}`;

/** Whether words are kept for this place. */
export const has = (place) => Object.keys(load(place)).length > 0;

/** Keep it; an empty draft is forgotten. */
export function keep(place, draft) {
  const name = nameOf(place);
  const words = Object.entries(draft).some(([field, value]) => field !== "sent" && value);
  if (words) here.set(name, draft);
  else here.delete(name);
  try {
    if (words) localStorage.setItem(name, JSON.stringify(draft));
    else localStorage.removeItem(name);
  } catch {
    /* it is still here */
  }
}

/** The words of this place are saved, or thrown away by whoever wrote them; its photos too. */
export function forget(place) {
  keep(place, {});
  keepPhotos(place, []);
}

/**
 * The Idempotency-Key for sending `body`: the same for the same words, so that trying again never posts twice, and
 * a new one once they changed. `sent` is what an earlier try gave back; keep it with the draft.
 */
export function keyFor(sent, body) {
  const words = JSON.stringify(body);
  return sent?.words === words ? sent : { key: randomKey(), words };
}

/** Photos chosen but not posted, with their descriptions: [{file, alt, sent}]. */
export async function loadPhotos(place) {
  const name = nameOf(place);
  const kept = (await inStore("readonly", (store) => store.get(name))) ?? [];
  const { alts } = load(saidOf(place));
  return alts?.length === kept.length ? kept.map((photo, n) => ({ ...photo, alt: alts[n] })) : kept;
}

// What photos show is kept like other words too: a page that is left at once leaves no time for the photos' own store.
const saidOf = (place) => `${place} photos`;

/** Keep them, as far as the browser lets us; none: forget them. */
export async function keepPhotos(place, photos) {
  const name = nameOf(place);
  const kept = photos.map(({ file, alt, sent }) => ({ file, alt, sent }));
  keep(saidOf(place), kept.length ? { alts: kept.map(({ alt }) => alt) } : {});
  await inStore("readwrite", (store) => (kept.length ? store.put(kept, name) : store.delete(name)));
}

// What `act` asks of the one table there is; undefined when there is no such thing in this browser.
function inStore(mode, act) {
  return new Promise((resolve) => {
    const none = () => resolve(undefined);
    try {
      const opening = indexedDB.open("chorus.drafts", 1);
      opening.onupgradeneeded = () => opening.result.createObjectStore("photos");
      opening.onerror = none;
      opening.onsuccess = () => {
        const transaction = opening.result.transaction("photos", mode);
        const asked = act(transaction.objectStore("photos"));
        transaction.oncomplete = () => resolve(asked.result);
        transaction.onerror = transaction.onabort = none;
        opening.result.close();
      };
    } catch {
      none();
    }
  });
}
