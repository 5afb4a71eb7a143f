// The reader's notifications, kept live in every tab alike; read and marked at notify, with a ticket.

import { call, takeTicket, withQuery } from "./api.js";
import { fold, keepInbox } from "./fold.js";
import { change, config, me, state } from "./store.js";
import { follow, isOpen, notice } from "./stream.js";

// A ticket may have ended while the machine slept, whatever our clock says: then once more with a fresh one.
async function ask(method, path, options) {
  await isOpen; // who reads may be known before where notify is
  const url = config.value.notify_url + path;
  try {
    return await call(method, url, { ...options, token: await takeTicket() });
  } catch (problem) {
    if (problem.status !== 401) throw problem;
    return call(method, url, { ...options, token: await takeTicket({ fresh: true }) });
  }
}

async function read() {
  const { data, asOf } = await ask("GET", "/v1/notifications");
  change(keepInbox, data, false);
  return asOf;
}

/** The inbox of whoever is signed in. Gives how to stop; throws Problem. */
export async function openInbox() {
  notice("inbox.touched", () => read().catch(() => {}));
  return follow(`inbox:${me.value.id}`, read);
}

/** Older ones. Throws Problem. */
export async function showOlder() {
  const { data } = await ask("GET", withQuery("/v1/notifications", { before: state.value.inbox.next }));
  change(keepInbox, data, true);
}

/** Everything up to this notification has been read, in all tabs. Throws Problem. */
export async function markRead(upTo) {
  const { data } = await ask("POST", "/v1/notifications/read", { body: { up_to: upTo } });
  change(fold, { type: "inbox.read", up_to: upTo, unread: data?.unread ?? 0 }, null, me.value?.id);
}
