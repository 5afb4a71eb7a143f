// Topics and their feeds: reading, following, joining.

import { call, get, lowest, withQuery } from "./api.js";
import { dropFeed, fold, keepFeed, keepOlder, keepTopic, showWaiting } from "./fold.js";
import { notePresence } from "./session.js";
import { change, me, state } from "./store.js";
import { cover, follow, isOpen } from "./stream.js";
import { signal } from "./ui.js";

const PAGES_AGAIN = 5; // pages read again at most after a reset; what lies deeper is asked for anew
const PAGE = 30; // topics in a part of the list; the gateway allows 128 channels, and most have their own topics
const MOST_AT_ONCE = 60; // posts that are shown at once; after a long absence there may be thousands
const OWN = 60; // of one's own topics, the most that are read one by one because no list has shown them yet

/** {slugs, next}: topics in the order the server lists them, as far as they were read; null until then. */
export const listed = signal(null);

const path = (slug) => `/v1/topics/${encodeURIComponent(slug)}`;
const channel = (slug) => `topic:${slug}`;
const slugOf = (name) => name.slice("topic:".length);
export const feedKey = (slug, { sort, kind }) => [slug, sort ?? "", kind ?? ""].join("|");

/** A topic's header, kept live. Gives how to stop; throws Problem. `onslug` learns the topic's own slug. */
export function openHeader(slug, onslug = () => {}) {
  return follow(channel(slug), async () => {
    const { data, asOf } = await get(path(slug));
    if (data.slug !== slug) onslug(data.slug);
    change(keepTopic, data);
    return asOf;
  });
}

/** A topic's posts in one order, kept live. */
export function openFeed(slug, order) {
  const key = feedKey(slug, order);
  return follow(channel(slug), async () => {
    const want = state.value.feeds[key]?.ids.length ?? 0;
    let page = { items: [], next: null };
    let asOf = null;
    for (let pages = 0; pages === 0 || (page.next && page.items.length < want && pages < PAGES_AGAIN); pages += 1) {
      const read = await get(withQuery(`${path(slug)}/posts`, { ...order, before: page.next }));
      page = { items: [...page.items, ...read.data.items], next: read.data.next };
      asOf = lowest(asOf, read.asOf);
    }
    notePresence(page.items);
    change(keepFeed, key, { slug, ...order }, page, asOf);
    return asOf;
  });
}

/** What waits behind the pill is shown; when it is very much, the newest page of it. Throws Problem. */
export async function showNew(slug, order) {
  const key = feedKey(slug, order);
  if (state.value.feeds[key].waiting.length <= MOST_AT_ONCE) return change(showWaiting, key);
  const { data, asOf } = await get(withQuery(`${path(slug)}/posts`, order));
  change((now) => keepFeed(dropFeed(now, key), key, { slug, ...order }, data, asOf));
  return cover(channel(slug), asOf);
}

/** The next page of a feed. Throws Problem. */
export async function showOlder(slug, order) {
  const key = feedKey(slug, order);
  const { data, asOf } = await get(withQuery(`${path(slug)}/posts`, { ...order, before: state.value.feeds[key].next }));
  change(keepOlder, key, data, asOf);
  cover(channel(slug), asOf);
}

/** The first topics as they are now. Gives what that is complete up to; throws Problem. */
export async function readTopics() {
  const { data, asOf } = await get(withQuery("/v1/topics", { limit: PAGE }));
  const slugs = list(data);
  const further = listed.value?.slugs.slice(slugs.length).filter((slug) => !slugs.includes(slug)) ?? [];
  listed.value = { slugs: [...slugs, ...further], next: further.length ? listed.value.next : data.next };
  return asOf;
}

/** The next topics of the list; their counts are as of now. Throws Problem. */
export async function showMoreTopics() {
  const { data } = await get(withQuery("/v1/topics", { limit: PAGE, before: listed.value.next }));
  listed.value = { slugs: [...new Set([...listed.value.slugs, ...list(data)])], next: data.next };
}

function list({ items }) {
  for (const topic of items) change(keepTopic, topic);
  return items.map(({ slug }) => slug);
}

/** The topics with live counts: one's own by `home`, of the others the first. Gives how to stop; throws Problem. */
export async function openTopics() {
  const asOf = await readTopics();
  await isOpen; // the list may be here before it is known who reads, and a member's own topics are followed by `home`
  const others = listed.value.slugs.slice(0, PAGE).filter((slug) => !state.value.topics[slug].joined);
  const stops = await Promise.all([
    ...others.map((slug) => follow(channel(slug), goingOn(asOf, () => readHeader(slug)))),
    ...(me.value ? [follow("home", goingOn(asOf, readTopics), { ready: (_, channels) => readOwn(channels), changed })] : []),
  ]);
  return () => stops.forEach((stop) => stop());
}

// One read serves all: each channel goes on from it, and reads for itself after a reset.
function goingOn(asOf, read) {
  let first = asOf;
  return async () => {
    const given = first ?? (await read());
    first = null;
    return given;
  };
}

async function readHeader(slug) {
  const { data, asOf } = await get(path(slug));
  change(keepTopic, data);
  return asOf;
}

// One's own topics may stand far down in the list of all.
function readOwn(channels) {
  const missing = channels.map(slugOf).filter((slug) => !state.value.topics[slug]?.joined);
  return Promise.allSettled(missing.slice(0, OWN).map(readHeader));
}

// Joined or left in another tab. Read after the news of it: so nothing lies between the header and what is followed.
function changed({ added, removed }) {
  for (const topic of removed.map(slugOf)) change(fold, { type: "membership.changed", topic, joined: false }, null, null);
  Promise.allSettled(added.map(slugOf).map(readHeader));
}

/** Join or leave; shown at once, taken back when it fails. Throws Problem. */
export async function setMembership(slug, joined) {
  const before = state.value.topics[slug];
  change(keepTopic, { ...before, joined });
  try {
    const { data } = await call(joined ? "PUT" : "DELETE", `${path(slug)}/membership`);
    if (data?.slug) change(keepTopic, { ...data, joined });
  } catch (problem) {
    change(keepTopic, { ...before, version: 0 });
    throw problem;
  }
}
