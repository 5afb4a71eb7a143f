// Comments of a post: reading in order, answering, changing, taking away.

import { call, get, withQuery } from "./api.js";
import { addComment, fold, keepComments, keepThread } from "./fold.js";
import { change, me, state } from "./store.js";
import { cover, follow } from "./stream.js";
import { compareIds } from "./text.js";

const PAGE = 100; // comments that one more press brings: who reads on wants to read

const path = (postId) => `/v1/posts/${postId}/comments`;

/** A post's comments from the oldest, kept live. Gives how to stop; throws Problem. */
export function openThread(postId) {
  return follow(`post:${postId}`, async () => {
    const { data, asOf } = await get(path(postId));
    change(keepThread, postId, data, asOf, false);
    return asOf;
  });
}

/** The next part of a thread. Throws Problem. */
export async function showMore(postId) {
  const { data, asOf } = await get(withQuery(path(postId), { limit: PAGE, before: state.value.threads[postId].next }));
  change(keepThread, postId, data, asOf, true);
  cover(`post:${postId}`, asOf);
}

/** Write a comment, or with `parent` an answer to one. Throws Problem. */
export async function comment(postId, body, key) {
  const { data, asOf } = await call("POST", path(postId), { body, key });
  change(addComment, data, asOf, true);
  return data;
}

/** Change a comment that is still at `version`. Throws Problem, with status 409 when it is not. */
export async function edit(id, version, body) {
  const { data, asOf } = await call("PATCH", `/v1/comments/${id}`, { body: { body, version } });
  change(keepComments, [data], asOf);
}

/** The comment as the server has it now; for comparing after a 409. Throws Problem. */
export async function refresh(id) {
  const { data, asOf } = await get(`/v1/comments/${id}`);
  change(keepComments, [data], asOf);
  return data;
}

export async function remove({ id, post_id, version }) {
  await call("DELETE", `/v1/comments/${id}`).catch((problem) => {
    if (problem.status !== 404) throw problem;
  });
  const event = { type: "comment.deleted", comment_id: id, post_id, version: version + 1 };
  change(fold, event, null, me.value?.id ?? null);
}

/**
 * A thread as it is shown: [{comment, replies}], oldest first. A deleted comment keeps its place only while somebody's
 * answer stands below it, or `holds(comment)`; an answer to a comment that is not loaded stands by itself.
 */
export function threaded(comments, holds = () => false) {
  const nodes = new Map(comments.map((each) => [each.id, { comment: each, replies: [] }]));
  const roots = [];
  for (const node of nodes.values()) (nodes.get(node.comment.parent)?.replies ?? roots).push(node);
  const standing = (list) => {
    list.sort((a, b) => compareIds(a.comment.id, b.comment.id));
    return list.filter((node) => (node.replies = standing(node.replies)).length || !node.comment.deleted || holds(node.comment));
  };
  return standing(roots);
}
