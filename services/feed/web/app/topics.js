// Topics and their feeds: reading, following, joining.

import { call, get, lowest, withQuery } from "./api.js";
import { keepFeed, keepOlder, keepTopic } from "./fold.js";
import { notePresence } from "./session.js";
import { change, state } from "./store.js";
import { cover, follow } from "./stream.js";
import { signal } from "./ui.js";

const PAGES_AGAIN = 5; // pages read again at most after a reset; what lies deeper is asked for anew
const LISTED = 60; // topics whose counts the home page keeps live; the gateway allows 128 channels

/** Slugs in the order the server lists them; null until read. */
export const listed = signal(null);

const path = (slug) => `/v1/topics/${encodeURIComponent(slug)}`;
const channel = (slug) => `topic:${slug}`;
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

/** The next page of a feed. Throws Problem. */
export async function showOlder(slug, order) {
  const key = feedKey(slug, order);
  const { data, asOf } = await get(withQuery(`${path(slug)}/posts`, { ...order, before: state.value.feeds[key].next }));
  change(keepOlder, key, data, asOf);
  cover(channel(slug), asOf);
}

/** The topics as they are now. Gives what that is complete up to; throws Problem. */
export async function readTopics() {
  const { data, asOf } = await get("/v1/topics");
  for (const topic of data.items) change(keepTopic, topic);
  listed.value = data.items.map(({ slug }) => slug);
  return asOf;
}

/** The topics, the first of them with live counts. Gives how to stop; throws Problem. */
export async function openTopics() {
  const asOf = await readTopics();
  // One read serves all: each channel goes on from it, and reads its own header after a reset.
  const stops = await Promise.all(listed.value.slice(0, LISTED).map((slug) => {
    let first = asOf;
    return follow(channel(slug), async () => {
      const given = first;
      first = null;
      if (given) return given;
      const { data: topic, asOf: now } = await get(path(slug));
      change(keepTopic, topic);
      return now;
    });
  }));
  return () => stops.forEach((stop) => stop());
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
