// The state and how it changes: pure functions from a state and a fact to the next state; what did not change keeps its
// identity. An entity's `version` guards its own fields, `counts.version` its counts; counts are absolute. So a fact
// may come twice, late, or by HTTP and live in any order, and the state comes out the same.

import { compareIds } from "./text.js";

export const EMPTY = Object.freeze({
  posts: {}, // id → post, with `mineAt`: per log, the position that `mine` is known from
  comments: {}, // id → comment, likewise
  gone: {}, // id → true: deleted posts never come back, whatever answer was under way
  topics: {}, // slug → header
  feeds: {}, // key → {slug, sort, kind, ids, waiting, next}: newest first; `waiting` stand behind the pill
  threads: {}, // post id → {ids, next, through}: oldest first; complete up to the id `through`
  inbox: { items: [], unread: 0, next: null, ready: false },
  wishes: {}, // id → {reaction, base}: a reaction on its way to the server, and the counts.version it was wished at
});

const put = (table, id, value) => (table[id] === value ? table : { ...table, [id]: value });
const without = (list, id) => (list.includes(id) ? list.filter((each) => each !== id) : list);

/** What is held, and what came: each side's newer part. `asOf` is null for events, which carry no `mine`. */
export function merge(held, came, asOf = null) {
  if (!held) return { ...came, mineAt: asOf?.seq ?? [] };
  const own = came.version >= held.version ? came : held;
  const counts = came.counts.version >= held.counts.version ? came.counts : held.counts;
  const stale = came.mine === undefined || (asOf && held.mineAt.some((seq, log) => asOf.seq[log] < seq));
  return { ...own, counts, mine: stale ? held.mine : came.mine, mineAt: stale || !asOf ? held.mineAt : asOf.seq };
}

/** Posts that a read gave. */
export function keepPosts(state, posts, asOf) {
  const table = { ...state.posts };
  for (const post of posts) if (!state.gone[post.id]) table[post.id] = merge(table[post.id], post, asOf);
  return { ...state, posts: table };
}

/** Comments that a read gave. */
export function keepComments(state, comments, asOf) {
  const table = { ...state.comments };
  for (const comment of comments) table[comment.id] = merge(table[comment.id], comment, asOf);
  return { ...state, comments: table };
}

/** A topic's header; a read's brings `joined`, an event's does not. */
export function keepTopic(state, topic) {
  const held = state.topics[topic.slug];
  const own = !held || topic.version >= held.version ? topic : held;
  return { ...state, topics: put(state.topics, topic.slug, { ...own, joined: topic.joined ?? held?.joined ?? false }) };
}

/** A feed read from its beginning. Where one is on the screen already, what is new waits behind the pill. */
export function keepFeed(state, key, about, { items, next }, asOf) {
  const ids = items.map(({ id }) => id).filter((id) => !state.gone[id]);
  const stay = (state.feeds[key]?.ids ?? []).filter((id) => ids.includes(id));
  const waiting = stay.length ? ids.filter((id) => !stay.includes(id)) : [];
  const feed = { ...about, ids: stay.length ? stay : ids, waiting, next };
  return { ...keepPosts(state, items, asOf), feeds: put(state.feeds, key, feed) };
}

/** A feed begins anew with its next read: more waits than anybody scrolls through. */
export function dropFeed(state, key) {
  const { [key]: _, ...feeds } = state.feeds;
  return { ...state, feeds };
}

/** A further page of a feed, put behind what is there. */
export function keepOlder(state, key, { items, next }, asOf) {
  const kept = keepPosts(state, items, asOf);
  const ids = items.map(({ id }) => id).filter((id) => !state.gone[id]);
  const feed = state.feeds[key];
  return { ...kept, feeds: put(kept.feeds, key, { ...feed, ids: [...new Set([...feed.ids, ...ids])], next }) };
}

/** The next part of a thread, or its first. */
export function keepThread(state, postId, { items, next }, asOf, further) {
  const held = further ? state.threads[postId]?.ids ?? [] : [];
  const ids = [...new Set([...held, ...items.map(({ id }) => id)])].sort(compareIds);
  const through = items.at(-1)?.id ?? (further ? state.threads[postId]?.through : null) ?? null;
  return { ...keepComments(state, items, asOf), threads: put(state.threads, postId, { ids, next, through }) };
}

/** The reader became somebody else: what was theirs alone is forgotten, what all may see stays. */
export function forgetReader(state) {
  const anew = (table, part) =>
    Object.fromEntries(Object.entries(table).map(([id, entity]) => [id, { ...entity, ...part }]));
  return {
    ...state,
    posts: anew(state.posts, { mine: null, mineAt: [] }),
    comments: anew(state.comments, { mine: null, mineAt: [] }),
    topics: anew(state.topics, { joined: false }),
    inbox: EMPTY.inbox,
    wishes: {},
  };
}

/** A reaction is on its way to the server (`reaction` null: being taken back), or, with undefined, no more. */
export function wish(state, id, reaction) {
  const { [id]: _, ...wishes } = state.wishes;
  if (reaction === undefined) return { ...state, wishes };
  const entity = state.posts[id] ?? state.comments[id];
  return { ...state, wishes: { ...wishes, [id]: { reaction, base: entity.counts.version } } };
}

/** The inbox as a read gave it: its beginning, or a further page. */
export function keepInbox(state, { items, next, unread }, further) {
  const held = new Set(items.map(({ id }) => id));
  const all = further ? [...state.inbox.items.filter(({ id }) => !held.has(id)), ...items] : items;
  return { ...state, inbox: { items: all, next, unread, ready: true } };
}

/** The pill was pressed: what waited is shown. */
export function showWaiting(state, key) {
  const feed = state.feeds[key];
  const ids = [...new Set([...feed.waiting, ...feed.ids])];
  const shown = feed.sort === "hot" ? ids : ids.sort((a, b) => compareIds(b, a));
  return { ...state, feeds: put(state.feeds, key, { ...feed, ids: shown, waiting: [] }) };
}

/** A post of one's own, just made: shown at once, never behind the pill. */
export function addOwnPost(state, post, asOf) {
  const kept = keepPosts(state, [post], asOf);
  return { ...kept, feeds: mapFeeds(kept, post, (feed) => ({ ...feed, ids: [post.id, ...without(feed.ids, post.id)], waiting: without(feed.waiting, post.id) })) };
}

export function addComment(state, comment, asOf, own) {
  const kept = keepComments(state, [comment], asOf);
  const thread = kept.threads[comment.post_id];
  if (!thread || thread.ids.includes(comment.id)) return kept;
  // Past the part that is loaded there are comments we do not have: only one's own may stand beyond them.
  const beyond = thread.next && compareIds(comment.id, thread.through ?? "0") > 0;
  if (beyond && !own) return kept;
  const ids = [...thread.ids, comment.id].sort(compareIds);
  return { ...kept, threads: put(kept.threads, comment.post_id, { ...thread, ids }) };
}

export function removePost(state, id) {
  const feeds = mapFeeds(state, null, (feed) => (feed.waiting.includes(id) ? { ...feed, waiting: without(feed.waiting, id) } : feed));
  return { ...state, gone: put(state.gone, id, true), feeds };
}

/** The fold is over: the post's place closes. */
export function sweepPost(state, id) {
  return { ...state, feeds: mapFeeds(state, null, (feed) => (feed.ids.includes(id) ? { ...feed, ids: without(feed.ids, id) } : feed)) };
}

function mapFeeds(state, post, change) {
  return Object.fromEntries(
    Object.entries(state.feeds).map(([key, feed]) => [key, !post || belongs(post, feed) ? change(feed) : feed]),
  );
}

const belongs = (post, feed) => post.topics.includes(feed.slug) && (!feed.kind || feed.kind === post.kind);

// A post that others made, or an edit that moved one in or out of a topic: behind the pill, one's own at its place.
function placePost(state, post, own) {
  const feeds = Object.fromEntries(Object.entries(state.feeds).map(([key, feed]) => {
    const there = feed.ids.includes(post.id) || feed.waiting.includes(post.id);
    if (!belongs(post, feed)) return [key, there ? { ...feed, ids: without(feed.ids, post.id), waiting: without(feed.waiting, post.id) } : feed];
    const older = !feed.sort && feed.next && feed.ids.length && compareIds(post.id, feed.ids.at(-1)) < 0;
    if (there || older) return [key, feed];
    if (!own) return [key, { ...feed, waiting: [post.id, ...feed.waiting] }];
    const ids = [post.id, ...feed.ids];
    return [key, { ...feed, ids: feed.sort ? ids : ids.sort((a, b) => compareIds(b, a)) }];
  }));
  return { ...state, feeds };
}

function withCounts(state, { post_id, comment_id, counts }) {
  const [name, id] = comment_id ? ["comments", comment_id] : ["posts", post_id];
  const held = state[name][id];
  if (!held || counts.version <= held.counts.version) return state;
  return { ...state, [name]: put(state[name], id, { ...held, counts }) };
}

function withMine(state, { post_id, comment_id, reaction }, { log, seq }) {
  const [name, id] = comment_id ? ["comments", comment_id] : ["posts", post_id];
  const held = state[name][id];
  if (!held || seq <= (held.mineAt[log] ?? 0)) return state;
  const mineAt = Object.assign([], held.mineAt, { [log]: seq });
  return { ...state, [name]: put(state[name], id, { ...held, mine: { reaction }, mineAt }) };
}

function withInbox(state, change) {
  return { ...state, inbox: { ...state.inbox, ...change } };
}

const EVENTS = {
  "post.created": (state, { post }, _, me) => {
    if (state.gone[post.id]) return state;
    return post.author.id === me ? addOwnPost(state, post, null) : placePost(keepPosts(state, [post], null), post);
  },
  "post.edited": (state, { post }, _, me) => {
    if (state.gone[post.id]) return state;
    const kept = keepPosts(state, [post], null);
    return placePost(kept, kept.posts[post.id], post.author.id === me);
  },
  "post.deleted": (state, { post_id }) => removePost(state, post_id),
  "comment.created": (state, { comment }, _, me) => addComment(state, comment, null, comment.author.id === me),
  "comment.edited": (state, { comment }) => (state.comments[comment.id] ? keepComments(state, [comment], null) : state),
  "comment.deleted": (state, { comment_id, version }) => {
    const held = state.comments[comment_id];
    if (!held || held.version > version) return state;
    return { ...state, comments: put(state.comments, comment_id, { ...held, version, deleted: true, body: "", entities: [] }) };
  },
  "counts.changed": withCounts,
  "topic.changed": (state, { topic }) => keepTopic(state, topic),
  "mine.changed": withMine,
  "membership.changed": (state, { topic, joined }) =>
    state.topics[topic] ? { ...state, topics: put(state.topics, topic, { ...state.topics[topic], joined }) } : state,
  "notification.changed": (state, { notification, unread }) => {
    const others = state.inbox.items.filter(({ id }) => id !== notification.id);
    const items = [notification, ...others].sort((a, b) => compareIds(b.id, a.id));
    return withInbox(state, { items, unread });
  },
  "notification.removed": (state, { ids, unread }) =>
    withInbox(state, { items: state.inbox.items.filter(({ id }) => !ids.includes(id)), unread }),
  "inbox.read": (state, { up_to, unread }) => {
    const items = state.inbox.items.map((item) => (compareIds(item.id, up_to) <= 0 ? { ...item, read: true } : item));
    return withInbox(state, { items, unread });
  },
};

/** One live event: `at` is its place {log, seq}, `me` the reader's id or null. Unknown types change nothing. */
export function fold(state, event, at, me) {
  return EVENTS[event.type]?.(state, event, at, me) ?? state;
}

/** An entity's counts and reaction as the reader should see them, a wish on its way included. */
export function seen(entity, wish) {
  const mine = entity.mine?.reaction ?? null;
  if (!wish) return { ...entity.counts, mine };
  // Once the counts have moved they may hold the wish already: then they are shown as they are.
  if (wish.base !== entity.counts.version || wish.reaction === mine) return { ...entity.counts, mine: wish.reaction };
  const total = entity.counts.reaction_total + (wish.reaction ? 1 : 0) - (mine ? 1 : 0);
  return { ...entity.counts, reaction_total: Math.max(0, total), mine: wish.reaction };
}
